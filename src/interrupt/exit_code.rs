//! The exit code of a program that ends by `SystemExit`, known while the interpreter is still to be finalized.
//!
//! The interpreter reads `code` of the exception when no Python code runs any more, and keeps what it made of it to itself. A
//! process that must be ended before it comes to its end by itself (`last_rung.rs`) is to end with that code all the same. So
//! the slot of `SystemExit` by which attributes are read is one that notes `code` where no frame of Python's is running; who
//! reads it in a program has a frame. Classes derived from it have a slot of their own, and are not seen.
//!
//! Up to CPython 3.11 `sys.exit` makes no exception: that is made where somebody handles it, also by `finally` or `with`. So there
//! what it was called with is noted, and forgotten as soon as an exception is made.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use super::thread;
use crate::core::once::Once;

type Object = *mut ffi::PyObject;
type GetAttribute = unsafe extern "C-unwind" fn(Object, Object) -> Object;

/// What stands for "not said".
const NOTHING: i64 = i64::MIN;

static SAID: AtomicI64 = AtomicI64::new(NOTHING);

struct Before {
    get: GetAttribute,
    /// The thread that ends the program.
    main: std::ffi::c_ulong,
}

static BEFORE: Once<Before> = Once::new();

/// Note it from here on. To be called on the main thread; once is enough.
pub(crate) fn watch(py: Python<'_>) {
    let _ = py;
    // SAFETY: attached, so the class is there, and nobody else changes it: it is a class of C. The function is the same with the
    // same parameters; "C-unwind" only adds what a thread may do that is ended within it.
    unsafe {
        let class = ffi::PyExc_SystemExit.cast::<ffi::PyTypeObject>();
        let Some(get) = (*class).tp_getattro else {
            return;
        };
        if BEFORE.get().is_some() {
            return;
        }
        let get = std::mem::transmute::<ffi::getattrofunc, GetAttribute>(get);
        let main = thread::ident();
        BEFORE.keep(Before { get, main });
        (*class).tp_getattro = Some(std::mem::transmute::<GetAttribute, ffi::getattrofunc>(
            get_attribute,
        ));
    }
    #[cfg(not(Py_3_12))]
    let _ = unmade::watch(py);
}

/// The code that was read at the end, if one was.
pub(super) fn said() -> Option<c_int> {
    match SAID.load(Ordering::Acquire) {
        NOTHING => None,
        #[allow(clippy::cast_possible_truncation, reason = "as the interpreter does")]
        code => Some(code as c_int),
    }
}

unsafe extern "C-unwind" fn get_attribute(object: Object, name: Object) -> Object {
    let Some(before) = BEFORE.get() else {
        // Not reached: it is kept before the slot is changed.
        return std::ptr::null_mut();
    };
    // SAFETY: called as the original is, and attached as it asks for.
    unsafe {
        let value = (before.get)(object, name);
        if !value.is_null() && ffi::PyEval_GetFrame().is_null() && thread::ident() == before.main {
            let is_code = ffi::PyUnicode_CompareWithASCIIString(name, c"code".as_ptr()) == 0;
            if is_code {
                note(value);
            }
        }
        value
    }
}

/// # Safety
/// Attached, with an object.
unsafe fn note(code: Object) {
    // SAFETY: as asked of the caller.
    let said = unsafe {
        if code == ffi::Py_None() {
            0
        } else if ffi::PyLong_Check(code) != 0 {
            let mut overflow = 0;
            // The result is -1 where it is too large, as with the interpreter.
            let said = ffi::PyLong_AsLongAndOverflow(code, &raw mut overflow);
            #[allow(clippy::useless_conversion, reason = "32 bits on Windows")]
            i64::from(said)
        } else {
            // Anything else is printed.
            1
        }
    };
    SAID.store(said, Ordering::Release);
}

#[cfg(not(Py_3_12))]
mod unmade {
    use std::ffi::c_int;

    use pyo3::ffi;
    use pyo3::prelude::*;

    use super::{BEFORE, NOTHING, Object, Ordering, SAID, note};
    use crate::core::once::Once;
    use crate::interrupt::thread;

    type Exit = unsafe extern "C-unwind" fn(Object, *const Object, ffi::Py_ssize_t) -> Object;
    type Make = unsafe extern "C-unwind" fn(Object, Object, Object) -> c_int;

    static EXIT: Once<Exit> = Once::new();
    static MAKE: Once<Make> = Once::new();

    /// As for the slot of attributes.
    pub(super) fn watch(py: Python<'_>) -> PyResult<()> {
        let function = py.import("sys")?.getattr("exit")?;
        // SAFETY: attached; it is looked at as what it is seen to be, and what is put in its place has the same parameters.
        unsafe {
            let class = ffi::PyExc_SystemExit.cast::<ffi::PyTypeObject>();
            let is_builtin = ffi::PyCFunction_CheckExact(function.as_ptr()) != 0;
            let (true, Some(make)) = (is_builtin, (*class).tp_init) else {
                return Ok(());
            };
            let method = (*function.as_ptr().cast::<ffi::PyCFunctionObject>()).m_ml;
            if (*method).ml_flags != ffi::METH_FASTCALL {
                return Ok(());
            }
            let exit = (*method).ml_meth.PyCFunctionFast;
            EXIT.keep(std::mem::transmute::<ffi::PyCFunctionFast, Exit>(exit));
            MAKE.keep(std::mem::transmute::<ffi::initproc, Make>(make));
            (*class).tp_init = Some(std::mem::transmute::<Make, ffi::initproc>(made));
            (*method).ml_meth.PyCFunctionFast =
                std::mem::transmute::<Exit, ffi::PyCFunctionFast>(exits);
        }
        Ok(())
    }

    fn is_main() -> bool {
        BEFORE
            .get()
            .is_some_and(|before| thread::ident() == before.main)
    }

    unsafe extern "C-unwind" fn exits(
        module: Object,
        arguments: *const Object,
        count: ffi::Py_ssize_t,
    ) -> Object {
        // SAFETY: called as the original is, with as many arguments as it says.
        unsafe {
            if is_main() {
                match count {
                    0 => SAID.store(0, Ordering::Release),
                    1 => note(*arguments),
                    _ => {}
                }
            }
            EXIT.get()
                .map_or(std::ptr::null_mut(), |exit| exit(module, arguments, count))
        }
    }

    unsafe extern "C-unwind" fn made(object: Object, args: Object, kwargs: Object) -> c_int {
        if is_main() {
            SAID.store(NOTHING, Ordering::Release);
        }
        // SAFETY: called as the original is.
        MAKE.get()
            .map_or(-1, |make| unsafe { make(object, args, kwargs) })
    }
}
