//! Places in the standard library's own code that the guards of locks treat differently.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use super::Object;
use crate::interrupt::frames::LIBRARIES;

/// Code that gives a condition's lock back, takes it again, and waits in between.
pub(super) static SAVE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
pub(super) static RESTORE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
pub(super) static WAIT: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// Code that waits for the end of a thread, up to `CPython` 3.12.
pub(super) static JOIN: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Code that takes a permit of a semaphore: it is gone before the caller can know that it has it.
static PERMIT: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Code that gives a permit back, and has not yet when it begins.
static GIVE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static GIVE_BOUNDED: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static LEAVE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Code in which, and in what it calls of the standard library, a job is not struck but in a wait. In the first four nothing
/// is raised either when a lock is given back.
pub(in crate::interrupt) const SPARED: [&AtomicPtr<ffi::PyObject>; 7] = [
    &SAVE,
    &RESTORE,
    &WAIT,
    &PERMIT,
    &GIVE,
    &GIVE_BOUNDED,
    &LEAVE,
];

/// Look up what is special in `threading`.
pub(super) fn prepare(py: Python<'_>) {
    let code_of = |class: &str, name: &str| {
        let function = py.import("threading")?.getattr(class)?.getattr(name)?;
        function.getattr("__code__")
    };
    for (class, name, place) in [
        ("Condition", "_release_save", &SAVE),
        ("Condition", "_acquire_restore", &RESTORE),
        ("Condition", "wait", &WAIT),
        ("Semaphore", "acquire", &PERMIT),
        ("Semaphore", "release", &GIVE),
        ("Semaphore", "__exit__", &LEAVE),
        ("BoundedSemaphore", "release", &GIVE_BOUNDED),
        ("Thread", "_wait_for_tstate_lock", &JOIN),
    ] {
        if let Ok(code) = code_of(class, name) {
            // Kept for good, so that no other code can get its address.
            let before = place.swap(code.into_ptr(), Ordering::AcqRel);
            // SAFETY: attached; ours, or NULL.
            unsafe { ffi::Py_XDECREF(before) };
        }
    }
}

/// Whether the innermost frame runs this code.
pub(super) fn stands_in(code: &AtomicPtr<ffi::PyObject>) -> bool {
    // SAFETY: attached; the frame is a borrowed reference or NULL, its code a new one.
    unsafe {
        let frame = ffi::PyEval_GetFrame();
        if frame.is_null() {
            return false;
        }
        let runs: Object = ffi::PyFrame_GetCode(frame).cast();
        ffi::Py_DECREF(runs);
        runs == code.load(Ordering::Acquire)
    }
}

/// Whether a frame's code is of a module of the standard library that has locks of its own.
pub(super) fn is_library(frame: *mut ffi::PyFrameObject) -> bool {
    // SAFETY: attached; the frame is alive. The globals are a new reference to a dict, its item a borrowed one.
    unsafe {
        let globals = ffi::PyFrame_GetGlobals(frame);
        if globals.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        let name = ffi::PyDict_GetItemString(globals, c"__name__".as_ptr());
        let mut length = 0;
        let is_library = !name.is_null() && ffi::PyUnicode_Check(name) != 0 && {
            let text = ffi::PyUnicode_AsUTF8AndSize(name, &raw mut length);
            !text.is_null() && {
                let text = std::slice::from_raw_parts(text.cast::<u8>(), length.unsigned_abs());
                let top = text.split(|byte| *byte == b'.').next().unwrap_or_default();
                LIBRARIES.iter().any(|library| library.as_bytes() == top)
            }
        };
        ffi::Py_DECREF(globals);
        is_library
    }
}
