//! Holding strikes off while code runs that must not be hit, though a job called it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{current, kill, on_kill};
use crate::interrupt::slot::Slot;
use crate::interrupt::{call, pending};

/// Run `act` with strikes at the current job held off: one that was sent before arrives before `act`, one that comes
/// meanwhile arrives after it.
pub(crate) fn held<R>(py: Python<'_>, act: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let Some(slot) = current::any_slot() else {
        return act();
    };
    slot.hold();
    // Any bytecode lets what was sent before arrive.
    let result = pending::land(py).and_then(|()| act());
    let_go(py, &slot);
    result
}

/// The end of a hold: what waited is sent, or asked for where the job has an event loop.
pub(crate) fn let_go(py: Python<'_>, slot: &Arc<Slot>) {
    let asked = slot.let_go(py);
    if let Some(job) = slot.job() {
        on_kill::call_due(slot, job);
    }
    if let (Some(exc), Ok(Some(job))) = (asked, current::job(py)) {
        let job = job.get();
        kill::strike(&job.house, slot, exc.bind(py), job.record.aim());
    }
}

/// The same for what must run whatever was sent before: that arrives after `act`, too.
pub(crate) fn undisturbed<R>(py: Python<'_>, act: impl FnOnce() -> R) -> R {
    let Some(slot) = current::any_slot() else {
        return act();
    };
    slot.hold();
    let sent = pending::land(py).err();
    let result = act();
    let_go(py, &slot);
    if let (Some(error), Some(job)) = (sent, slot.job()) {
        slot.strike(&error.get_type(py), job);
    }
    result
}

/// Call `fn(*args)` with kills of the current job held off until it returns.
#[pyfunction]
#[pyo3(signature = (r#fn, /, *args))]
pub(crate) fn call_held<'py>(
    r#fn: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    held(r#fn.py(), || called(r#fn, args))
}

/// The same for what must run whatever was sent before, as it gives something back: that arrives after it, too.
#[pyfunction]
#[pyo3(signature = (r#fn, /, *args))]
pub(crate) fn call_undisturbed<'py>(
    r#fn: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    undisturbed(r#fn.py(), || called(r#fn, args))
}

fn called<'py>(
    r#fn: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    call::call(r#fn, args, None).map_err(|error| PyErr::from_value(error.into_any()))
}
