//! Waiting for a job and taking its outcome; a job as a Future and as an awaitable.

use pyo3::exceptions::{PyAttributeError, PyBaseException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::again;
use super::errors::{self, JobError, JobKilled, JobSkipped};
use super::event_loop::to_the_loop;
use super::job::{Job, keep_first};
use super::outcome::{self, Outcome};
use super::wait::{self, Patience};
use super::{on_kill, shim};
use crate::core::latch::{Latch, Waiter};
use crate::core::state::State;

impl Job {
    /// Block until it has ended; false when patience ends first.
    pub(crate) fn wait(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        if self.is_over() {
            return Ok(true);
        }
        self.now_awaited(py);
        let _lent = self.lend(py)?;
        let latch = Latch::new(1);
        let waiter = Waiter::latch(&latch);
        if !self.watch(py, waiter.clone()) {
            return Ok(true);
        }
        let result = wait::block(py, patience, |until| latch.wait_until(until).then_some(()));
        self.record.unwatch(&waiter);
        Ok(result?.is_some())
    }

    /// What a job raises that never ran because of another.
    fn skipped(&self, py: Python<'_>) -> PyErr {
        let cause = self.with_extras(|extras| extras.cause.as_ref().map(|job| job.clone_ref(py)));
        let Some(cause) = cause else {
            return JobSkipped::new_err(format!("{} was skipped", self.title(py)));
        };
        let before = cause.get();
        let error = JobSkipped::new_err(format!(
            "{} was skipped: it comes after {}, which is {}",
            self.title(py),
            before.title(py),
            before.state().name()
        ));
        let why = match before.trouble(py) {
            Ok(why) => why.map(|why| PyErr::from_value(why.into_any())),
            Err(cancelled) => Some(cancelled),
        };
        error.set_cause(py, why);
        error
    }

    /// The same; an error on the event loop that the job itself needs, unless that is not to wait at all.
    fn wait_outside(me: &Bound<'_, Self>, patience: Patience) -> PyResult<bool> {
        if !patience.is_over() {
            to_the_loop::must_not_wait(me.get())?;
        }
        me.get().wait(me.py(), patience)
    }

    /// `kill`. True when it has ended.
    pub(crate) fn kill_and_wait(
        me: &Bound<'_, Self>,
        class: &Bound<'_, PyType>,
        patience: Patience,
    ) -> PyResult<bool> {
        Self::strike(me, class)?;
        // On the event loop that it needs for its end, it can have none before this returns.
        let has_ended = !to_the_loop::would_wait_for_itself(me.get())
            // Nor before a function returns that the kill has called.
            && !on_kill::helps(me)
            && me.get().wait(me.py(), patience)?;
        if has_ended {
            me.get().saw_end();
        }
        Ok(has_ended)
    }

    /// The exception that `get` raises; None for a job that is done.
    pub(crate) fn trouble<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<Bound<'py, PyBaseException>>> {
        let outcome = self.held.lock().outcome.clone_ref(py);
        match (self.state(), outcome) {
            (State::Done, _) => Ok(None),
            (_, Outcome::Raised(exception, traceback)) => {
                Ok(Some(outcome::restored(py, exception, traceback)))
            }
            (State::Cancelled, _) => {
                let message = format!("{} was cancelled {}", self.title(py), self.when_it_ended());
                Err(self.after_failure(py, errors::cancelled(py, message)))
            }
            (State::Skipped, _) => Ok(Some(self.skipped(py).into_value(py).into_bound(py))),
            (State::Expired, _) => Ok(Some(again::expired(py, self).into_value(py).into_bound(py))),
            (State::Killed, _) => {
                let when = self.when_it_ended();
                let killed = JobKilled::new_err(format!("{} was killed {when}", self.title(py)));
                Ok(Some(
                    self.after_failure(py, killed).into_value(py).into_bound(py),
                ))
            }
            (state, _) => {
                let error = JobError::new_err(format!(
                    "{} is {}: it has no outcome in this process",
                    self.title(py),
                    state.name()
                ));
                Ok(Some(error.into_value(py).into_bound(py)))
            }
        }
    }

    /// When a job was ended that did not run then.
    fn when_it_ended(&self) -> &'static str {
        if self.record.runs() == 0 {
            "before it started"
        } else {
            "while it waited for its next run"
        }
    }

    /// The error of a job that was ended between two tries, with what the last one raised as its cause.
    fn after_failure(&self, py: Python<'_>, error: PyErr) -> PyErr {
        if let Some(failure) = self.last_failure(py) {
            error.set_cause(py, Some(PyErr::from_value(failure.into_any())));
        }
        error
    }

    pub(crate) fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(exception) = self.trouble(py)? {
            return Err(PyErr::from_value(exception.into_any()));
        }
        match &self.held.lock().outcome {
            Outcome::Value(value) => Ok(value.clone_ref(py)),
            _ => Ok(py.None()),
        }
    }
}

#[pymethods]
impl Job {
    /// Wait until it has ended, and return its value.
    ///
    /// Raises the very exception that the job raised, with its traceback; `JobKilled` or `JobTimeout` (or the class that
    /// the kill asked for) when it was ended so; `concurrent.futures.CancelledError` when it was cancelled; the builtin
    /// `TimeoutError` when `timeout` seconds (None: no limit) pass first, and then the job goes on. A coroutine job raises
    /// `RuntimeError` that asks this of another one of its manager, whose event loop that would block: there `await job`.
    /// A periodic job (`every`) has no result: until its end is asked for, `JobError` says so at once.
    /// Blocks; Ctrl-C raises `KeyboardInterrupt` here within 100 ms, and the job goes on.
    #[pyo3(signature = (timeout = None))]
    fn get(me: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let (py, job) = (me.py(), me.get());
        job.must_have_an_end(py)?;
        if job.is_over() || Self::wait_outside(me, Patience::from_object(timeout)?)? {
            job.saw_end();
            job.value(py)
        } else {
            Err(wait::ran_out(&job.title(py)))
        }
    }

