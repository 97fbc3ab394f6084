//! The last means against a job that catches every exception and goes on: each of its lines raises, until it ends.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::beat::here;
use super::call;

/// One worker's.
#[derive(Debug, Default)]
pub(super) struct Storm {
    rages: AtomicBool,
    /// What is sent next begins it.
    gathers: AtomicBool,
    /// The exception is being made, which may run code of its class.
    pauses: AtomicBool,
    /// The trace function that was set before: a debugger's, or one that measures coverage.
    before: Mutex<Option<Py<PyAny>>>,
}

impl Storm {
    /// What is raised next on the thread begins it.
    pub(super) fn gather(&self) {
        self.gathers.store(true, Ordering::Release);
    }

    pub(super) fn gathers(&self) -> bool {
        self.gathers.load(Ordering::Acquire)
    }

    /// On the thread itself: from here on each line raises.
    pub(super) fn begin(&self, py: Python<'_>) {
        if self.rages.swap(true, Ordering::AcqRel) {
            return;
        }
        let before = py
            .import("sys")
            .and_then(|sys| sys.call_method0("gettrace"))
            .ok()
            .filter(|before| !before.is_none());
        *self.before.lock() = before.map(Bound::unbind);
        // SAFETY: attached; the function fits, and needs no object of its own.
        unsafe { ffi::PyEval_SetTrace(Some(trace), null_mut()) };
    }

    /// On the thread itself, when the job is over.
    pub(super) fn end(&self, py: Python<'_>) {
        self.gathers.store(false, Ordering::Release);
        self.pauses.store(false, Ordering::Release);
        if !self.rages.swap(false, Ordering::AcqRel) {
            return;
        }
        // SAFETY: attached; takes the function away.
        unsafe { ffi::PyEval_SetTrace(None, null_mut()) };
        let before = self.before.lock().take();
        if let Some(before) = before
            && let Err(error) = py
                .import("sys")
                .and_then(|sys| sys.call_method1("settrace", (before,)))
        {
            error.write_unraisable(py, None);
        }
    }
}

/// Raises what was sent, at each call and each line; but not in what runs held off, nor in library code that holds a lock.
unsafe extern "C" fn trace(
    _: *mut ffi::PyObject,
    _: *mut ffi::PyFrameObject,
    what: c_int,
    _: *mut ffi::PyObject,
) -> c_int {
    let is_step = matches!(
        what,
        ffi::PyTrace_CALL | ffi::PyTrace_LINE | ffi::PyTrace_OPCODE
    );
    let Some(slot) = here().filter(|_| is_step) else {
        return 0;
    };
    // SAFETY: a trace function is called attached.
    let py = unsafe { Python::assume_attached() };
    if slot.is_held() || slot.is_spared(py) {
        return 0;
    }
    if slot.storm().pauses.swap(true, Ordering::AcqRel) {
        return 0;
    }
    let exception = slot
        .sent(py)
        .map(|class| call::call(class.bind(py), &PyTuple::empty(py), None));
    slot.storm().pauses.store(false, Ordering::Release);
    match exception {
        Some(Ok(exception)) => PyErr::from_value(exception).restore(py),
        Some(Err(error)) => PyErr::from_value(error.into_any()).restore(py),
        None => return 0,
    }
    -1
}

/// A class that, sent to a thread, begins the storm there: its constructor runs on that thread, at the moment of arrival, and
/// gives an instance of the class that the kill asked for. None where it could not be made.
pub(super) fn carrier(py: Python<'_>) -> Option<&Bound<'_, PyType>> {
    static CARRIER: PyOnceLock<Option<Py<PyType>>> = PyOnceLock::new();
    let carrier = CARRIER.get_or_init(py, || {
        let mut slots = [
            ffi::PyType_Slot {
                slot: ffi::Py_tp_new,
                pfunc: arrive as *mut c_void,
            },
            ffi::PyType_Slot {
                slot: 0,
                pfunc: null_mut(),
            },
        ];
        let mut spec = ffi::PyType_Spec {
            name: c"rjobs.Insistence".as_ptr(),
            basicsize: 0,
            itemsize: 0,
            flags: u32::try_from(ffi::Py_TPFLAGS_DEFAULT).ok()?,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: attached; the specification is complete, and copied; the base is a class. A new reference or NULL.
        unsafe {
            let class = ffi::PyType_FromSpecWithBases(&raw mut spec, ffi::PyExc_BaseException);
            let class = Bound::from_owned_ptr_or_err(py, class).ok()?;
            Some(class.cast_into::<PyType>().ok()?.unbind())
        }
    });
    carrier.as_ref().map(|carrier| carrier.bind(py))
}

unsafe extern "C" fn arrive(
    _: *mut ffi::PyTypeObject,
    _: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a constructor is called attached.
    let py = unsafe { Python::assume_attached() };
    let class = here().and_then(|slot| {
        slot.storm().begin(py);
        slot.sent(py)
    });
    let class = class.map_or_else(
        || py.get_type::<pyo3::exceptions::PyInterruptedError>(),
        |class| class.into_bound(py),
    );
    match call::call(&class, &PyTuple::empty(py), None) {
        Ok(exception) => exception.into_ptr(),
        Err(error) => {
            PyErr::from_value(error.into_any()).restore(py);
            null_mut()
        }
    }
}
