//! Guards of those that wait in a way of their own: `time.sleep`, `SimpleQueue.get`, joining a thread, opening a file.

use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::ask::{LONGEST, number};
use super::tables::{METHOD, Special};
use super::trampolines::{Method, Plain};
use super::who::Who;
use super::{Object, guarded, leave, slice};
use crate::interrupt::beat::here;
use crate::interrupt::call;

pub(super) static GUARDS: [(&str, &str, Special); 3] = [
    ("time", "sleep", guard_sleep),
    ("_queue.SimpleQueue", "get", guard_get),
    ("_thread._ThreadHandle", "join", guard_join),
];

static SLEEP: AtomicPtr<()> = AtomicPtr::new(null_mut());
static GET: AtomicPtr<()> = AtomicPtr::new(null_mut());
static JOIN: AtomicPtr<()> = AtomicPtr::new(null_mut());

/// How often a wait that nothing can end from outside looks: at first, and at most for a guest, which may wait for ever.
const LOOK: Duration = Duration::from_millis(4);
const RARELY: Duration = Duration::from_millis(250);

/// The time limit of a call, in seconds; None is no limit.
struct Limit(Option<f64>);

fn guard_sleep(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == ffi::METH_O).then(|| {
        SLEEP.store(function, Ordering::Release);
        sleep as Plain as *mut ()
    })
}

fn guard_get(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == METHOD).then(|| {
        GET.store(function, Ordering::Release);
        get as Method as *mut ()
    })
}

fn guard_join(function: *mut (), flags: i32) -> Option<*mut ()> {
    (flags == ffi::METH_VARARGS).then(|| {
        JOIN.store(function, Ordering::Release);
        join as Plain as *mut ()
    })
}

/// `time.sleep(seconds)`: a job sleeps on something that a strike wakes, on every system.
unsafe extern "C-unwind" fn sleep(own: Object, seconds: Object) -> Object {
    // SAFETY: attached; a borrowed reference.
    let time = || unsafe { number(seconds) }.filter(|time| *time > 0.0 && *time < LONGEST);
    let Some((slot, time)) = here().and_then(|slot| Some((slot, time()?))) else {
        // Without a job, or what is no plain time: the original knows what to do, and its wait can be ended as well.
        // SAFETY: the original, with the arguments that came.
        return guarded(|| unsafe {
            transmute::<*mut (), Plain>(SLEEP.load(Ordering::Acquire))(own, seconds)
        });
    };
    let (who, sends) = (Who::Job(slot), slot.sends());
    if who.is_due(sends) {
        return who.raise(null_mut());
    }
    let deadline = Instant::now() + Duration::from_secs_f64(time);
    let entry = slot.beat().enter(false);
    call::detached(|| slot.sleep_until(deadline, sends));
    slot.beat().leave(&entry);
    if who.is_due(sends) {
        return who.raise(null_mut());
    }
    // SAFETY: attached; a new reference.
    unsafe {
        ffi::Py_INCREF(ffi::Py_None());
        ffi::Py_None()
    }
}

/// `SimpleQueue.get(block=True, timeout=None)`.
unsafe extern "C-unwind" fn get(
    own: Object,
    class: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: loaded from where `guard_get` put it: a function of this convention.
    let original = unsafe { transmute::<*mut (), Method>(GET.load(Ordering::Acquire)) };
    // SAFETY: called as the flags say: `count` arguments, then one for each name.
    let time = || unsafe { time_of_get(arguments, count, names) };
    let Some((who, Limit(time))) = Who::of_this_thread().and_then(|who| Some((who, time()?)))
    else {
        // SAFETY: the original, with the arguments that came.
        return unsafe { original(own, class, arguments, count, names) };
    };
    let deadline = time.map(|time| Instant::now() + Duration::from_secs_f64(time));
    loop {
        let sends = who.sends();
        let most = slice();
        let left = deadline.map_or(most, |deadline| {
            deadline.saturating_duration_since(Instant::now()).min(most)
        });
        // SAFETY: attached; the new reference is given back.
        let result = unsafe {
            let time = ffi::PyFloat_FromDouble(left.as_secs_f64());
            if time.is_null() {
                return null_mut();
            }
            let Some(entry) = who.begin(true, sends) else {
                ffi::Py_DECREF(time);
                return who.raise(null_mut());
            };
            let result = original(own, class, [ffi::Py_True(), time].as_ptr(), 2, null_mut());
            ffi::Py_DECREF(time);
            if result.is_null() {
                if who.beat().leave(&entry) || who.is_due(sends) {
                    return who.raise(result);
                }
            } else {
                // Something came: that is what the caller gets, and the exception after it.
                who.beat().leave(&entry);
                return result;
            }
            result
        };
        let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_over || !is_empty_queue() {
            return result;
        }
        // SAFETY: attached; `queue.Empty`, for the time limit was ours.
        unsafe { ffi::PyErr_Clear() };
    }
}

