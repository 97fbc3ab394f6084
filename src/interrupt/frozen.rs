//! Looking at another thread, and striking it, while it stands still.
//!
//! With the GIL whoever is attached is alone: the thread that is looked at stays where it is until the looker gives the interpreter
//! up. Without it the thread goes on meanwhile, and a strike would arrive somewhere else than where it was found to be harmless.
//! `CPython` can stop all threads, but tells nobody how. One function that anybody may call does so for as long as a function of
//! the caller's runs: `PyUnstable_GC_VisitObjects`, which visits all objects. So the look is a visit, which ends with the first
//! object.
//!
//! A lock that the interpreter needs for its list of threads is held meanwhile, so nothing may ask for that list or send an exception
//! by `PyThreadState_SetAsyncExc`: `pending.rs` does what that does. The slot's lock comes after this one, so nobody who has it may
//! wait for this.

use pyo3::prelude::*;

/// Run `look` while no other thread runs Python code. It must run none itself, nor wait for anything.
/// None, and it did not run, when the interpreter is about to end.
#[cfg(not(Py_GIL_DISABLED))]
#[expect(clippy::unnecessary_wraps, reason = "as without the GIL")]
pub(crate) fn frozen<R>(_py: Python<'_>, look: impl FnOnce() -> R) -> Option<R> {
    Some(look())
}

/// Whether that is what the caller does, without the GIL.
#[cfg(not(Py_GIL_DISABLED))]
pub(super) fn is_frozen() -> bool {
    false
}

#[cfg(Py_GIL_DISABLED)]
pub(crate) use without_the_gil::{frozen, is_frozen};

#[cfg(Py_GIL_DISABLED)]
mod without_the_gil {
    use std::cell::Cell;
    use std::ffi::{c_int, c_void};

    use pyo3::ffi;
    use pyo3::prelude::*;

    use crate::core::visits;
    use crate::interrupt::pending;

    type Visit = extern "C" fn(*mut ffi::PyObject, *mut c_void) -> c_int;

    unsafe extern "C" {
        // In CPython's cpython/objimpl.h; PyO3 does not declare it.
        fn PyUnstable_GC_VisitObjects(visit: Visit, argument: *mut c_void);
    }

    thread_local! {
        static FROZEN: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn is_frozen() -> bool {
        FROZEN.get()
    }

    struct Task<F, R> {
        look: Option<F>,
        result: Option<R>,
    }

    pub(crate) fn frozen<F: FnOnce() -> R, R>(py: Python<'_>, look: F) -> Option<R> {
        // Where an exception can be sent by `PyThreadState_SetAsyncExc` only, it is sent to a thread that goes on.
        if is_frozen() || !pending::can_set(py) {
            return Some(look());
        }
        let _visit = visits::enter()?;
        let mut task = Task {
            look: Some(look),
            result: None,
        };
        // SAFETY: attached; the task outlives the call, and is of the type that the visitor takes it for.
        unsafe { PyUnstable_GC_VisitObjects(visit::<F, R>, (&raw mut task).cast()) };
        match (task.result, task.look) {
            (Some(result), _) => Some(result),
            (None, Some(look)) => Some(look()),
            (None, None) => unreachable!("a look that began has ended"),
        }
    }

    extern "C" fn visit<F: FnOnce() -> R, R>(_: *mut ffi::PyObject, task: *mut c_void) -> c_int {
        // SAFETY: what `frozen` passed.
        let task = unsafe { &mut *task.cast::<Task<F, R>>() };
        if let Some(look) = task.look.take() {
            FROZEN.set(true);
            task.result = Some(look());
            FROZEN.set(false);
        }
        0
    }
}
