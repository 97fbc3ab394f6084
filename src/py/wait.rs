//! The only door to blocking: detached, in slices where a signal or a kill has to be noticed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;

use super::seconds::{self, Given};
use super::{current, exit, shim};
use crate::interrupt::names::name;
use crate::interrupt::slot::Slot;
use crate::interrupt::{pending, thread};

/// How long a wait may go without looking for Ctrl-C, or for a kill of the job that started the thread. Ctrl-C is promised
/// within 100 ms.
const SLICE: Duration = Duration::from_millis(50);

/// How long a kill waits for the end, unless told otherwise.
pub(crate) const KILL_TIME: Duration = Duration::from_secs(5);

/// When a wait is over, from a `timeout` in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    deadline: Option<Instant>,
}

impl Patience {
    /// For so long; None: without end.
    pub(crate) fn of(time: Option<Duration>) -> Self {
        Self {
            deadline: time.and_then(seconds::after),
        }
    }

    /// Without end.
    pub(crate) const ENDLESS: Self = Self { deadline: None };

    /// From the argument `timeout`: None waits for ever; 0 or less does not wait.
    pub(crate) fn from_object(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        seconds::limit("timeout", timeout).map(Self::of)
    }

    /// From an argument of a kill.
    pub(crate) fn of_kill(name: &str, timeout: &Given<'_>) -> PyResult<Self> {
        timeout.limit(name, KILL_TIME).map(Self::of)
    }

    /// Until then.
    pub(crate) const fn until(deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
        }
    }

    /// Until the earlier of the two.
    pub(crate) fn or_sooner(self, other: Self) -> Self {
        let deadline = match (self.deadline, other.deadline) {
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        };
        Self { deadline }
    }

    /// True when there is no time left.
    pub(crate) fn is_over(self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// Block in `attempt(until)`, detached, until it gives something or patience ends (None).
///
/// On the main thread it looks for signals every 50 ms, so Ctrl-C raises `KeyboardInterrupt` here. In a job a strike rings the
/// bell of its thread, which ends the wait. Any other thread sleeps through.
pub(crate) fn block<R: Send>(
    py: Python<'_>,
    patience: Patience,
    attempt: impl Fn(Option<Instant>) -> Option<R> + Send + Sync,
) -> PyResult<Option<R>> {
    let main = shim::MAIN_THREAD
        .call(py, ())?
        .getattr(name!(py, "ident"))?;
    // Also by what the system says: gevent gives the main thread another ident.
    let on_main =
        thread::is_main() || main.extract::<std::ffi::c_ulong>().ok() == Some(thread::ident());
    let slot = current::any_slot().filter(|_| !on_main);
    if slot.is_none() && ARE_GREENLETS.load(Ordering::Relaxed) {
        return block_this_greenlet(py, patience, attempt);
    }
    let bell = slot.as_deref().map(Slot::bell);
    let is_in_job = bell.is_some() || (!on_main && current::job(py)?.is_some());
    let sliced = on_main || (is_in_job && bell.is_none());
    // Any bytecode will do: an exception that was set for this thread is raised there.
    let land = || is_in_job.then(|| pending::land(py)).transpose();
    loop {
        if let Some(bell) = bell {
            // What was sent before is raised here, and what is sent from now on rings.
            bell.hush();
        }
        land()?;
        let slice = sliced.then(|| Instant::now() + SLICE);
        let until = match (slice, patience.deadline) {
            (Some(slice), Some(deadline)) => Some(slice.min(deadline)),
            (slice, deadline) => slice.or(deadline),
        };
        let result = py.detach(|| match bell {
            Some(bell) => bell.hear(|| attempt(until)),
            None => attempt(until),
        });
        if exit::is_ending()
            && slot.is_none()
            && !on_main
            && shim::IS_DAEMON.call(py, ())?.is_truthy()?
        {
            // Its job was ended by the exit. A thread that may be left behind is: it would only tell of that.
            exit::stay_out(py);
        }
        if let Some(result) = result {
            return Ok(Some(result));
        }
        py.check_signals()?;
        land()?;
        if patience.is_over() {
            return Ok(None);
        }
    }
}

/// Threads are greenlets in this process: gevent or eventlet has patched `threading`.
static ARE_GREENLETS: AtomicBool = AtomicBool::new(false);

/// From here on a wait outside of jobs lets other greenlets of its thread run.
#[pyfunction]
pub(crate) fn waits_let_greenlets_run() {
    ARE_GREENLETS.store(true, Ordering::Relaxed);
}

/// How long a greenlet sleeps between two looks, at first and at most, seconds. By looking: what wakes a greenlet from another
/// thread is different in each library and version.
const FIRST_PAUSE: f64 = 0.000_5;
const LONGEST_PAUSE: f64 = 0.01;

fn block_this_greenlet<R: Send>(
    py: Python<'_>,
    patience: Patience,
    attempt: impl Fn(Option<Instant>) -> Option<R> + Send + Sync,
) -> PyResult<Option<R>> {
    let mut pause = FIRST_PAUSE;
    loop {
        let now = Some(Instant::now());
        if let Some(result) = py.detach(|| attempt(now)) {
            return Ok(Some(result));
        }
        if patience.is_over() {
            return Ok(None);
        }
        let left = patience.deadline.map_or(pause, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            pause.min(left.as_secs_f64())
        });
        shim::SLEEP_IN_GREENLET.call(py, (left,))?;
        pause = (pause * 1.5).min(LONGEST_PAUSE);
    }
}

/// The builtin `TimeoutError` of a wait that ran out; the job goes on.
pub(crate) fn ran_out(what: &str) -> PyErr {
    PyTimeoutError::new_err(format!("{what} has not ended in time; it goes on"))
}
