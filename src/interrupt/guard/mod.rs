//! Guards around the blocking functions of the standard library.
//!
//! A guarded call says that it began, calls the original, and says that it ended. When its system call was ended from outside
//! meanwhile, what the original made of that is thrown away, and the exception of the kill is raised in its place, out of the
//! call: nothing false is ever returned. Each is tried before it is put in force (`proof.rs`). In the main thread a guard is a look at two thread-locals.

mod ask;
mod kinds;
mod leaves;
mod library;
mod locks;
mod mode;
mod others;
mod places;
mod proof;
mod samples;
mod tables;
mod trampolines;
mod who;

use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;

use super::beat::Entry;
use who::Who;

pub(super) use library::Told;
pub(crate) use mode::mode;
pub(crate) use places::find_joining;
pub(super) use places::{ENTER_GENERATOR, GIVING, JOINING, SPARED, is_spared_code};
pub(crate) use tables::{aside, in_force, install, put_in_force, put_in_force_at_import, restore};

/// A pointer as CPython's functions take and return it.
pub(super) type Object = *mut ffi::PyObject;

/// Call the original, guarded.
///
/// Nothing here has a destructor: at the end of the interpreter the call may be unwound by `pthread_exit`.
#[inline]
fn guarded(original: impl FnOnce() -> Object) -> Object {
    let Some(who) = Who::of_this_thread() else {
        return original();
    };
    let Some(entry) = who.begin(false, who.sends()) else {
        return who.raise(std::ptr::null_mut());
    };
    let result = original();
    leave(who, &entry, result)
}

fn leave(who: Who<'_>, entry: &Entry, result: Object) -> Object {
    if who.beat().leave(entry) {
        return who.raise(result);
    }
    if let Who::Job(slot) = who
        && !result.is_null()
        && who.is_due(who.sends())
    {
        // SAFETY: a guard is called attached.
        let py = unsafe { Python::assume_attached() };
        if slot.is_spared(py) {
            // What came (a child's exit code) is not to be lost on the way to who asked: the strike waits.
            slot.put_back(py);
        }
    }
    result
}

/// How long one try of the calling thread waits. Where it cannot be ended from outside it is how late a kill may come.
fn slice() -> Duration {
    if super::wake::reaches_this_thread() {
        Duration::from_secs(3600)
    } else {
        Duration::from_millis(20)
    }
}
