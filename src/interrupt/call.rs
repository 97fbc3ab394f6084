//! Calling what a job is made of, with a worker's thread under it that must survive the end of the interpreter.

use std::hint::black_box;

use pyo3::exceptions::{PyBaseException, PyStopIteration};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::names::name;

// PyO3 declares the functions of CPython as "C", across which nothing may unwind. Up to CPython 3.13 a thread that wants the
// interpreter back while it finalizes is ended by `pthread_exit`, which unwinds: across "C" that is "FATAL: exception not
// rethrown". A declaration of our own as "C-unwind" does not help: LLVM keeps one declaration per symbol, and drops the
// guard where the other one wins. So they are called through pointers that it cannot see through.
type Call = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
type Release = unsafe extern "C-unwind" fn(*mut ffi::PyObject);

fn py_object_call() -> Call {
    let function = black_box(ffi::PyObject_Call as *const ());
    // SAFETY: the same function with the same parameters; "C-unwind" only adds what the caller must be ready for.
    unsafe { std::mem::transmute::<*const (), Call>(function) }
}

fn py_dec_ref() -> Release {
    let function = black_box(ffi::Py_DecRef as *const ());
    // SAFETY: as above.
    unsafe { std::mem::transmute::<*const (), Release>(function) }
}

/// Stops this thread for good when it is unwound, so that no frame above is. The process is about to end; no lock of ours
/// and not the interpreter is held here.
struct ParkOnUnwind;

impl Drop for ParkOnUnwind {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// `callable(*args, **kwargs)`; the exception is the object itself, normalized, with its traceback.
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> Result<Bound<'py, PyAny>, Bound<'py, PyBaseException>> {
    let py = callable.py();
    let guard = ParkOnUnwind;
    // SAFETY: attached, as the arguments show, which are a callable or not (then it raises), a tuple, and a dict or NULL,
    // all kept alive by the caller.
    let result = unsafe {
        py_object_call()(
            callable.as_ptr(),
            args.as_ptr(),
            kwargs.map_or(std::ptr::null_mut(), pyo3::Bound::as_ptr),
        )
    };
    std::mem::forget(guard);
    // SAFETY: a new reference, or NULL.
    unsafe { Bound::from_owned_ptr_or_opt(py, result) }.ok_or_else(|| raised(py))
}

type Send = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut *mut ffi::PyObject,
) -> ffi::PySendResult;

/// What came of one step of a coroutine or a generator.
#[derive(Debug)]
pub(crate) enum Sent<'py> {
    /// It waits for this, or gives it.
    Yielded(Bound<'py, PyAny>),
    Returned(Bound<'py, PyAny>),
    Raised(Bound<'py, PyBaseException>),
}

/// `coroutine.send(value)`.
pub(crate) fn send<'py>(coroutine: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Sent<'py> {
    let py = coroutine.py();
    let send = black_box(ffi::PyIter_Send as *const ());
    let mut result = std::ptr::null_mut();
    let guard = ParkOnUnwind;
    // SAFETY: the same function with the same parameters, as in `py_object_call`; attached, with references that the caller
    // keeps; what is not an iterator makes it fail.
    let how = unsafe {
        std::mem::transmute::<*const (), Send>(send)(
            coroutine.as_ptr(),
            value.as_ptr(),
            &raw mut result,
        )
    };
    std::mem::forget(guard);
    // SAFETY: a new reference, or NULL where it failed.
    let result = unsafe { Bound::from_owned_ptr_or_opt(py, result) };
    match (how, result) {
        (ffi::PySendResult::PYGEN_NEXT, Some(waits_for)) => Sent::Yielded(waits_for),
        (ffi::PySendResult::PYGEN_RETURN, Some(value)) => Sent::Returned(value),
        _ => Sent::Raised(raised(py)),
    }
}

/// `coroutine.throw(exception)`.
pub(crate) fn throw<'py>(
    coroutine: &Bound<'py, PyAny>,
    exception: &Bound<'py, PyBaseException>,
) -> Sent<'py> {
    let py = coroutine.py();
    let thrown = coroutine
        .getattr(name!(py, "throw"))
        .and_then(|throw| Ok((throw, PyTuple::new(py, [exception])?)))
        .map_err(|error| error.into_value(py).into_bound(py))
        .and_then(|(throw, args)| call(&throw, &args, None));
    match thrown {
        Ok(waits_for) => Sent::Yielded(waits_for),
        // It cannot raise one of its own: that becomes a RuntimeError.
        Err(end) => match end.cast::<PyStopIteration>() {
            Ok(_) => match end.getattr(name!(py, "value")) {
                Ok(value) => Sent::Returned(value),
                Err(error) => Sent::Raised(error.into_value(py).into_bound(py)),
            },
            Err(_) => Sent::Raised(end),
        },
    }
}

