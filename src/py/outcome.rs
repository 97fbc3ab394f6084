//! How a job ended, and back to Python.

use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTraceback;

use crate::interrupt::collector;
use crate::interrupt::names::name;

/// What the call gave. A job that never ran has none of these.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Not ended, or never run.
    None,
    Value(Py<PyAny>),
    /// The very exception, and its traceback as it left the job: raising it again in `get` would lengthen that.
    Raised(Py<PyBaseException>, Option<Py<PyTraceback>>),
}

impl Outcome {
    /// Note an exception that left a job.
    pub(crate) fn raised(exception: &Bound<'_, PyBaseException>) -> Self {
        let traceback = PyErr::from_value(exception.as_any().clone()).traceback(exception.py());
        Self::Raised(exception.clone().unbind(), traceback.map(Bound::unbind))
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::None => Self::None,
            Self::Value(value) => Self::Value(value.clone_ref(py)),
            Self::Raised(exception, traceback) => Self::Raised(
                exception.clone_ref(py),
                traceback.as_ref().map(|traceback| traceback.clone_ref(py)),
            ),
        }
    }

    /// True when it may refer back to the job.
    pub(crate) fn can_have_cycles(&self, py: Python<'_>) -> bool {
        match self {
            Self::None => false,
            Self::Value(value) => collector::can_have_cycles(value.bind(py)),
            Self::Raised(..) => true,
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::None => Ok(()),
            Self::Value(value) => visit.call(value),
            Self::Raised(exception, traceback) => {
                visit.call(exception)?;
                visit.call(traceback)
            }
        }
    }
}

/// The exception with its traceback as it was when it left the job.
pub(crate) fn restored(
    py: Python<'_>,
    exception: Py<PyBaseException>,
    traceback: Option<Py<PyTraceback>>,
) -> Bound<'_, PyBaseException> {
    let exception = exception.into_bound(py);
    let traceback = traceback.map_or_else(|| py.None(), Py::into_any);
    // Cannot fail: it is a traceback or None.
    let _ = exception.setattr(name!(py, "__traceback__"), traceback);
    exception
}
