//! Which functions are guarded, and how a guard gets into its place and out of it again.
//!
//! A built-in function or method is defined by a static `PyMethodDef`: name, C function, flags. Every call goes through it,
//! specialised bytecode included, so putting another C function of the same convention there guards all callers at once.
//! What does not look as expected is left alone.

use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

use parking_lot::Mutex;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::trampolines::guard_for;
use super::{locks, others, places};
use crate::interrupt::wake;

pub(super) const KEYWORDS: i32 = ffi::METH_VARARGS | ffi::METH_KEYWORDS;
pub(super) const FAST_KEYWORDS: i32 = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
pub(super) const METHOD: i32 = ffi::METH_METHOD | ffi::METH_FASTCALL | ffi::METH_KEYWORDS;

/// Functions and methods that block in a system call, which can be ended from outside: by module and what is in it. Some are
/// not there on every system or version.
const SYSTEM: [(&str, &str); 10] = [
    (
        "_socket",
        "getaddrinfo gethostbyname gethostbyname_ex gethostbyaddr getnameinfo",
    ),
    (
        "_socket.socket",
        "_accept connect connect_ex recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into send sendall sendto sendmsg",
    ),
    ("_ssl._SSLSocket", "read write do_handshake shutdown"),
    (
        "posix",
        "read readv pread preadv write writev pwrite pwritev open wait waitpid wait3 wait4 waitid sendfile splice \
         copy_file_range system lockf getrandom",
    ),
    ("_io.FileIO", "read readall readinto write"),
    ("select", "select"),
    ("select.epoll", "poll"),
    ("select.poll()", "poll"),
    ("fcntl", "flock lockf fcntl ioctl"),
    ("_signal", "pause sigwait sigwaitinfo sigtimedwait"),
];

/// A function that was changed: where it is called from, and what was there.
struct Change {
    place: &'static AtomicPtr<()>,
    name: String,
    original: *mut (),
    guard: *mut (),
}

// SAFETY: the pointers are to functions.
unsafe impl Send for Change {}

static CHANGES: Mutex<Vec<Change>> = Mutex::new(Vec::new());

/// Put the guards in force, once; who comes meanwhile waits, detached.
pub(crate) fn install(py: Python<'_>) {
    static ONCE: PyOnceLock<()> = PyOnceLock::new();
    ONCE.get_or_init(py, || put_in_force(py));
}

/// Put all guards in force that are not.
pub(crate) fn put_in_force(py: Python<'_>) {
    if !CHANGES.lock().is_empty() {
        return;
    }
    let mut changes = Vec::new();
    for (owner, name, guard) in locks::GUARDS.iter().chain(&others::GUARDS) {
        if let Some(object) = named(py, owner) {
            changes.extend(change(owner, &object, name, guard));
        }
    }
    places::prepare(py);
    if wake::is_possible() {
        changes.extend(change_init(py));
        for (owner, names) in SYSTEM {
            let Some(object) = named(py, owner) else {
                continue;
            };
            for name in names.split_whitespace() {
                changes.extend(change(owner, &object, name, guard_for));
            }
        }
    }
    let mut all = CHANGES.lock();
    if all.is_empty() {
        *all = changes;
    }
}

/// Take all guards out again. Calls that are in one return through it.
pub(crate) fn restore(_py: Python<'_>) {
    for change in CHANGES.lock().drain(..) {
        // One that somebody else has changed since then is theirs.
        let _ = change.place.compare_exchange(
            change.guard,
            change.original,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }
}

/// The names of what is guarded.
pub(crate) fn in_force() -> Vec<String> {
    CHANGES
        .lock()
        .iter()
        .map(|change| change.name.clone())
        .collect()
}

/// Guard `owner.name` with what `guard_for(function, flags)` gives, if it is a built-in and looks as expected.
fn change(
    owner: &str,
    object: &Bound<'_, PyAny>,
    name: &str,
    guard_for: impl Fn(*mut (), i32) -> Option<*mut ()>,
) -> Option<Change> {
    let definition = definition(object, name)?;
    // SAFETY: a definition that an object of the interpreter points to.
    let (has_name, flags, place) = unsafe {
        let name = CStr::from_ptr((*definition).ml_name);
        (name, (*definition).ml_flags, function_of(definition))
    };
    if has_name.to_str() != Ok(name) {
        return None;
    }
    let original = place.load(Ordering::Acquire);
    let conventions = !(ffi::METH_COEXIST | ffi::METH_STATIC | ffi::METH_CLASS);
    let guard = guard_for(original, flags & conventions)?;
    place.store(guard, Ordering::Release);
    let name = format!("{owner}.{name}");
    Some(Change {
        place,
        name,
        original,
        guard,
    })
}

/// Guard the opening of files.
fn change_init(py: Python<'_>) -> Option<Change> {
    let class = named(py, "_io.FileIO")?.cast_into().ok()?;
    let place = others::init_of(&class)?;
    let original = place.load(Ordering::Acquire);
    let guard = others::guard_init(original);
    place.store(guard, Ordering::Release);
    Some(Change {
        place,
        name: "_io.FileIO.__init__".into(),
        original,
        guard,
    })
}

/// The definition behind a built-in function or a method of a built-in type.
fn definition(owner: &Bound<'_, PyAny>, name: &str) -> Option<*mut ffi::PyMethodDef> {
    let object = owner.getattr(name).ok()?;
    let object = object.as_ptr();
    // SAFETY: attached; the casts are right for the types that were looked at.
    let definition = unsafe {
        if ffi::PyCFunction_CheckExact(object) != 0 || ffi::PyCMethod_CheckExact(object) != 0 {
            (*object.cast::<ffi::PyCFunctionObject>()).m_ml
        } else if ffi::Py_IS_TYPE(object, &raw mut ffi::PyMethodDescr_Type) != 0 {
            (*object.cast::<ffi::PyMethodDescrObject>()).d_method
        } else {
            return None;
        }
    };
    (!definition.is_null()).then_some(definition)
}

/// # Safety
/// `definition` is that of an object of the interpreter.
unsafe fn function_of(definition: *mut ffi::PyMethodDef) -> &'static AtomicPtr<()> {
    // SAFETY: a pointer to a function in memory that is never freed, and is written by nobody else.
    unsafe { AtomicPtr::from_ptr((&raw mut (*definition).ml_meth).cast()) }
}

/// `module`, `module.name`, or the type of what `module.name()` gives; None where there is none.
fn named<'py>(py: Python<'py>, path: &str) -> Option<Bound<'py, PyAny>> {
    let mut parts = path.split('.');
    let mut object = py.import(parts.next()?).ok()?.into_any();
    for part in parts {
        object = match part.strip_suffix("()") {
            Some(function) => object.call_method0(function).ok()?.get_type().into_any(),
            None => object.getattr(part).ok()?,
        };
    }
    Some(object)
}

/// A guard of its own for one function: its guard, if the function is called as these flags say.
pub(super) type Special = fn(*mut (), i32) -> Option<*mut ()>;
