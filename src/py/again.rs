//! What comes after a run: another try, the next run of a periodic job, or the end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::log::Level;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::alarm::Alarm;
use super::fault::{Place, may_happen};
use super::job::Job;
use super::outcome::Outcome;
use super::plan::{Plan, Stage};
use super::{errors, exit, gates, held, last_wait, log, seconds, shim};
use crate::core::state::State;

/// What a run of a job with a plan came to.
pub(crate) enum Sequel {
    /// It will run once more: nothing has ended.
    Again,
    /// So it ends.
    End(State, Outcome),
}

/// Decide it; on the thread that ran the job, when nothing can strike it any more.
pub(crate) fn after_run(
    job: &Bound<'_, Job>,
    plan: &Plan,
    state: State,
    outcome: Outcome,
) -> Sequel {
    may_happen(Place::AfterRun);
    gates::leave_limits(job, plan);
    let (state, outcome) = match next_try(job, plan, state, &outcome) {
        Ok(Verdict::Again(delay)) => {
            plan.failures.fetch_add(1, Ordering::AcqRel);
            // Before it is queued: who finds it there finds that.
            job.get().keep_failure(job.py(), &outcome);
            if queue_again(job, plan, delay.and_then(seconds::after), Stage::Retry) {
                return Sequel::Again;
            }
            (state, outcome)
        }
        Ok(Verdict::Stands) => (state, outcome),
        Ok(Verdict::Value(value)) => (State::Done, Outcome::Value(value)),
        Err(error) => (State::Failed, Outcome::raised(error.value(job.py()))),
    };
    let goes_on = !matches!(state, State::Killed | State::Lost)
        && !exit::is_ending()
        && !last_wait::ends_schedule(job.get());
    if let Some(every) = plan.every.filter(|_| goes_on) {
        plan.failures.store(0, Ordering::Release);
        job.get().keep_failure(job.py(), &outcome);
        let when = plan.next_run(every, Instant::now());
        if !job.get().house.entrance.is_closed() && queue_again(job, plan, when, Stage::Schedule) {
            tell_of(job, &outcome);
            return Sequel::Again;
        }
    }
    Sequel::End(state, outcome)
}

/// What is to be done about a run.
enum Verdict {
    /// Nothing: there is no further try.
    Stands,
    /// Another one, after so long; None: it waits for that without end.
    Again(Option<Duration>),
    /// The policy has a value in its place.
    Value(Py<PyAny>),
}

/// What is to be done about it; an error that the job is to fail with.
fn next_try(
    job: &Bound<'_, Job>,
    plan: &Plan,
    state: State,
    outcome: &Outcome,
) -> PyResult<Verdict> {
    let py = job.py();
    let policy = job
        .get()
        .with_extras(|extras| extras.policy.as_ref().map(|policy| policy.clone_ref(py)));
    let failures = plan.failures.load(Ordering::Acquire);
    let is_candidate = match state {
        State::Failed | State::TimedOut => policy.is_some() || failures < plan.retries,
        State::Done => policy.is_some(),
        _ => false,
    };
    if !is_candidate || exit::is_ending() {
        return Ok(Verdict::Stands);
    }
    let (exception, value) = match outcome {
        Outcome::Raised(exception, _) => (Some(exception.clone_ref(py)), None),
        Outcome::Value(value) => (None, Some(value.clone_ref(py))),
        Outcome::None => return Ok(Verdict::Stands),
    };
    let shown = exception.as_ref().map(|exception| exception.clone_ref(py));
    let decided = held::undisturbed(py, || match policy {
        None => shim::BACKOFF.call(py, (failures, exception)),
        Some(policy) => {
            // The first time it is the policy that the user gave; from then on what keeps count of the tries.
            let tries = shim::TRIES.call(py, (job, policy))?;
            let kept = tries.clone().unbind();
            let before = job.get().with_extras(|extras| extras.policy.replace(kept));
            drop(before);
            tries.call_method1("next", (exception, value))
        }
    })?;
    if decided.is_none() {
        return Ok(Verdict::Stands);
    }
    if let Ok(instead) = decided.cast::<PyTuple>() {
        return Ok(Verdict::Value(instead.get_item(0)?.unbind()));
    }
    if let Ok(error) = decided.cast::<PyBaseException>() {
        return Err(PyErr::from_value(error.clone().into_any()));
    }
    let seconds: f64 = decided.extract()?;
    log::tell(
        py,
        Level::Info,
        "rjobs::job",
        format_args!(
            "{}: try {} failed ({}), the next one in {seconds:.3} s",
            job.get().title(py),
            failures + 1,
            Shown(py, shown),
        ),
    );
    Ok(Verdict::Again(seconds::span(seconds)))
}

struct Shown<'py>(Python<'py>, Option<Py<PyBaseException>>);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.1 {
            Some(exception) => match exception.bind(self.0).get_type().qualname() {
                Ok(name) => write!(formatter, "{name}"),
                Err(_) => formatter.write_str("?"),
            },
            None => formatter.write_str("its result is not accepted"),
        }
    }
}

