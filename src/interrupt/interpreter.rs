//! Which of a process's interpreters the calling thread is in.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::frame::Collector;

/// Whether it is the main one. To be asked attached.
#[inline]
pub(crate) fn is_main() -> bool {
    // SAFETY: whoever asks is attached, so there is a current one; the main one is there for as long as that.
    unsafe { ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main() }
}

/// `sys._current_frames()`: by the ident of a thread, the frame it is in. None of any where that would break another interpreter: up
/// to `CPython` 3.13 it makes frame objects for the threads of all interpreters, in the memory of the one that asks, and those whose
/// they are free them in their own (an abort in `free`). Up to 3.11 it makes them with the collector on, which we turn off.
#[pyfunction]
pub(crate) fn _current_frames(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    if !cfg!(Py_3_14) && !is_only() {
        return Ok(PyDict::new(py));
    }
    // It has the lock of all threads meanwhile: with a finalizer of anybody's in between, who ends or starts a thread waits for the
    // lock with the interpreter in hand, and the finalizer for the interpreter.
    let _quiet = Collector::off();
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    Ok(frames.cast_into()?)
}

/// Whether the process has no other interpreter. To be asked attached.
fn is_only() -> bool {
    // SAFETY: the list of interpreters is read under a lock of CPython's own; the first one is only compared.
    unsafe { ffi::PyInterpreterState_Next(ffi::PyInterpreterState_Head()).is_null() }
}
