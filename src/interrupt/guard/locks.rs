//! Guards of locks: a kill never leaves one locked, and never lets anybody in unlocked.
//!
//! - A wait for a lock is made of tries with a time limit, which the waker may end; then the exception is raised, out of
//!   `acquire`, without the lock.
//! - A lock that was got while a kill came is given back, and the exception raised: nothing lies between that and the
//!   caller's `try`.
//! - A worker notes which locks its job holds, and where it got the last one. A job that stands right behind `acquire` is not
//!   struck there, and neither is the standard library's own code while it holds a lock of its own (`threading`, `queue`,
//!   `logging`, ...): what was put off is raised by the `release` that gives the last of these back.

use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

use pyo3::ffi;
use pyo3::prelude::*;

use super::ask::Ask;
use super::kinds::{Kind, kind};
use super::places::{JOIN, SAVE, WAIT, is_library_lock, stands_in};
use super::tables::{FAST_KEYWORDS, KEYWORDS, Special};
use super::trampolines::{Fast, FastKeywords, Keywords, Plain};
use super::who::Who;
use super::{Object, slice};
use crate::interrupt::beat::here;
use crate::interrupt::frame::Frame;

const LOCK: usize = 0;
const RLOCK: usize = 1;
const SEMAPHORE: usize = 2;
/// The old name of a lock's `acquire`, which tells of itself in errors.
const ALIAS: usize = 3;
static LOCKED: AtomicPtr<()> = AtomicPtr::new(null_mut());
static KINDS: [Kind; 4] = [kind(false), kind(false), kind(true), kind(false)];

/// What is guarded here. `acquire` comes first in each type: the rest calls it.
pub(super) static GUARDS: [(&str, &str, Special); 13] = [
    ("_thread.LockType", "acquire", guard_acquire::<LOCK>),
    ("_thread.LockType", "acquire_lock", guard_acquire::<ALIAS>),
    ("_thread.LockType", "__enter__", guard_enter::<LOCK>),
    ("_thread.LockType", "release", guard_release::<LOCK>),
    ("_thread.LockType", "release_lock", guard_release::<LOCK>),
    ("_thread.LockType", "__exit__", guard_exit::<LOCK>),
    ("_thread.LockType", "locked", guard_locked),
    ("_thread.RLock", "acquire", guard_acquire::<RLOCK>),
    ("_thread.RLock", "__enter__", guard_enter::<RLOCK>),
    ("_thread.RLock", "release", guard_release::<RLOCK>),
    ("_thread.RLock", "__exit__", guard_exit::<RLOCK>),
    (
        "_multiprocessing.SemLock",
        "acquire",
        guard_acquire::<SEMAPHORE>,
    ),
    (
        "_multiprocessing.SemLock",
        "__enter__",
        guard_enter::<SEMAPHORE>,
    ),
];

fn guard_acquire<const KIND: usize>(function: *mut (), flags: i32) -> Option<*mut ()> {
    let guard = match flags {
        KEYWORDS => acquire_keywords::<KIND> as Keywords as *mut (),
        FAST_KEYWORDS => acquire_fast::<KIND> as FastKeywords as *mut (),
        _ => return None,
    };
    let kind = &KINDS[KIND];
    kind.acquire_is_fast
        .store(flags == FAST_KEYWORDS, Ordering::Release);
    kind.acquire.store(function, Ordering::Release);
    Some(guard)
}

fn guard_enter<const KIND: usize>(_: *mut (), flags: i32) -> Option<*mut ()> {
    if KINDS[KIND].acquire.load(Ordering::Acquire).is_null() {
        return None;
    }
    match flags {
        KEYWORDS => Some(acquire_keywords::<KIND> as Keywords as *mut ()),
        ffi::METH_NOARGS => Some(enter::<KIND> as Plain as *mut ()),
        _ => None,
    }
}

fn guard_release<const KIND: usize>(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == ffi::METH_NOARGS).then(|| {
        KINDS[KIND].release.store(function, Ordering::Release);
        release::<KIND> as Plain as *mut ()
    })
}

fn guard_exit<const KIND: usize>(function: *mut (), flags: i32) -> Option<*mut ()> {
    let guard = match flags {
        ffi::METH_VARARGS => exit_plain::<KIND> as Plain as *mut (),
        ffi::METH_FASTCALL => exit_fast::<KIND> as Fast as *mut (),
        _ => return None,
    };
    KINDS[KIND].exit.store(function, Ordering::Release);
    Some(guard)
}

fn guard_locked(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == ffi::METH_NOARGS).then(|| {
        LOCKED.store(function, Ordering::Release);
        locked as Plain as *mut ()
    })
}

