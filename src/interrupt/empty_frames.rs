//! Frames that have run, and need not keep what is in them: they are emptied, and stay in the traceback with their lines.

use std::collections::HashSet;

use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::call;
use super::names::name;

/// Empty the frames of an exception's traceback, and of those that it is chained to or made of. Finalizers of what was in them run
/// here.
///
/// Of the others only those that nobody else keeps: what a job had from another job, or has handed out, is not its own.
pub(crate) fn empty(exception: &Bound<'_, PyBaseException>) {
    let mut seen = HashSet::from([exception.as_ptr()]);
    empty_all(exception, true);
    let mut left = next_to(exception);
    while let Some(next) = left.pop() {
        if seen.insert(next.as_ptr()) {
            empty_all(&next, false);
            left.extend(next_to(&next));
        }
    }
}

/// Those that an exception refers to.
fn next_to<'py>(exception: &Bound<'py, PyBaseException>) -> Vec<Bound<'py, PyBaseException>> {
    let py = exception.py();
    let chained = [name!(py, "__cause__"), name!(py, "__context__")];
    let mut next: Vec<_> = chained
        .into_iter()
        .filter_map(|name| exception.getattr(name).ok()?.cast_into().ok())
        .collect();
    let parts = exception
        .getattr_opt(name!(py, "exceptions"))
        .ok()
        .flatten();
    if let Some(parts) = parts.and_then(|parts| parts.cast_into::<PyTuple>().ok()) {
        next.extend(parts.iter().filter_map(|part| part.cast_into().ok()));
    }
    next
}

fn empty_all(exception: &Bound<'_, PyBaseException>, also_shared: bool) {
    let py = exception.py();
    let mut here = exception.getattr(name!(py, "__traceback__")).ok();
    while let Some(traceback) = here.filter(|traceback| !traceback.is_none()) {
        // One by what leads to it, one by ourselves.
        // SAFETY: attached, with an object that is alive.
        let is_shared = unsafe { ffi::Py_REFCNT(traceback.as_ptr()) } > 2;
        if is_shared && !also_shared {
            return;
        }
        if let Ok(frame) = traceback.getattr(name!(py, "tb_frame")) {
            empty_one(&frame);
        }
        here = traceback.getattr(name!(py, "tb_next")).ok();
    }
}

fn empty_one(frame: &Bound<'_, PyAny>) {
    let py = frame.py();
    // From CPython 3.13 on it refuses by itself.
    #[cfg(not(Py_3_13))]
    if goes_on(frame) {
        return;
    }
    if let Ok(clear) = frame.getattr(name!(py, "clear")) {
        // One that still runs refuses.
        let _ = call::call(&clear, &PyTuple::empty(py), None);
        // Where somebody has looked at its variables, up to CPython 3.12 it has a copy of them, which is brought up to date now.
        #[cfg(not(Py_3_13))]
        let _ = frame.getattr(name!(py, "f_locals"));
    }
}

/// Whether it is that of a generator or coroutine that has not ended, which would be closed.
#[cfg(not(Py_3_13))]
fn goes_on(frame: &Bound<'_, PyAny>) -> bool {
    let Ok(own) = frame.cast::<pyo3::types::PyFrame>() else {
        return true;
    };
    // SAFETY: attached, with a frame that is alive; a new reference or NULL.
    let owner = unsafe {
        let owner = ffi::PyFrame_GetGenerator(own.as_ptr().cast());
        Bound::from_owned_ptr_or_opt(frame.py(), owner)
    };
    owner.is_some()
}
