//! Waiting for many, killing many, shutting down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

use super::as_completed::AsCompleted;
use super::event_loop::to_the_loop;
use super::job::Job;
use super::kill;
use super::manager::JobManager;
use super::misuse::short;
use super::seconds::Given;
use super::shim;
use super::wait::{self, KILL_TIME, Patience};
use super::{current, desk, exit};
use crate::core::latch::{Latch, Waiter};
use crate::core::state::State;
use crate::core::sync::Mutex;
use crate::interrupt::thread;

/// How long `shutdown` waits at most for threads that have nothing to do any more but to end. It takes microseconds; but what another
/// manager does at this moment may keep one of the process's.
const LAST_STEPS: Duration = Duration::from_secs(2);

impl JobManager {
    /// The end of `shutdown` where a job calls it, or a callback: threads of the manager's cannot wait for themselves.
    fn wait_for_others(
        &self,
        py: Python<'_>,
        caller: Option<&Bound<'_, Job>>,
        patience: Patience,
    ) -> PyResult<()> {
        /// It does not wait any more.
        struct Leaver<'a>(&'a Mutex<Vec<u64>>, u64);
        impl Drop for Leaver<'_> {
            fn drop(&mut self) {
                let mut leavers = self.0.lock();
                if let Some(place) = leavers.iter().position(|number| *number == self.1) {
                    leavers.swap_remove(place);
                }
            }
        }
        // Before it looks for others that do: of two jobs that come at once one at least does not wait for the other.
        let leavers = &self.house.leavers;
        let leaver = caller.map(|caller| {
            let number = caller.get().record.number();
            leavers.lock().push(number);
            Leaver(leavers, number)
        });
        let here = leavers.lock().clone();
        let jobs = self.chosen(py, None)?.into_iter();
        // Nor, on the event loop, for others on that.
        let others: Vec<_> = jobs
            .filter(|job| {
                !here.contains(&job.get().record.number())
                    && !to_the_loop::would_wait_for_itself(job.get())
            })
            .collect();
        let waited = wait_for(py, &others, others.len(), false, patience).map(drop);
        drop(leaver);
        waited
    }

    /// End every job that has not ended, and wait for that; true when all have.
    fn kill_them(
        &self,
        py: Python<'_>,
        patience: Patience,
        class: &Bound<'_, PyType>,
    ) -> PyResult<bool> {
        kill_these(py, self.chosen(py, None)?, class, patience)
    }

    /// The jobs that arguments mean, each once; an error when one of them is not known.
    pub(crate) fn find_all<'py>(
        &self,
        first: &Bound<'py, PyAny>,
        more: &Bound<'py, PyTuple>,
    ) -> PyResult<Vec<Bound<'py, Job>>> {
        let mut found = vec![self.find(first)?];
        for key in more {
            found.push(self.find(&key)?);
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|job| seen.insert(job.as_ptr() as usize));
        Ok(found)
    }

    /// The jobs that an argument means: an iterable of numbers and jobs, or None for all that have not ended. Each once.
    fn chosen<'py>(
        &self,
        py: Python<'py>,
        jobs: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, Job>>> {
        if let Some(one) = jobs
            && let Some(kind) = one_alone(one)
        {
            return Err(PyTypeError::new_err(format!(
                "one {kind} was given where an iterable of jobs is needed: put it into a list, [job]"
            )));
        }
        let Some(jobs) = jobs.filter(|jobs| !jobs.is_none()) else {
            return Ok(self
                .unfinished(py)
                .into_iter()
                .map(|job| job.into_bound(py))
                .collect());
        };
        let mut chosen: Vec<Bound<'py, Job>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for job in jobs.try_iter()? {
            let job = job?;
            // A Job may be another manager's: waiting for it is as good.
            let job = match job.cast::<Job>() {
                Ok(job) => job.clone(),
                Err(_) => self.find(&job)?,
            };
            if seen.insert(job.as_ptr() as usize) {
                chosen.push(job);
            }
        }
        Ok(chosen)
    }
}

