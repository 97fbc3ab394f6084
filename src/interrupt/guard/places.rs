//! Places in the standard library's own code that the guards of locks treat differently.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::interrupt::frame::Frame;
use crate::interrupt::frames::LIBRARIES;

/// Code that gives a condition's lock back, takes it again, and waits in between.
pub(super) static SAVE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
pub(super) static RESTORE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
pub(super) static WAIT: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// Code that waits for the end of a thread, up to `CPython` 3.12.
pub(super) static JOIN: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Code that wakes a waiter, and then strikes it off the list: one that is left there, and has its lock again, takes the turn
/// of the next. (One that was not there to take it yet is passed over by the next `notify`, gh-92530.)
static NOTIFY: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Code that has entered a generator's `with` block, and not told who asked for it.
pub(in crate::interrupt) static ENTER_GENERATOR: AtomicPtr<ffi::PyObject> =
    AtomicPtr::new(null_mut());

/// Code that takes a permit of a semaphore: it is gone before the caller can know that it has it.
static PERMIT: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Code that gives something back, and has not yet when it begins: a permit, a condition's lock, what an `ExitStack` holds.
static GIVE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static GIVE_BOUNDED: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static LEAVE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static LEAVE_CONDITION: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static LEAVE_STACK: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// Code that enters something for an `ExitStack`, and has not noted it yet.
static ENTER_FOR_STACK: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// Code that takes a condition's lock for its caller.
static ENTER_CONDITION: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Code in which, and in what it calls of the standard library, a job is not struck but in a wait.
pub(in crate::interrupt) const SPARED: [&AtomicPtr<ffi::PyObject>; 12] = [
    &SAVE,
    &RESTORE,
    &WAIT,
    &NOTIFY,
    &ENTER_GENERATOR,
    &PERMIT,
    &ENTER_FOR_STACK,
    &GIVE,
    &GIVE_BOUNDED,
    &LEAVE,
    &LEAVE_CONDITION,
    &LEAVE_STACK,
];

/// From here on they give something back: nothing is raised in their waits, but a strike that was put off may be raised when
/// they have given a lock back.
pub(in crate::interrupt) const GIVING: usize = 7;

/// Code that waits for the end of threads.
static JOIN_THREAD: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static LEAVE_EXECUTOR: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static SHUT_THREADS: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static SHUT_PROCESSES: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static LEAVE_POOL: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static JOIN_POOL: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static END_POOL: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

pub(in crate::interrupt) const JOINING: [&AtomicPtr<ffi::PyObject>; 8] = [
    &JOIN,
    &JOIN_THREAD,
    &LEAVE_EXECUTOR,
    &SHUT_THREADS,
    &SHUT_PROCESSES,
    &LEAVE_POOL,
    &JOIN_POOL,
    &END_POOL,
];

/// Look up what waits for threads, as far as its module is there: nothing is imported. By who starts a thread in a job.
pub(crate) fn find_joining(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    for (module, class, name, place) in [
        ("threading", "Thread", "join", &JOIN_THREAD),
        (
            "concurrent.futures._base",
            "Executor",
            "__exit__",
            &LEAVE_EXECUTOR,
        ),
        (
            "concurrent.futures.thread",
            "ThreadPoolExecutor",
            "shutdown",
            &SHUT_THREADS,
        ),
        (
            "concurrent.futures.process",
            "ProcessPoolExecutor",
            "shutdown",
            &SHUT_PROCESSES,
        ),
        ("multiprocessing.pool", "Pool", "__exit__", &LEAVE_POOL),
        ("multiprocessing.pool", "Pool", "join", &JOIN_POOL),
        ("multiprocessing.pool", "Pool", "_terminate_pool", &END_POOL),
    ] {
        if !place.load(Ordering::Acquire).is_null() || !modules.contains(module)? {
            continue;
        }
        let function = modules.get_item(module)?.getattr(class)?.getattr(name)?;
        // Somebody's own in its place has no code, or another.
        if let Some(code) = function.getattr_opt("__code__")? {
            keep(code, place);
        }
    }
    Ok(())
}

/// Kept for good, so that no other code can get its address.
fn keep(code: Bound<'_, PyAny>, place: &AtomicPtr<ffi::PyObject>) {
    let before = place.swap(code.into_ptr(), Ordering::AcqRel);
    // SAFETY: attached; ours, or NULL.
    unsafe { ffi::Py_XDECREF(before) };
}

/// Look up what is special in `threading` and `contextlib`.
pub(super) fn prepare(py: Python<'_>) {
    let code_of = |module: &str, class: &str, name: &str| {
        let function = py.import(module)?.getattr(class)?.getattr(name)?;
        function.getattr("__code__")
    };
    for (module, class, name, place) in [
        ("threading", "Condition", "_release_save", &SAVE),
        ("threading", "Condition", "_acquire_restore", &RESTORE),
        ("threading", "Condition", "wait", &WAIT),
        ("threading", "Condition", "notify", &NOTIFY),
        (
            "contextlib",
            "_GeneratorContextManager",
            "__enter__",
            &ENTER_GENERATOR,
        ),
        ("threading", "Condition", "__enter__", &ENTER_CONDITION),
        ("threading", "Condition", "__exit__", &LEAVE_CONDITION),
        ("threading", "Semaphore", "acquire", &PERMIT),
        ("threading", "Semaphore", "release", &GIVE),
        ("threading", "Semaphore", "__exit__", &LEAVE),
        ("threading", "BoundedSemaphore", "release", &GIVE_BOUNDED),
        ("threading", "Thread", "_wait_for_tstate_lock", &JOIN),
        ("contextlib", "ExitStack", "enter_context", &ENTER_FOR_STACK),
        ("contextlib", "ExitStack", "__exit__", &LEAVE_STACK),
    ] {
        if let Ok(code) = code_of(module, class, name) {
            keep(code, place);
        }
    }
}

/// Whether this is code in which a job is not struck.
pub(in crate::interrupt) fn is_spared_code(code: *mut ffi::PyObject) -> bool {
    SPARED
        .iter()
        .any(|known| known.load(Ordering::Acquire) == code)
}

/// Whether the innermost frame runs this code.
pub(super) fn stands_in(code: &AtomicPtr<ffi::PyObject>) -> bool {
    // SAFETY: a guard is called attached.
    let py = unsafe { Python::assume_attached() };
    Frame::here(py).is_some_and(|frame| frame.code() == code.load(Ordering::Acquire))
}

/// Whether the innermost frame takes a lock for a module of the standard library that has locks of its own, and not for
/// somebody else who entered a condition or an `ExitStack`.
pub(super) fn is_library_lock() -> bool {
    // SAFETY: a guard is called attached.
    let mut frame = Frame::here(unsafe { Python::assume_attached() });
    for _ in 0..3 {
        let Some(inner) = &frame else { return false };
        let code = inner.code();
        let for_caller = code == ENTER_CONDITION.load(Ordering::Acquire)
            || code == ENTER_FOR_STACK.load(Ordering::Acquire);
        if !for_caller {
            break;
        }
        frame = inner.back();
    }
    frame.is_some_and(|frame| frame.ask_module(|top| LIBRARIES.contains(&top)))
}
