//! What exceptions stand for on an event loop, where some may not pass, and a kill comes as a cancellation.

use pyo3::exceptions::{PyBaseException, PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::errand::Errand;
use crate::interrupt::call;
use crate::py::shim;

pub(super) fn is_cancellation(exception: &Bound<'_, PyBaseException>) -> bool {
    shim::CANCELLED
        .get(exception.py())
        .and_then(|class| exception.is_instance(class))
        .unwrap_or(false)
}

pub(super) fn cancellation(py: Python<'_>) -> Bound<'_, PyBaseException> {
    shim::CANCELLED
        .call(py, ())
        .and_then(|made| Ok(made.cast_into::<PyBaseException>()?))
        .unwrap_or_else(|error| error.into_value(py).into_bound(py))
}

/// What a task or a callback of a job raises on the loop in the place of what left it, where that must not get there: a strike
/// has hit whom it was meant for, and what would end the loop ends the job. Else the error is what left it.
pub(super) fn beside_the_job<'py>(
    errand: &Errand,
    exception: Bound<'py, PyBaseException>,
) -> Result<Bound<'py, PyBaseException>, Bound<'py, PyBaseException>> {
    let py = exception.py();
    if !errand.is_asked_for(&exception) {
        let ends_loops = exception.as_any().is_instance_of::<PySystemExit>()
            || exception.as_any().is_instance_of::<PyKeyboardInterrupt>();
        if !ends_loops {
            return Err(exception);
        }
        errand.doom(&exception);
    }
    call::release(exception);
    Ok(cancellation(py))
}

/// An instance of what a kill asked for, or what came of making one.
pub(crate) fn instance_of<'py>(class: &Bound<'py, PyType>) -> Bound<'py, PyBaseException> {
    let py = class.py();
    let made = call::call(class, &PyTuple::empty(py), None);
    made.and_then(|made| {
        made.cast_into::<PyBaseException>()
            .map_err(|error| PyErr::from(error).into_value(py).into_bound(py))
    })
    .unwrap_or_else(|error| error)
}

pub(super) fn reused(py: Python<'_>) -> Bound<'_, PyBaseException> {
    let error = PyRuntimeError::new_err("cannot reuse already awaited coroutine");
    error.into_value(py).into_bound(py)
}

/// What a kill raises in the place of the `CancelledError` that it came as: no trace of that is left but where it was.
pub(super) fn in_place_of<'py>(
    cancelled: &Bound<'py, PyBaseException>,
    class: &Bound<'py, PyType>,
) -> Bound<'py, PyBaseException> {
    let py = cancelled.py();
    shim::IN_PLACE_OF
        .call(py, (class, cancelled))
        .and_then(|made| Ok(made.cast_into::<PyBaseException>()?))
        .unwrap_or_else(|error| error.into_value(py).into_bound(py))
}
