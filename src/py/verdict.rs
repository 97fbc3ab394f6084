//! How a job ended that left with an exception: whether that is the kill or the time-out that was sent to it.

use pyo3::exceptions::{PyBaseException, PyBaseExceptionGroup};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::errors::{JobKilled, JobTimeout};
use super::event_loop::meaning::instance_of;
use super::job::Job;
use super::kill::is_of;
use crate::core::state::State;
use crate::interrupt::names::name;
use crate::interrupt::steps::Struck;

impl Job {
    /// How a running job ended that left with `exception`, and whether a strike did it; and the exception that stands for that.
    ///
    /// A group that holds nothing but the kill (of an `asyncio.TaskGroup`, a nursery of trio's or anyio's) is the kill: what
    /// was raised first in it stands for all. A group that holds other errors as well has failed.
    ///
    /// Where what was sent has arrived, or a function was called that ends the job's calls, whatever else leaves the job comes of
    /// that: it is the kill, chained to what left.
    pub(crate) fn verdict<'py>(
        &self,
        exception: &Bound<'py, PyBaseException>,
        struck: &Struck,
    ) -> (State, Bound<'py, PyBaseException>) {
        let found = struck.at_all.then(|| {
            let own = self.end_by(exception);
            own.map(|state| (state, exception.clone()))
                .or_else(|| self.end_within(exception))
                .or_else(|| end_by_what_came_of_it(exception, struck))
        });
        found
            .flatten()
            .unwrap_or_else(|| (State::Failed, exception.clone()))
    }

    /// How a job ended that this exception has left, if it is one that was sent.
    pub(super) fn end_by(&self, exception: &Bound<'_, PyBaseException>) -> Option<State> {
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

/// The kill or the time-out that a job was left with another exception for, chained to that. A group tells of several things that
/// went wrong: it is what it is.
fn end_by_what_came_of_it<'py>(
    exception: &Bound<'py, PyBaseException>,
    struck: &Struck,
) -> Option<(State, Bound<'py, PyBaseException>)> {
    let py = exception.py();
    if !(struck.arrived || struck.was_helped)
        || exception.as_any().is_instance_of::<PyBaseExceptionGroup>()
    {
        return None;
    }
    let class = match &struck.class {
        Some(class) => class.bind(py).clone(),
        None => py.get_type::<JobKilled>(),
    };
    let state = if is_time_out(&class) {
        State::TimedOut
    } else {
        State::Killed
    };
    // It was made before, when it was asked for; where it cannot be made again, ours says the same.
    let made = instance_of(&class);
    let made = if is_of(made.as_any(), &class) {
        made
    } else {
        JobKilled::new_err(()).into_value(py).into_bound(py)
    };
    // Neither can fail: all of them are exceptions.
    let _ = made.setattr(name!(py, "__context__"), exception);
    let traceback = exception.getattr(name!(py, "__traceback__"));
    let _ = traceback.and_then(|traceback| made.setattr(name!(py, "__traceback__"), traceback));
    Some((state, made))
}

fn is_time_out(class: &Bound<'_, PyType>) -> bool {
    class.is_subclass_of::<JobTimeout>().unwrap_or(false)
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
