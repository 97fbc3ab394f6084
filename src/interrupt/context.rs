//! Context variables: copying the submitter's context, and being inside of it while a job runs.

use std::ffi::CStr;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::core::once::Once;

/// A copy of the calling thread's context (cheap: contexts are persistent maps).
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// An empty one.
pub(crate) fn fresh(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_New()) }
}

/// Being inside a context; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Inside<'a, 'py>(&'a Bound<'py, PyAny>);

/// Enter `context`, which only one thread can be inside of.
pub(crate) fn enter<'a, 'py>(context: &'a Bound<'py, PyAny>) -> PyResult<Inside<'a, 'py>> {
    // SAFETY: attached, and `context` came from `copy_current`.
    let failed = unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0;
    if failed {
        Err(PyErr::fetch(context.py()))
    } else {
        Ok(Inside(context))
    }
}

impl Drop for Inside<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: attached, as the reference shows, and entered by this thread.
        let failed = unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0;
        if failed {
            // The job left another context entered; it ends with the thread, and nothing of ours depends on it.
            drop(PyErr::take(self.0.py()));
        }
    }
}

/// One `contextvars.ContextVar`, None by default, made when first used.
pub(crate) struct ContextVar {
    name: &'static CStr,
    var: Once<Py<PyAny>>,
}

impl ContextVar {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            var: Once::new(),
        }
    }

    /// The `ContextVar` object itself.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let var = self.var.get_or_try_make(|| {
            // SAFETY: attached; the name is a C string, None a valid default; a new reference or NULL with an exception.
            unsafe {
                let var = ffi::PyContextVar_New(self.name.as_ptr(), ffi::Py_None());
                Bound::from_owned_ptr_or_err(py, var).map(Bound::unbind)
            }
        })?;
        Ok(var.bind(py))
    }

    /// Its value in the current context.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let var = self.object(py)?;
        let mut value = std::ptr::null_mut();
        // SAFETY: attached; `var` is a ContextVar; `value` receives a new reference or NULL.
        let (failed, value) = unsafe {
            let failed = ffi::PyContextVar_Get(var.as_ptr(), std::ptr::null_mut(), &raw mut value);
            (failed != 0, Bound::from_owned_ptr_or_opt(py, value))
        };
        if failed {
            Err(PyErr::fetch(py))
        } else {
            Ok(value.filter(|value| !value.is_none()))
        }
    }

    /// Set it in the current context, for good.
    pub(crate) fn set(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let var = self.object(py)?;
        // SAFETY: attached; `var` is a ContextVar; a new reference to a token that nobody needs, or NULL with an exception.
        let token = unsafe {
            let token = ffi::PyContextVar_Set(var.as_ptr(), value.as_ptr());
            Bound::from_owned_ptr_or_err(py, token)
        };
        token.map(drop)
    }
}
