//! What a Python function is, without asking for its attributes: each job that is submitted is looked at.
//!
//! A code object does not show its flags but as an attribute, which costs a tenth of a small job. So the place where they are is
//! looked for once, as in `pending.rs`: it is the one where, in each of a few codes, the number stands that the attribute gives.

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFunction};

use super::names::name;
use crate::core::once::Once;

/// The first so many numbers of a code object are looked at. It is larger in all versions.
const NUMBERS: usize = 24;

/// Functions with flags of many kinds.
const SAMPLES: &std::ffi::CStr = c"
def plain(): pass
def takes(*args, **kwargs): pass
def generates(): yield
async def waits(): pass
async def both(*args): yield
";

fn code(function: &Bound<'_, PyFunction>) -> *const c_int {
    // SAFETY: attached; a function, which keeps its code alive.
    unsafe { ffi::PyFunction_GetCode(function.as_ptr()) }
        .cast_const()
        .cast()
}

/// The flags as the attribute has them.
fn attribute(function: &Bound<'_, PyFunction>) -> Option<c_int> {
    let py = function.py();
    let code = function.getattr(name!(py, "__code__")).ok()?;
    let flags = code.getattr(name!(py, "co_flags")).ok()?;
    flags.extract().ok()
}

/// Where the flags are; None where that could not be told.
fn place(py: Python<'_>) -> Option<usize> {
    static PLACE: Once<Option<usize>> = Once::new();
    *PLACE.get_or_make(|| {
        let names = PyDict::new(py);
        py.run(SAMPLES, Some(&names), None).ok()?;
        let samples: Vec<_> = names
            .values()
            .iter()
            .filter_map(|value| value.cast_into::<PyFunction>().ok())
            .filter_map(|function| attribute(&function).map(|flags| (function, flags)))
            .collect();
        // SAFETY: in the code object, see `NUMBERS`.
        let read = |function, at| unsafe { code(function).add(at).read() };
        let mut found = (0..NUMBERS).filter(|at| {
            samples
                .iter()
                .all(|(function, flags)| read(function, *at) == *flags)
        });
        found
            .next()
            .filter(|_| samples.len() > 3 && found.next().is_none())
    })
}

/// Find the place, when rjobs is imported: `Python::run` keeps others waiting while it makes what it needs (see `core::once`).
pub(crate) fn prepare(py: Python<'_>) {
    place(py);
}

/// `function.__code__.co_flags`. Runs no Python code.
pub(crate) fn flags(function: &Bound<'_, PyFunction>) -> c_int {
    match place(function.py()) {
        // SAFETY: where the flags of every code object are.
        Some(place) => unsafe { code(function).add(place).read() },
        None => attribute(function).unwrap_or(0),
    }
}
