//! Jobs that are generators: what they yield goes to whoever reads, what they return is the result.

use pyo3::exceptions::{PyBaseException, PyStopIteration};
use pyo3::prelude::*;

use super::job::Job;
use super::values::{Giver, JobValues};
use super::{held, shim};
use crate::interrupt::call::{self, Step};

/// What a call gave that may have to be run, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    Coroutine,
    Generator,
    AsyncGenerator,
}

impl Kind {
    pub(super) fn of(result: &Bound<'_, PyAny>) -> Self {
        let (py, kind) = (result.py(), result.get_type());
        let doors = [
            (&shim::COROUTINE, Self::Coroutine),
            (&shim::GENERATOR, Self::Generator),
            (&shim::ASYNC_GENERATOR, Self::AsyncGenerator),
        ];
        let is = |door: &shim::Door| door.get_type(py).is_ok_and(|its| kind.is(its));
        doors
            .into_iter()
            .find(|(door, _)| is(door))
            .map_or(Self::Value, |(_, kind)| kind)
    }
}

type Finished<'py> = Result<Bound<'py, PyAny>, Bound<'py, PyBaseException>>;

/// The coroutine that runs an asynchronous generator of `job`; None where that is a value like any other.
pub(super) fn coroutine_of<'py>(
    job: &Bound<'py, Job>,
    callable: &Bound<'py, PyAny>,
    generator: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = job.py();
    if !is_made_by(callable, generator)? {
        return Ok(None);
    }
    // Held: a kill in the middle of importing asyncio would leave it broken for the process.
    let run = held::undisturbed(py, || shim::RUN_ASYNC_GENERATOR.get(py).cloned())?;
    run.call1((JobValues::new(job), generator)).map(Some)
}

/// Run a generator of `job` to its end; None where it is a value like any other.
pub(super) fn finish<'py>(
    job: &Bound<'py, Job>,
    callable: &Bound<'py, PyAny>,
    generator: &Bound<'py, PyAny>,
) -> Option<Finished<'py>> {
    let py = job.py();
    match is_made_by(callable, generator) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => return Some(Err(error.into_value(py).into_bound(py))),
    }
    let stream = Job::stream(job);
    let mut step = call::resume(generator);
    loop {
        let value = match step {
            Step::Yielded(value) => value,
            Step::Ended(result) => return Some(result),
        };
        step = if !job.get().house.is_here() {
            // The child of a fork that the generator made: the readers are the parent's.
            call::release(value);
            call::resume(generator)
        } else if let Err(error) = Job::give(job, &stream, value, Giver::Generator) {
            throw(generator, error)
        } else {
            call::resume(generator)
        };
    }
}

/// Whether the job is what the generator does: a call of a generator function, or code whose value is one that has not begun.
/// One that was made elsewhere is a value.
fn is_made_by(callable: &Bound<'_, PyAny>, generator: &Bound<'_, PyAny>) -> PyResult<bool> {
    shim::IS_MADE_BY
        .call(callable.py(), (callable, generator))?
        .is_truthy()
}

/// Raise an error in the generator, at its `yield`, as if it came from there.
fn throw<'py>(generator: &Bound<'py, PyAny>, error: PyErr) -> Step<'py> {
    let py = generator.py();
    let exception = error.into_value(py).into_bound(py);
    // Where it came up in here is nobody's business.
    let _ = exception.setattr(pyo3::intern!(py, "__traceback__"), py.None());
    let throw = generator.getattr(pyo3::intern!(py, "throw"));
    let args = (exception,).into_pyobject(py);
    let (throw, args) = match (throw, args) {
        (Ok(throw), Ok(args)) => (throw, args),
        (Err(error), _) | (_, Err(error)) => {
            return Step::Ended(Err(error.into_value(py).into_bound(py)));
        }
    };
    match call::call(&throw, &args, None) {
        Ok(value) => Step::Yielded(value),
        // A generator lets none of its own out: this is its return.
        Err(stop) if stop.as_any().is_instance_of::<PyStopIteration>() => {
            let value = stop.getattr(pyo3::intern!(py, "value"));
            Step::Ended(value.map_err(|error| error.into_value(py).into_bound(py)))
        }
        Err(exception) => Step::Ended(Err(exception)),
    }
}
