//! What is due at a time, on the thread of a manager's timers.

use std::sync::{Arc, Weak};

use pyo3::prelude::*;

use super::errors::JobTimeout;
use super::event_loop::chase::Chase;
use super::event_loop::errand::Errand;
use super::fault::{self, Place, may_happen};
use super::group::{self, Group};
use super::hog::Sign;
use super::house::House;
use super::job::Job;
use super::kill::{step, strike};
use super::{again, current, gates, troop};
use crate::core::visits;
use crate::interrupt::pursuit::Pursuit;
use crate::interrupt::slot::Slot;

/// What the timers of a house are for.
#[derive(Debug)]
pub(crate) enum Alarm {
    /// `timeout=` is over.
    Deadline(Deadline),
    /// A job that was struck is to end.
    Pursuit(Arc<House>, Box<Pursuit>),
    /// `ttl=` is over.
    Expiry(Py<Job>),
    /// Its next try, or its next periodic run.
    Again(Py<Job>),
    /// A limit has a token.
    Limits(Arc<House>),
    /// `result_ttl=` is over.
    Forget(Arc<House>, u64),
    /// The same two for a coroutine job.
    Overdue(Arc<Errand>),
    Chase(Box<Chase>),
    /// A sign that the interpreter can be had.
    Sign(Arc<Sign>),
    /// What has become of processes that a job has started, and that were asked to end.
    Troop(Arc<House>, Py<PyAny>),
    /// Whether the workers of a group are held up.
    Group(Arc<House>, Weak<Group>, group::Reason),
}

impl Alarm {
    /// On the timers' thread. At the end of the interpreter there is nobody to strike.
    pub(crate) fn fire(self) {
        current::is_our_thread();
        let Some(_visit) = visits::enter() else {
            return;
        };
        if let Self::Chase(chase) = self {
            chase.fire();
            return;
        }
        if let Self::Group(house, group, reason) = self {
            group::watch(&house, &group, reason);
            return;
        }
        // A fault is that of the job whose time it was: nothing else would ever come of it.
        let for_job = |job: Bound<'_, Job>, act: fn(&Bound<'_, Job>)| {
            let act = || {
                may_happen(Place::Alarm);
                act(&job);
            };
            fault::or_fails(&job, act, |error| Job::end_by_fault(&job, error));
        };
        Python::try_attach(|py| match self {
            Self::Deadline(deadline) => deadline.strike(py),
            Self::Pursuit(house, pursuit) => step(py, &house, *pursuit),
            Self::Expiry(job) => for_job(job.into_bound(py), again::expire),
            Self::Again(job) => for_job(job.into_bound(py), again::its_time),
            Self::Limits(house) => gates::look(py, &house),
            Self::Forget(house, number) => again::forget(py, &house, number),
            Self::Sign(sign) => sign.give(),
            Self::Troop(house, belongings) => troop::look(py, &house, belongings),
            Self::Overdue(errand) => Errand::ask(&errand, &py.get_type::<JobTimeout>()),
            // They attach by themselves, where they have to.
            Self::Chase(_) | Self::Group(..) => {}
        });
        // Callbacks of whoever may have run.
        #[cfg(not(Py_3_13))]
        Python::try_attach(current::forget_this_thread);
    }
}

/// What a deadline of `timeout=` does: a job in a slot.
#[derive(Debug)]
pub(crate) struct Deadline {
    pub(crate) house: Arc<House>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) job: u64,
}

impl Deadline {
    /// Raise `JobTimeout` in the job, if it still runs.
    fn strike(self, py: Python<'_>) {
        strike(
            &self.house,
            &self.slot,
            &py.get_type::<JobTimeout>(),
            self.job,
        );
    }
}
