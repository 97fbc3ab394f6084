//! A manager under fixed options.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::job::Job;
use super::manager::JobManager;
use super::misuse::must_be_callable;
use super::options::Options;
use super::pickling::given_with;

/// A manager under fixed options: what `JobManager.options(...)` returns.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct ManagerView {
    pub(crate) manager: Py<JobManager>,
    pub(crate) options: Options,
    /// As they were given, for who loads a pickled view.
    pub(crate) given: Py<PyDict>,
}

impl ManagerView {
    pub(crate) fn new(manager: Py<JobManager>, options: Options, given: Bound<'_, PyDict>) -> Self {
        Self {
            manager,
            options,
            given: given.unbind(),
        }
    }

    pub(crate) fn with(
        &self,
        py: Python<'_>,
        given: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Options> {
        match given {
            Some(given) => self.options.with(self.manager.get(), given),
            None => Ok(self.options.clone_ref(py)),
        }
    }

    pub(crate) fn parts(&self) -> (&JobManager, &Options) {
        (self.manager.get(), &self.options)
    }
}

#[pymethods]
impl ManagerView {
    /// As `JobManager.new`, under the options of this view; those given here come on top.
    #[pyo3(signature = (func_or_exp, /, *args, kw = None, **options))]
    #[pyo3(name = "new")]
    fn new_job<'py>(
        &self,
        func_or_exp: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kw: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        self.manager
            .get()
            .new_job(func_or_exp, args, kw, &self.with(args.py(), options)?)
    }

    /// As `JobManager.submit`, under the options of this view.
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn submit<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        self.manager
            .get()
            .submit_job(r#fn, args, kwargs, &self.options)
    }

    /// The same for who has no options to give: all keyword arguments are the function's, whatever they are called.
    #[pyo3(name = "_call", signature = (r#fn, /, *args, **kwargs))]
    fn call<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        must_be_callable(r#fn, "submit")?;
        self.manager
            .get()
            .call_job(r#fn, args, kwargs, &self.options)
    }

    /// A view with these options on top of those it has.
    #[pyo3(signature = (**options))]
    fn options(&self, py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self::new(
            self.manager.clone_ref(py),
            self.with(py, options)?,
            given_with(py, Some(self.given.bind(py)), options)?,
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.options.traverse(&visit)?;
        visit.call(&self.given)?;
        visit.call(&self.manager)
    }
}