/// Whether the exception that is set is `queue.Empty`.
fn is_empty_queue() -> bool {
    // SAFETY: attached; a borrowed reference or NULL, whose name lives as long as it does.
    unsafe {
        let kind = ffi::PyErr_Occurred();
        if kind.is_null() {
            return false;
        }
        let name = std::ffi::CStr::from_ptr((*kind.cast::<ffi::PyTypeObject>()).tp_name);
        matches!(name.to_bytes(), b"_queue.Empty" | b"queue.Empty" | b"Empty")
    }
}

/// None where the original is to see to it.
unsafe fn time_of_get(
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Option<Limit> {
    // SAFETY: `count` arguments, then one for each name; borrowed references.
    unsafe {
        let given = if names.is_null() {
            0
        } else {
            ffi::PyTuple_Size(names)
        };
        let mut found = [null_mut(); 2];
        for index in 0..count + given {
            let value = *arguments.offset(index);
            let place = if index < count {
                usize::try_from(index).ok()?
            } else {
                let name = ffi::PyTuple_GetItem(names, index - count);
                let is_it = |text: &std::ffi::CStr| {
                    ffi::PyUnicode_CompareWithASCIIString(name, text.as_ptr()) == 0
                };
                let place = [c"block", c"timeout"].iter().position(|text| is_it(text))?;
                // Given twice: the original says so.
                (isize::try_from(place).ok()? >= count).then_some(place)?
            };
            *found.get_mut(place)? = value;
        }
        let [block, time] = found;
        let blocks = block.is_null()
            || block == ffi::Py_True()
            || ffi::PyLong_CheckExact(block) != 0 && ffi::PyLong_AsLong(block) == 1;
        if !blocks {
            return None;
        }
        if time.is_null() || time == ffi::Py_None() {
            return Some(Limit(None));
        }
        number(time)
            .filter(|time| (0.0..LONGEST).contains(time))
            .map(|time| Limit(Some(time)))
    }
}

/// `_ThreadHandle.join(timeout=None)`, from `CPython` 3.13 on. Its wait begins anew when it is ended early, so it is made of
/// short ones.
unsafe extern "C-unwind" fn join(own: Object, arguments: Object) -> Object {
    // SAFETY: loaded from where `guard_join` put it: a function of this convention.
    let original = unsafe { transmute::<*mut (), Plain>(JOIN.load(Ordering::Acquire)) };
    // SAFETY: attached; a tuple.
    let time = || unsafe { time_of_join(arguments) };
    let Some((who, Limit(time))) = Who::of_this_thread().and_then(|who| Some((who, time()?)))
    else {
        // SAFETY: the original, with the arguments that came.
        return unsafe { original(own, arguments) };
    };
    let sends = who.sends();
    let deadline = time.map(|time| Instant::now() + Duration::from_secs_f64(time));
    if who.is_due(sends) {
        return who.raise(null_mut());
    }
    let mut look = LOOK;
    loop {
        let left = deadline.map_or(look, |deadline| {
            deadline.saturating_duration_since(Instant::now()).min(look)
        });
        let result = join_for(who, original, own, left);
        if result.is_null() {
            return result;
        }
        if who.is_due(sends) {
            return who.raise(result);
        }
        if matches!(who, Who::Guest(_)) {
            look = (look * 3 / 2).min(RARELY);
        }
        let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_over || is_done(own) {
            return joined(who, result);
        }
        // SAFETY: attached; None.
        unsafe { ffi::Py_DECREF(result) };
    }
}

/// The wait is over: what was put off for as long as a job waited for its own thread is raised before the job goes on.
fn joined(who: Who<'_>, result: Object) -> Object {
    if let Who::Job(slot) = who
        && slot.has_put_off()
    {
        // SAFETY: a guard is called attached.
        let py = unsafe { Python::assume_attached() };
        if slot.deliver(py) {
            return who.raise(result);
        }
    }
    result
}

fn join_for(who: Who<'_>, original: Plain, own: Object, time: Duration) -> Object {
    // SAFETY: attached; new references are given back, and the function is called by its convention.
    unsafe {
        let arguments = ffi::PyTuple_New(1);
        let time = ffi::PyFloat_FromDouble(time.as_secs_f64());
        if arguments.is_null() || time.is_null() {
            ffi::Py_XDECREF(arguments);
            ffi::Py_XDECREF(time);
            return null_mut();
        }
        ffi::PyTuple_SetItem(arguments, 0, time);
        who.beat().awaits(own as usize);
        let entry = who.beat().enter(false);
        let result = original(own, arguments);
        let result = leave(who, &entry, result);
        who.beat().awaits(0);
        ffi::Py_DECREF(arguments);
        result
    }
}

fn is_done(handle: Object) -> bool {
    // SAFETY: attached; new references are given back.
    unsafe {
        let name = ffi::PyUnicode_InternFromString(c"is_done".as_ptr());
        let done = ffi::PyObject_CallMethodNoArgs(handle, name);
        ffi::Py_XDECREF(name);
        ffi::PyErr_Clear();
        let is_done = done == ffi::Py_True() || done.is_null();
        ffi::Py_XDECREF(done);
        is_done
    }
}

unsafe fn time_of_join(arguments: Object) -> Option<Limit> {
    // SAFETY: a tuple; a borrowed reference.
    unsafe {
        match ffi::PyTuple_Size(arguments) {
            0 => return Some(Limit(None)),
            1 => {}
            _ => return None,
        }
        let time = ffi::PyTuple_GetItem(arguments, 0);
        if time == ffi::Py_None() {
            return Some(Limit(None));
        }
        // A negative time is no limit.
        number(time)
            .filter(|time| (0.0..LONGEST).contains(time))
            .map(|time| Limit(Some(time)))
    }
}

/// `FileIO(...)`, which opening a file goes through, and which waits where the file is a FIFO: the one initializer among the
/// guards.
pub(super) type Init = unsafe extern "C-unwind" fn(Object, Object, Object) -> std::ffi::c_int;

static INIT: AtomicPtr<()> = AtomicPtr::new(null_mut());

unsafe extern "C-unwind" fn init(own: Object, arguments: Object, names: Object) -> std::ffi::c_int {
    // SAFETY: loaded from where `guard_init` put it: a function of this convention.
    let original = unsafe { transmute::<*mut (), Init>(INIT.load(Ordering::Acquire)) };
    let Some(who) = Who::of_this_thread() else {
        // SAFETY: the original, with the arguments that came.
        return unsafe { original(own, arguments, names) };
    };
    let Some(entry) = who.begin(false, who.sends()) else {
        who.raise(null_mut());
        return -1;
    };
    // SAFETY: as above.
    let result = unsafe { original(own, arguments, names) };
    if who.beat().leave(&entry) {
        who.raise(null_mut());
        return -1;
    }
    result
}

/// The initializer of a type, as a place that can be changed; None for a type without one.
pub(super) fn init_of(class: &Bound<'_, PyType>) -> Option<&'static AtomicPtr<()>> {
    let class = class.as_type_ptr();
    // SAFETY: attached; a type of the interpreter, which is never freed. The field is a function pointer or NULL, as the
    // atomic pointer is, and nobody else writes it.
    unsafe {
        (*class).tp_init?;
        Some(AtomicPtr::from_ptr((&raw mut (*class).tp_init).cast()))
    }
}

/// The guard for an initializer.
pub(super) fn guard_init(original: *mut ()) -> *mut () {
    INIT.store(original, Ordering::Release);
    init as Init as *mut ()
}
