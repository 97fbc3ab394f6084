//! The run of a coroutine job on its loop: how it begins, what is around each of its steps, how it ends.

use std::sync::Arc;
use std::time::Instant;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use super::call_method;
use super::errand::Errand;
use super::steps::{Finished, Steps};
use crate::core::clock;
use crate::core::state::State;
use crate::interrupt::call::Sent;
use crate::interrupt::context;
use crate::interrupt::names::name;
use crate::py::alarm::Alarm;
use crate::py::current;
use crate::py::errors::JobError;
use crate::py::job::Job;
use crate::py::outcome::Outcome;
use crate::py::runner::Runner;
use crate::py::work::Work;
use crate::py::{ending, exit, fault, figures, held, shim};

/// What came of the beginning.
pub(crate) enum Began<'py> {
    /// It runs from now on: this is what to call.
    Runs(Work),
    /// It runs, and has failed already.
    Fails(Bound<'py, PyBaseException>),
    /// It was ended while it was queued.
    IsOver,
}

/// From queued to running.
pub(crate) fn begin<'py>(bound: &Bound<'py, Job>, errand: &Arc<Errand>) -> Began<'py> {
    let (py, job) = (bound.py(), bound.get());
    let work = job.held.lock().work.as_ref().map(|work| work.clone_ref(py));
    let Some(work) = work else {
        return Began::IsOver;
    };
    let is_ending = exit::is_ending() && Job::end_queued(bound, State::Cancelled);
    if is_ending || !job.begin(clock::now()) {
        work.release(py);
        return Began::IsOver;
    }
    job.record.set_cpu(0);
    let when = job
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    // More than the clock can count is no limit.
    if let Some(when) = when {
        match job
            .house
            .timers
            .add(when, Alarm::Overdue(Arc::clone(errand)))
        {
            Ok(key) => errand.set_deadline(key),
            Err(error) => {
                work.release(py);
                let error = JobError::new_err(format!(
                    "{} got no thread to watch its timeout: {error}",
                    job.title(py)
                ));
                return Began::Fails(error.into_value(py).into_bound(py));
            }
        }
    }
    Began::Runs(work)
}

/// Run code of the job with the slot of its loop's thread open for it: the job may be struck in `act`, and nowhere else.
pub(crate) fn within<'py>(
    py: Python<'py>,
    errand: &Arc<Errand>,
    is_main: bool,
    act: impl FnOnce() -> Sent<'py>,
) -> Sent<'py> {
    let Some(slot) = errand.slot().filter(|_| !errand.is_over()) else {
        return act();
    };
    match slot.job() {
        // A task that begins at once, in the midst of the step that starts it.
        Some(other) if other == errand.aim => return act(),
        // A loop that somebody runs within a step of another job (`nest_asyncio`), which must not be struck in here.
        Some(_) => return held::undisturbed(py, act),
        None => {}
    }
    let insisted = errand.insisted(py);
    let room = &errand.house.room;
    let began = room.step_begins(errand);
    errand.set_in_main(is_main);
    slot.open(errand.aim);
    if let Some(troop) = errand.job(py).and_then(|job| job.get().troop()) {
        slot.leads(&troop);
    }
    if errand.is_shielded() {
        slot.hold();
    }
    if let Some(class) = &insisted {
        slot.rage(class.bind(py));
    }
    let sent = act();
    if !errand.house.is_here() {
        leave_the_child();
    }
    // The very next thing, before anything else can run Python code.
    let struck = slot.close(py);
    errand.set_in_main(false);
    errand.note(&struck, matches!(sent, Sent::Yielded(_)));
    let used = room.step_ends(began);
    if let Some(job) = errand.job(py) {
        let record = &job.get().record;
        record.set_cpu(record.cpu() + used);
    }
    sent
}

/// The job forked, and this is the child, where its step has come to its end as well. What else there is on this thread belongs to
/// the parent: its loop must not go on here, and cannot be left by an exception, since asyncio has cleaned up behind the fork. So
/// the process ends, as it does when the thread of a worker's job ends there.
fn leave_the_child() -> ! {
    std::process::exit(0)
}

