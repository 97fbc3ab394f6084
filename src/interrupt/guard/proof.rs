//! Whether calls come to what is in a definition's place: tried once for each function, before its guard is put there.
//!
//! Another C function takes the place for one call, which is made as any caller makes it. That says that it was called, and calls
//! nothing: so nothing is waited for, locked or read. With the GIL nobody else comes meanwhile, since no bytecode runs in between;
//! without it somebody might, so there nothing is tried. What is not seen (an interpreter that keeps a copy of the pointer) is
//! not guarded.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::Object;
use super::others::Init;
use super::tables::{FAST_KEYWORDS, KEYWORDS, METHOD};
use super::trampolines::{Fast, FastKeywords, Keywords, Method, Plain};

/// Whether guards are tried on this build.
pub(super) const IS_POSSIBLE: bool = cfg!(not(Py_GIL_DISABLED));

static SEEN: AtomicBool = AtomicBool::new(false);

fn see() -> Object {
    SEEN.store(true, Ordering::Relaxed);
    // SAFETY: attached, as a built-in function is called; a new reference.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

unsafe extern "C-unwind" fn plain(_: Object, _: Object) -> Object {
    see()
}

unsafe extern "C-unwind" fn keywords(_: Object, _: Object, _: Object) -> Object {
    see()
}

unsafe extern "C-unwind" fn fast(_: Object, _: *const Object, _: ffi::Py_ssize_t) -> Object {
    see()
}

unsafe extern "C-unwind" fn fast_keywords(
    _: Object,
    _: *const Object,
    _: ffi::Py_ssize_t,
    _: Object,
) -> Object {
    see()
}

unsafe extern "C-unwind" fn method(
    _: Object,
    _: Object,
    _: *const Object,
    _: ffi::Py_ssize_t,
    _: Object,
) -> Object {
    see()
}

unsafe extern "C-unwind" fn init(_: Object, _: Object, _: Object) -> std::ffi::c_int {
    SEEN.store(true, Ordering::Relaxed);
    0
}

/// What stands in for a function of this convention.
fn stand_in(flags: i32) -> Option<*mut ()> {
    Some(match flags {
        ffi::METH_NOARGS | ffi::METH_O | ffi::METH_VARARGS => plain as Plain as *mut (),
        KEYWORDS => keywords as Keywords as *mut (),
        ffi::METH_FASTCALL => fast as Fast as *mut (),
        FAST_KEYWORDS => fast_keywords as FastKeywords as *mut (),
        METHOD => method as Method as *mut (),
        _ => return None,
    })
}

/// Whether a call of `function`, whose definition has `place` and these `flags`, comes to what is there. `own` is an object of its
/// type, for a method. True where that cannot be tried.
pub(super) fn is_called(
    function: &Bound<'_, PyAny>,
    own: Option<&Bound<'_, PyAny>>,
    place: &AtomicPtr<()>,
    flags: i32,
) -> bool {
    let Some(stand_in) = stand_in(flags).filter(|_| IS_POSSIBLE) else {
        return true;
    };
    let mut arguments = [null_mut(); 2];
    let mut count = 0;
    if let Some(own) = own {
        (arguments[0], count) = (own.as_ptr(), 1);
    }
    if flags == ffi::METH_O {
        // SAFETY: attached; a borrowed reference that is always there.
        (arguments[count], count) = (unsafe { ffi::Py_None() }, count + 1);
    }
    is_seen(place, stand_in, || {
        // SAFETY: attached; the arguments outlive the call.
        unsafe {
            ffi::PyObject_Vectorcall(function.as_ptr(), arguments.as_ptr(), count, null_mut())
        }
    })
}

/// The same for an initializer: what its type makes has not been initialized, and is let go.
pub(super) fn is_init_called(class: &Bound<'_, PyType>, place: &AtomicPtr<()>) -> bool {
    // SAFETY: attached.
    let make = || unsafe { ffi::PyObject_CallNoArgs(class.as_ptr()) };
    !IS_POSSIBLE || is_seen(place, init as Init as *mut (), make)
}

fn is_seen(place: &AtomicPtr<()>, stand_in: *mut (), call: impl FnOnce() -> Object) -> bool {
    SEEN.store(false, Ordering::Relaxed);
    let original = place.swap(stand_in, Ordering::AcqRel);
    let result = call();
    place.store(original, Ordering::Release);
    // SAFETY: attached; a new reference or NULL. What was raised (the object is of another type) is of no interest.
    unsafe {
        ffi::Py_XDECREF(result);
        ffi::PyErr_Clear();
    }
    SEEN.load(Ordering::Relaxed)
}
