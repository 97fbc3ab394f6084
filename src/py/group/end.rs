//! How a group ends: its items done, its iterator broken, struck, or asked to stop.

use std::sync::atomic::Ordering;

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};

use super::super::errors::JobKilled;
use super::super::job::Job;
use super::super::kill;
use super::super::outcome::Outcome;
use super::Group;
use super::results::{Failure, Raised};
use super::source::Source;
use crate::core::clock;
use crate::core::state::State;
use crate::interrupt::{reserve, thread};

impl Group {
    /// Whether it is killed: nothing more may begin.
    pub(super) fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::SeqCst)
    }

    /// Whether no more items may begin.
    pub(super) fn is_closed(&self, job: &Job) -> bool {
        self.is_killed() || job.stop_requested.load(Ordering::Acquire) || job.is_over()
    }

    /// One behind the last item of a batch.
    pub(super) fn end_of(&self, number: u64) -> usize {
        let inner = self.inner.lock();
        let flight = inner.flights.iter().find(|one| one.number == number);
        flight.map_or(0, |flight| flight.start + flight.count)
    }

    /// An item failed. To be said before its exception is in the list of results.
    pub(super) fn has_failed(&self, py: Python<'_>, item: usize, failure: Failure) {
        let is_for_memory = (failure.raised.exception.bind(py)).is_instance_of::<PyMemoryError>();
        if reserve::is_low() || (is_for_memory && reserve::is_last()) {
            // What is kept of each item that fails for want of memory is more of it.
            self.fail(failure.raised);
            return;
        }
        let before = self.inner.lock().results.errors.insert(item, failure);
        drop(before);
    }

    /// The items cannot be had: the iterator raised.
    pub(super) fn fail(&self, raised: Raised) {
        let gone = {
            let mut inner = self.inner.lock();
            if inner.fault.is_some() {
                (Some(raised), None)
            } else {
                inner.fault = Some(raised);
                let source = match inner.source {
                    // Who pulls says himself that it is dry.
                    Source::Iterator { .. } if inner.is_pulling => None,
                    _ => Some(std::mem::replace(&mut inner.source, Source::Dry)),
                };
                (None, source)
            }
        };
        drop(gone);
    }

    /// A strike ended an item.
    pub(super) fn was_killed_by(&self, raised: Raised) {
        self.is_killed.store(true, Ordering::SeqCst);
        let mut inner = self.inner.lock();
        let unused = if inner.killed_by.is_some() {
            Some(raised)
        } else {
            inner.killed_by = Some(raised);
            None
        };
        drop(inner);
        drop(unused);
    }

    /// Have it killed: no item begins any more, and every worker that runs one is struck. An error in an item of its own, where the
    /// exception is raised at once.
    pub(crate) fn strike(&self, me: &Bound<'_, Job>, exc: &Bound<'_, PyType>) -> PyResult<()> {
        let job = me.get();
        let (slots, before) = {
            let mut inner = self.inner.lock();
            // Before the slots are read: who comes later sees it, and who came before is among them.
            self.is_killed.store(true, Ordering::SeqCst);
            let before = inner.kill.replace(exc.clone().unbind());
            (inner.slots.clone(), before)
        };
        drop(before);
        let mut is_mine = false;
        for slot in slots {
            let Some(aim) = slot.job().filter(|aim| job.record.owns(*aim)) else {
                continue;
            };
            if slot.thread().ident == thread::ident() {
                slot.struck_itself();
                is_mine = true;
            } else {
                kill::strike(&job.house, &slot, exc, aim);
            }
        }
        if is_mine {
            return Err(PyErr::from_type(
                exc.clone(),
                format!("{} killed itself", job.title(me.py())),
            ));
        }
        self.settle(me);
        Ok(())
    }

    /// End it, if nothing runs any more and nothing is left that may.
    pub(crate) fn settle(&self, me: &Bound<'_, Job>) {
        let job = me.get();
        if job.record.state() != State::Running || !job.house.is_here() {
            return;
        }
        let ends = {
            let mut inner = self.inner.lock();
            let ends = !inner.is_over
                && inner.flights.is_empty()
                && !inner.is_pulling
                && inner.robbers == 0
                && inner.boarding == 0
                && (inner.is_dry() || self.is_closed(job));
            inner.is_over |= ends;
            ends
        };
        if ends {
            self.end(me);
        }
    }

    fn end(&self, me: &Bound<'_, Job>) {
        let (py, job) = (me.py(), me.get());
        let (trouble, is_killed) = {
            let inner = self.inner.lock();
            // A batch may have been given up before it began.
            let is_unfinished = !inner.is_dry() || inner.results.count < inner.window.begun();
            let is_killed = inner.killed_by.is_some() || (is_unfinished && self.is_closed(job));
            let raised = if is_killed {
                inner.killed_by.as_ref()
            } else {
                // The iterator broke behind every item there is.
                let first = inner.results.errors.values().next();
                first
                    .map(|failure| &failure.raised)
                    .or(inner.fault.as_ref())
            };
            (raised.map(|raised| raised.clone_ref(py)), is_killed)
        };
        let (state, outcome) = match trouble {
            Some(raised) => {
                let state = if is_killed {
                    State::Killed
                } else {
                    State::Failed
                };
                (state, Outcome::Raised(raised.exception, raised.traceback))
            }
            None if is_killed => (State::Killed, self.killed_between(me)),
            None => match self.join(py) {
                Ok(list) => (State::Done, Outcome::Value(list.into_any().unbind())),
                Err(error) => (
                    State::Failed,
                    Outcome::raised(&error.into_value(py).into_bound(py)),
                ),
            },
        };
        Job::end_running(me, state, outcome, clock::now());
    }

    /// The outcome of a group that was killed, or stopped, while no item ran.
    fn killed_between(&self, me: &Bound<'_, Job>) -> Outcome {
        let (py, title) = (me.py(), me.get().title(me.py()));
        let kill = self
            .inner
            .lock()
            .kill
            .as_ref()
            .map(|kill| kill.clone_ref(py));
        let error = match kill {
            Some(kill) if !kill.bind(py).is(py.get_type::<JobKilled>()) => {
                // It was tried when the kill was asked for: it can be made without arguments.
                PyErr::from_type(kill.into_bound(py), ())
            }
            Some(_) => JobKilled::new_err(format!("{title} was killed")),
            None => JobKilled::new_err(format!("{title} was asked to stop")),
        };
        Outcome::raised(&error.into_value(py).into_bound(py))
    }

    /// All results in one list, which is kept in the place of the many.
    fn join<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (lists, forgets) = (self.inner.lock().results.lists(py), self.forgets);
        let joined = match lists.as_slice() {
            [(_, list, len)] if !forgets && list.bind(py).len() == *len => list.bind(py).clone(),
            _ => {
                let joined = PyList::empty(py);
                for (_, list, len) in &lists {
                    let end = joined.len();
                    joined.set_slice(end, end, &list.bind(py).get_slice(0, *len))?;
                }
                joined
            }
        };
        if !forgets {
            let gone = self.inner.lock().results.replace(&joined);
            drop(gone);
        }
        Ok(joined)
    }

    /// All results so far in order, and exceptions in the places of items that failed.
    pub(super) fn gathered<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let lists = self.inner.lock().results.lists(py);
        let joined = PyList::empty(py);
        for (_, list, len) in &lists {
            let end = joined.len();
            joined.set_slice(end, end, &list.bind(py).get_slice(0, *len))?;
        }
        Ok(joined)
    }

    /// It has ended, in whatever way: let go of what it does not need any more, and tell who waits.
    pub(crate) fn has_ended(&self, py: Python<'_>) {
        let gone = {
            let mut inner = self.inner.lock();
            inner.is_over = true;
            inner.has_ended = true;
            self.tell(&mut inner);
            (
                std::mem::replace(&mut inner.source, Source::Dry),
                std::mem::take(&mut inner.pieces),
                // To run failed items again.
                inner
                    .results
                    .errors
                    .is_empty()
                    .then(|| inner.function.take()),
                inner.kill.take(),
            )
        };
        let _ = py;
        drop(gone);
    }
}
