//! Faults of rjobs itself: panics. Each stays where it happened, is told, and is one job's failure at most.
//!
//! A panic that leaves a thread of ours takes the thread with it, and whoever counted on it waits for ever; one that leaves a
//! destructor, or a function that C calls, ends the process. So each step that works for one job, on whatever thread, is
//! contained: the next step is taken all the same, and the job has failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::exceptions::PyBaseException;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::errors::{self, JobError};
use super::job::Job;

/// Run `act`; a panic in it is shown as Python shows what cannot be raised, and gives None.
pub(crate) fn contained<R>(py: Python<'_>, act: impl FnOnce() -> R) -> Option<R> {
    caught(act)
        .map_err(|panic| of_panic(py, None, &*panic).write_unraisable(py, None))
        .ok()
}

/// Run `act` for a job, with what it makes of a panic.
pub(crate) fn or_fails<R>(
    job: &Bound<'_, Job>,
    act: impl FnOnce() -> R,
    failed: impl FnOnce(&Bound<'_, PyBaseException>) -> R,
) -> R {
    let py = job.py();
    caught(act).unwrap_or_else(|panic| {
        let error = of_panic(py, Some(job), &*panic);
        failed(error.value(py))
    })
}

/// Run `act`; what it panicked with.
pub(crate) fn caught<R>(act: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(act))
}

/// What `PyO3` panics with where Python has no memory for a small object.
const NO_OBJECT: &str = "PyObject pointer is null";

/// Run `act`; `MemoryError` where `PyO3` panics for want of memory. Any other panic goes on.
pub(crate) fn or_no_memory<R>(act: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    caught(act).unwrap_or_else(|panic| {
        if text_of(&*panic) == NO_OBJECT {
            return Err(errors::no_memory());
        }
        resume_unwind(panic)
    })
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// The error of a job that failed by a panic of ours; `MemoryError` where it comes of that.
pub(crate) fn of_panic(
    py: Python<'_>,
    job: Option<&Bound<'_, Job>>,
    panic: &(dyn Any + Send),
) -> PyErr {
    let what = text_of(panic);
    if what == NO_OBJECT {
        return errors::no_memory();
    }
    let title = job.map_or_else(|| "a job".to_owned(), |job| job.get().title(py));
    JobError::new_err(format!(
        "{title} failed by a fault in rjobs itself (a panic: {what})"
    ))
}

/// Where the tests have rjobs panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Place {
    /// A worker has come up, and has not yet looked for work.
    Worker = 1,
    /// Before a job begins.
    Begin,
    /// What it raised is judged.
    Judge,
    /// What comes after a run is decided.
    AfterRun,
    /// Its outcome was stored, and not said.
    Store,
    /// It has ended: whoever waits beside it is told.
    End,
    /// A callback is called.
    Callback,
    /// A batch of a group.
    Batch,
    /// The time of an alarm has come.
    Alarm,
    /// The end of a command is told.
    Desk,
    /// The event loop takes a job in.
    TakeIn,
}

impl Place {
    const ALL: [(&'static str, Self); 11] = [
        ("worker", Self::Worker),
        ("begin", Self::Begin),
        ("judge", Self::Judge),
        ("after run", Self::AfterRun),
        ("store", Self::Store),
        ("end", Self::End),
        ("callback", Self::Callback),
        ("batch", Self::Batch),
        ("alarm", Self::Alarm),
        ("desk", Self::Desk),
        ("take in", Self::TakeIn),
    ];
}

static ARMED: AtomicU32 = AtomicU32::new(0);

/// A place where a test may have a fault: one look at a number, else.
pub(crate) fn may_happen(place: Place) {
    if ARMED.load(Ordering::Relaxed) == place as u32
        && ARMED
            .compare_exchange(place as u32, 0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    {
        panic!("asked for by a test");
    }
}

/// For the tests: panic, as a fault in rjobs would: here and now, or once at a place.
#[pyfunction]
#[pyo3(signature = (place = None, /))]
pub(crate) fn _panic(place: Option<&str>) -> PyResult<()> {
    let Some(place) = place else {
        panic!("asked for by a test");
    };
    let known = Place::ALL.iter().find(|(name, _)| *name == place);
    let (_, place) = known.ok_or_else(|| PyValueError::new_err("no such place"))?;
    ARMED.store(*place as u32, Ordering::Relaxed);
    Ok(())
}
