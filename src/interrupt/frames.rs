//! Where a worker's Python code is, as seen from another thread.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::frame::{Collector, Frame, IMPORT, is_standard};
use super::frozen::is_frozen;

/// Modules of the standard library that take locks of their own.
pub(super) const LIBRARIES: [&str; 8] = [
    "threading",
    "queue",
    "logging",
    "concurrent",
    "multiprocessing",
    "contextlib",
    "socketserver",
    "tempfile",
];

/// Our own.
const OURS: &str = "rjobs";

/// How many frames are looked at.
const DEEPEST: usize = 2_000;
/// How many are where a finalizer may be, and what it interrupted.
const NEAR: usize = 16;

/// What the frames of a thread are found by.
#[derive(Debug)]
pub(crate) struct Frames {
    state: AtomicPtr<ffi::PyThreadState>,
    ident: std::ffi::c_ulong,
}

impl Frames {
    /// The calling thread's.
    pub(crate) fn of_this_thread(_py: Python<'_>) -> Self {
        Self {
            // SAFETY: attached, as the token shows, so there is one.
            state: AtomicPtr::new(unsafe { ffi::PyThreadState_Get() }),
            ident: super::thread::ident(),
        }
    }

    /// Whether the thread is in one of `modules` (names of top-level modules), or in other code of the standard library
    /// that these called: everything from the innermost frame out to the first one of somebody else. For `importlib` what
    /// it called may be anybody's, as modules that are being imported are.
    ///
    /// With the GIL the answer holds until the caller runs bytecode or detaches, since the thread cannot move meanwhile;
    /// without it when that looks in `frozen`, else the thread may have gone on.
    ///
    /// # Safety
    /// The thread must be alive until this returns. A worker is, when its slot named a job since the caller attached: it
    /// would need the interpreter to end.
    pub(crate) unsafe fn are_in(&self, py: Python<'_>, modules: &[&str]) -> bool {
        let _quiet = Collector::off();
        // SAFETY: as asked of the caller.
        let mut frame = unsafe { self.innermost(py) };
        let (mut by_library, import) = (true, modules.contains(&IMPORT));
        for _ in 0..DEEPEST {
            let Some(inner) = frame else { return false };
            let (is_it, standard) = inner.ask_module(|top| {
                let is_it = (by_library && modules.contains(&top)) || (import && top == IMPORT);
                (is_it, is_standard(top))
            });
            if is_it {
                return true;
            }
            by_library &= standard;
            if !by_library && !import {
                return false;
            }
            frame = inner.back();
        }
        false
    }

    /// The same for the frames beneath our own, which are the innermost.
    ///
    /// # Safety
    /// As for `are_in`.
    pub(super) unsafe fn are_beneath_ours(&self, py: Python<'_>, modules: &[&str]) -> bool {
        let _quiet = Collector::off();
        // SAFETY: as asked of the caller.
        let mut frame = unsafe { self.innermost(py) };
        let mut is_ours = true;
        for _ in 0..DEEPEST {
            let Some(inner) = frame else { return false };
            let (ours, is_it, standard) =
                inner.ask_module(|top| (top == OURS, modules.contains(&top), is_standard(top)));
            is_ours &= ours;
            if is_it || !(is_ours || standard) {
                return is_it;
            }
            frame = inner.back();
        }
        false
    }

    /// Whether one of these codes is among the innermost frames of the standard library.
    ///
    /// # Safety
    /// As for `are_in`.
    pub(super) unsafe fn run(&self, py: Python<'_>, codes: &[&AtomicPtr<ffi::PyObject>]) -> bool {
        let _quiet = Collector::off();
        // SAFETY: as asked of the caller.
        let mut frame = unsafe { self.innermost(py) };
        for _ in 0..DEEPEST {
            let Some(inner) = frame else { return false };
            let code = inner.code();
            if codes
                .iter()
                .any(|known| known.load(Ordering::Acquire) == code)
            {
                return true;
            }
            if !inner.ask_module(is_standard) {
                return false;
            }
            frame = inner.back();
        }
        false
    }

