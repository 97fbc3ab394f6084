//! Guards of what a job may leave on its thread: they note what was there before. See `interrupt::left`.

use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use super::Object;
use super::tables::Special;
use super::trampolines::{Fast, Plain};
use crate::interrupt::beat::here;
use crate::interrupt::left::Part;

pub(super) static GUARDS: [(&str, &str, Special); 3] = [
    ("sys", "settrace", guard_trace),
    ("sys", "setprofile", guard_profile),
    ("_signal", "pthread_sigmask", guard_mask),
];

static TRACE: AtomicPtr<()> = AtomicPtr::new(null_mut());
static PROFILE: AtomicPtr<()> = AtomicPtr::new(null_mut());
static MASK: AtomicPtr<()> = AtomicPtr::new(null_mut());

fn guard_trace(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == ffi::METH_O).then(|| {
        TRACE.store(function, Ordering::Release);
        trace as Plain as *mut ()
    })
}

fn guard_profile(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == ffi::METH_O).then(|| {
        PROFILE.store(function, Ordering::Release);
        profile as Plain as *mut ()
    })
}

fn guard_mask(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == ffi::METH_FASTCALL).then(|| {
        MASK.store(function, Ordering::Release);
        mask as Fast as *mut ()
    })
}

/// On a worker, in its job. The thread of an event loop is everybody's, and what one job changes there the others see.
fn note(part: Part) {
    if let Some(slot) = here().filter(|slot| !slot.is_shared) {
        // SAFETY: a guard is called attached.
        slot.note(unsafe { Python::assume_attached() }, part);
    }
}

unsafe extern "C-unwind" fn trace(own: Object, function: Object) -> Object {
    note(Part::Trace);
    // SAFETY: the original, with the arguments that came.
    unsafe { transmute::<*mut (), Plain>(TRACE.load(Ordering::Acquire))(own, function) }
}

unsafe extern "C-unwind" fn profile(own: Object, function: Object) -> Object {
    note(Part::Profile);
    // SAFETY: the original, with the arguments that came.
    unsafe { transmute::<*mut (), Plain>(PROFILE.load(Ordering::Acquire))(own, function) }
}

unsafe extern "C-unwind" fn mask(
    own: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
) -> Object {
    note(Part::Mask);
    // SAFETY: the original, with the arguments that came.
    unsafe { transmute::<*mut (), Fast>(MASK.load(Ordering::Acquire))(own, arguments, count) }
}