/// `lock.locked()`. Up to `CPython` 3.12 `Thread.join` waits for a lock that the joined thread gives back when it ends, and
/// an exception that comes meanwhile makes it ask whether that is locked (bpo-45274): it takes the thread's hold on it for
/// its own, gives it back, and the thread counts as ended from then on. So there the answer is whether the lock was got.
unsafe extern "C-unwind" fn locked(own: Object, argument: Object) -> Object {
    if let Some(who) = Who::of_this_thread()
        && stands_in(&JOIN)
        && !who.has_got(own as usize)
    {
        // SAFETY: attached; a new reference.
        unsafe {
            ffi::Py_INCREF(ffi::Py_False());
            return ffi::Py_False();
        }
    }
    // SAFETY: the original, with the arguments that came.
    unsafe { transmute::<*mut (), Plain>(LOCKED.load(Ordering::Acquire))(own, argument) }
}

unsafe extern "C-unwind" fn acquire_keywords<const KIND: usize>(
    own: Object,
    arguments: Object,
    names: Object,
) -> Object {
    // SAFETY: attached, and called as the flags of the definition say: a tuple, and a dict or NULL.
    let ask = || unsafe { Ask::of_tuple(KINDS[KIND].is_semaphore, arguments, names) };
    let who = who_may_wait::<KIND>(own);
    match who.and_then(|who| Some((who, ask()?))) {
        Some((who, ask)) => acquire(who, &KINDS[KIND], own, ask),
        // SAFETY: the original, with the arguments that came.
        None => as_it_came(who, &KINDS[KIND], own, || unsafe {
            let original = KINDS[KIND].acquire.load(Ordering::Acquire);
            transmute::<*mut (), Keywords>(original)(own, arguments, names)
        }),
    }
}

unsafe extern "C-unwind" fn acquire_fast<const KIND: usize>(
    own: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: attached, and called as the flags of the definition say: `count` arguments, then one for each name.
    let ask = || unsafe { Ask::of_array(KINDS[KIND].is_semaphore, arguments, count, names) };
    let who = who_may_wait::<KIND>(own);
    match who.and_then(|who| Some((who, ask()?))) {
        Some((who, ask)) => acquire(who, &KINDS[KIND], own, ask),
        // SAFETY: the original, with the arguments that came.
        None => as_it_came(who, &KINDS[KIND], own, || unsafe {
            let original = KINDS[KIND].acquire.load(Ordering::Acquire);
            transmute::<*mut (), FastKeywords>(original)(own, arguments, count, names)
        }),
    }
}

unsafe extern "C-unwind" fn enter<const KIND: usize>(own: Object, _: Object) -> Object {
    match who_may_wait::<KIND>(own) {
        Some(who) => acquire(who, &KINDS[KIND], own, Ask::FOREVER),
        None => KINDS[KIND].try_acquire(own, true, None),
    }
}

unsafe extern "C-unwind" fn release<const KIND: usize>(own: Object, argument: Object) -> Object {
    // SAFETY: the original, with the arguments that came.
    let result = unsafe {
        let original = KINDS[KIND].release.load(Ordering::Acquire);
        transmute::<*mut (), Plain>(original)(own, argument)
    };
    released(own, result)
}

unsafe extern "C-unwind" fn exit_plain<const KIND: usize>(own: Object, argument: Object) -> Object {
    // SAFETY: the original, with the arguments that came.
    let result = unsafe {
        let original = KINDS[KIND].exit.load(Ordering::Acquire);
        transmute::<*mut (), Plain>(original)(own, argument)
    };
    released(own, result)
}

unsafe extern "C-unwind" fn exit_fast<const KIND: usize>(
    own: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
) -> Object {
    // SAFETY: the original, with the arguments that came.
    let result = unsafe {
        let original = KINDS[KIND].exit.load(Ordering::Acquire);
        transmute::<*mut (), Fast>(original)(own, arguments, count)
    };
    released(own, result)
}

/// Who is to be guarded; not a guest that finds the lock free, and need not wait.
#[inline]
fn who_may_wait<'a, const KIND: usize>(own: Object) -> Option<Who<'a>> {
    let who = Who::of_this_thread()?;
    if let Who::Guest(beat) = who
        && (KIND == LOCK || KIND == ALIAS)
        && is_free(own)
    {
        beat.note_lock(own as usize);
        return None;
    }
    Some(who)
}

/// Whether a lock is free, and stays so while the interpreter is not given up.
fn is_free(lock: Object) -> bool {
    let locked = LOCKED.load(Ordering::Acquire);
    if cfg!(Py_GIL_DISABLED) || locked.is_null() {
        return false;
    }
    // SAFETY: attached; the original, which takes no arguments, for a lock. A new reference.
    unsafe {
        let locked = transmute::<*mut (), Plain>(locked)(lock, null_mut());
        ffi::Py_XDECREF(locked);
        locked == ffi::Py_False()
    }
}

