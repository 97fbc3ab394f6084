//! Keeping jobs out of the garbage collector's sight while they cannot be garbage.
//!
//! A job that has not ended is held by the queue or by its worker, and one that ended with a plain value (None, a number,
//! a string, an array) refers to nothing that could refer back: neither can be part of a cycle of garbage. `CPython`
//! untracks tuples and dicts of plain values for the same reason. With 100,000 jobs kept it is most of the collector's work.

use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;

/// True where this is done: with the GIL. Without it, tracking belongs to the thread that owns an object.
const UNTRACKS: bool = cfg!(not(Py_GIL_DISABLED));

/// Take an object off the collector's lists. What it refers to counts as reachable from then on.
pub(crate) fn untrack<T: PyClass>(object: &Bound<'_, T>) {
    if UNTRACKS {
        // SAFETY: attached, as the token in `object` shows, and with the GIL; a type with `__traverse__` has the
        // collector's header; an object that is not tracked is left as it is.
        unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) };
    }
}

/// Put it back.
pub(crate) fn track<T: PyClass>(object: &Bound<'_, T>) {
    if UNTRACKS {
        // SAFETY: as above; and tracking what is tracked, which is forbidden, is ruled out by asking first.
        unsafe {
            if ffi::PyObject_GC_IsTracked(object.as_ptr()) == 0 {
                ffi::PyObject_GC_Track(object.as_ptr().cast());
            }
        }
    }
}

/// True when an object can take part in a cycle: its type knows the collector.
pub(crate) fn can_have_cycles(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached; reads the type's flags.
    unsafe { ffi::PyObject_IS_GC(object.as_ptr()) != 0 }
}
