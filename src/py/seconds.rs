//! Times and intervals as Python gives them: one reading for all of them.
//!
//! A number of seconds is an int, a float, or what has `__float__` or `__index__` (`Decimal`, `Fraction`, numpy's numbers). A bool
//! is none, since it is a slip. What cannot be (NaN, a negative interval) is a `ValueError` that names it; what is longer than
//! any process lives (`FOR_EVER`) means "never", as `inf` does.

use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta};

/// A time that no process lives for (136 years), and that every clock and the calendar can add.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// The moment after so long; None: never.
pub(crate) fn after(time: Duration) -> Option<Instant> {
    moment(Instant::now(), time)
}

/// The moment so long after another; None: never.
pub(crate) fn moment(since: Instant, time: Duration) -> Option<Instant> {
    (time < FOR_EVER).then(|| since.checked_add(time)).flatten()
}

/// A number of seconds that is not negative as a time; None: never.
pub(crate) fn span(seconds: f64) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    time.filter(|time| *time < FOR_EVER)
}

/// A number. One that no float has is infinite. Raises `TypeError` for what is none, and `ValueError` for NaN.
pub(crate) fn number(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let number = number_or_nan(name, wanted, value)?;
    if number.is_nan() {
        return Err(PyValueError::new_err(format!(
            "{name} must be {wanted}, not NaN"
        )));
    }
    Ok(number)
}

/// The same, with NaN for what is not one.
pub(crate) fn number_or_nan(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong(name, wanted, value));
    }
    match value.extract::<f64>() {
        Ok(number) => Ok(number),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => Ok(if value.gt(0)? {
            f64::INFINITY
        } else {
            f64::NEG_INFINITY
        }),
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => {
            Err(wrong(name, wanted, value))
        }
        // A NaN of `Decimal` that signals.
        Err(error) if error.is_instance_of::<PyValueError>(value.py()) => Ok(f64::NAN),
        Err(error) => Err(error),
    }
}

fn wrong(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value.get_type();
    let kind = kind
        .qualname()
        .map_or_else(|_| "?".to_owned(), |kind| kind.to_string());
    let hint = if value.is_instance_of::<PyDelta>() {
        ": it has total_seconds()"
    } else {
        ""
    };
    PyTypeError::new_err(format!("{name} must be {wanted}, not {kind}{hint}"))
}

const WANTED: &str = "a number of seconds or None";

/// How long a wait may take, of an argument of this name: None is no limit, what is 0 or less does not wait.
pub(crate) fn limit(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    match value.filter(|value| !value.is_none()) {
        None => Ok(None),
        Some(value) => number(name, WANTED, value).map(span),
    }
}

/// A time of more than 0 seconds, of an option; None for no such time, which is what `none_means`.
pub(crate) fn above_0(
    name: &str,
    value: &Bound<'_, PyAny>,
    none_means: &str,
) -> PyResult<Option<Duration>> {
    let time = option(name, value, none_means, "more than 0 seconds", |it| {
        it > 0.0
    })?;
    // One that is shorter than the clock counts is the shortest.
    Ok(time.map(|time| time.max(Duration::from_nanos(1))))
}

/// The same for a time that may be 0.
pub(crate) fn from_0(
    name: &str,
    value: &Bound<'_, PyAny>,
    none_means: &str,
) -> PyResult<Option<Duration>> {
    option(name, value, none_means, "0 seconds or more", |it| it >= 0.0)
}

fn option(
    name: &str,
    value: &Bound<'_, PyAny>,
    none_means: &str,
    wanted: &str,
    may_be: impl Fn(f64) -> bool,
) -> PyResult<Option<Duration>> {
    if value.is_none() {
        return Ok(None);
    }
    let seconds = number_or_nan(name, WANTED, value)?;
    // No NaN is.
    if may_be(seconds) {
        return Ok(span(seconds));
    }
    Err(PyValueError::new_err(format!(
        "{name} must be {wanted}, or None {none_means}; got {}",
        shown(value)
    )))
}

/// What was given, in an error.
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 40;
    match value.str() {
        Ok(text) => {
            let text = text.to_string_lossy();
            if text.chars().nth(LONGEST).is_none() {
                text.into_owned()
            } else {
                text.chars().take(LONGEST).chain(['…']).collect()
            }
        }
        // Python has no digits for an int of more than 4,300.
        Err(_) => "a number of very many digits".to_owned(),
    }
}

/// An argument in seconds that has a default other than None: it is read where its name is known.
#[derive(Debug)]
pub(crate) enum Given<'py> {
    /// Nothing was given.
    Default,
    /// This, which may be None.
    Value(Bound<'py, PyAny>),
}

impl Given<'_> {
    /// How long a wait may take, of an argument of this name.
    pub(crate) fn limit(&self, name: &str, default: Duration) -> PyResult<Option<Duration>> {
        match self {
            Self::Default => Ok(Some(default)),
            Self::Value(value) => limit(name, Some(value)),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Value(value.to_owned()))
    }
}

/// For the Python half: how long a wait may take, of an argument of this name; None for no limit.
#[pyfunction]
#[pyo3(signature = (name, value, /))]
pub(crate) fn wait_limit(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    Ok(limit(name, Some(value))?.map(|time| time.as_secs_f64()))
}
