//! One frame of Python code, read by functions of C alone: no attribute is looked up, no Python code runs, and no lock of the
//! interpreter is taken that a thread may hold which stands still.

use std::collections::HashSet;

use pyo3::ffi;
use pyo3::prelude::*;

use super::names::name;
use crate::core::once::Once;

/// The machinery of imports, of which the rest is left half way through when it is hit.
pub(crate) const IMPORT: &str = "importlib";

/// Top-level modules of the standard library.
static STANDARD: Once<HashSet<String>> = Once::new();

/// Look up what is part of the standard library; once, before the first look at a frame.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let names = py.import("sys")?.getattr("stdlib_module_names")?;
    let names: HashSet<String> = names.extract()?;
    STANDARD.keep(names);
    Ok(())
}

/// Whether this top-level module is part of the standard library.
pub(super) fn is_standard(module: &str) -> bool {
    STANDARD.get().is_some_and(|names| names.contains(module))
}

/// A frame that is alive.
pub(super) struct Frame<'py>(Bound<'py, PyAny>);

impl<'py> Frame<'py> {
    /// The innermost one of the calling thread.
    pub(super) fn here(py: Python<'py>) -> Option<Self> {
        let _quiet = Collector::off();
        // SAFETY: attached; a borrowed reference or NULL.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) }.map(Self)
    }

    /// # Safety
    /// A new reference to a frame, or NULL.
    pub(super) unsafe fn owned(py: Python<'py>, frame: *mut ffi::PyFrameObject) -> Option<Self> {
        // SAFETY: as asked of the caller.
        unsafe { Bound::from_owned_ptr_or_opt(py, frame.cast()) }.map(Self)
    }

    pub(super) fn as_any(&self) -> &Bound<'py, PyAny> {
        &self.0
    }

    fn pointer(&self) -> *mut ffi::PyFrameObject {
        self.0.as_ptr().cast()
    }

    /// The one that called this.
    pub(super) fn back(&self) -> Option<Self> {
        let _quiet = Collector::off();
        // SAFETY: attached; a new reference or NULL.
        unsafe { Self::owned(self.0.py(), ffi::PyFrame_GetBack(self.pointer())) }
    }

    /// Its code, by address: alive as long as the frame is.
    pub(super) fn code(&self) -> *mut ffi::PyObject {
        // SAFETY: attached; a new reference, and the frame has another.
        unsafe {
            let code = ffi::PyFrame_GetCode(self.pointer()).cast();
            ffi::Py_DECREF(code);
            code
        }
    }

    /// The instruction that it is at.
    pub(super) fn at(&self) -> i32 {
        // SAFETY: attached.
        unsafe { ffi::PyFrame_GetLasti(self.pointer()) }
    }

    /// One number for the frame and its code: the address of a frame alone is soon another's.
    pub(super) fn mark(&self) -> usize {
        (self.pointer() as usize).rotate_left(17) ^ self.code() as usize
    }

    /// Ask something of the top-level module where the frame's function was defined; of "" where that cannot be told. The
    /// machinery of imports is `importlib`, also while it goes by another name, until somebody imports that.
    pub(super) fn ask_module<R>(&self, ask: impl FnOnce(&str) -> R) -> R {
        let name = self.module();
        let name = name.as_ref().and_then(|name| {
            let mut length = 0;
            // SAFETY: attached; a str, which keeps what it gives.
            unsafe {
                let text = ffi::PyUnicode_AsUTF8AndSize(name.as_ptr(), &raw mut length);
                if text.is_null() {
                    ffi::PyErr_Clear();
                    return None;
                }
                let text = std::slice::from_raw_parts(text.cast::<u8>(), length.unsigned_abs());
                std::str::from_utf8(text).ok()
            }
        });
        let name = name.unwrap_or_default();
        if name.starts_with("_frozen_importlib") {
            return ask(IMPORT);
        }
        ask(name.split('.').next().unwrap_or_default())
    }

    /// `__name__` among the globals, as in a plain dict: its lookup of a str runs no bytecode even where they are of a subclass.
    fn module(&self) -> Option<Bound<'py, PyAny>> {
        let py = self.0.py();
        let key = name!(py, "__name__");
        // SAFETY: attached; the globals and what is found are new references. Nobody needs to know of errors.
        unsafe {
            let globals = ffi::PyFrame_GetGlobals(self.pointer());
            let globals = Bound::from_owned_ptr_or_opt(py, globals)?;
            let mut name = std::ptr::null_mut();
            if ffi::compat::PyDict_GetItemRef(globals.as_ptr(), key.as_ptr(), &raw mut name) < 0 {
                ffi::PyErr_Clear();
            }
            let name = Bound::from_owned_ptr_or_opt(py, name)?;
            (ffi::PyUnicode_Check(name.as_ptr()) != 0).then_some(name)
        }
    }
}

/// Keeps the collector off up to `CPython` 3.11: there it begins where something is made that it looks after, such as the object of
/// a frame. Its finalizers are bytecode, in which the interpreter can change hands, and what was sent can arrive. (From 3.12 on
/// it begins where the thread looks for things to do.)
pub(super) struct Collector {
    #[cfg(not(Py_3_12))]
    was_on: bool,
}

impl Collector {
    #[inline]
    pub(super) fn off() -> Self {
        Self {
            // SAFETY: attached, as every caller shows; only a flag is set.
            #[cfg(not(Py_3_12))]
            was_on: unsafe { ffi::PyGC_Disable() } != 0,
        }
    }
}

#[cfg(not(Py_3_12))]
impl Drop for Collector {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: as above.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
