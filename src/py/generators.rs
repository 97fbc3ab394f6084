//! Jobs that are generators: what they yield goes to whoever reads, what they return is the result.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use super::job::Job;
use super::values::{Giver, JobValues};
use super::{held, shim};
use crate::interrupt::call::{self, Sent};
use crate::interrupt::names::name;

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
    let mut step = resume(generator);
    loop {
        let value = match step {
            Sent::Yielded(value) => value,
            Sent::Returned(value) => return Some(Ok(value)),
            Sent::Raised(exception) => return Some(Err(exception)),
        };
        step = if !job.get().house.is_here() {
            // The child of a fork that the generator made: the readers are the parent's.
            call::release(value);
            resume(generator)
        } else if let Err(error) = Job::give(job, &stream, value, Giver::Generator) {
            throw(generator, error)
        } else {
            resume(generator)
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
fn throw<'py>(generator: &Bound<'py, PyAny>, error: PyErr) -> Sent<'py> {
    let py = generator.py();
    let exception = error.into_value(py).into_bound(py);
    // Where it came up in here is nobody's business.
    let _ = exception.setattr(name!(py, "__traceback__"), py.None());
    call::throw(generator, &exception)
}

fn resume<'py>(generator: &Bound<'py, PyAny>) -> Sent<'py> {
    call::send(generator, generator.py().None().bind(generator.py()))
}