/// For nobody, or with arguments that only the original understands (a time that is neither float nor int), or refuses.
fn as_it_came(
    who: Option<Who<'_>>,
    kind: &Kind,
    own: Object,
    original: impl FnOnce() -> Object,
) -> Object {
    let Some(who) = who else {
        return original();
    };
    let (Ok(result) | Err(result)) = wait(who, kind, own, who.sends(), original);
    result
}

/// One wait for the lock: what `acquire` returns, or as an error False, where it was not got in its time.
fn wait(
    who: Who<'_>,
    kind: &Kind,
    own: Object,
    sends: u64,
    original: impl FnOnce() -> Object,
) -> Result<Object, Object> {
    let may_end = !who.must_get();
    let entry = if may_end {
        match who.begin(true, sends) {
            Some(entry) => entry,
            None => return Ok(who.raise(null_mut())),
        }
    } else {
        who.beat().enter(false)
    };
    who.beat().set_deaf(!may_end);
    who.beat().awaits(own as usize);
    let result = original();
    who.beat().awaits(0);
    who.beat().set_deaf(false);
    let ended = who.beat().leave(&entry);
    // SAFETY: attached; Py_True lives as long as the interpreter.
    if result.is_null() || result == unsafe { ffi::Py_True() } {
        return Ok(got(who, kind, own, result, sends));
    }
    if may_end && (ended || who.is_due(sends)) {
        return Ok(who.raise(result));
    }
    Err(result)
}

/// Get the lock.
fn acquire(who: Who<'_>, kind: &Kind, own: Object, ask: Ask) -> Object {
    let sends = who.sends();
    if who.is_due(sends) && !who.must_get() {
        return who.raise(null_mut());
    }
    let result = kind.try_acquire(own, false, None);
    // SAFETY: attached; Py_True lives as long as the interpreter.
    if result.is_null() || result == unsafe { ffi::Py_True() } {
        return got(who, kind, own, result, sends);
    }
    if !ask.blocking {
        return result;
    }
    let deadline = ask
        .time
        .map(|time| Instant::now() + Duration::from_secs_f64(time));
    let mut result = result;
    loop {
        let most = slice();
        let left = deadline.map_or(most, |deadline| {
            deadline.saturating_duration_since(Instant::now()).min(most)
        });
        if left.is_zero() {
            return result;
        }
        // SAFETY: attached; it is Py_False.
        unsafe { ffi::Py_DECREF(result) };
        let wait_so_long = || kind.try_acquire(own, true, Some(left.as_secs_f64()));
        result = match wait(who, kind, own, sends, wait_so_long) {
            Ok(result) => return result,
            Err(result) => result,
        };
    }
}

/// The lock was got, or the original raised.
fn got(who: Who<'_>, kind: &Kind, own: Object, result: Object, sends: u64) -> Object {
    if result.is_null() {
        return result;
    }
    // No bytecode has run since the beginning: what was sent meanwhile has not arrived.
    if who.is_due(sends) && !who.must_get() {
        // SAFETY: attached; the lock is ours, and its release runs no bytecode.
        unsafe {
            let name = ffi::PyUnicode_InternFromString(c"release".as_ptr());
            let released = ffi::PyObject_CallMethodNoArgs(own, name);
            ffi::Py_XDECREF(released);
            ffi::Py_XDECREF(name);
        }
        return who.raise(result);
    }
    let slot = match who {
        Who::Job(slot) => slot,
        Who::Guest(beat) => {
            beat.note_lock(own as usize);
            return result;
        }
    };
    // SAFETY: a guard is called attached.
    if let Some(frame) = Frame::here(unsafe { Python::assume_attached() }) {
        slot.footing()
            .got_a_lock(own as usize, frame.mark(), frame.at());
        // A condition's `wait` takes a lock of its own for good.
        if !kind.is_semaphore && is_library_lock() && !stands_in(&WAIT) {
            slot.footing().library_got(own as usize);
        }
    }
    result
}

/// A lock was given back, or the original raised.
fn released(own: Object, result: Object) -> Object {
    let Some(slot) = here() else { return result };
    if result.is_null() {
        return result;
    }
    slot.footing().gave_back(own as usize);
    // A condition that is about to wait has to take it again.
    if slot.has_put_off() && !stands_in(&SAVE) {
        // SAFETY: a guard is called attached.
        let py = unsafe { Python::assume_attached() };
        if slot.deliver(py) {
            return Who::Job(slot).raise(result);
        }
    }
    result
}