    /// Wait until it has ended, and return the exception that `get()` would raise, or None when it is done.
    ///
    /// Raises `TimeoutError`, `CancelledError`, and `JobError` for a periodic job, as `get()` does. Blocks in the same way.
    #[pyo3(signature = (timeout = None))]
    fn exception<'py>(
        me: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyBaseException>>> {
        let (py, job) = (me.py(), me.get());
        job.must_have_an_end(py)?;
        if Self::wait_outside(me, Patience::from_object(timeout)?)? {
            job.saw_end();
            job.trouble(py)
        } else {
            Err(wait::ran_out(&job.title(py)))
        }
    }

    /// True when it has ended, in whatever way.
    fn done(&self) -> bool {
        self.is_over()
    }

    /// True while it runs.
    fn running(&self) -> bool {
        self.state() == State::Running
    }

    /// True when it was cancelled before it started.
    fn cancelled(&self) -> bool {
        self.state() == State::Cancelled
    }

    /// True until it has ended, queued or running (as a thread's).
    fn is_alive(&self) -> bool {
        !self.is_over()
    }

    /// Wait until it has ended, or for `timeout` seconds (None: no limit). Returns None and raises nothing of the job's,
    /// as a thread's `join`. Blocks; Ctrl-C raises `KeyboardInterrupt` here within 100 ms, and the job goes on.
    #[pyo3(signature = (timeout = None))]
    fn join(me: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Self::wait_outside(me, Patience::from_object(timeout)?).map(drop)
    }

    /// Wait until it has ended, in whatever way, or for `timeout` seconds (None: no limit); True when it has. Raises nothing of the
    /// job's. Blocks; Ctrl-C raises `KeyboardInterrupt` here within 100 ms, and the job goes on.
    #[pyo3(name = "wait", signature = (timeout = None))]
    fn wait_for_end(me: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        Self::wait_outside(me, Patience::from_object(timeout)?)
    }

    /// Take it back before it starts: it never runs. True when that came in time, or it was cancelled before; False once
    /// it runs or has ended (`kill()` ends a running one). Does not block.
    fn cancel(me: &Bound<'_, Self>) -> bool {
        let is_cancelled =
            Self::end_queued(me, State::Cancelled) || me.get().state() == State::Cancelled;
        if is_cancelled {
            me.get().saw_end();
        }
        is_cancelled
    }

    /// Call `fn(job)` when it has ended: in the thread that ended it, or at once when it has ended already.
    ///
    /// Callbacks run in the order they were added. What one raises is logged to the logger `rjobs.job` and harms nobody;
    /// a kill never lands in one. Raises `TypeError` when `fn` is not callable.
    #[pyo3(signature = (r#fn, /))]
    fn add_done_callback(me: &Bound<'_, Self>, r#fn: Bound<'_, PyAny>) -> PyResult<()> {
        if !r#fn.is_callable() {
            return Err(PyTypeError::new_err(
                "add_done_callback needs a callable that takes the job",
            ));
        }
        me.get().now_awaited(r#fn.py());
        let callback = r#fn.clone().unbind();
        let ended = me.get().with_extras(|extras| {
            // Under the lock that the end takes the callbacks under, so that none is missed or called twice.
            let ended = me.get().record.state().is_terminal();
            if ended {
                Some(callback)
            } else {
                extras.callbacks.push(callback);
                None
            }
        });
        if ended.is_some() {
            Self::run_callback(me, &r#fn);
        } else {
            me.get().look_again(me.py());
        }
        Ok(())
    }

    /// Take a callback back; False when it is not there (any more).
    fn _remove_done_callback(&self, callback: &Bound<'_, PyAny>) -> bool {
        let removed = self.with_extras(|extras| {
            let index = extras.callbacks.iter().position(|kept| kept.is(callback))?;
            Some(extras.callbacks.remove(index))
        });
        removed.is_some()
    }

    /// A real `concurrent.futures.Future` with the outcome of this job, made when first asked for.
    ///
    /// So `concurrent.futures.wait`, `as_completed` and `asyncio.wrap_future` work with jobs. Cancelling it cancels the
    /// job, as far as `cancel()` can.
    #[getter]
    fn future<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = me.py();
        let kept = me
            .get()
            .with_extras(|extras| extras.future.as_ref().map(|f| f.clone_ref(py)));
        if let Some(kept) = kept {
            return Ok(kept.into_bound(py));
        }
        let fresh = shim::MAKE_FUTURE.call(py, (me,))?.unbind();
        // Two threads may have made one each: the first that is stored is the job's, the other is fed as well.
        let (kept, other) = Self::link(me, |extras| keep_first(py, &mut extras.future, fresh));
        drop(other);
        Ok(kept.into_bound(py))
    }

    fn __await__<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        me.get().must_have_an_end(me.py())?;
        shim::AWAIT_JOB.call(me.py(), (me,))
    }

    /// `concurrent.futures.wait` and `as_completed` look for this first.
    #[getter(_condition)]
    #[expect(clippy::unused_self, reason = "Python asks the instance")]
    fn condition(&self) -> PyResult<()> {
        Err(PyAttributeError::new_err(
            "a Job is no concurrent.futures.Future: give its future, concurrent.futures.wait([job.future]), or ask the \
             manager, jobs.wait([job])",
        ))
    }
}
