//! Pickling and copying: a manager stands for that of whoever loads it, a job belongs to the process that it runs in.

#![allow(clippy::unused_self, reason = "methods to Python")]

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::as_completed::AsCompleted;
use super::follow::Follow;
use super::job::Job;
use super::job_inside::Shield;
use super::manager::JobManager;
use super::on_kill::OnKill;
use super::progress::{Progress, ProgressBar};
use super::shim;
use super::values::JobValues;
use super::view::ManagerView;

type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

fn refused<T>(what: &str, instead: &str) -> PyResult<T> {
    Err(PyTypeError::new_err(format!(
        "{what} cannot be pickled or copied, since it belongs to the process that runs it: {instead}"
    )))
}

#[pymethods]
impl JobManager {
    /// Pickled, it stands for the manager of whoever loads it: the `jobs` of a notebook that has the extension loaded, else one
    /// that the process makes for that. Its jobs stay here.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        Ok((shim::UNPICKLED_MANAGER.get(py)?.clone(), PyTuple::empty(py)))
    }

    /// Itself: it is one, as a thread is.
    fn __copy__(me: Py<Self>) -> Py<Self> {
        me
    }

    fn __deepcopy__(me: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        me
    }
}

#[pymethods]
impl ManagerView {
    /// The same options, of the manager of whoever loads it.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let given = (self.manager.bind(py), self.given.bind(py)).into_pyobject(py)?;
        Ok((shim::UNPICKLED_VIEW.get(py)?.clone(), given))
    }

    fn __copy__(me: Py<Self>) -> Py<Self> {
        me
    }

    fn __deepcopy__(me: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        me
    }
}

/// What the options of a view were given as, with more on top.
pub(super) fn given_with<'py>(
    py: Python<'py>,
    before: Option<&Bound<'py, PyDict>>,
    more: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let given = before.map_or_else(|| Ok(PyDict::new(py)), PyDictMethods::copy)?;
    if let Some(more) = more {
        given.update(more.as_mapping())?;
    }
    Ok(given)
}

#[pymethods]
impl Job {
    fn __reduce__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let instead = if self.group.get().is_some() {
            "pickle group.results() for its results, or group.to_dict() for its record"
        } else {
            "pickle job.get() for its result, or job.to_dict() for its record"
        };
        refused(&self.title(py), instead)
    }
}

#[pymethods]
impl JobValues {
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        refused("an iterator over the values of a job", "pickle list(job)")
    }
}

#[pymethods]
impl AsCompleted {
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        refused("an iterator over jobs", "pickle what their get() gives")
    }
}

#[pymethods]
impl Follow {
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        refused("a look at a job's output", "pickle job.output")
    }
}

#[pymethods]
impl Progress {
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        refused("the progress of a job", "pickle job.to_dict()['progress']")
    }
}

#[pymethods]
impl ProgressBar {
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        refused(
            "a progress bar of a job",
            "pickle job.to_dict()['progress']",
        )
    }
}

#[pymethods]
impl OnKill {
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        refused(
            "an on_kill block",
            "make it where it is used, by current_job().on_kill(fn)",
        )
    }
}

#[pymethods]
impl Shield {
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        refused(
            "a shield",
            "make it where it is used, by current_job().shield()",
        )
    }
}
