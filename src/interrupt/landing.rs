//! The moment at which a strike lands, on the thread that it hits.
//!
//! From `CPython` 3.12 on an exception that is sent to a thread is made where it is raised: its class is called there. So what is
//! sent is a class of ours, the *carrier*, whose constructor runs on the thread itself, at the very place, and
//!
//! - gives an instance of the class that the kill asked for;
//! - begins the storm, when it is time for that;
//! - runs what would not run at all any more. From 3.13 on a strike may be raised one step later than where its thread was
//!   seen (the interpreter reads what there is to do before it lets another thread have its turn). At worst that is the first
//!   instruction of `__exit__`: then what the `with` block holds would never be given back, since nothing of `__exit__` has run
//!   and nobody calls it again.
//!
//! Up to 3.11 an exception is made later, where it is caught: there the class itself is sent, and nobody is late: the striker's own
//! look is enough.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

use pyo3::exceptions::{PyBaseException, PyInterruptedError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use super::beat::here;
use super::call;
use super::frame::Frame;
use super::guard::{ENTER_GENERATOR, GIVING, SPARED};
use super::slot::Slot;
use crate::core::once::Once;

/// Flags of a code object: `*args`, `**kwargs`; a generator, a coroutine or an asynchronous generator.
const VARARGS: usize = 0x4;
const VARKEYWORDS: usize = 0x8;
const SUSPENDS: usize = 0x20 | 0x80 | 0x200;

static CARRIER: Once<Option<Py<PyType>>> = Once::new();

/// The class to send in the place of the one that was asked for; None where it would not be called in time (but for a storm, which
/// may begin later), or could not be made.
pub(super) fn carrier(py: Python<'_>, is_storm: bool) -> Option<&Bound<'_, PyType>> {
    if cfg!(not(Py_3_12)) && !is_storm {
        return None;
    }
    Some(CARRIER.get()?.as_ref()?.bind(py))
}

/// Make the carrier; once, before anything is sent.
pub(crate) fn prepare(py: Python<'_>) {
    CARRIER.get_or_make(|| {
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
            name: c"rjobs.Carrier".as_ptr(),
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
}

unsafe extern "C" fn arrive(
    _: *mut ffi::PyTypeObject,
    _: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a constructor is called attached.
    let py = unsafe { Python::assume_attached() };
    let made = match here() {
        Some(slot) => slot.land(py),
        None => Ok(PyInterruptedError::new_err(())
            .into_value(py)
            .into_bound(py)),
    };
    match made {
        Ok(exception) => exception.into_ptr(),
        Err(error) => {
            PyErr::from_value(error.into_any()).restore(py);
            null_mut()
        }
    }
}

type Made<'py> = Result<Bound<'py, PyBaseException>, Bound<'py, PyBaseException>>;

impl Slot {
    /// A strike is being raised, on the thread itself: the exception to raise.
    fn land<'py>(&self, py: Python<'py>) -> Made<'py> {
        let was_landing = self.landing.swap(true, Ordering::AcqRel);
        let context = if self.storm.gathers() {
            self.storm.begin(py);
            None
        } else if was_landing {
            // One more, in what the last one has run.
            None
        } else {
            Unrun::here(py).and_then(|unrun| unrun.run().err())
        };
        let made = self.make(py);
        self.landing.store(was_landing, Ordering::Release);
        if let (Ok(exception), Some(context)) = (&made, context) {
            // Cannot fail: both are exceptions.
            let _ = exception.setattr("__context__", context);
        }
        made
    }

    /// Set what was sent last as the exception of this thread. To be called by the worker itself, attached, in a job that
    /// something was sent to.
    pub(super) fn set_sent(&self, py: Python<'_>) {
        let was_landing = self.landing.swap(true, Ordering::AcqRel);
        let (Ok(exception) | Err(exception)) = self.make(py);
        self.landing.store(was_landing, Ordering::Release);
        // SAFETY: attached; an exception and its class. It is chained to the one that is handled, if any.
        unsafe { ffi::PyErr_SetObject(exception.get_type().as_ptr(), exception.as_ptr()) };
    }

    /// An instance of what was sent last, or what came of making one. Its class may run code.
    fn make<'py>(&self, py: Python<'py>) -> Made<'py> {
        let class = match self.sent(py) {
            Some(class) => class.into_bound(py),
            None => py.get_type::<PyInterruptedError>(),
        };
        let made = call::call(&class, &PyTuple::empty(py), None)?;
        Ok(made
            .cast_into()
            .unwrap_or_else(|error| PyErr::from(error).into_value(py).into_bound(py)))
    }
}

