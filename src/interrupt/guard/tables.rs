//! Which functions are guarded, and how a guard gets into its place and out of it again.
//!
//! A built-in function or method is defined by a static `PyMethodDef`: name, C function, flags. Every call goes through it,
//! specialised bytecode included, so putting another C function of the same convention there guards all callers at once.
//! What does not look as expected is left alone.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use super::trampolines::guard_for;
use super::{leaves, locks, others, places};
use crate::core::sync::Mutex;
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

/// Put the guards in force, the first time that it is asked for.
pub(crate) fn install(py: Python<'_>) {
    static DONE: AtomicBool = AtomicBool::new(false);
    // Who comes meanwhile does the same: each guard is put in once, and nobody waits (a forked child would, for ever).
    if !DONE.load(Ordering::Acquire) {
        put_in_force(py);
        DONE.store(true, Ordering::Release);
    }
}

/// Put all guards in force that are not.
pub(crate) fn put_in_force(py: Python<'_>) {
    put_in_force_but(py, |_| false);
}

/// The same, without importing `ssl`, which takes long: guards can be there for threads that block before the first job.
pub(crate) fn put_in_force_at_import(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    put_in_force_but(py, |owner| {
        owner.starts_with("_ssl") && !modules.contains("_ssl").unwrap_or(false)
    });
    Ok(())
}

fn put_in_force_but(py: Python<'_>, skip: impl Fn(&str) -> bool) {
    places::prepare(py);
    for (owner, name, guard) in locks::GUARDS
        .iter()
        .chain(&others::GUARDS)
        .chain(&leaves::GUARDS)
    {
        if let Some(object) = named(py, owner) {
            change(owner, &object, name, guard);
        }
    }
    if wake::is_possible() {
        change_init(py);
        for (owner, names) in SYSTEM {
            let Some(object) = (!skip(owner)).then(|| named(py, owner)).flatten() else {
                continue;
            };
            for name in names.split_whitespace() {
                change(owner, &object, name, guard_for);
            }
        }
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
) {
    let Some(definition) = definition(object, name) else {
        return;
    };
    // SAFETY: a definition that an object of the interpreter points to.
    let (has_name, flags, place) = unsafe {
        let name = CStr::from_ptr((*definition).ml_name);
        (name, (*definition).ml_flags, function_of(definition))
    };
    let conventions = !(ffi::METH_COEXIST | ffi::METH_STATIC | ffi::METH_CLASS);
    if has_name.to_str() == Ok(name) {
        let name = format!("{owner}.{name}");
        replace(place, name, |original| {
            guard_for(original, flags & conventions)
        });
    }
}

/// Put the guard for what is at a place there, unless one of ours is.
fn replace(
    place: &'static AtomicPtr<()>,
    name: String,
    guard_for: impl FnOnce(*mut ()) -> Option<*mut ()>,
) {
    let mut all = CHANGES.lock();
    let original = place.load(Ordering::Acquire);
    if all.iter().any(|change| change.guard == original) {
        return;
    }
    if let Some(guard) = guard_for(original) {
        place.store(guard, Ordering::Release);
        all.push(Change {
            place,
            name,
            original,
            guard,
        });
    }
}

/// Guard the opening of files.
fn change_init(py: Python<'_>) {
    let class = named(py, "_io.FileIO").and_then(|class| class.cast_into().ok());
    if let Some(place) = class.and_then(|class| others::init_of(&class)) {
        let guard_for = |original| Some(others::guard_init(original));
        replace(place, "_io.FileIO.__init__".into(), guard_for);
    }
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
