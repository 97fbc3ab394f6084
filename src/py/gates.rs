//! What a job with a plan waits for before it is launched: the jobs it comes after, then its limits.
//!
//! Every step is taken by whoever brings it about: who submits, who ends the job before it, who leaves a limit, or the timers.
//! Nobody waits in here, and no step calls the next one deeper than a fixed depth: what an end sets free is worked off in a
//! loop (`settle`), so that a chain of a million jobs can be skipped.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::alarm::Alarm;
use super::entrance::launch;
use super::errors;
use super::house::House;
use super::job::Job;
use super::outcome::Outcome;
use super::plan::{Plan, Stage};
use crate::core::limits::Released;
use crate::core::state::State;
use crate::interrupt::call;

/// The first steps of a job that has a plan; called once, by who made it. An error: it was not accepted.
pub(crate) fn admit(job: &Bound<'_, Job>, plan: &Plan, after: Vec<Py<Job>>) -> PyResult<()> {
    let house = &job.get().house;
    // A group has been counted when it was made, and is until it ends.
    if job.get().group.get().is_none() {
        if !house.entrance.enter() {
            return Err(errors::closed());
        }
        job.get().went_aside();
    }
    if let Some(expiry) = plan.ttl.and_then(|ttl| plan.since.checked_add(ttl)) {
        let alarm = Alarm::Expiry(job.clone().unbind());
        *plan.expiry.lock() = Some(house.timers.add(expiry, alarm)?);
    }
    for before in after {
        plan.missing.fetch_add(1, Ordering::AcqRel);
        let before = before.into_bound(job.py());
        if !Job::precede(&before, job) {
            before_ended(job, &before);
        }
    }
    count_down(job);
    Ok(())
}

impl Job {
    /// Have `dependent` told when this job ends; false when it has ended already.
    fn precede(me: &Bound<'_, Self>, dependent: &Bound<'_, Self>) -> bool {
        let dependent = dependent.clone().unbind();
        // Under the lock that the end takes them under, as with callbacks.
        let (is_later, gone) = me.get().with_extras(|extras| {
            if me.get().record.state().is_terminal() {
                return (false, vec![dependent]);
            }
            let dependents = &mut extras.dependents;
            dependents.push(dependent);
            // Those that have ended meanwhile, now and then: a job may run for long, and see many come and go.
            let gone = if dependents.len().is_power_of_two() {
                dependents
                    .extract_if(.., |job| job.get().is_over())
                    .collect()
            } else {
                Vec::new()
            };
            (true, gone)
        });
        drop(gone);
        if is_later {
            // It waits for the end, so nobody may be reading what the job gives until then.
            me.get().look_again(me.py());
        }
        is_later
    }
}

/// Jobs that were set free, each with the one that ended.
type SetFree = VecDeque<(Py<Job>, Py<Job>)>;

thread_local! {
    /// Those of this thread while it is at others.
    // Without a destructor, for which a thread would need memory: it is empty again when `settle` is done.
    static SET_FREE: RefCell<ManuallyDrop<Option<SetFree>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

/// `before` has ended: on with those that come after it.
pub(crate) fn settle(before: &Bound<'_, Job>, dependents: Vec<Py<Job>>) {
    if dependents.is_empty() {
        return;
    }
    let py = before.py();
    let pairs = dependents
        .into_iter()
        .map(|dependent| (dependent, before.clone().unbind()));
    let is_first = SET_FREE.with_borrow_mut(|free| {
        let is_first = free.is_none();
        free.get_or_insert_default().extend(pairs);
        is_first
    });
    if !is_first {
        return;
    }
    while let Some((dependent, before)) =
        SET_FREE.with_borrow_mut(|free| free.as_mut().and_then(VecDeque::pop_front))
    {
        before_ended(dependent.bind(py), before.bind(py));
    }
    let empty = SET_FREE.replace(ManuallyDrop::new(None));
    drop(ManuallyDrop::into_inner(empty));
}

fn before_ended(job: &Bound<'_, Job>, before: &Bound<'_, Job>) {
    if before.get().state() == State::Done {
        count_down(job);
        return;
    }
    // The first of a row of skipped ones is the cause of all: a long chain does not hang together by its causes.
    let cause = before
        .get()
        .with_extras(|extras| extras.cause.as_ref().map(|cause| cause.clone_ref(job.py())))
        .unwrap_or_else(|| before.clone().unbind());
    let known = job.get().with_extras(|extras| {
        if extras.cause.is_some() {
            return Some(cause);
        }
        extras.cause.replace(cause)
    });
    drop(known);
    Job::end_queued(job, State::Skipped);
}

fn count_down(job: &Bound<'_, Job>) {
    let Some(plan) = &job.get().plan else { return };
    if plan.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
        feed(job);
        to_its_limits(job, plan);
    }
}

