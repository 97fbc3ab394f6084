//! The last means against a job that catches every exception and goes on: each of its lines raises, until it ends.

use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use super::beat::here;
use crate::core::sync::Mutex;
use crate::core::visits;

/// One worker's.
#[derive(Debug, Default)]
pub(super) struct Storm {
    rages: AtomicBool,
    /// What is sent next begins it.
    gathers: AtomicBool,
    /// The exception is being made, which may run code of its class.
    pauses: AtomicBool,
    /// The trace function that was set before: a debugger's, or one that measures coverage.
    before: Mutex<Option<Py<PyAny>>>,
}

impl Storm {
    /// What is raised next on the thread begins it.
    pub(super) fn gather(&self) {
        self.gathers.store(true, Ordering::Release);
    }

    pub(super) fn gathers(&self) -> bool {
        self.gathers.load(Ordering::Acquire)
    }

    /// On the thread itself: from here on each line raises.
    pub(super) fn begin(&self, py: Python<'_>) {
        if !self.rages.swap(true, Ordering::AcqRel) {
            let before = py
                .import("sys")
                .and_then(|sys| sys.call_method0("gettrace"))
                .ok()
                .filter(|before| !before.is_none());
            *self.before.lock() = before.map(Bound::unbind);
        }
        // Each time: where a strike lands in a trace function, CPython takes away the one that is set when that has raised, and
        // by then it is this. Without the GIL it stops all threads: not at the end of the interpreter.
        if let Some(_visit) = visits::enter() {
            // SAFETY: attached; the function fits, and needs no object of its own.
            unsafe { ffi::PyEval_SetTrace(Some(trace), null_mut()) };
        }
    }

    /// On the thread itself, when the job is over.
    pub(super) fn end(&self, py: Python<'_>) {
        self.gathers.store(false, Ordering::Release);
        self.pauses.store(false, Ordering::Release);
        if !self.rages.swap(false, Ordering::AcqRel) {
            return;
        }
        {
            // At the end of the interpreter it stays, and does nothing where no job is.
            let Some(_visit) = visits::enter() else {
                return;
            };
            // SAFETY: attached; takes the function away.
            unsafe { ffi::PyEval_SetTrace(None, null_mut()) };
        }
        let before = self.before.lock().take();
        if let Some(before) = before
            && let Err(error) = py
                .import("sys")
                .and_then(|sys| sys.call_method1("settrace", (before,)))
        {
            error.write_unraisable(py, None);
        }
    }
}

/// Raises what was sent, at each call and each line; but not in what runs held off, nor in library code that holds a lock, nor in
/// the code of the event loop that a job runs in.
unsafe extern "C" fn trace(
    _: *mut ffi::PyObject,
    _: *mut ffi::PyFrameObject,
    what: c_int,
    _: *mut ffi::PyObject,
) -> c_int {
    let is_step = matches!(
        what,
        ffi::PyTrace_CALL | ffi::PyTrace_LINE | ffi::PyTrace_OPCODE
    );
    let Some(slot) = here().filter(|_| is_step) else {
        return 0;
    };
    // SAFETY: a trace function is called attached.
    let py = unsafe { Python::assume_attached() };
    // The cheap look first: where what was sent is put off, each line of a hundred thousand finalizers comes here.
    if !slot.has_sent() || slot.is_held() || slot.is_spared(py) || slot.is_in_its_loop(py) {
        return 0;
    }
    if slot.storm().pauses.swap(true, Ordering::AcqRel) {
        return 0;
    }
    slot.set_sent(py);
    slot.storm().pauses.store(false, Ordering::Release);
    -1
}
