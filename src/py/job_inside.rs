//! What a job does about its own end: shields a step from kills, looks whether it is asked to stop; and who asks it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::errors::JobKilled;
use super::event_loop::errand::Errand;
use super::event_loop::to_the_loop;
use super::job::Job;
use super::kill;
use super::seconds::{self, Given};
use super::wait::{KILL_TIME, Patience, block};
use super::{current, desk, held};
use crate::command::Wish;
use crate::core::latch::Latch;
use crate::core::state::State;
use crate::interrupt::pending;
use crate::interrupt::slot::Slot;

/// What `job.shield()` gives: a `with` block in which kills wait.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Shield {
    slot: Option<Arc<Slot>>,
    /// Of a coroutine job, which may be suspended in the block while others run.
    errand: Option<Arc<Errand>>,
}

#[pymethods]
impl Shield {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let Some(slot) = &self.slot else {
            return Ok(());
        };
        match &self.errand {
            Some(errand) => errand.enter_shield(),
            None => slot.hold(),
        }
        // What was sent before arrives now, and not in the block.
        pending::land(py).inspect_err(|_| self.let_go(py, slot))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(slot) = &self.slot else {
            return Ok(());
        };
        self.let_go(py, slot);
        // What waited arrives now.
        pending::land(py)
    }
}

impl Shield {
    fn let_go(&self, py: Python<'_>, slot: &Arc<Slot>) {
        match &self.errand {
            Some(errand) => Errand::leave_shield(errand, py),
            None => held::let_go(py, slot),
        }
    }
}

impl Job {
    /// An error where the calling thread does not work for this job.
    pub(super) fn must_be_inside(me: &Bound<'_, Self>, what: &str) -> PyResult<()> {
        if current::job(me.py())?.is_some_and(|job| job.is(me)) {
            return Ok(());
        }
        let title = me.get().title(me.py());
        Err(PyRuntimeError::new_err(format!(
            "{what} is for the code of {title} itself: call it as rjobs.current_job().{what} in there"
        )))
    }

    fn stop_latch(&self) -> Arc<Latch> {
        self.with_extras(|extras| Arc::clone(extras.stop.get_or_insert_with(|| Latch::new(1))))
    }

    pub(super) fn stopped(me: &Bound<'_, Self>) -> PyErr {
        if let Some(slot) = current::any_slot() {
            slot.struck_itself();
        }
        JobKilled::new_err(format!("{} was asked to stop", me.get().title(me.py())))
    }
}

#[pymethods]
impl Job {
    /// Ask it to end, wait up to `grace` seconds (default 5; None: no limit), then kill it and wait up to 5 seconds more.
    ///
    /// Returns True when it has ended, in whatever way. A queued job is cancelled. A running one sees `stop_requested`, and
    /// its `check()`, `sleep()` and `send()` raise `JobKilled`, as does the next `yield` of a generator; code that comes to none
    /// of these runs on until the kill. Blocks; Ctrl-C
    /// raises `KeyboardInterrupt` here within 100 ms, and the request stands. Raises `RuntimeError` in the job itself.
    ///
    /// An external command (`shell`) gets SIGTERM at once, with all that it started, and SIGKILL after `grace`. One that handles
    /// SIGTERM and exits by itself is 'done' with its exit code, one that was ended by it is 'killed'.
    #[pyo3(
        signature = (grace = Given::Default),
        text_signature = "($self, grace=5.0)"
    )]
    fn stop(me: &Bound<'_, Self>, grace: Given<'_>) -> PyResult<bool> {
        let (py, job) = (me.py(), me.get());
        let patience = Patience::of_kill("grace", &grace)?;
        if current::job(py)?.is_some_and(|job| job.is(me)) {
            let title = job.title(py);
            return Err(PyRuntimeError::new_err(format!(
                "{title} cannot wait for its own end: return, or raise"
            )));
        }
        if job.is_over() || Self::end_queued(me, State::Cancelled) {
            return Ok(true);
        }
        to_the_loop::must_not_wait(job)?;
        job.stop_requested.store(true, Ordering::Release);
        job.stop_latch().open();
        // A run that ended meanwhile may have queued it once more, without having seen that.
        if Self::end_queued(me, State::Cancelled) {
            return Ok(true);
        }
        job.look_again(py);
        if let Some(command) = job.command() {
            desk::ask(&command, Wish::Stop);
        }
        if let Some(group) = job.group.get() {
            group.settle(me);
        }
        if job.wait(py, patience)? {
            return Ok(true);
        }
        let class: Bound<'_, PyType> = kill::class_of(py, None)?;
        Self::strike(me, &class)?;
        job.wait(py, Patience::of(Some(KILL_TIME)))
    }

    /// Whether `stop()` was called. Does not block.
    #[getter]
    pub(super) fn stop_requested(&self) -> bool {
        self.stop_requested.load(Ordering::Acquire)
    }

    /// In the job: raise `JobKilled` if `stop()` was called, else do nothing. Raises `RuntimeError` anywhere else.
    fn check(me: &Bound<'_, Self>) -> PyResult<()> {
        Self::must_be_inside(me, "check()")?;
        if me.get().stop_requested() {
            return Err(Self::stopped(me));
        }
        Ok(())
    }

    /// In the job: sleep for `seconds`, or until `stop()` is called; then raise `JobKilled` as `check()` does.
    ///
    /// Blocks without holding the interpreter; a kill ends it. Raises `RuntimeError` in any other place than the job, and in a
    /// coroutine job, which is to `await asyncio.sleep(...)`; `ValueError` for a negative time or NaN.
    fn sleep(me: &Bound<'_, Self>, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::must_be_inside(me, "sleep()")?;
        if me
            .get()
            .errand()
            .is_some_and(|errand| errand.is_on_this_thread())
        {
            let title = me.get().title(me.py());
            return Err(PyRuntimeError::new_err(format!(
                "sleep() would hold up every job on the event loop of {title}: await asyncio.sleep(...), and look at \
                 stop_requested or call check() after it"
            )));
        }
        let time = seconds::number("seconds", "a number of seconds", seconds)?;
        if time < 0.0 {
            return Err(PyValueError::new_err(format!(
                "seconds must be 0 or more, the time to sleep; got {}",
                seconds::shown(seconds)
            )));
        }
        let latch = me.get().stop_latch();
        let asked = block(me.py(), Patience::of(seconds::span(time)), |until| {
            latch.wait_until(until).then_some(())
        })?;
        if asked.is_some() {
            return Err(Self::stopped(me));
        }
        Ok(())
    }

    /// In the job: `with current_job().shield():` is a block in which kills and time-outs wait; what came meanwhile is raised
    /// at its end. Blocks nest. It holds off nothing else: `stop_requested` is set at once.
    ///
    /// A coroutine job may `await` in the block. In a thread that the job started the kill of that thread waits, not the job's. Raises `RuntimeError` in any other
    /// place than the job. Keep it short: `kill()` waits for the end of the block, and returns False when its time is over.
    fn shield(me: &Bound<'_, Self>) -> PyResult<Shield> {
        Self::must_be_inside(me, "shield()")?;
        let slot = current::any_slot();
        // In a thread that a coroutine job started its own strikes wait, and not the loop's.
        let errand = me.get().errand().filter(|_| current::my_slot().is_some());
        Ok(Shield { slot, errand })
    }
}
