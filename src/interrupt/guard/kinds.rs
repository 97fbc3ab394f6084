//! The types of locks, and calling their originals.

use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi;

use super::Object;
use super::trampolines::{FastKeywords, Keywords};

/// One type of locks: its original functions.
pub(super) struct Kind {
    pub(super) acquire: AtomicPtr<()>,
    pub(super) acquire_is_fast: AtomicBool,
    pub(super) release: AtomicPtr<()>,
    pub(super) exit: AtomicPtr<()>,
    /// Shared by processes: `timeout=None` means no limit, and who releases it need not be who acquired it.
    pub(super) is_semaphore: bool,
}

pub(super) const fn kind(is_semaphore: bool) -> Kind {
    Kind {
        acquire: AtomicPtr::new(null_mut()),
        acquire_is_fast: AtomicBool::new(false),
        release: AtomicPtr::new(null_mut()),
        exit: AtomicPtr::new(null_mut()),
        is_semaphore,
    }
}

impl Kind {
    /// The original `acquire(blocking, timeout)`; no time is no limit.
    pub(super) fn try_acquire(&self, own: Object, blocking: bool, time: Option<f64>) -> Object {
        // SAFETY: attached; new references are given back or handed over, and the function is called by its convention.
        unsafe {
            let mut arguments = [
                if blocking {
                    ffi::Py_True()
                } else {
                    ffi::Py_False()
                },
                null_mut(),
            ];
            let mut count = 1;
            if let Some(time) = time {
                arguments[1] = ffi::PyFloat_FromDouble(time);
                if arguments[1].is_null() {
                    return null_mut();
                }
                count = 2;
            }
            let original = self.acquire.load(Ordering::Acquire);
            let result = if self.acquire_is_fast.load(Ordering::Acquire) {
                let function = transmute::<*mut (), FastKeywords>(original);
                function(own, arguments.as_ptr(), count, null_mut())
            } else {
                let tuple = ffi::PyTuple_New(count);
                if tuple.is_null() {
                    ffi::Py_XDECREF(arguments[1]);
                    return null_mut();
                }
                for (index, argument) in (0..).zip(arguments).filter(|(index, _)| *index < count) {
                    ffi::Py_INCREF(argument);
                    ffi::PyTuple_SetItem(tuple, index, argument);
                }
                let result = transmute::<*mut (), Keywords>(original)(own, tuple, null_mut());
                ffi::Py_DECREF(tuple);
                result
            };
            ffi::Py_XDECREF(arguments[1]);
            result
        }
    }
}
