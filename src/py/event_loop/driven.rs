//! What a coroutine job steps through.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use crate::py::shim;

/// What a call gave that a coroutine job is made of.
pub(super) enum ToDo<'py> {
    Coroutine(Bound<'py, PyAny>),
    /// It has been done: this is the value.
    Nothing(Bound<'py, PyAny>),
}

/// The one place that decides what is stepped through: coroutines, and what else can be awaited. Asynchronous generators are
/// values like any other.
pub(super) fn to_be_stepped_through<'py>(
    result: Bound<'py, PyAny>,
) -> Result<ToDo<'py>, Bound<'py, PyBaseException>> {
    let py = result.py();
    let is_coroutine = shim::COROUTINE
        .get_type(py)
        .is_ok_and(|kind| result.get_type().is(kind));
    if is_coroutine {
        return Ok(ToDo::Coroutine(result));
    }
    let awaited = shim::AWAITED
        .call(py, (result,))
        .and_then(|awaited| awaited.extract::<(bool, Bound<'py, PyAny>)>())
        .map_err(|error| error.into_value(py).into_bound(py))?;
    Ok(match awaited {
        (true, coroutine) => ToDo::Coroutine(coroutine),
        (false, value) => ToDo::Nothing(value),
    })
}