/// What has to run and will not: a call of `__exit__` of which nothing has run, or the end of a generator whose `with` block was
/// entered and that nobody knows of yet.
struct Unrun<'py> {
    function: Bound<'py, PyAny>,
    arguments: Bound<'py, PyTuple>,
    names: Bound<'py, PyDict>,
}

impl<'py> Unrun<'py> {
    /// Where the calling thread stands, if there is such a thing.
    fn here(py: Python<'py>) -> Option<Self> {
        Self::of(py, &Frame::here(py)?).ok().flatten()
    }

    fn of(py: Python<'py>, frame: &Frame<'py>) -> PyResult<Option<Self>> {
        if frame.code() == ENTER_GENERATOR.load(Ordering::Acquire) {
            let generator = frame
                .as_any()
                .getattr("f_locals")?
                .get_item("self")?
                .getattr("gen")?;
            return Ok(Some(Self {
                function: generator.getattr("close")?,
                arguments: PyTuple::empty(py),
                names: PyDict::new(py),
            }));
        }
        if !is_before_exit(frame)? {
            return Ok(None);
        }
        let code = frame.as_any().getattr("f_code")?;
        let flags: usize = code.getattr("co_flags")?.extract()?;
        let locals = frame.as_any().getattr("f_locals")?;
        let mut variables = code.getattr("co_varnames")?.try_iter()?;
        let mut take = |count: usize| -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
            let with_value = |name: PyResult<Bound<'py, PyAny>>| {
                let name = name?;
                let value = locals.get_item(&name)?;
                Ok((name, value))
            };
            variables.by_ref().take(count).map(with_value).collect()
        };
        let mut arguments: Vec<_> = take(code.getattr("co_argcount")?.extract()?)?
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        let names = PyDict::new(py);
        for (name, value) in take(code.getattr("co_kwonlyargcount")?.extract()?)? {
            names.set_item(name, value)?;
        }
        if flags & VARARGS != 0 {
            for (_, rest) in take(1)? {
                arguments.extend(rest.try_iter()?.collect::<PyResult<Vec<_>>>()?);
            }
        }
        if flags & VARKEYWORDS != 0 {
            for (_, rest) in take(1)? {
                names.update(rest.cast()?)?;
            }
        }
        let Some(own) = arguments.first() else {
            return Ok(None);
        };
        // A frame does not tell its function: it is the one of this code in one of the classes of its `self`.
        for class in own.get_type().mro() {
            let function = class
                .getattr("__dict__")?
                .get_item(code.getattr("co_name")?)
                .ok();
            let Some(function) = function else { continue };
            if function
                .getattr_opt("__code__")?
                .is_some_and(|its| its.is(&code))
            {
                let arguments = PyTuple::new(py, arguments)?;
                return Ok(Some(Self {
                    function,
                    arguments,
                    names,
                }));
            }
        }
        Ok(None)
    }

    fn run(self) -> Result<(), Bound<'py, PyBaseException>> {
        call::call(&self.function, &self.arguments, Some(&self.names)).map(|_| ())
    }
}

/// Whether this frame stands at the beginning of `__exit__`, or of what gives a permit back.
pub(super) fn is_before_exit(frame: &Frame<'_>) -> PyResult<bool> {
    let code = frame.as_any().getattr("f_code")?;
    let is_exit = code.getattr("co_name")?.eq("__exit__")?
        || SPARED[GIVING..]
            .iter()
            .any(|known| known.load(Ordering::Acquire) == code.as_ptr());
    if !is_exit || code.getattr("co_flags")?.extract::<usize>()? & SUSPENDS != 0 {
        return Ok(false);
    }
    Ok(usize::try_from(frame.at()).ok() == begin(&code)?)
}

/// Where a function's code begins, behind what prepares its variables: the offset of its first `RESUME`, which is what a function
/// that does nothing begins with.
fn begin(code: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let py = code.py();
    let Some(nothing) = super::pending::nothing(py) else {
        return Ok(None);
    };
    let nothing = nothing.getattr("__code__")?.getattr("co_code")?;
    let resume = nothing.cast::<PyBytes>()?.as_bytes().first().copied();
    let code = code.getattr("co_code")?;
    let mut operations = code.cast::<PyBytes>()?.as_bytes().iter().step_by(2);
    Ok(operations
        .position(|operation| Some(*operation) == resume)
        .map(|place| place * 2))
}
