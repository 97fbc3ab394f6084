//! Callbacks that a coroutine job has its loop call: each runs as a step of the job, and can be struck as one.

use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFunction, PyString, PyTuple};

use super::errand::Errand;
use super::{meaning, run};
use crate::interrupt::call::{self, Sent};
use crate::interrupt::names::name;
use crate::py::shim;

/// A callback of a job's, as its loop calls it.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Callback {
    errand: Arc<Errand>,
    /// By the name by which `inspect.unwrap` finds it, for what shows handles.
    #[pyo3(get, name = "__wrapped__")]
    function: Py<PyAny>,
}

impl Drop for Callback {
    fn drop(&mut self) {
        // What a function refers to may have finalizers.
        let released = Python::try_attach(|py| {
            let function = std::mem::replace(&mut self.function, py.None());
            call::release(function.into_bound(py));
        });
        // None: the interpreter is gone.
        let _ = released;
    }
}

#[pymethods]
impl Callback {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let py = args.py();
        let sent = run::within(py, &self.errand, false, || {
            match call::call(self.function.bind(py), args, kwargs) {
                Ok(value) => Sent::Returned(value),
                Err(exception) => Sent::Raised(exception),
            }
        });
        let Sent::Raised(exception) = sent else {
            return Ok(());
        };
        match meaning::beside_the_job(&self.errand, exception) {
            Ok(_cancellation) => Ok(()),
            Err(exception) => Err(PyErr::from_value(exception.into_any())),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)
    }
}

/// `callback` as the loop is to call it: for the job of `context` (None: the current one), if that runs on this loop.
///
/// `asyncio`'s own callbacks are left as they are: they work for all jobs, and the steps of tasks see to themselves.
#[pyfunction]
#[pyo3(signature = (callback, context, /))]
pub(crate) fn for_job<'py>(
    callback: Bound<'py, PyAny>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callback.py();
    if !is_of_user(&callback) {
        return Ok(callback);
    }
    match run::errand_here(py, context)? {
        None => Ok(callback),
        Some(errand) => {
            let function = callback.unbind();
            Ok(Bound::new(py, Callback { errand, function })?.into_any())
        }
    }
}

/// A Python function, or a method of one, of somebody else than `asyncio` and us.
fn is_of_user(callback: &Bound<'_, PyAny>) -> bool {
    let py = callback.py();
    let is_python = callback.is_exact_instance_of::<PyFunction>()
        || [&shim::METHOD, &shim::PARTIAL].iter().any(|door| {
            door.get_type(py)
                .is_ok_and(|class| callback.get_type().is(class))
        });
    if !is_python {
        return false;
    }
    let module = callback
        .getattr_opt(name!(py, "__module__"))
        .ok()
        .flatten()
        .and_then(|module| module.cast_into::<PyString>().ok());
    module.is_none_or(|module| {
        let name = module.to_string_lossy();
        let top = name.split('.').next().unwrap_or_default();
        !matches!(top, "asyncio" | "rjobs")
    })
}

/// The set of the asynchronous generators that the current job began on this loop, made by `make` when it is the first. None where
/// there is no such job.
#[pyfunction]
#[pyo3(signature = (make, /))]
pub(crate) fn generators_of_job<'py>(
    make: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = make.py();
    let Some(errand) = run::errand_here(py, None)? else {
        return Ok(None);
    };
    if let Some(set) = errand.generators(py) {
        return Ok(Some(set.into_bound(py)));
    }
    let set = call::call(make, &PyTuple::empty(py), None)
        .map_err(|error| PyErr::from_value(error.into_any()))?;
    errand.set_generators(set.clone().unbind());
    Ok(Some(set))
}