/// Of `then`: the result of the job before is the first argument.
fn feed(job: &Bound<'_, Job>) {
    let py = job.py();
    let Some(before) = job.get().with_extras(|extras| extras.feeds.take()) else {
        return;
    };
    let value = match &before.get().held.lock().outcome {
        Outcome::Value(value) => value.clone_ref(py),
        _ => py.None(),
    };
    let args = {
        let held = job.get().held.lock();
        held.work.as_ref().map(|work| work.args.clone_ref(py))
    };
    let Some(args) = args else { return };
    let args = args.bind(py);
    let mut all = vec![value.into_bound(py)];
    all.extend(args.iter());
    let with_value = PyTuple::new(py, all);
    // Cannot fail but for want of memory.
    let Ok(with_value) = with_value else { return };
    let mut fresh = Some(with_value.unbind());
    {
        let mut held = job.get().held.lock();
        if let (Some(work), Some(fresh)) = (held.work.as_mut(), fresh.as_mut()) {
            std::mem::swap(&mut work.args, fresh);
        }
    }
    if let Some(old) = fresh {
        call::release(old.into_bound(py));
    }
}

/// On, past everything but its limits: new jobs come here, and those that run again.
pub(crate) fn to_its_limits(job: &Bound<'_, Job>, plan: &Plan) {
    let Some(names) = &plan.limits else {
        start(job, plan);
        return;
    };
    plan.set_stage(Stage::Limit);
    let house = &job.get().house;
    let waiting = job.clone().unbind();
    let released = house
        .limits
        .admit(waiting, names, plan.rank, &plan.ticket, Instant::now());
    go_on(job.py(), house, released);
    if job.get().is_over() {
        // Ended just before it came in: who ended it did not find it there.
        leave_limits(job, plan);
    }
}

/// Give back the places of a job that has run, or never will; what they set free goes on.
pub(crate) fn leave_limits(job: &Bound<'_, Job>, plan: &Plan) {
    let house = &job.get().house;
    if let Some(names) = &plan.limits {
        if plan.has_places.swap(false, Ordering::AcqRel) {
            go_on(job.py(), house, house.limits.leave(names, Instant::now()));
        } else if plan.stage() == Stage::Limit {
            let gone = house.limits.withdraw(names, plan.rank, &plan.ticket);
            drop(gone);
        }
    }
}

/// What limits let go is started. Those that were ended meanwhile give their places to others.
pub(crate) fn go_on(py: Python<'_>, house: &Arc<House>, released: Released<Py<Job>>) {
    let mut ready = VecDeque::from(released.ready);
    look_again(house, released.look_again);
    while let Some(job) = ready.pop_front() {
        let job = job.bind(py);
        let Some(plan) = &job.get().plan else {
            continue;
        };
        plan.has_places.store(true, Ordering::Release);
        if !job.get().is_over() {
            start(job, plan);
            continue;
        }
        if let Some(names) = &plan.limits
            && plan.has_places.swap(false, Ordering::AcqRel)
        {
            let more = house.limits.leave(names, Instant::now());
            look_again(house, more.look_again);
            ready.extend(more.ready);
        }
    }
}

/// A token will be there then.
fn look_again(house: &Arc<House>, when: Option<Instant>) {
    let Some(when) = when else { return };
    {
        let mut next = house.next_look.lock();
        if next.is_some_and(|next| next <= when) {
            return;
        }
        *next = Some(when);
    }
    // Where the system has no thread for that, the next job that comes or goes looks.
    let _ = house.timers.add(when, Alarm::Limits(Arc::clone(house)));
}

/// The time has come for which `look_again` set the alarm.
pub(crate) fn look(py: Python<'_>, house: &Arc<House>) {
    *house.next_look.lock() = None;
    go_on(py, house, house.limits.look(Instant::now()));
}

fn start(job: &Bound<'_, Job>, plan: &Plan) {
    if job.get().is_over() {
        // Ended while it waited.
        return;
    }
    plan.set_stage(Stage::Worker);
    match launch(job) {
        Ok(None) => {}
        // Ctrl-C, or a kill of the job that brought this about: it belongs to the code that runs here, not to this job.
        Ok(Some(interrupt)) => pass_on(job.py(), interrupt),
        Err(error) => cannot_run(job, &error),
    }
}

/// Nothing will run it: it is lost, and says why.
pub(crate) fn cannot_run(job: &Bound<'_, Job>, error: &PyErr) {
    let py = job.py();
    let outcome = Outcome::raised(error.value(py));
    let before = std::mem::replace(&mut job.get().held.lock().outcome, outcome);
    drop(before);
    Job::end_queued(job, State::Lost);
}

/// Have an exception that came out of the starting of a worker raised again when the interpreter next looks for signals, where
/// it is one (Ctrl-C); shown else.
fn pass_on(py: Python<'_>, error: PyErr) {
    let is_passed_on = error.is_instance_of::<PyKeyboardInterrupt>(py)
        && py
            .import("_thread")
            .and_then(|thread| thread.call_method0("interrupt_main"))
            .is_ok();
    if !is_passed_on {
        error.write_unraisable(py, None);
    }
}
