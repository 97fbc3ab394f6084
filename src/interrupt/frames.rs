//! Where a worker's Python code is, as seen from another thread.

#[cfg(not(Py_GIL_DISABLED))]
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFrozenSet, PyString};

/// The machinery of imports, of which the rest is left half way through when it is hit.
pub(crate) const IMPORT: &str = "importlib";

/// How many frames are looked at.
const DEEPEST: usize = 2_000;

/// What the frames of a thread are found by.
#[derive(Debug)]
pub(crate) struct Frames {
    #[cfg(not(Py_GIL_DISABLED))]
    state: AtomicPtr<ffi::PyThreadState>,
    #[cfg(Py_GIL_DISABLED)]
    ident: std::ffi::c_ulong,
}

impl Frames {
    /// The calling thread's.
    pub(crate) fn of_this_thread(_py: Python<'_>) -> Self {
        Self {
            #[cfg(not(Py_GIL_DISABLED))]
            // SAFETY: attached, as the token shows, so there is one.
            state: AtomicPtr::new(unsafe { ffi::PyThreadState_Get() }),
            #[cfg(Py_GIL_DISABLED)]
            ident: super::thread::ident(),
        }
    }

    /// Whether the thread is in one of `modules` (names of top-level modules), or in other code of the standard library
    /// that these called: everything from the innermost frame out to the first one of somebody else. For `importlib` what
    /// it called may be anybody's, as modules that are being imported are.
    ///
    /// With the GIL the answer holds until the caller runs bytecode or detaches, since the thread cannot move meanwhile;
    /// without it the thread may have gone on.
    ///
    /// # Safety
    /// The thread must be alive until this returns. A worker is, when its slot named a job since the caller attached: it
    /// would need the interpreter to end.
    pub(crate) unsafe fn are_in(&self, py: Python<'_>, modules: &[&str]) -> bool {
        let _quiet = Collector::off();
        // SAFETY: as asked of the caller.
        let mut frame = unsafe { self.innermost(py) };
        let (mut by_library, import) = (true, modules.contains(&IMPORT));
        for _ in 0..DEEPEST {
            let Some(inner) = frame else { return false };
            let module = module_of(&inner).unwrap_or_default();
            let top = module.split('.').next().unwrap_or_default();
            if (by_library && modules.contains(&top)) || (import && top == IMPORT) {
                return true;
            }
            by_library &= is_standard(py, top);
            if !by_library && !import {
                return false;
            }
            frame = inner.getattr("f_back").ok().filter(|back| !back.is_none());
        }
        false
    }

    #[cfg(not(Py_GIL_DISABLED))]
    unsafe fn innermost<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: the thread is alive, so its state is; attached, so it does not run. A new reference or NULL.
        unsafe {
            let frame = ffi::PyThreadState_GetFrame(state);
            Bound::from_owned_ptr_or_opt(py, frame.cast())
        }
    }

    /// Without the GIL only `sys._current_frames` may look: it stops the others for as long.
    #[cfg(Py_GIL_DISABLED)]
    #[allow(
        clippy::unnecessary_safety_doc,
        reason = "the same signature as with the GIL"
    )]
    unsafe fn innermost<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let frames = py
            .import("sys")
            .ok()?
            .call_method0("_current_frames")
            .ok()?;
        frames.get_item(self.ident).ok()
    }
}

/// `__name__` where the frame's function was defined.
fn module_of(frame: &Bound<'_, PyAny>) -> Option<String> {
    let globals = frame.getattr("f_globals").ok()?;
    // As a plain dict, whose lookup of a str runs no bytecode even where the globals are of a subclass.
    let name = globals.cast::<PyDict>().ok()?.get_item("__name__").ok()??;
    Some(name.cast::<PyString>().ok()?.to_string_lossy().into_owned())
}

fn is_standard(py: Python<'_>, module: &str) -> bool {
    static NAMES: PyOnceLock<Py<PyFrozenSet>> = PyOnceLock::new();
    let names = NAMES.get_or_try_init(py, || -> PyResult<_> {
        let names = py.import("sys")?.getattr("stdlib_module_names")?;
        Ok(names.cast_into::<PyFrozenSet>()?.unbind())
    });
    names.is_ok_and(|names| names.bind(py).contains(module).unwrap_or(false))
}

/// Keeps the collector off: frame objects that are made may start it, its finalizers are bytecode, and the interpreter can
/// change hands there.
struct Collector {
    was_on: bool,
}

impl Collector {
    fn off() -> Self {
        // SAFETY: attached, as every caller shows; only a flag is set.
        let was_on = unsafe { ffi::PyGC_Disable() } != 0;
        Self { was_on }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: as above.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