/// The figures that the job has open are shown in a last step of it.
pub(crate) fn end_figures<'py>(
    py: Python<'py>,
    errand: &Arc<Errand>,
    result: Result<Bound<'py, PyAny>, Bound<'py, PyBaseException>>,
) -> Result<Bound<'py, PyAny>, Bound<'py, PyBaseException>> {
    let Some(job) = errand.job(py).filter(|job| job.get().has_figures()) else {
        return result;
    };
    let sent = within(py, errand, true, || match figures::run_ends(&job, result) {
        Ok(value) => Sent::Returned(value),
        Err(exception) => Sent::Raised(exception),
    });
    match sent {
        Sent::Returned(value) | Sent::Yielded(value) => Ok(value),
        Sent::Raised(exception) => Err(exception),
    }
}

/// A coroutine that ends what the job has left behind; None where there is nothing.
pub(crate) fn tidying<'py>(
    steps: &Bound<'py, Steps>,
    errand: &Arc<Errand>,
) -> Option<Bound<'py, PyAny>> {
    if !errand.left_something() {
        return None;
    }
    let py = steps.py();
    shim::TIDY
        .call(py, (steps,))
        .inspect_err(|error| error.clone_ref(py).write_unraisable(py, Some(steps)))
        .ok()
}

/// The end of a job that ran: its outcome, and whoever waits for it is told.
pub(crate) fn end(py: Python<'_>, errand: &Arc<Errand>, finished: Finished) {
    let Some(bound) = errand.job(py) else {
        return;
    };
    // Here, since the errand lets go of its job.
    fault::or_fails(
        &bound,
        || end_job(&bound, errand, finished),
        |error| Job::end_by_fault(&bound, error),
    );
}

fn end_job(bound: &Bound<'_, Job>, errand: &Arc<Errand>, finished: Finished) {
    let (py, job) = (bound.py(), bound.get());
    let now = clock::now();
    forget_deadline(errand);
    let (state, outcome) = match finished {
        Ok(value) => (State::Done, Outcome::Value(value)),
        Err(exception) => ending::judge(bound, exception.bind(py), &errand.what_struck(py)),
    };
    clear_up(py, errand);
    // In a context of nobody's: its callbacks are not the job.
    let context = context::fresh(py);
    let inside = context
        .as_ref()
        .ok()
        .and_then(|context| context::enter(context).ok());
    let has_begun = job.record.state() != State::Queued;
    Job::end_running(bound, state, outcome, now);
    if !has_begun {
        // What never began does not stay queued, whatever went wrong.
        Job::end_queued(bound, State::Lost);
    }
    drop(inside);
}

fn forget_deadline(errand: &Errand) {
    if let Some(key) = errand.take_deadline() {
        let gone = errand.house.timers.remove(key);
        drop(gone);
    }
}

/// Nothing is asked of the run any more.
pub(crate) fn clear_up(py: Python<'_>, errand: &Arc<Errand>) {
    forget_deadline(errand);
    errand.end(py);
    let Some(job) = errand.job(py) else {
        return;
    };
    // Of a job that has ended nothing but its thread is asked.
    let slot = errand.slot().cloned().map(Runner::Worker);
    let before = std::mem::replace(&mut job.get().held.lock().runner, slot);
    drop(before);
}

/// It is not on the loop any more.
pub(crate) fn leave(py: Python<'_>, errand: &Arc<Errand>) {
    errand.end(py);
    errand.house.room.one_left(py, errand);
}

/// The run of the coroutine job that the calling thread, the one of its loop, works for: of the current context, or of this one.
pub(crate) fn errand_here(
    py: Python<'_>,
    context: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Arc<Errand>>> {
    let job = match context {
        None => current::job(py)?,
        Some(context) => {
            let value = call_method(context, name!(py, "get"), (current::variable(py)?,))?;
            value.cast_into::<Job>().ok()
        }
    };
    let errand = job.and_then(|job| job.get().errand());
    Ok(errand.filter(|errand| errand.is_on_this_thread() && !errand.is_over()))
}
