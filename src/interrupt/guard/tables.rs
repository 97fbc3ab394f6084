//! Which functions are guarded, and how a guard gets into its place and out of it again.
//!
//! A built-in function or method is defined by a static `PyMethodDef`: name, C function, flags. Every call goes through it,
//! specialised bytecode included, so putting another C function of the same convention there guards all callers at once.
//! What does not look as expected is left alone.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use super::mode::{Mode, mode, read};
use super::samples::sample;
use super::trampolines::{guard_for, guard_for_library};
use super::{leaves, library, locks, others, places, proof};
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

/// What is not guarded that would be, and why; the last word on each.
static ASIDE: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());

/// Which places were tried, and whether calls came there.
static TRIED: Mutex<BTreeMap<usize, bool>> = Mutex::new(BTreeMap::new());

const NOT_HERE: &str = "this Python does not have it";
const NOT_LOADED: &str = "its module is not loaded yet: the first job has it loaded and guarded";
const NOT_BUILT_IN: &str =
    "it is no built-in function here: somebody has put something in its place";
const OTHER_NAME: &str = "what is there goes by another name";
const OTHER_CONVENTION: &str = "it is called in a way that is not known";
const NOT_SEEN: &str = "calls of it do not come to the guard";
const NO_WAKE: &str = "nothing can end it from outside on this system";

/// Put the guards in force, the first time that it is asked for.
pub(crate) fn install(py: Python<'_>) {
    static DONE: AtomicBool = AtomicBool::new(false);
    // Who comes meanwhile does the same: each guard is put in once, and nobody waits (a forked child would, for ever).
    if !DONE.load(Ordering::Acquire) {
        if mode() != Mode::Off {
            put_in_force(py);
        }
        DONE.store(true, Ordering::Release);
    }
}

/// Put all guards in force that are not.
pub(crate) fn put_in_force(py: Python<'_>) {
    put_in_force_but(py, |_| false);
}

/// The same, without importing `ssl` and `sqlite3`, which take long: guards can be there for threads that block before the first job. As far as
/// the environment says so.
pub(crate) fn put_in_force_at_import(py: Python<'_>) -> PyResult<()> {
    places::prepare(py);
    if read(py)? == Mode::Import {
        let modules = py.import("sys")?.getattr("modules")?;
        put_in_force_but(py, |owner| {
            let late = ["_ssl", "_sqlite3"].into_iter();
            late.filter(|module| owner.starts_with(module))
                .any(|module| !modules.contains(module).unwrap_or(false))
        });
    }
    Ok(())
}

fn put_in_force_but(py: Python<'_>, skip: impl Fn(&str) -> bool) {
    let before = CHANGES.lock().len();
    for (owner, name, guard) in locks::GUARDS
        .iter()
        .chain(&others::GUARDS)
        .chain(&leaves::GUARDS)
    {
        let change = || change(owner, &named(py, owner)?, name, guard);
        note(owner, name, change());
    }
    let can_wake = wake::is_possible();
    if can_wake {
        note("_io.FileIO", "__init__", change_init(py));
    }
    for (owner, names) in SYSTEM {
        let object = if !can_wake {
            Err(NO_WAKE)
        } else if skip(owner) {
            Err(NOT_LOADED)
        } else {
            named(py, owner)
        };
        for name in names.split_whitespace() {
            let change = || change(owner, object.as_ref().map_err(|why| *why)?, name, guard_for);
            note(owner, name, change());
        }
    }
    for (owner, names) in library::METHODS {
        let object = if skip(owner) {
            Err(NOT_LOADED)
        } else {
            named(py, owner)
        };
        if let Ok(object) = &object
            && let Ok(module) = named(py, "_sqlite3")
        {
            library::prepare(&module);
            if let Some(place) = object.cast().ok().and_then(library::next_of) {
                let next = |original| Some(library::guard_next(original));
                note(
                    owner,
                    "__next__",
                    replace(place, format!("{owner}.__next__"), || true, next),
                );
            }
        }
        for name in names.split_whitespace() {
            let change = || {
                let object = object.as_ref().map_err(|why| *why)?;
                change(owner, object, name, guard_for_library)
            };
            note(owner, name, change());
        }
    }
    if CHANGES.lock().len() != before {
        forget_compiled(py);
    }
}

/// Note why a function is not guarded, or that it is.
fn note(owner: &str, name: &str, done: Result<(), &'static str>) {
    let name = format!("{owner}.{name}");
    match done {
        Ok(()) => ASIDE.lock().remove(&name),
        Err(why) => ASIDE.lock().insert(name, why),
    };
}

