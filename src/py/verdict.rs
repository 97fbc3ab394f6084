//! How a job ended that left with an exception: whether that is the kill or the time-out that was sent to it.

use pyo3::exceptions::{PyBaseException, PyBaseExceptionGroup};
use pyo3::prelude::*;

use super::errors::{JobKilled, JobTimeout};
use super::job::Job;
use super::kill::is_of;
use crate::core::state::State;
use crate::interrupt::names::name;

impl Job {
    /// How a running job ended that left with `exception`, and whether a strike did it; and the exception that stands for that.
    ///
    /// A group that holds nothing but the kill (of an `asyncio.TaskGroup`, a nursery of trio's or anyio's) is the kill: what
    /// was raised first in it stands for all. A group that holds other errors as well has failed.
    pub(crate) fn verdict<'py>(
        &self,
        exception: &Bound<'py, PyBaseException>,
        struck: bool,
    ) -> (State, Bound<'py, PyBaseException>) {
        let found = struck.then(|| {
            let own = self.end_by(exception);
            own.map(|state| (state, exception.clone()))
                .or_else(|| self.end_within(exception))
        });
        found
            .flatten()
            .unwrap_or_else(|| (State::Failed, exception.clone()))
    }

    /// How a job ended that this exception has left, if it is one that was sent.
    fn end_by(&self, exception: &Bound<'_, PyBaseException>) -> Option<State> {
        let py = exception.py();
        let object = exception.as_any();
        if object.is_instance_of::<JobTimeout>() {
            return Some(State::TimedOut);
        }
        let kills: Vec<_> =
            self.with_extras(|extras| extras.kills.iter().map(|kill| kill.clone_ref(py)).collect());
        let asked_for = kills.iter().any(|kill| is_of(object, kill.bind(py)));
        (asked_for || object.is_instance_of::<JobKilled>()).then_some(State::Killed)
    }

    /// The same for a group, whose groups are looked through as well.
    fn end_within<'py>(
        &self,
        exception: &Bound<'py, PyBaseException>,
    ) -> Option<(State, Bound<'py, PyBaseException>)> {
        let group = exception.as_any().cast::<PyBaseExceptionGroup>().ok()?;
        let mut first = None;
        let mut left = vec![group.clone().into_any()];
        while let Some(next) = left.pop() {
            if next.is_instance_of::<PyBaseExceptionGroup>() {
                let parts = next.getattr(name!(next.py(), "exceptions")).ok()?;
                let parts: Vec<_> = parts.try_iter().ok()?.collect::<PyResult<_>>().ok()?;
                // The last is looked at first.
                left.extend(parts.into_iter().rev());
                continue;
            }
            let next = next.cast_into::<PyBaseException>().ok()?;
            match self.end_by(&next) {
                Some(state) => {
                    first.get_or_insert((state, next));
                }
                None if is_cancellation(next.as_any()) => {}
                None => return None,
            }
        }
        first
    }
}

/// Whether it says no more than that a task was cancelled, because of another one's exception. By name: nothing is imported here.
fn is_cancellation(exception: &Bound<'_, PyAny>) -> bool {
    let class = exception.get_type();
    let (Ok(module), Ok(name)) = (class.module(), class.qualname()) else {
        return false;
    };
    let is_it = |library: &str, its: &str| module == library && name == its;
    is_it("asyncio.exceptions", "CancelledError")
        || is_it("trio", "Cancelled")
        || is_it("builtins", "GeneratorExit")
}
