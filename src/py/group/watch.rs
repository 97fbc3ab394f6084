//! Workers of a group: who comes, who goes, who is sent for.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::super::alarm::Alarm;
use super::super::house::House;
use super::super::job::Job;
use super::super::recruit::{Recruited, recruit};
use super::flight::Flight;
use super::{Group, Inner};
use crate::core::clock;
use crate::core::pool::{Admission, Closed};
use crate::core::window::TIME_TO_COME;
use crate::interrupt::slot::Slot;

/// A batch that takes longer is held up, and others are to take what is left.
const PATIENCE: Duration = Duration::from_millis(2);

impl Inner {
    /// Whether another worker would find anything.
    fn has_work(&self) -> bool {
        let has_items = self.has_items_left()
            && (!self.pieces.is_empty() || self.window.room(clock::now()) > 0);
        has_items
            || self
                .flights
                .iter()
                .any(|flight| flight.count > 1 && !flight.is_bare)
    }
}

impl Group {
    /// A worker is here; the function, or None when there is nothing to do for it.
    pub(super) fn arrive<'py>(
        &self,
        job: &Job,
        py: Python<'py>,
        slot: &Arc<Slot>,
    ) -> Option<Bound<'py, PyAny>> {
        let mut inner = self.inner.lock();
        if self.is_closed(job) || inner.is_over {
            inner.muster.stay_away();
            return None;
        }
        let function = inner.function.as_ref()?.clone_ref(py).into_bound(py);
        inner.muster.arrive();
        inner.slots.push(Arc::clone(slot));
        Some(function)
    }

    /// It goes: to the end of the queue, or home.
    pub(super) fn leave(
        self: &Arc<Self>,
        job: &Bound<'_, Job>,
        slot: &Arc<Slot>,
        stepped_back: bool,
    ) {
        {
            let mut inner = self.inner.lock();
            if !stepped_back {
                inner.muster.leave();
            }
            inner.slots.retain(|kept| !Arc::ptr_eq(kept, slot));
        }
        // A result may have been taken since it found that it had to wait, and nobody sent for while it was here.
        self.go_on(job);
        self.watch_over(&job.get().house);
    }

    /// How many were sent for and have not come.
    pub(super) fn coming(&self) -> usize {
        self.inner.lock().muster.coming()
    }

    /// Whether one more worker is to be sent for now.
    pub(super) fn wants_another(&self) -> bool {
        let inner = self.inner.lock();
        inner.muster.spreads() && inner.muster.has_room() && inner.has_items_left()
    }

    /// Send for one more worker, if there may be more.
    pub(super) fn summon(&self, job: &Bound<'_, Job>) {
        if !self.inner.lock().muster.ask() {
            return;
        }
        let house = &job.get().house;
        let failed = match house.pool.push(job.clone().unbind(), job.get().rank()) {
            Ok(Admission::Queued) => false,
            Ok(Admission::NeedsWorker) => match recruit(job.py(), house) {
                Recruited::Yes(Ok(())) => false,
                Recruited::Yes(Err(error)) => {
                    error.write_unraisable(job.py(), None);
                    false
                }
                Recruited::No(error) => {
                    error.write_unraisable(job.py(), None);
                    let queued = house.pool.withdraw(|queued| queued.is(job));
                    drop(queued);
                    true
                }
            },
            Err(Closed(back)) => {
                drop(back);
                true
            }
        };
        if failed {
            self.inner.lock().muster.stay_away();
        }
    }

    /// Go to the end of the queue, where others wait; false when that is closed.
    pub(super) fn step_back(&self, job: &Bound<'_, Job>) -> bool {
        self.inner.lock().muster.step_back();
        let house = &job.get().house;
        match house.pool.push(job.clone().unbind(), job.get().rank()) {
            // This worker goes back to the queue, so one that is missing is not needed now: but it was counted.
            Ok(Admission::Queued) => true,
            Ok(Admission::NeedsWorker) => {
                if let Recruited::Yes(Err(error)) | Recruited::No(error) = recruit(job.py(), house)
                {
                    error.write_unraisable(job.py(), None);
                }
                true
            }
            Err(Closed(back)) => {
                drop(back);
                let mut inner = self.inner.lock();
                inner.muster.arrive();
                false
            }
        }
    }

    /// See to it that somebody looks, in a moment, whether workers are held up.
    pub(super) fn watch_over(self: &Arc<Self>, house: &Arc<House>) {
        {
            let mut inner = self.inner.lock();
            let is_needed = !inner.is_watched
                && !inner.flights.is_empty()
                && inner.muster.has_room()
                && inner.has_work();
            if !is_needed {
                return;
            }
            inner.is_watched = true;
        }
        self.set_alarm(house);
    }

    fn set_alarm(self: &Arc<Self>, house: &Arc<House>) {
        let alarm = Alarm::Group(Arc::clone(house), Arc::downgrade(self), Reason::HeldUp);
        if house.timers.add(Instant::now() + PATIENCE, alarm).is_err() {
            // The system gives no thread: then workers come as others end their batches.
            self.inner.lock().is_watched = false;
        }
    }

    /// It waits for a consumer, and will not when none has come in time.
    pub(super) fn look_again_later(&self, py: Python<'_>) {
        let Some(job) = self.job(py) else { return };
        let Some(me) = job.get().group.get() else {
            return;
        };
        if std::mem::replace(&mut self.inner.lock().is_expecting, true) {
            return;
        }
        let house = &job.get().house;
        let alarm = Alarm::Group(Arc::clone(house), Arc::downgrade(me), Reason::NobodyCame);
        // Where the system gives no thread, it waits until somebody comes.
        let _ = house.timers.add(Instant::now() + TIME_TO_COME, alarm);
    }

    /// A result was taken, or nothing holds it back any more: workers that went away are sent for.
    pub(super) fn go_on(&self, job: &Bound<'_, Job>) {
        let is_stalled = {
            let mut inner = self.inner.lock();
            // Where there is no room, a worker that is here finds it out, or goes and comes to this.
            let may = inner.is_stalled
                && !inner.is_over
                && inner.muster.has_room()
                && inner.window.room(clock::now()) > 0;
            if may {
                inner.is_stalled = false;
            }
            may
        };
        if is_stalled {
            self.summon(job);
        }
    }

    /// Whether nothing runs, and nothing will before a result is taken.
    pub(crate) fn is_held_up(&self) -> bool {
        let inner = self.inner.lock();
        inner.is_stalled && inner.flights.is_empty() && inner.window.room(clock::now()) == 0
    }

    /// Whether somebody has iterated over it.
    pub(crate) fn was_read(&self) -> bool {
        self.inner.lock().window.has_consumer()
    }

    /// Somebody waits for the whole group: it is not held back any more.
    pub(crate) fn is_awaited(&self, py: Python<'_>) {
        self.inner.lock().window.lift();
        if let Some(job) = self.job(py) {
            self.go_on(&job);
        }
    }
}

/// What an alarm of a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A batch may take long.
    HeldUp,
    /// It waits for a consumer since it began.
    NobodyCame,
}

/// On the timers' thread, and without the interpreter, unless there is something to do.
pub(crate) fn watch(house: &Arc<House>, group: &Weak<Group>, reason: Reason) {
    let Some(group) = group.upgrade() else { return };
    if reason == Reason::NobodyCame {
        Python::try_attach(|py| {
            if let Some(job) = group.job(py) {
                group.go_on(&job);
            }
        });
        return;
    }
    let sends = {
        let mut guard = group.inner.lock();
        let inner = &mut *guard;
        // One that gets on takes what there is soon, and robs the others.
        let is_held_up = inner.flights.iter().all(Flight::is_held_up);
        let goes_on = !inner.is_over
            && inner.muster.has_room()
            && !inner.flights.is_empty()
            && inner.has_work();
        inner.is_watched = goes_on;
        if goes_on && is_held_up {
            inner.muster.spread(true);
        }
        goes_on && is_held_up
    };
    if sends {
        Python::try_attach(|py| {
            if let Some(job) = group.job(py) {
                group.summon(&job);
            }
        });
    }
    if group.inner.lock().is_watched {
        group.set_alarm(house);
    }
}
