//! The plain guards: one function per calling convention and per place in a table of originals.
//!
//! `CPython` calls what it finds in a method's definition with the arguments that the definition's flags promise, so there
//! is one kind of guard for each promise. A guard must know which function it stands for, and C has no closures: it is
//! told by a constant, its place in the table.

use std::mem::transmute;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use pyo3::ffi;

use super::{Object, guarded, library};

/// `METH_NOARGS`, `METH_O`, `METH_VARARGS`.
pub(super) type Plain = unsafe extern "C-unwind" fn(Object, Object) -> Object;
/// `METH_VARARGS | METH_KEYWORDS`.
pub(super) type Keywords = unsafe extern "C-unwind" fn(Object, Object, Object) -> Object;
/// `METH_FASTCALL`.
pub(super) type Fast =
    unsafe extern "C-unwind" fn(Object, *const Object, ffi::Py_ssize_t) -> Object;
/// `METH_FASTCALL | METH_KEYWORDS`.
pub(super) type FastKeywords =
    unsafe extern "C-unwind" fn(Object, *const Object, ffi::Py_ssize_t, Object) -> Object;
/// `METH_METHOD | METH_FASTCALL | METH_KEYWORDS`.
pub(super) type Method =
    unsafe extern "C-unwind" fn(Object, Object, *const Object, ffi::Py_ssize_t, Object) -> Object;

/// How many functions of one convention can be guarded.
const PLACES: usize = 48;

/// The originals of one convention.
pub(super) struct Originals {
    functions: [AtomicPtr<()>; PLACES],
    /// Of a library that has to be told to end its call.
    of_library: [AtomicBool; PLACES],
    used: AtomicUsize,
}

impl Originals {
    const fn new() -> Self {
        Self {
            functions: [const { AtomicPtr::new(std::ptr::null_mut()) }; PLACES],
            of_library: [const { AtomicBool::new(false) }; PLACES],
            used: AtomicUsize::new(0),
        }
    }

    fn is_of_library(&self, place: usize) -> bool {
        self.of_library[place].load(Ordering::Relaxed)
    }

    fn get(&self, place: usize) -> *mut () {
        self.functions[place].load(Ordering::Acquire)
    }

    /// The place of a function, the one that it had before if it was here; None when the table is full. Under the lock of
    /// `tables`.
    fn place(&self, function: *mut (), of_library: bool) -> Option<usize> {
        let used = self.used.load(Ordering::Relaxed);
        if let Some(place) = (0..used).find(|place| self.get(*place) == function) {
            return Some(place);
        }
        self.of_library
            .get(used)?
            .store(of_library, Ordering::Release);
        self.functions[used].store(function, Ordering::Release);
        self.used.store(used + 1, Ordering::Relaxed);
        Some(used)
    }
}

macro_rules! convention {
    ($table:ident, $guards:ident, $guard:ident, $kind:ident, ($own:ident: Object $(, $argument:ident: $type:ty)*)) => {
        static $table: Originals = Originals::new();

        unsafe extern "C-unwind" fn $guard<const PLACE: usize>($own: Object $(, $argument: $type)*) -> Object {
            // SAFETY: the table holds functions of this convention only, put there before this guard was called.
            let original = || unsafe {
                transmute::<*mut (), $kind>($table.get(PLACE))($own $(, $argument)*)
            };
            if $table.is_of_library(PLACE) {
                return library::guarded($own, original);
            }
            guarded(original)
        }

        const $guards: [$kind; PLACES] = places!($guard);
    };
}

macro_rules! places {
    ($guard:ident) => {
        places!($guard; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36
            37 38 39 40 41 42 43 44 45 46 47)
    };
    ($guard:ident; $($place:literal)*) => { [$($guard::<$place>),*] };
}

convention!(PLAIN, PLAIN_GUARDS, plain, Plain, (own: Object, argument: Object));
convention!(KEYWORDS, KEYWORDS_GUARDS, keywords, Keywords, (own: Object, arguments: Object, names: Object));
convention!(FAST, FAST_GUARDS, fast, Fast, (own: Object, arguments: *const Object, count: ffi::Py_ssize_t));
convention!(FAST_KEYWORDS, FAST_KEYWORDS_GUARDS, fast_keywords, FastKeywords,
    (own: Object, arguments: *const Object, count: ffi::Py_ssize_t, names: Object));
convention!(METHOD, METHOD_GUARDS, method, Method,
    (own: Object, class: Object, arguments: *const Object, count: ffi::Py_ssize_t, names: Object));

/// The guard for `function`, which is called as `flags` say; None for a convention that is not known, or a full table.
pub(super) fn guard_for(function: *mut (), flags: i32) -> Option<*mut ()> {
    guard(function, flags, false)
}

/// The same for a method of a library that has to be told to end its call.
pub(super) fn guard_for_library(function: *mut (), flags: i32) -> Option<*mut ()> {
    guard(function, flags, true)
}

fn guard(function: *mut (), flags: i32, of_library: bool) -> Option<*mut ()> {
    let place = |table: &Originals| table.place(function, of_library);
    match flags {
        ffi::METH_NOARGS | ffi::METH_O | ffi::METH_VARARGS => {
            Some(PLAIN_GUARDS[place(&PLAIN)?] as *mut ())
        }
        super::tables::KEYWORDS => Some(KEYWORDS_GUARDS[place(&KEYWORDS)?] as *mut ()),
        ffi::METH_FASTCALL => Some(FAST_GUARDS[place(&FAST)?] as *mut ()),
        super::tables::FAST_KEYWORDS => {
            Some(FAST_KEYWORDS_GUARDS[place(&FAST_KEYWORDS)?] as *mut ())
        }
        super::tables::METHOD => Some(METHOD_GUARDS[place(&METHOD)?] as *mut ()),
        _ => None,
    }
}
