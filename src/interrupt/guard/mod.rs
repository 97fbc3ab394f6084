//! Guards around the blocking functions of the standard library, while a job runs.
//!
//! A guarded call says that it began, calls the original, and says that it ended. When its system call was ended from outside
//! meanwhile, what the original made of that is thrown away, and the exception of the kill is raised in its place, out of the
//! call: nothing false is ever returned. In a thread that runs no job a guard is one look at a thread-local.

mod ask;
mod locks;
mod others;
mod places;
mod tables;
mod trampolines;

use pyo3::ffi;
use pyo3::prelude::*;

use super::beat::{self, Entry};
use super::slot::Slot;

pub(super) use places::{GIVING, SPARED};
pub(crate) use tables::{in_force, install, put_in_force, restore};

/// A pointer as CPython's functions take and return it.
pub(super) type Object = *mut ffi::PyObject;

/// Call the original, guarded.
///
/// Nothing here has a destructor: at the end of the interpreter the call may be unwound by `pthread_exit`.
#[inline]
fn guarded(original: impl FnOnce() -> Object) -> Object {
    let Some(slot) = beat::here() else {
        return original();
    };
    if is_due(slot, slot.sends()) {
        return raise(slot, std::ptr::null_mut());
    }
    let entry = slot.beat().enter(false);
    let result = original();
    leave(slot, &entry, result)
}

/// A strike that was sent before the call began, and that the interpreter has not raised yet: from `CPython` 3.13 on it may do
/// so one call late, and this is that call.
fn is_due(slot: &Slot, sends: u64) -> bool {
    // SAFETY: a guard is called attached.
    slot.is_due(unsafe { Python::assume_attached() }, sends)
}

fn leave(slot: &Slot, entry: &Entry, result: Object) -> Object {
    if slot.beat().leave(entry) {
        return raise(slot, result);
    }
    if !result.is_null() && is_due(slot, slot.sends()) {
        // SAFETY: a guard is called attached.
        let py = unsafe { Python::assume_attached() };
        if slot.is_spared(py) {
            // What came (a child's exit code) is not to be lost on the way to who asked: the strike waits.
            slot.put_back(py);
        }
    }
    result
}

/// Raise what was sent last in the place of `result`.
#[cold]
fn raise(slot: &Slot, result: Object) -> Object {
    // SAFETY: attached, as after every call that returned to the interpreter; `result` is a new reference or NULL, and what
    // is set is thrown away with it.
    unsafe {
        slot.take_back(Python::assume_attached());
        ffi::Py_XDECREF(result);
        ffi::PyErr_Clear();
        if slot.storm().gathers() {
            slot.storm().begin(Python::assume_attached());
        }
        slot.set_sent();
    }
    std::ptr::null_mut()
}
