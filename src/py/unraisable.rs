//! A strike that arrives in a finalizer is not lost there.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::interrupt::ballast::Overboard;
use crate::interrupt::beat;

/// What `sys.unraisablehook` is from the first worker on. Python calls it for an exception that nobody can catch (in `__del__`,
/// in a callback of a weak reference); for one that a kill sent to a job it is sent again (at once, or when the job is where it
/// may be struck), and nothing is printed. Everything
/// else goes to the hook that was there before.
///
/// Not a Python function: the exception would arrive in it, and be swallowed again.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct UnraisableHook {
    before: Py<PyAny>,
    /// Made before there is an exception: it may be one for want of memory.
    exc_type: Py<PyString>,
}

#[pymethods]
impl UnraisableHook {
    fn __call__<'py>(&self, unraisable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = unraisable.py();
        let _overboard = Overboard::throw();
        let class = unraisable.getattr(self.exc_type.bind(py))?;
        if beat::was_swallowed(&class) {
            return Ok(py.None().into_bound(py));
        }
        self.before.bind(py).call1((unraisable,))
    }
}

/// Put it in its place, unless it is there.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    let before = sys.getattr("unraisablehook")?;
    if before.is_instance_of::<UnraisableHook>() {
        return Ok(());
    }
    let before = before.unbind();
    let exc_type = PyString::intern(py, "exc_type").unbind();
    sys.setattr("unraisablehook", UnraisableHook { before, exc_type })
}
