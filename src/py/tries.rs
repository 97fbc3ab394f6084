//! What is known of a job between two of its runs: how often it was tried, and how the last try failed.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use super::errors::JobError;
use super::job::Job;
use super::outcome::{self, Outcome};
use crate::core::state::State;
use std::sync::atomic::Ordering;

impl Job {
    /// A run has ended that is not the last: how it failed is kept until the next one has ended (nothing where it did not).
    pub(crate) fn keep_failure(&self, py: Python<'_>, outcome: &Outcome) {
        let failure =
            matches!(outcome, Outcome::Raised(..)).then(|| Box::new(outcome.clone_ref(py)));
        let before =
            self.with_extras(|extras| std::mem::replace(&mut extras.last_failure, failure));
        drop(before);
    }

    /// How the last run failed, while nothing else is known: it is to be tried again, or was ended before it could be.
    pub(crate) fn last_failure<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBaseException>> {
        let held = self.held.lock();
        let failure = held.extras.as_ref()?.last_failure.as_ref()?.clone_ref(py);
        drop(held);
        match failure {
            Outcome::Raised(exception, traceback) => {
                Some(outcome::restored(py, exception, traceback))
            }
            _ => None,
        }
    }

    /// An error where nobody has asked for the end of a job that has none.
    pub(crate) fn must_have_an_end(&self, py: Python<'_>) -> PyResult<()> {
        let Some(every) = self.plan.as_ref().and_then(|plan| plan.every) else {
            return Ok(());
        };
        let is_asked = {
            let held = self.held.lock();
            held.extras
                .as_ref()
                .is_some_and(|extras| !extras.kills.is_empty())
        };
        if self.is_over()
            || is_asked
            || self.stop_requested.load(Ordering::Acquire)
            || self.house.entrance.is_closed()
        {
            return Ok(());
        }
        Err(JobError::new_err(format!(
            "{} runs every {} s and has no end to wait for, nor a result: kill() or cancel() ends it, join() waits for that, \
             traceback() shows how its last run failed",
            self.title(py),
            every.as_secs_f64()
        )))
    }
}

#[pymethods]
impl Job {
    /// How many tries of this run have failed, and how many there may be (None: a policy decides). None for a job that is not
    /// tried again.
    #[getter(_tries)]
    fn tries(&self) -> Option<(u32, Option<u32>)> {
        let plan = self.plan.as_ref()?;
        let has_policy = {
            let held = self.held.lock();
            held.extras
                .as_ref()
                .is_some_and(|extras| extras.policy.is_some())
        };
        let total = (!has_policy).then(|| plan.retries.saturating_add(1));
        (has_policy || plan.retries > 0).then(|| (plan.failures.load(Ordering::Acquire), total))
    }

    /// Whether it runs again and again.
    #[getter(_is_periodic)]
    fn is_periodic(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.every.is_some())
    }

    /// What the last try has raised, of a job that has not ended or was ended between two tries; None else.
    #[getter(_last_failure)]
    fn its_last_failure<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBaseException>> {
        let is_left = !self.is_over() || matches!(self.state(), State::Killed | State::Cancelled);
        is_left.then(|| self.last_failure(py)).flatten()
    }
}
