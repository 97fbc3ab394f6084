//! A batch while it is run: what of it is done already, and what of it may be taken away.

use std::time::Duration;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::items::rest_of;
use super::{Group, Inner};
use crate::core::clock::{self, Tick};

/// A batch that has run for less is not robbed: it is about to be done.
const UNDISTURBED: Duration = Duration::from_millis(2);
/// The same of many items, which were fast so far: its thread may be waiting for its turn.
const UNDISTURBED_IF_MANY: Duration = Duration::from_millis(8);
const MANY: usize = 100;

/// A batch that a worker runs now.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    /// The number of its first item, and how many it has: fewer when it was robbed.
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) iterator: Py<PyAny>,
    /// Where its results go: a list that begins with the result of item `first`.
    pub(super) list: Py<PyList>,
    pub(super) first: usize,
    pub(super) began: Tick,
    /// It was robbed, and has nothing left but what is run.
    pub(super) is_bare: bool,
}

impl Flight {
    /// Results there are of it.
    fn done(&self, py: Python<'_>) -> usize {
        // Not a call of Python code, and it waits for nothing.
        let all = self.list.bind(py).len();
        (self.first + all).saturating_sub(self.start)
    }

    /// Whether it runs for longer than it was to.
    pub(super) fn is_held_up(&self) -> bool {
        let age = Duration::from_nanos(clock::now().saturating_sub(self.began));
        age > if self.count > MANY {
            UNDISTURBED_IF_MANY
        } else {
            UNDISTURBED
        }
    }

    pub(super) fn may_be_robbed(&self) -> bool {
        self.count > 1 && !self.is_bare && self.is_held_up()
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.iterator)?;
        visit.call(&self.list)
    }
}

impl Inner {
    /// Make the results of a batch known that are there so far.
    fn publish(&mut self, py: Python<'_>, at: usize) -> usize {
        let flight = &self.flights[at];
        let done = flight.done(py).min(flight.count);
        let len = flight.start + done - flight.first;
        self.results.publish(py, flight.first, &flight.list, len);
        done
    }
}

impl Group {
    /// A batch begins; its number.
    pub(super) fn take_off(&self, mut flight: Flight) -> u64 {
        let mut inner = self.inner.lock();
        inner.boarding -= 1;
        inner.flights_begun += 1;
        flight.number = inner.flights_begun;
        // Who waits and saw no batch of many looks at none from time to time.
        let is_first = flight.count > 1 && inner.flights.iter().all(|other| other.count <= 1);
        inner.flights.push(flight);
        if is_first {
            self.tell(&mut inner);
        }
        inner.flights_begun
    }

    /// A batch has ended, whole or not: its results are there.
    pub(super) fn land(&self, py: Python<'_>, number: u64, wall: Duration, cpu: Duration) {
        let landed = {
            let mut guard = self.inner.lock();
            let inner = &mut *guard;
            let Some(at) = inner.flights.iter().position(|one| one.number == number) else {
                return;
            };
            let done = inner.publish(py, at);
            let flight = inner.flights.swap_remove(at);
            let is_long = inner.pace.note(done, wall, cpu);
            inner.muster.spread(is_long);
            self.tell(inner);
            flight
        };
        drop(landed);
    }

    /// Make known what is there of batches that still run. Whether any of them has more than one item, so that more may come
    /// without anybody saying so.
    pub(super) fn look(&self, py: Python<'_>) -> bool {
        let mut inner = self.inner.lock();
        let mut more = false;
        for at in 0..inner.flights.len() {
            let done = inner.publish(py, at);
            more |= done < inner.flights[at].count && inner.flights[at].count > 1;
        }
        more
    }

    /// Take what a batch has not begun, for others to run. `start` is the number of the batch's first item.
    pub(super) fn rob(&self, robbed: &Robbed<'_>) -> PyResult<()> {
        let rest = rest_of(&robbed.iterator);
        // With the GIL nothing has run since the items were taken. Without it the batch may have ended.
        let piece = {
            let mut guard = self.inner.lock();
            let inner = &mut *guard;
            let Ok((offset, rest)) = &rest else {
                inner.robbers -= 1;
                return rest.map(drop);
            };
            let taken = rest.len();
            let flight = inner
                .flights
                .iter_mut()
                .find(|one| one.number == robbed.number);
            let offset = match flight {
                Some(flight) => {
                    flight.count -= taken;
                    flight.is_bare = true;
                    offset.unwrap_or(flight.count)
                }
                None => offset.unwrap_or(0),
            };
            (taken > 0).then(|| (robbed.start + offset, rest.clone(), taken))
        };
        match piece {
            Some((start, rest, taken)) => self.put_back(start, rest.as_any(), taken),
            None => self.inner.lock().robbers -= 1,
        }
        Ok(())
    }
}

/// A batch that is to be robbed.
pub(super) struct Robbed<'py> {
    pub(super) number: u64,
    pub(super) start: usize,
    pub(super) iterator: Bound<'py, PyAny>,
}
