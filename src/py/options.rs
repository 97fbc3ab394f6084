//! The options of a job: what `new(**options)` and `options(**options)` take.

use std::time::Duration;

use pyo3::exceptions::{PyNotImplementedError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use super::manager::count_of;

/// How a job is run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) name: Option<Box<str>>,
    /// Of the run.
    pub(crate) timeout: Option<Duration>,
    /// False: the exit of the interpreter waits for the job.
    pub(crate) daemon: bool,
    /// How many of its values may wait to be read; None for the default.
    pub(crate) buffersize: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            timeout: None,
            daemon: true,
            buffersize: None,
        }
    }
}

const KNOWN: &str = "name, timeout, daemon, buffersize";
/// Part of the contract, and not built yet.
const PLANNED: [&str; 11] = [
    "ttl",
    "result_ttl",
    "retry",
    "after",
    "priority",
    "limit",
    "on",
    "cache",
    "lock",
    "profile",
    "echo",
];

impl Options {
    /// These options with `given` on top.
    pub(crate) fn with(&self, given: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut options = self.clone();
        for (key, value) in given.into_iter().flatten() {
            let key = key.cast_into::<PyString>()?;
            let key = key.to_string_lossy();
            match &*key {
                "name" => options.name = name(&value)?,
                "timeout" => options.timeout = timeout(&value)?,
                "daemon" => {
                    options.daemon = value
                        .cast::<PyBool>()
                        .map_err(|_| wrong(&key, "True or False", &value))?
                        .is_true();
                }
                "buffersize" => options.buffersize = buffersize(&value)?,
                planned if PLANNED.contains(&planned) => {
                    return Err(PyNotImplementedError::new_err(format!(
                        "the option {planned} is not built yet in this version of rjobs; it has: {KNOWN}",
                        planned = Quoted(planned)
                    )));
                }
                unknown => {
                    let unknown = Quoted(unknown);
                    return Err(PyTypeError::new_err(format!(
                        "unknown option {unknown}: the options are {KNOWN}. A keyword argument of the function \
                         goes into kw={{...}}, or use submit(fn, *args, **kwargs)"
                    )));
                }
            }
        }
        Ok(options)
    }
}

fn name(value: &Bound<'_, PyAny>) -> PyResult<Option<Box<str>>> {
    if value.is_none() {
        return Ok(None);
    }
    let name = value
        .cast::<PyString>()
        .map_err(|_| wrong("name", "a str or None", value))?;
    Ok(Some(name.to_string_lossy().into()))
}

fn buffersize(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() {
        return Ok(None);
    }
    if value.is_instance_of::<PyBool>() {
        return Err(wrong("buffersize", "an int or None", value));
    }
    count_of("buffersize", value, 1, "1 or more, or None").map(Some)
}

fn timeout(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if value.is_none() {
        return Ok(None);
    }
    let seconds: f64 = value
        .extract()
        .map_err(|_| wrong("timeout", "a number of seconds or None", value))?;
    if seconds.is_nan() || seconds <= 0.0 {
        return Err(PyValueError::new_err(format!(
            "timeout must be more than 0 seconds, or None for no limit; got {seconds}"
        )));
    }
    // Endless, or more than the clock can count: no limit.
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

fn wrong(option: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value.get_type();
    let kind = kind
        .qualname()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{option} must be {wanted}, not {kind}"))
}

/// A name in quotes, as Python shows it.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "'{}'", self.0.escape_debug())
    }
}