/// Code that was compiled before calls what was in the tables then (`CPython` 3.15 with its JIT, gh-133020): it is thrown away.
fn forget_compiled(py: Python<'_>) {
    let forget = || {
        let sys = py.import("sys")?;
        let jit = sys.getattr("_jit")?;
        if jit.call_method0("is_enabled")?.is_truthy()? {
            sys.call_method0("_clear_internal_caches")?;
        }
        PyResult::Ok(())
    };
    // Where there is no such thing there is nothing to forget.
    let _ = forget();
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

/// What is not guarded that would be, and why.
pub(crate) fn aside() -> Vec<(String, &'static str)> {
    let all = ASIDE.lock();
    all.iter().map(|(name, why)| (name.clone(), *why)).collect()
}

/// Guard `owner.name` with what `guard_for(function, flags)` gives, if it is a built-in, looks as expected, and is called through
/// its definition.
fn change(
    owner: &str,
    object: &Bound<'_, PyAny>,
    name: &str,
    guard_for: impl Fn(*mut (), i32) -> Option<*mut ()>,
) -> Result<(), &'static str> {
    let function = object.getattr(name).map_err(|_| NOT_HERE)?;
    let definition = definition(&function).ok_or(NOT_BUILT_IN)?;
    // SAFETY: a definition that an object of the interpreter points to.
    let (has_name, flags, place) = unsafe {
        let name = CStr::from_ptr((*definition).ml_name);
        (name, (*definition).ml_flags, function_of(definition))
    };
    let flags = flags & !(ffi::METH_COEXIST | ffi::METH_STATIC | ffi::METH_CLASS);
    if has_name.to_str() != Ok(name) {
        return Err(OTHER_NAME);
    }
    let is_called = || {
        let own = sample(owner, object);
        let is_method = function.hasattr("__objclass__").unwrap_or(false);
        (is_method && own.is_none())
            || proof::is_called(&function, own.as_ref().filter(|_| is_method), place, flags)
    };
    let name = format!("{owner}.{name}");
    replace(place, name, is_called, |original| {
        guard_for(original, flags)
    })
}

/// Put the guard for what is at a place there, unless one of ours is.
fn replace(
    place: &'static AtomicPtr<()>,
    name: String,
    is_called: impl FnOnce() -> bool,
    guard_for: impl FnOnce(*mut ()) -> Option<*mut ()>,
) -> Result<(), &'static str> {
    let is_ours = |all: &[Change]| {
        let now = place.load(Ordering::Acquire);
        all.iter().any(|change| change.guard == now)
    };
    if is_ours(&CHANGES.lock()) {
        return Ok(());
    }
    // Without a lock, since it calls Python.
    let known = TRIED.lock().get(&(place.as_ptr() as usize)).copied();
    let is_seen = known.unwrap_or_else(is_called);
    TRIED.lock().insert(place.as_ptr() as usize, is_seen);
    if !is_seen {
        return Err(NOT_SEEN);
    }
    let mut all = CHANGES.lock();
    let original = place.load(Ordering::Acquire);
    if !is_ours(&all) {
        let guard = guard_for(original).ok_or(OTHER_CONVENTION)?;
        place.store(guard, Ordering::Release);
        all.push(Change {
            place,
            name,
            original,
            guard,
        });
    }
    Ok(())
}

/// Guard the opening of files.
fn change_init(py: Python<'_>) -> Result<(), &'static str> {
    let class = named(py, "_io.FileIO")?.cast_into().map_err(|_| NOT_HERE)?;
    let place = others::init_of(&class).ok_or(NOT_HERE)?;
    replace(
        place,
        "_io.FileIO.__init__".into(),
        || proof::is_init_called(&class, place),
        |original| Some(others::guard_init(original)),
    )
}

/// The definition behind a built-in function or a method of a built-in type.
fn definition(object: &Bound<'_, PyAny>) -> Option<*mut ffi::PyMethodDef> {
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

/// `module`, `module.name`, or the type of what `module.name()` gives.
fn named<'py>(py: Python<'py>, path: &str) -> Result<Bound<'py, PyAny>, &'static str> {
    let find = || {
        let mut parts = path.split('.');
        let mut object = py.import(parts.next().unwrap_or_default())?.into_any();
        for part in parts {
            object = match part.strip_suffix("()") {
                Some(function) => object.call_method0(function)?.get_type().into_any(),
                None => object.getattr(part)?,
            };
        }
        PyResult::Ok(object)
    };
    find().map_err(|_| NOT_HERE)
}

/// A guard of its own for one function: its guard, if the function is called as these flags say.
pub(super) type Special = fn(*mut (), i32) -> Option<*mut ()>;
