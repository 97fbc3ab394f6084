//! What happens to a job between the return of its call and its end: coroutines and generators are run, exceptions judged.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::fault::{Place, may_happen};
use super::generators::Kind;
use super::job::Job;
use super::outcome::Outcome;
use super::{generators, held, shim};
use crate::core::state::State;
use crate::interrupt::call;
use crate::interrupt::names::name;
use crate::interrupt::steps::Struck;

/// Close a coroutine: one that never began is not to be warned about, and one that ended does not mind.
pub(crate) fn close(coroutine: &Bound<'_, PyAny>) {
    let py = coroutine.py();
    let closed = coroutine.getattr(name!(py, "close")).and_then(|close| {
        call::call(&close, &PyTuple::empty(py), None)
            .map_err(|error| PyErr::from_value(error.into_any()))
    });
    if let Err(error) = closed {
        error.write_unraisable(py, Some(coroutine));
    }
}

/// What the call gave is run to its end where it is a coroutine, in an event loop of its own, or the generator of a generator
/// function: `new(async_function)` and `new(generator_function)` work.
///
/// It is left in `running`, for who has to close it when a strike came before it began.
pub(crate) fn finish<'py>(
    job: &Bound<'py, Job>,
    callable: &Bound<'py, PyAny>,
    result: Bound<'py, PyAny>,
    running: &mut Option<Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>, Bound<'py, PyBaseException>> {
    let py = result.py();
    match Kind::of(&result) {
        Kind::Value => Ok(result),
        Kind::Coroutine => finish_coroutine(result, running),
        Kind::Generator => {
            *running = Some(result.clone());
            generators::finish(job, callable, &result).unwrap_or_else(|| {
                *running = None;
                Ok(result)
            })
        }
        Kind::AsyncGenerator => match generators::coroutine_of(job, callable, &result) {
            Ok(Some(coroutine)) => finish_coroutine(coroutine, running),
            Ok(None) => Ok(result),
            Err(error) => Err(error.into_value(py).into_bound(py)),
        },
    }
}

fn finish_coroutine<'py>(
    coroutine: Bound<'py, PyAny>,
    running: &mut Option<Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>, Bound<'py, PyBaseException>> {
    let py = coroutine.py();
    *running = Some(coroutine.clone());
    // Held: a kill in the middle of importing asyncio would leave it broken for the process.
    let run = held::undisturbed(py, || shim::RUN_COROUTINE.get(py).cloned())
        .map_err(|error| error.into_value(py).into_bound(py))?;
    let args = (coroutine,)
        .into_pyobject(py)
        .map_err(|error| error.into_value(py).into_bound(py))?;
    call::call(&run, &args, None)
}

/// State and outcome of a job that left with an exception.
pub(crate) fn judge(
    job: &Bound<'_, Job>,
    exception: &Bound<'_, PyBaseException>,
    struck: &Struck,
) -> (State, Outcome) {
    let py = job.py();
    may_happen(Place::Judge);
    let whole = exception;
    let (state, exception) = job.get().verdict(whole, struck);
    if state != State::Failed {
        explain(job, &exception, state);
    }
    // The frames of the code runner and of the event loop are not the job's: the traceback begins with the user's code.
    if let Err(error) = shim::TRIM.call(py, (&exception,)) {
        error.write_unraisable(py, None);
    }
    if !whole.is(&exception) {
        job.get().settle_frames(state, whole);
    }
    job.get().settle_frames(state, &exception);
    (state, Outcome::raised(&exception))
}

/// An exception that was sent comes without arguments: say what happened.
fn explain(job: &Bound<'_, Job>, exception: &Bound<'_, PyBaseException>, state: State) {
    let py = job.py();
    let args = name!(py, "args");
    let is_bare = exception
        .getattr(args)
        .and_then(|args| args.is_empty())
        .unwrap_or(false);
    let is_ours = exception
        .as_any()
        .is_instance_of::<super::errors::JobKilled>();
    if !(is_bare && is_ours) {
        return;
    }
    let title = job.get().title(py);
    let message = match (state, job.get().timeout) {
        (State::TimedOut, Some(timeout)) => {
            format!(
                "{title} ran longer than its timeout of {} s",
                timeout.as_secs_f64()
            )
        }
        _ => format!("{title} was killed"),
    };
    // Cannot fail: every BaseException takes a tuple here.
    let _ = exception.setattr(args, (message,));
}