    /// Whether one of the innermost frames is it, whoever's they are.
    ///
    /// # Safety
    /// As for `are_in`.
    pub(super) unsafe fn is_near(
        &self,
        py: Python<'_>,
        mut is_it: impl FnMut(&Frame<'_>) -> bool,
    ) -> bool {
        let _quiet = Collector::off();
        // SAFETY: as asked of the caller.
        let mut frame = unsafe { self.innermost(py) };
        for _ in 0..NEAR {
            let Some(inner) = frame else { return false };
            if is_it(&inner) {
                return true;
            }
            frame = inner.back();
        }
        false
    }

    /// Whether the thread stands at the beginning of an `__exit__`, which would never run if it were struck there.
    ///
    /// # Safety
    /// As for `are_in`.
    pub(super) unsafe fn is_before_exit(&self, py: Python<'_>) -> bool {
        let _quiet = Collector::off();
        // It looks up attributes, which nobody may while all stand still; there what is sent runs the `__exit__` where it lands.
        // SAFETY: as asked of the caller.
        !is_frozen()
            && unsafe { self.innermost(py) }
                .is_some_and(|frame| super::landing::is_before_exit(&frame).unwrap_or(false))
    }

    /// Whether an exception that was sent to the thread has not arrived; None where that cannot be told.
    ///
    /// # Safety
    /// As for `are_in`.
    pub(super) unsafe fn has_pending(&self, py: Python<'_>) -> Option<bool> {
        // SAFETY: as asked of the caller.
        unsafe { super::pending::is_pending(py, self.state.load(Ordering::Relaxed)) }
    }

    /// Where the thread is: its innermost frame and the instruction in it; None in no Python code. Only good to be compared.
    ///
    /// # Safety
    /// As for `are_in`.
    pub(crate) unsafe fn position(&self, py: Python<'_>) -> Option<(usize, i32)> {
        let _quiet = Collector::off();
        // SAFETY: as asked of the caller.
        let frame = unsafe { self.innermost(py) }?;
        Some((frame.mark(), frame.at()))
    }

    /// Whether the thread handles an exception of `class` just now, or one that came of it: in an `except` or `finally`, or
    /// the exit of a `with`.
    pub(crate) fn handles(class: &Bound<'_, PyType>, ident: std::ffi::c_ulong) -> bool {
        let _quiet = Collector::off();
        Self::handled(class, ident).unwrap_or(false)
    }

    /// Whether the thread handles any exception just now.
    pub(super) fn handles_any(py: Python<'_>, ident: std::ffi::c_ulong) -> bool {
        let _quiet = Collector::off();
        let handled = || -> PyResult<bool> {
            let all = py.import("sys")?.call_method0("_current_exceptions")?;
            let mut exception = all.get_item(ident)?;
            if let Ok(three) = exception.cast::<PyTuple>() {
                exception = three.get_item(1)?;
            }
            Ok(!exception.is_none())
        };
        handled().unwrap_or(false)
    }

    /// Whether this frame is among those of the thread.
    ///
    /// # Safety
    /// As for `are_in`.
    pub(super) unsafe fn hold(&self, py: Python<'_>, wanted: *mut ffi::PyObject) -> bool {
        let _quiet = Collector::off();
        // SAFETY: as asked of the caller.
        let mut frame = unsafe { self.innermost(py) };
        for _ in 0..DEEPEST {
            let Some(inner) = frame else { return false };
            if inner.as_any().as_ptr() == wanted {
                return true;
            }
            frame = inner.back();
        }
        false
    }

    fn handled(class: &Bound<'_, PyType>, ident: std::ffi::c_ulong) -> PyResult<bool> {
        let sys = class.py().import("sys")?;
        let mut exception = sys.call_method0("_current_exceptions")?.get_item(ident)?;
        if let Ok(three) = exception.cast::<PyTuple>() {
            // CPython 3.11: type, value, traceback.
            exception = three.get_item(1)?;
        }
        for _ in 0..DEEPEST {
            if exception.is_none() {
                break;
            }
            if exception.is_exact_instance(class) {
                return Ok(true);
            }
            exception = exception.getattr("__context__")?;
        }
        Ok(false)
    }

    unsafe fn innermost<'py>(&self, py: Python<'py>) -> Option<Frame<'py>> {
        if self.ident == super::thread::ident() {
            return Frame::here(py);
        }
        if cfg!(Py_GIL_DISABLED) && !is_frozen() {
            // Only this may look then: it stops the others for as long.
            let frames = py
                .import("sys")
                .ok()?
                .call_method0("_current_frames")
                .ok()?;
            let frame = frames.get_item(self.ident).ok()?;
            // SAFETY: a new reference.
            return unsafe { Frame::owned(py, frame.into_ptr().cast()) };
        }
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: the thread is alive, so its state is; it does not run meanwhile. A new reference or NULL.
        unsafe { Frame::owned(py, ffi::PyThreadState_GetFrame(state)) }
    }

    /// Send an exception of this class to the thread, in the place of one that was sent and has not arrived. False when there is no
    /// such thread.
    ///
    /// # Safety
    /// As for `are_in`; and what is replaced is kept alive by others, so that nothing is deallocated.
    pub(super) unsafe fn send(&self, class: &Bound<'_, PyType>) -> bool {
        let ident = super::strike::long(self.ident);
        // SAFETY: attached, as the class shows; the thread is alive, and runs a job.
        unsafe {
            let state = self.state.load(Ordering::Relaxed);
            // Never the other one where this one works: it waits for a lock that a striker has who waits for the slot's.
            (cfg!(Py_GIL_DISABLED) && super::pending::set(state, class))
                || ffi::PyThreadState_SetAsyncExc(ident, class.as_ptr()) > 0
        }
    }
}
