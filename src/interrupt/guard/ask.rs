//! What a call of `acquire(blocking=True, timeout=-1)` asks for, read without running any Python code.

use std::ffi::CStr;
use std::ptr::null_mut;

use pyo3::ffi;

use super::Object;

/// Longer time limits are too long for the original as well, which says so.
pub(super) const LONGEST: f64 = 9_223_372_036.8;

/// The parameters of `acquire`. A semaphore between processes has names of its own, and its `timeout=None` means no limit.
fn parameters(is_semaphore: bool) -> [&'static CStr; 2] {
    [
        if is_semaphore { c"block" } else { c"blocking" },
        c"timeout",
    ]
}

/// What a call of `acquire` asks for.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) blocking: bool,
    /// Seconds; None for no limit.
    pub(super) time: Option<f64>,
}

impl Ask {
    pub(super) const FOREVER: Self = Self {
        blocking: true,
        time: None,
    };

    /// None for what only the original understands, or refuses.
    pub(super) unsafe fn of_tuple(
        is_semaphore: bool,
        arguments: Object,
        names: Object,
    ) -> Option<Self> {
        // SAFETY: a tuple, and a dict or NULL; all references are borrowed.
        unsafe {
            let count = ffi::PyTuple_Size(arguments);
            let mut given = if names.is_null() {
                0
            } else {
                ffi::PyDict_Size(names)
            };
            if count == 0 && given == 0 {
                return Some(Self::FOREVER);
            }
            let mut found = [null_mut(); 2];
            for (index, name) in (0..).zip(parameters(is_semaphore)) {
                if index < count {
                    found[usize::try_from(index).ok()?] = ffi::PyTuple_GetItem(arguments, index);
                } else if given > 0 {
                    let value = ffi::PyDict_GetItemString(names, name.as_ptr());
                    given -= ffi::Py_ssize_t::from(!value.is_null());
                    found[usize::try_from(index).ok()?] = value;
                }
            }
            if count > 2 || given > 0 {
                return None;
            }
            Self::of(is_semaphore, found)
        }
    }

    /// The same for arguments in a row.
    pub(super) unsafe fn of_array(
        is_semaphore: bool,
        arguments: *const Object,
        count: ffi::Py_ssize_t,
        names: Object,
    ) -> Option<Self> {
        // SAFETY: `count` arguments, then one for each name; all references are borrowed.
        unsafe {
            let given = if names.is_null() {
                0
            } else {
                ffi::PyTuple_Size(names)
            };
            if count + given > 2 {
                return None;
            }
            let count = usize::try_from(count).ok()?;
            let mut found = [null_mut(); 2];
            for (index, place) in found.iter_mut().enumerate().take(count) {
                *place = *arguments.add(index);
            }
            for index in 0..usize::try_from(given).ok()? {
                let name = ffi::PyTuple_GetItem(names, index.try_into().ok()?);
                let is_it = |parameter: &&CStr| {
                    ffi::PyUnicode_CompareWithASCIIString(name, parameter.as_ptr()) == 0
                };
                let place = parameters(is_semaphore).iter().position(is_it)?;
                if place < count {
                    return None;
                }
                found[place] = *arguments.add(count + index);
            }
            Self::of(is_semaphore, found)
        }
    }

    unsafe fn of(is_semaphore: bool, [blocking, time]: [Object; 2]) -> Option<Self> {
        // SAFETY: borrowed references or NULL; only objects of known types are read.
        unsafe {
            let blocking = match blocking {
                blocking if blocking.is_null() || blocking == ffi::Py_True() => true,
                blocking if blocking == ffi::Py_False() => false,
                // 0 or 1; what else an int may mean the original knows.
                blocking if ffi::PyLong_CheckExact(blocking) != 0 => {
                    match number(blocking)?.to_bits() {
                        bits if bits == 0.0_f64.to_bits() => false,
                        bits if bits == 1.0_f64.to_bits() => true,
                        _ => return None,
                    }
                }
                _ => return None,
            };
            let time = if time.is_null() || (is_semaphore && time == ffi::Py_None()) {
                None
            } else {
                Some(number(time)?)
                    .filter(|time| is_semaphore || time.to_bits() != (-1.0_f64).to_bits())
            };
            // Wrong, or too long for the original: it says so.
            if time.is_some_and(|time| !blocking || !(0.0..LONGEST).contains(&time)) {
                return None;
            }
            Some(Self { blocking, time })
        }
    }
}

/// A float or an int, or one of a subclass; None for anything else.
pub(super) unsafe fn number(object: Object) -> Option<f64> {
    // SAFETY: a borrowed reference; its type is looked at first.
    unsafe {
        if ffi::PyFloat_Check(object) != 0 {
            return Some(ffi::PyFloat_AsDouble(object));
        }
        if ffi::PyLong_Check(object) == 0 {
            return None;
        }
        let number = ffi::PyLong_AsDouble(object);
        if number < 0.0 && !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(number)
    }
}
