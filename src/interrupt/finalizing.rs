//! Whether the interpreter is finalized; and threads and forks while the end of the program waits for jobs, on `CPython` 3.12.
//!
//! All versions have the end of the program call the hooks of `threading`, where rjobs waits for jobs, and finalize after that. 3.12
//! alone says that it finalizes before it calls them (3.11 refuses nothing, 3.13 refuses later), and from there on
//! no thread starts and no process forks: a job for which no worker is free could not run, and a pool that a job makes would fail.
//! So for as long as the waiting takes, what says so is taken back. It is a field of the interpreter's state that is not
//! public; 3.12 is the only version with this code, and gets security fixes only, so its layout is settled.

#[cfg(all(Py_3_12, not(Py_3_13)))]
mod field {
    use std::ffi::{c_int, c_void};

    use pyo3::ffi;

    /// The beginning of `struct _is`, in `Include/internal/pycore_interp.h`.
    #[repr(C)]
    struct Beginning {
        next: *mut c_void,
        id: i64,
        id_refcount: i64,
        requires_idref: c_int,
        id_mutex: *mut c_void,
        initialized: c_int,
        finalizing: c_int,
    }

    /// Set `finalizing`, of the interpreter that the caller is attached to, to `after` where it is `before`, and all else there is as
    /// expected. Whether it was done.
    pub(super) fn change(before: c_int, after: c_int) -> bool {
        // SAFETY: the caller is attached, so the interpreter is there, its state is larger than this, and the field is read and
        // written by none but who is attached. Where it is not the field it has another value, or one of its neighbours has,
        // and nothing is written.
        unsafe {
            let interpreter = ffi::PyInterpreterState_Get();
            let beginning = interpreter.cast::<Beginning>();
            let is_it = (*beginning).id == ffi::PyInterpreterState_GetID(interpreter)
                && (*beginning).initialized == 1
                && (*beginning).finalizing == before;
            if is_it {
                (*beginning).finalizing = after;
            }
            is_it
        }
    }
}

#[cfg(not(all(Py_3_12, not(Py_3_13))))]
mod field {
    /// There is no need.
    pub(super) fn change(_before: i32, _after: i32) -> bool {
        false
    }
}

/// While it lives threads may start, also where the interpreter has said that it finalizes.
pub(crate) struct ThreadsStart(bool);

impl ThreadsStart {
    /// To be kept on the thread that ends the program, attached.
    pub(crate) fn again(_py: pyo3::Python<'_>) -> Self {
        Self(field::change(1, 0))
    }
}

impl Drop for ThreadsStart {
    fn drop(&mut self) {
        if self.0 {
            field::change(0, 1);
        }
    }
}

#[cfg(target_os = "linux")]
unsafe extern "C" {
    // The same function; the older name is not in the headers that PyO3 declares.
    #[cfg_attr(Py_3_13, link_name = "Py_IsFinalizing")]
    #[cfg_attr(not(Py_3_13), link_name = "_Py_IsFinalizing")]
    fn is_finalizing() -> std::ffi::c_int;
}

/// Whether no thread but the one that ends the program comes to the interpreter any more. For any thread, attached or not; it is
/// asked on Linux only.
#[cfg(target_os = "linux")]
pub(crate) fn is_on() -> bool {
    // SAFETY: reads one atomic field of the process.
    unsafe { is_finalizing() != 0 }
}
