//! What was called wrongly, and what was probably meant.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::held;
use super::lookup::did_you_mean;
use super::options::{KNOWN, PLANNED, Quoted};
use super::{shim, text};
use crate::interrupt::names::name;

/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// A callable, or an error that says what was expected. `method` is what was called.
pub(crate) fn must_be_callable(callable: &Bound<'_, PyAny>, method: &str) -> PyResult<()> {
    if callable.is_callable() {
        return Ok(());
    }
    if callable.is_instance_of::<PyString>() {
        let code = short(callable);
        return Err(PyTypeError::new_err(format!(
            "a job is a callable, not str, and {method} runs no code: give the function itself, without quotes, and its \
             arguments; or run the code by jobs.new({code})"
        )));
    }
    let kind = callable.get_type().qualname()?;
    let (instead, of) = match method {
        "every" => ("every(seconds, f, x)", "every(seconds, f(x))"),
        "then" => ("then(f)", "then(f(x))"),
        "chain" => ("chain(f, g)", "chain(f(x), g(x))"),
        "submit" => ("submit(f, x)", "submit(f(x))"),
        _ => ("new(f, x)", "new(f(x))"),
    };
    let also = if method == "new" {
        " or a str of code"
    } else {
        ""
    };
    Err(PyTypeError::new_err(format!(
        "a job is a callable{also}, not {kind}: to run a call in the background, give the function and its arguments, {instead}, \
         and not its result, {of}"
    )))
}

/// An error where keyword arguments have the names of options and the function, for certain, takes none of that name: options
/// were meant. Looked at only where a name is an option's.
pub(crate) fn must_take(
    callable: &Bound<'_, PyAny>,
    kwargs: Option<&Bound<'_, PyDict>>,
    call: &str,
) -> PyResult<()> {
    let Some(kwargs) = kwargs else {
        return Ok(());
    };
    let mut suspects = Vec::new();
    for key in kwargs.keys() {
        if let Ok(name) = key.extract::<String>()
            && is_known(&name)
        {
            suspects.push(name);
        }
    }
    if suspects.is_empty() {
        return Ok(());
    }
    let py = callable.py();
    // It is a help only: where it cannot be told, the call itself is tried.
    let refused = held::undisturbed(py, || {
        shim::KEYWORDS_NOT_TAKEN.call(py, (callable, suspects))
    });
    let refused = refused
        .and_then(|names| names.extract::<Vec<String>>())
        .unwrap_or_default();
    if refused.is_empty() {
        return Ok(());
    }
    let mut given = Vec::new();
    for name in &refused {
        let value = kwargs.get_item(name)?;
        let value = value.map_or_else(|| "...".to_owned(), |value| short(&value));
        given.push(format!("{name}={value}"));
    }
    let name = callable
        .getattr(name!(py, "__name__"))
        .and_then(|name| name.extract::<String>())
        .unwrap_or_else(|_| "the function".to_owned());
    Err(PyTypeError::new_err(format!(
        "{name} takes no argument {}: what is an option of the job stands in options(), \
         jobs.options({}).{call}",
        Quoted(&refused[0]),
        given.join(", ")
    )))
}

/// Whether a keyword is the name of an option.
fn is_known(keyword: &str) -> bool {
    KNOWN.contains(&keyword) || PLANNED.contains(&keyword)
}

/// What an option of a job means nothing for many items, or something else than what was meant: what to do instead.
pub(crate) fn unfit_for_items(option: &str) -> Option<&'static str> {
    match option {
        "retry" => {
            Some("retry= does not go with map: see group.retry_failed(), or retry in the function")
        }
        "limit" => Some(
            "limit= does not go with map: workers= says how many items run at once; or submit() each of them",
        ),
        "cache" | "lock" => Some("cache= and lock= do not go with map: submit() each item"),
        _ => None,
    }
}

/// What `new` and `options` were given by a name that is no option's.
pub(crate) fn unknown_option(py: Python<'_>, name: &str) -> PyErr {
    let known = KNOWN.join(", ");
    let all: Vec<String> = KNOWN.iter().map(|&name| name.to_owned()).collect();
    let likely = did_you_mean(py, name, &all);
    PyTypeError::new_err(format!(
        "unknown option {}: the options are {known}{} A keyword argument of the function goes into kw={{...}}, or use \
         submit(fn, *args, **kwargs)",
        Quoted(name),
        if likely.is_empty() { "." } else { &likely }
    ))
}

/// What `map` and `starmap` were given by a name that is none of theirs.
pub(crate) fn unknown_in_map(unknown: &Bound<'_, PyDict>, method: &str) -> PyErr {
    const OF_MAP: [&str; 4] = ["workers", "chunksize", "ordered", "buffersize"];
    let py = unknown.py();
    let Some((name, value)) = unknown.iter().next() else {
        return PyTypeError::new_err("map got nothing unknown");
    };
    let name = name.to_string();
    let quoted = Quoted(&name);
    if let Some(unfit) = unfit_for_items(&name) {
        return PyTypeError::new_err(format!(
            "{method} has no option {quoted}, since those of jobs go into jobs.options(...).{method}(fn, ...); and {unfit}"
        ));
    }
    if is_known(&name) {
        return PyTypeError::new_err(format!(
            "{method} has no option {quoted}, since that is one of jobs: jobs.options({name}={}).{method}(fn, ...)",
            short(&value)
        ));
    }
    let all: Vec<String> = OF_MAP.iter().map(|&name| name.to_owned()).collect();
    let likely = did_you_mean(py, &name, &all);
    if !likely.is_empty() {
        return PyTypeError::new_err(format!("{method} has no option {quoted}{likely}"));
    }
    PyTypeError::new_err(format!(
        "{method} has no option {quoted}: it has {}; those of jobs go into jobs.options(...).{method}(fn, ...), and an argument \
         of the function into functools.partial(fn, {name}=...)",
        OF_MAP.join(", ")
    ))
}

/// What a message shows of a value.
pub(crate) fn short(value: &Bound<'_, PyAny>) -> String {
    let Ok(text) = value.repr() else {
        return "...".to_owned();
    };
    let text = text::lossy(&text);
    if text.chars().nth(SHOWN).is_some() {
        "...".to_owned()
    } else {
        text.escape_debug()
            .to_string()
            .replace("\\'", "'")
            .replace("\\\"", "\"")
    }
}
