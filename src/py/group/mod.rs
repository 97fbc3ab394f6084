//! A group: one job that is a function over many items.
//!
//! Workers come to a group as to any job (`shift.rs`), take items by the batch (`source.rs`), run them in a loop of Python's
//! (`rjobs._map_loop`: there CPython calls Python functions at its cheapest), and leave lists of results (`results.rs`). A batch
//! that is held up by a slow item is robbed of the rest by whoever finds nothing else (`flight.rs`).

pub(crate) mod blocks;
mod end;
pub(crate) mod face;
mod flight;
mod index;
pub(crate) mod items;
pub(crate) mod make;
mod map;
mod results;
mod shift;
mod source;
mod watch;

pub(crate) use self::watch::{Reason, watch};

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyType, PyWeakrefReference};

use self::blocks::Cursor;
use self::flight::Flight;
use self::results::{Raised, Results};
use self::source::{Piece, Source};
use super::job::Job;
use crate::core::muster::Muster;
use crate::core::pace::Pace;
use crate::core::record::Record;
use crate::core::sync::{Condvar, Mutex};
use crate::core::window::Window;
use crate::interrupt::slot::{Obstacle, Slot};

/// How a function is called with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `fn(item)`
    One,
    /// `fn(*item)`
    Star,
}

/// What a job has that is a group.
#[derive(Debug)]
pub(crate) struct Group {
    /// The job, weakly: whoever keeps the group busy has to find it.
    me: OnceLock<Py<PyWeakrefReference>>,
    way: Way,
    /// `fn` is a coroutine function.
    is_async: bool,
    /// Iterating it gives results in the order of the items, and not as they come.
    is_ordered: bool,
    workers: usize,
    chunksize: Option<usize>,
    /// Results are forgotten when they are taken.
    forgets: bool,
    /// Nothing more may begin.
    is_killed: AtomicBool,
    /// Of runs: with a `timeout=` each item is one, for strikes.
    serial: AtomicU64,
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// What changes, under one lock. No Python code runs under it, and nothing of Python's is dropped.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own: they do not make one state"
)]
struct Inner {
    function: Option<Py<PyAny>>,
    source: Source,
    /// Taken out of the source and not begun, in order.
    pieces: VecDeque<Piece>,
    /// Being run.
    flights: Vec<Flight>,
    flights_begun: u64,
    results: Results,
    muster: Muster,
    window: Window,
    pace: Pace,
    /// The workers that are here.
    slots: Vec<Arc<Slot>>,
    /// Batches that were claimed, and are not among those that run yet.
    boarding: usize,
    /// Workers that take the rest of another one's batch just now.
    robbers: usize,
    /// A worker is in the code of the iterator.
    is_pulling: bool,
    /// How many items there are, as far as is known.
    total: Option<usize>,
    /// What the iterator raised.
    fault: Option<Raised>,
    /// What a kill asked for.
    kill: Option<Py<PyType>>,
    /// What a strike ended it with.
    killed_by: Option<Raised>,
    /// Somebody ends it, or has.
    is_over: bool,
    has_ended: bool,
    /// An alarm is set that looks whether workers are held up.
    is_watched: bool,
    /// An alarm is set for when it has waited long enough for a consumer.
    is_expecting: bool,
    /// Workers went away since no result is taken.
    is_stalled: bool,
    /// Where all who iterate are, when results are forgotten as they are taken.
    cursor: Cursor,
    /// Counts what waiters wait for.
    news: u64,
}

impl Group {
    fn job<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Job>> {
        use pyo3::types::PyWeakrefMethods;
        let job = self.me.get()?.bind(py).upgrade()?;
        job.cast_into::<Job>().ok()
    }

    /// What a strike is bound to that is meant for the item that begins now.
    fn next_aim(&self, job: &Job) -> u64 {
        if job.timeout.is_none() {
            return job.record.aim();
        }
        // A deadline that is late must not hit the next item.
        job.record
            .aim_of_part(self.serial.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A worker that is with it, for those who ask for one.
    pub(crate) fn slot(&self, record: &Record) -> Option<Arc<Slot>> {
        let inner = self.inner.lock();
        let open = inner
            .slots
            .iter()
            .find(|slot| slot.job().is_some_and(|aim| record.owns(aim)));
        open.or(inner.slots.first()).map(Arc::clone)
    }

    /// Whether a strike was sent to a worker that it has not ended yet; and what hinders that.
    pub(crate) fn is_struck(&self, record: &Record) -> (bool, Obstacle) {
        let inner = self.inner.lock();
        let struck = inner.slots.iter().filter(|slot| {
            slot.job()
                .is_some_and(|aim| record.owns(aim) && slot.is_struck(aim))
        });
        struck.fold((false, Obstacle::None), |(_, most), slot| {
            (true, most.max(slot.obstacle()))
        })
    }

    /// Block until something has changed since `news`, or until the deadline.
    fn wait_for_news(&self, news: u64, until: Option<Instant>) -> Option<()> {
        let mut inner = self.inner.lock();
        while inner.news == news {
            let (back, is_late) = self.changed.wait_until(&self.inner, inner, until);
            inner = back;
            if is_late {
                break;
            }
        }
        (inner.news != news).then_some(())
    }

    /// Tell those who wait.
    fn tell(&self, inner: &mut Inner) {
        inner.news += 1;
        self.changed.notify_all();
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(me) = self.me.get() {
            visit.call(me)?;
        }
        let Some(inner) = self.inner.try_lock() else {
            // Somebody alive has it.
            return Ok(());
        };
        visit.call(&inner.function)?;
        inner.source.traverse(visit)?;
        for piece in &inner.pieces {
            visit.call(&piece.items)?;
        }
        for flight in &inner.flights {
            flight.traverse(visit)?;
        }
        inner.results.traverse(visit)?;
        for raised in [&inner.fault, &inner.killed_by].into_iter().flatten() {
            raised.traverse(visit)?;
        }
        visit.call(&inner.kill)
    }

    pub(crate) fn clear(&self) {
        let gone = {
            let mut inner = self.inner.lock();
            (
                inner.function.take(),
                std::mem::replace(&mut inner.source, Source::Dry),
                std::mem::take(&mut inner.pieces),
                std::mem::take(&mut inner.flights),
                std::mem::take(&mut inner.results),
                (
                    inner.fault.take(),
                    inner.killed_by.take(),
                    inner.kill.take(),
                ),
            )
        };
        drop(gone);
    }
}
