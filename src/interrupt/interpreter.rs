//! Which of a process's interpreters the calling thread is in.

use pyo3::ffi;

/// Whether it is the main one. To be asked attached.
#[inline]
pub(crate) fn is_main() -> bool {
    // SAFETY: whoever asks is attached, so there is a current one; the main one is there for as long as that.
    unsafe { ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main() }
}