/// Queue it again for a time, or for none; false where it is to end, because a kill or a stop was asked for, or nobody keeps the time.
fn queue_again(job: &Bound<'_, Job>, plan: &Plan, when: Option<Instant>, stage: Stage) -> bool {
    let this = job.get();
    if !this.house.is_here() {
        return false;
    }
    plan.set_stage(stage);
    let is_queued = {
        // Under the lock under which kills are noted: one that was asked for during the run is seen here, and one that comes
        // later finds a queued job.
        let held = this.held.lock();
        let is_asked = held
            .extras
            .as_ref()
            .is_some_and(|extras| !extras.kills.is_empty());
        !is_asked && !this.stop_requested.load(Ordering::Acquire) && this.record.requeue()
    };
    if !is_queued {
        return false;
    }
    if let Some(when) = when {
        let alarm = Alarm::Again(job.clone().unbind());
        match this.house.timers.add(when, alarm) {
            Ok(key) => *plan.alarm.lock() = Some((key, when)),
            Err(error) => gates::cannot_run(job, &PyErr::from(error)),
        }
    }
    if stage == Stage::Schedule && has_no_further_run(this) {
        // Shut down since it was looked at: who did that may have looked here before this was queued.
        Job::end_queued(job, State::Cancelled);
    }
    if this.is_over() {
        // Ended between the two: nobody else takes the alarm back.
        forget_alarms(this);
    }
    true
}

/// Whether the periodic job is not to run any more.
fn has_no_further_run(job: &Job) -> bool {
    job.house.entrance.is_closed() || last_wait::ends_schedule(job)
}

/// The time has come: on the timers' thread.
pub(crate) fn its_time(job: &Bound<'_, Job>) {
    let this = job.get();
    let Some(plan) = &this.plan else { return };
    *plan.alarm.lock() = None;
    if this.state() != State::Queued {
        return;
    }
    let is_last = plan.stage() == Stage::Schedule && has_no_further_run(this);
    if is_last || exit::is_ending() {
        Job::end_queued(job, State::Cancelled);
        return;
    }
    gates::to_its_limits(job, plan);
}

/// It waited for its first run for longer than its `ttl`.
pub(crate) fn expire(job: &Bound<'_, Job>) {
    if let Some(plan) = &job.get().plan {
        *plan.expiry.lock() = None;
    }
    if job.get().record.runs() == 0 {
        Job::end_queued(job, State::Expired);
    }
}

/// Take its alarms back: it has ended.
pub(crate) fn forget_alarms(job: &Job) {
    let Some(plan) = &job.plan else { return };
    let alarm = plan.alarm.lock().take();
    let expiry = plan.expiry.lock().take();
    for key in [alarm.map(|alarm| alarm.0), expiry].into_iter().flatten() {
        // Dropped here, attached.
        let gone = job.house.timers.remove(key);
        drop(gone);
    }
}

/// Forget the record of an ended job when its time is over.
pub(crate) fn forget_later(job: &Bound<'_, Job>) {
    let this = job.get();
    let Some(ttl) = this.plan.as_ref().and_then(|plan| plan.result_ttl) else {
        return;
    };
    let number = this.record.number();
    let when = seconds::after(ttl).filter(|_| !ttl.is_zero());
    match when {
        Some(when) => {
            let alarm = Alarm::Forget(std::sync::Arc::clone(&this.house), number);
            // Where the system has no thread for that, the record stays, as it does without the option.
            let _ = this.house.timers.add(when, alarm);
        }
        None => forget(job.py(), &this.house, number),
    }
}

/// Forget a record.
pub(crate) fn forget(py: Python<'_>, house: &super::house::House, number: u64) {
    if let Some(registry) = house.registry() {
        if let Some(gone) = registry.remove(number) {
            gone.get().record_goes(py);
        }
    }
}

/// A periodic job goes on after a run that failed: what it raised is in its output.
fn tell_of(job: &Bound<'_, Job>, outcome: &Outcome) {
    let py = job.py();
    let Outcome::Raised(exception, _) = outcome else {
        return;
    };
    match shim::FAILED_RUN.call(py, (exception,)) {
        Ok(text) => (job.get().printed()).write_what_fits(text.to_string().as_bytes()),
        Err(error) => error.write_unraisable(py, None),
    }
}

/// What a job that waited for too long raises.
pub(crate) fn expired(py: Python<'_>, job: &Job) -> PyErr {
    let ttl = job
        .plan
        .as_ref()
        .and_then(|plan| plan.ttl)
        .unwrap_or_default();
    errors::JobExpired::new_err(format!(
        "{} expired: it waited in the queue for longer than its ttl of {} s",
        job.title(py),
        ttl.as_secs_f64()
    ))
}