/// What it is, where it means one job and not several: a Job is iterable, but over its values, and a name over its letters.
fn one_alone(jobs: &Bound<'_, PyAny>) -> Option<&'static str> {
    if jobs.is_instance_of::<Job>() {
        Some("Job")
    } else if jobs.is_instance_of::<PyString>() {
        Some("name")
    } else if jobs.is_instance_of::<PyInt>() {
        Some("number")
    } else {
        None
    }
}

/// Block until `needed` of the jobs have ended (or one of them in trouble); false when patience ends first.
fn wait_for(
    py: Python<'_>,
    jobs: &[Bound<'_, Job>],
    needed: usize,
    on_trouble: bool,
    patience: Patience,
) -> PyResult<bool> {
    if needed > 0 && !patience.is_over() {
        for job in jobs {
            to_the_loop::must_not_wait(job.get())?;
        }
    }
    let latch = Latch::new(needed);
    let waiter = Waiter::Latch {
        latch: Arc::clone(&latch),
        on_trouble,
    };
    let mut lent = Vec::new();
    for job in jobs {
        job.get().now_awaited(py);
        lent.push(job.get().lend(py)?);
        if job.get().is_over() || !job.get().watch(py, waiter.clone()) {
            if on_trouble && job.get().record.state() != State::Done {
                latch.open();
            }
            latch.count_down();
        }
    }
    let result = wait::block(py, patience, |until| latch.wait_until(until).then_some(()));
    for job in jobs {
        job.get().record.unwatch(&waiter);
    }
    drop(lent);
    Ok(result?.is_some())
}

/// Whether the system still has a thread of this number, where it tells.
#[pyfunction]
pub(crate) fn _is_there(native_id: u64) -> bool {
    thread::is_there(native_id)
}

/// End jobs, and wait for their ends; false when one has not ended.
fn kill_these(
    py: Python<'_>,
    mut jobs: Vec<Bound<'_, Job>>,
    class: &Bound<'_, PyType>,
    patience: Patience,
) -> PyResult<bool> {
    // The queued ones first, the newest before the oldest, so that none starts in the place of one that is struck.
    jobs.sort_by_key(|job| job.get().record.number());
    for job in jobs.iter().rev() {
        Job::end_queued(job, State::Killed);
    }
    let mut to_itself = Ok(());
    for job in &jobs {
        // The job that called this gets its own exception once the others were struck.
        let struck = Job::strike(job, class);
        to_itself = to_itself.and(struck);
    }
    to_itself?;
    // On the event loop that they need for their ends, those have none before this returns.
    let others: Vec<_> = jobs
        .iter()
        .filter(|job| !to_the_loop::would_wait_for_itself(job.get()))
        .cloned()
        .collect();
    wait_for(py, &others, others.len(), false, patience)?;
    for job in &jobs {
        job.get().saw_end();
    }
    Ok(jobs.iter().all(|job| job.get().is_over()))
}

#[pymethods]
impl JobManager {
    /// Wait for jobs (numbers, names or `Job`s; default: all that have not ended), at most `timeout` seconds (None: no limit).
    ///
    /// `return_when` is '`ALL_COMPLETED`', '`FIRST_COMPLETED`' or '`FIRST_EXCEPTION`' (any end but done), as in
    /// `concurrent.futures`. Returns a named tuple `(done, not_done)` of two `list[Job]`, in the order given; nothing is
    /// raised when the time runs out. Raises `UnknownJob`, `ValueError` for another `return_when`. Blocks; Ctrl-C raises
    /// `KeyboardInterrupt` here within 100 ms, and the jobs go on.
    #[pyo3(signature = (jobs = None, timeout = None, return_when = "ALL_COMPLETED"))]
    fn wait<'py>(
        &self,
        py: Python<'py>,
        jobs: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
        return_when: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let patience = Patience::from_object(timeout)?;
        let jobs = self.chosen(py, jobs)?;
        let (needed, on_trouble) = match return_when {
            "ALL_COMPLETED" => (jobs.len(), false),
            "FIRST_EXCEPTION" => (jobs.len(), true),
            "FIRST_COMPLETED" => (1.min(jobs.len()), false),
            other => {
                return Err(PyValueError::new_err(format!(
                    "return_when must be 'ALL_COMPLETED', 'FIRST_COMPLETED' or 'FIRST_EXCEPTION', not '{}'",
                    other.escape_debug()
                )));
            }
        };
        wait_for(py, &jobs, needed, on_trouble, patience)?;
        let (done, not_done): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.get().is_over());
        shim::WAITED.call(py, (PyList::new(py, done)?, PyList::new(py, not_done)?))
    }

    /// Iterate over jobs (numbers, names or `Job`s; default: all that have not ended) as they end; those that have ended already
    /// come first, each job once.
    ///
    /// Each step blocks until the next one ends. Raises `UnknownJob`, and the builtin `TimeoutError` when `timeout` seconds
    /// (None: no limit) from this call have passed before all were given. Ctrl-C raises `KeyboardInterrupt` within 100 ms.
    #[pyo3(signature = (jobs = None, timeout = None))]
    fn as_completed(
        &self,
        py: Python<'_>,
        jobs: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<AsCompleted> {
        let patience = Patience::from_object(timeout)?;
        Ok(AsCompleted::new(self.chosen(py, jobs)?, patience))
    }

    /// End jobs now (numbers, names, `Job`s, groups): `kill(3)`, `kill(0, 1)`. They are struck all at once; then it waits up to
    /// `timeout` seconds for all of them, and returns True when all have ended. See `Job.kill`.
    ///
    /// Raises `UnknownJob` when one of them is not known: then none is killed.
    #[pyo3(
        signature = (job, *more, timeout = Given::Default, exc = None),
        text_signature = "($self, job, *more, timeout=5.0, exc=None)"
    )]
    fn kill(
        &self,
        job: &Bound<'_, PyAny>,
        more: &Bound<'_, PyTuple>,
        timeout: Given<'_>,
        exc: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let py = job.py();
        let patience = Patience::of_kill("timeout", &timeout)?;
        let class = kill::class_of(py, exc)?;
        for wrong in more {
            if wrong.is_none()
                || wrong.is_instance_of::<PyFloat>()
                || wrong.is_instance_of::<PyType>()
            {
                return Err(PyTypeError::new_err(format!(
                    "kill takes jobs, and {} is none: the time-out and the class go by their names, \
                     kill(job, timeout=5.0, exc=SystemExit)",
                    short(&wrong)
                )));
            }
        }
        kill_these(py, self.find_all(job, more)?, &class, patience)
    }

    /// End every job that has not ended: queued ones never run, running ones are struck all at once. Then wait up to
    /// `timeout` seconds for all of them. True when all have ended. See `Job.kill`.
    #[pyo3(
        signature = (timeout = Given::Default, exc = None),
        text_signature = "($self, timeout=5.0, exc=None)"
    )]
    fn kill_all(
        &self,
        py: Python<'_>,
        timeout: Given<'_>,
        exc: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let patience = Patience::of_kill("timeout", &timeout)?;
        self.kill_them(py, patience, &kill::class_of(py, exc)?)
    }

    /// Take no new jobs. `kill=True` also cancels what is queued and kills what runs. `wait=True` blocks until every job
    /// has ended, its done-callbacks have run and the threads have ended (with `kill=True` for 5 seconds at most). Called
    /// by one of its own jobs or their callbacks, it waits for the other jobs, but those that are in here as well, and for no
    /// threads; called by a coroutine job for no other one. May be called again. The records stay readable, and `result_ttl`
    /// ends no more of them.
    #[pyo3(signature = (wait = true, kill = false))]
    fn shutdown(&self, py: Python<'_>, wait: bool, kill: bool) -> PyResult<()> {
        if !self.house.is_here() {
            return Ok(());
        }
        self.house.close();
        self.end_schedules(py);
        if kill {
            for job in self.unfinished(py) {
                Job::end_queued(job.bind(py), State::Cancelled);
            }
            let class = kill::class_of(py, None)?;
            self.kill_them(py, Patience::of(Some(Duration::ZERO)), &class)?;
        }
        if !wait {
            return Ok(());
        }
        self.house.await_all();
        for job in self.unfinished(py) {
            job.get().look_again(py);
            job.get().now_awaited(py);
        }
        let patience = Patience::of(kill.then_some(KILL_TIME));
        let caller = current::job(py)?.filter(|job| Arc::ptr_eq(&job.get().house, &self.house));
        if caller.is_some() || current::serves(&self.house) {
            return self.wait_for_others(py, caller.as_ref(), patience);
        }
        let house = &self.house;
        let emptied = wait::block(py, patience, |until| {
            house.wait_until_empty(until).then_some(())
        })?;
        if emptied.is_none() || exit::is_ending() {
            return Ok(());
        }
        // What is left to come is of no use any more: records to be forgotten, looks at limits.
        house.watch.stop();
        let alarms = house.timers.clear();
        drop(alarms);
        let has_commands = house.has_commands.load(Ordering::Acquire) && desk::let_go();
        let last = Patience::until(Instant::now() + LAST_STEPS);
        wait::block(py, last, |until| {
            let are_gone =
                house.wait_until_gone(until) && (!has_commands || desk::wait_until_gone(until));
            are_gone.then_some(())
        })
        .map(drop)
    }

    fn __enter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc: &Bound<'_, PyAny>,
        tb: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc_type, exc, tb);
        self.shutdown(py, true, false)
    }
}