/// The exception that is set, taken off the thread.
///
/// Not `PyErr::take`, which resumes a panic where a job raised the exception of one: a panic in one job is that job's
/// failure, like any exception.
fn raised(py: Python<'_>) -> Bound<'_, PyBaseException> {
    #[cfg(Py_3_12)]
    // SAFETY: attached; the result is a new reference to a normalized exception, or NULL.
    let exception = unsafe {
        let exception = ffi::PyErr_GetRaisedException();
        Bound::from_owned_ptr_or_opt(py, exception)
    };
    #[cfg(not(Py_3_12))]
    let exception = {
        let (mut kind, mut value, mut traceback) = (
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        );
        // SAFETY: attached; the three are new references or NULL, and normalizing replaces them by such.
        unsafe {
            ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut traceback);
            ffi::PyErr_NormalizeException(&raw mut kind, &raw mut value, &raw mut traceback);
            if !value.is_null() && !traceback.is_null() {
                ffi::PyException_SetTraceback(value, traceback);
            }
            ffi::Py_XDECREF(kind);
            ffi::Py_XDECREF(traceback);
            Bound::from_owned_ptr_or_opt(py, value)
        }
    };
    exception
        .and_then(|exception| exception.cast_into().ok())
        .unwrap_or_else(|| {
            let error = pyo3::exceptions::PySystemError::new_err(
                "the call failed without saying why (a fault of the called extension)",
            );
            error.into_value(py).into_bound(py)
        })
}

type Restore = unsafe extern "C-unwind" fn(*mut ffi::PyThreadState);

/// Run `wait` without the interpreter, on a worker, within its job: getting it back may end the thread as a call may.
///
/// `wait` must not unwind, and needs nothing dropped.
pub(crate) fn detached(wait: impl FnOnce()) {
    let restore = black_box(ffi::PyEval_RestoreThread as *const ());
    // SAFETY: as in `py_object_call`.
    let restore = unsafe { std::mem::transmute::<*const (), Restore>(restore) };
    // SAFETY: attached, as every caller is; what is detached is attached again.
    unsafe {
        let state = ffi::PyEval_SaveThread();
        wait();
        restore(state);
    }
}

/// The thread handles no exception any more. A storm can leave one: it raises in the midst of the code that ends the
/// handling. To be called on a worker, after a job.
pub(crate) fn handle_nothing(_py: Python<'_>) {
    let handle = black_box(ffi::PyErr_SetHandledException as *const ());
    let guard = ParkOnUnwind;
    // SAFETY: the same function, as in `py_object_call`; attached, as the token shows; NULL is for no exception. What was
    // handled is dropped, which may run finalizers: hence the guard.
    unsafe { std::mem::transmute::<*const (), Release>(handle)(std::ptr::null_mut()) };
    std::mem::forget(guard);
}

/// Let go of an object on a worker: its finalizers may run Python code, so the same guard is needed.
pub(crate) fn release<T>(object: Bound<'_, T>) {
    let guard = ParkOnUnwind;
    // SAFETY: attached, as the object shows; its reference is given away.
    unsafe { py_dec_ref()(object.into_ptr()) };
    std::mem::forget(guard);
}
