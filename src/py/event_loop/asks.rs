//! Asking for the end of a coroutine job: from the first word to its arrival, and what holds it off.
//!
//! A job on a worker has its thread for itself. Here the thread is everybody's, so an end is asked for in two ways. Between the
//! steps of the job its task is cancelled, on the loop (`hear`). Within a step, when that blocks or computes and so keeps the
//! loop from cancelling anything, the step is struck (`chase.rs`), and what has not arrived when it is over is taken back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::chase::Chase;
use super::errand::Errand;
use crate::core::timers::Key;
use crate::interrupt::cover::Cover;
use crate::interrupt::slot::Slot;
use crate::interrupt::steps::Struck;
use crate::py::on_kill;

/// Asking for the end.
#[derive(Debug)]
pub(super) struct Asks {
    /// What was asked for last.
    class: Option<Py<PyType>>,
    /// How often it was asked, and how much of that has come to the job.
    made: u32,
    heard: u32,
    /// When the last of these was.
    since: Instant,
    /// Each further step of the job raises.
    insists: bool,
    /// `shield` blocks that the job is in.
    shields: u32,
    /// `on_kill` blocks that it is in, the innermost last.
    covers: Vec<Arc<Cover>>,
    is_chased: bool,
    is_over: bool,
    /// Of `timeout=`, among the timers.
    deadline: Option<Key>,
}

impl Default for Asks {
    fn default() -> Self {
        Self {
            class: None,
            made: 0,
            heard: 0,
            since: Instant::now(),
            insists: false,
            shields: 0,
            covers: Vec::new(),
            is_chased: false,
            is_over: false,
            deadline: None,
        }
    }
}

impl Asks {
    /// There is nothing to ask for any more; what was asked for last, and more, to be dropped outside of the lock.
    pub(super) fn close(&mut self) -> (Option<Py<PyType>>, Vec<Arc<Cover>>) {
        self.is_over = true;
        (self.class.take(), std::mem::take(&mut self.covers))
    }

    fn is_shielded(&self) -> bool {
        self.shields > 0 || self.covers.iter().any(|cover| !cover.is_lifted())
    }

    /// Whether an end was asked for that waits for `on_kill` blocks at most.
    fn waits_for_covers(&self) -> bool {
        !self.is_over && self.shields == 0 && self.class.is_some() && self.heard != self.made
    }

    /// The covers whose functions are to be called now, the innermost first.
    fn due(&self) -> Vec<Arc<Cover>> {
        let covers = self.covers.iter().rev();
        let due = covers.filter(|cover| self.waits_for_covers() && cover.ask());
        due.cloned().collect()
    }
}

/// What a chaser sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) is_heard: bool,
    pub(crate) is_shielded: bool,
    pub(crate) since: Instant,
}

impl Errand {
    pub(crate) fn is_over(&self) -> bool {
        self.asks.lock().is_over
    }

    pub(crate) fn is_struck(&self) -> bool {
        self.struck.load(Ordering::Acquire)
    }

    /// What asking for its end did to it, for the verdict.
    pub(crate) fn what_struck(&self, py: Python<'_>) -> Struck {
        Struck {
            at_all: self.is_struck(),
            arrived: self.landed.load(Ordering::Acquire),
            was_helped: false,
            class: self.asked(py),
        }
    }

    /// When its time is over.
    pub(crate) fn set_deadline(&self, key: Key) {
        self.asks.lock().deadline = Some(key);
    }

    pub(crate) fn take_deadline(&self) -> Option<Key> {
        self.asks.lock().deadline.take()
    }

    /// What was asked for last.
    pub(crate) fn asked(&self, py: Python<'_>) -> Option<Py<PyType>> {
        let asks = self.asks.lock();
        asks.class.as_ref().map(|class| class.clone_ref(py))
    }

    /// What each further step is to raise, when to be cancelled was of no use.
    pub(crate) fn insisted(&self, py: Python<'_>) -> Option<Py<PyType>> {
        let asks = self.asks.lock();
        let class = asks
            .class
            .as_ref()
            .filter(|_| asks.insists && !asks.is_shielded())?;
        Some(class.clone_ref(py))
    }

    /// Ask for its end: its loop cancels it, and from then on the timers see to it that it ends. Does not wait.
    pub(crate) fn ask(me: &Arc<Self>, class: &Bound<'_, PyType>) {
        let (before, is_first, is_under_way, due) = {
            let mut asks = me.asks.lock();
            if asks.is_over {
                return;
            }
            let before = asks.class.replace(class.clone().unbind());
            let is_under_way = asks.heard != asks.made;
            if !is_under_way {
                asks.made += 1;
                asks.since = Instant::now();
            }
            let is_first = !std::mem::replace(&mut asks.is_chased, true);
            (before, is_first, is_under_way, asks.due())
        };
        drop(before);
        if let Some(job) = me.job(class.py()) {
            job.get().strike_troop(class, false);
        }
        me.struck.store(true, Ordering::Release);
        on_kill::call_all(due);
        // Else the loop is told already, and whoever asks all the time does not put off what is done when it does not listen.
        if !is_under_way {
            me.house.room.post(class.py(), me);
        }
        if is_first {
            Chase::begin(me);
        }
    }

    /// The same once more. `insists`: it was of no use so far.
    pub(crate) fn ask_again(me: &Arc<Self>, py: Python<'_>, insists: bool) {
        {
            let mut asks = me.asks.lock();
            asks.made += 1;
            asks.since = Instant::now();
            asks.insists |= insists;
        }
        me.house.room.post(py, me);
    }

    /// On the loop: cancel the task of the job, unless what was asked for has come to it already.
    pub(crate) fn hear(&self, py: Python<'_>) {
        {
            let mut asks = self.asks.lock();
            if asks.is_over || asks.heard == asks.made {
                return;
            }
            // The end of the shield sees to it.
            if asks.is_shielded() {
                return;
            }
            asks.heard = asks.made;
            asks.since = Instant::now();
        }
        self.landed.store(true, Ordering::Release);
        self.cancel(py);
    }

    /// A step has ended in which strikes did this. `goes_on`: and after which its coroutine waits for something.
    pub(crate) fn note(&self, struck: &Struck, goes_on: bool) {
        if struck.arrived || struck.was_helped {
            self.landed.store(true, Ordering::Release);
        }
        if !struck.at_all {
            return;
        }
        self.struck.store(true, Ordering::Release);
        if struck.arrived && goes_on {
            // To be cancelled as well would cut its `finally` short.
            let mut asks = self.asks.lock();
            asks.heard = asks.made;
            asks.since = Instant::now();
        }
    }

    /// None when it is over.
    pub(crate) fn view(&self) -> Option<View> {
        let asks = self.asks.lock();
        (!asks.is_over).then_some(View {
            is_heard: asks.heard == asks.made,
            is_shielded: asks.is_shielded(),
            since: asks.since,
        })
    }

    /// Whether there is nothing to do for a chaser for as long as this: found without the interpreter.
    pub(crate) fn rests_for(&self, grace: Duration) -> Option<Duration> {
        let view = self.view()?;
        view.is_heard
            .then(|| grace.saturating_sub(view.since.elapsed()))
    }

    /// Ends wait from here on. In a step of the job.
    pub(crate) fn enter_shield(&self) {
        let is_first = {
            let mut asks = self.asks.lock();
            let is_first = !asks.is_shielded();
            asks.shields += 1;
            is_first
        };
        if let Some(slot) = self.slot().filter(|_| is_first) {
            slot.hold();
        }
    }

    /// The opposite. What waited is sent to the step that this is called in; if that is over before it arrives, the loop hears.
    pub(crate) fn leave_shield(me: &Arc<Self>, py: Python<'_>) {
        let (is_last, due, covers) = {
            let mut asks = me.asks.lock();
            asks.shields = asks.shields.saturating_sub(1);
            let is_last = !asks.is_shielded();
            let covers = asks.due();
            let class = asks
                .class
                .as_ref()
                .filter(|_| is_last && asks.heard != asks.made);
            (is_last, class.map(|class| class.clone_ref(py)), covers)
        };
        on_kill::call_all(covers);
        let Some(slot) = me.slot().filter(|_| is_last) else {
            return;
        };
        if due.is_some() {
            me.house.room.post(py, me);
        }
        // Python code runs no more from here on: what is sent arrives at once.
        slot.let_go(py);
        if let Some(class) = due {
            slot.strike(class.bind(py), me.aim);
        }
    }

    pub(crate) fn is_shielded(&self) -> bool {
        self.asks.lock().is_shielded()
    }

    /// The job enters an `on_kill` block. In a step of it.
    pub(crate) fn enter_cover(&self, cover: &Arc<Cover>) {
        let is_first = {
            let mut asks = self.asks.lock();
            let is_first = !asks.is_shielded();
            asks.covers.push(Arc::clone(cover));
            is_first
        };
        if let Some(slot) = self.slot().filter(|_| is_first) {
            slot.hold();
        }
    }

    /// The opposite: what is to be raised there now, since it waited for that.
    pub(crate) fn leave_cover(
        &self,
        py: Python<'_>,
        slot: &Slot,
        cover: &Arc<Cover>,
    ) -> Option<Py<PyType>> {
        let (was_last, class) = {
            let mut asks = self.asks.lock();
            let place = asks.covers.iter().rposition(|it| Arc::ptr_eq(it, cover))?;
            asks.covers.remove(place);
            let was_last = !cover.is_lifted() && !asks.is_shielded();
            let is_due = asks.waits_for_covers();
            if is_due {
                asks.heard = asks.made;
                asks.since = Instant::now();
            }
            let class = asks.class.as_ref().filter(|_| is_due);
            (was_last, class.map(|class| class.clone_ref(py)))
        };
        if class.is_some() || cover.was_called() {
            self.landed.store(true, Ordering::Release);
        }
        if was_last {
            slot.let_go_of(self.aim);
        }
        class
    }

    /// Let the end through that waits for functions which have not helped in time. True where there was one.
    pub(crate) fn lift_covers(me: &Arc<Self>, py: Python<'_>) -> bool {
        {
            let asks = me.asks.lock();
            let is_late = |cover: &Arc<Cover>| {
                !cover.is_lifted() && cover.time_left() == Some(Duration::ZERO)
            };
            if !(asks.waits_for_covers() && asks.covers.iter().any(is_late)) {
                return false;
            }
            for cover in &asks.covers {
                cover.lift();
            }
        }
        if let Some(slot) = me.slot() {
            slot.let_go_of(me.aim);
        }
        me.house.room.post(py, me);
        true
    }

    /// When `lift_covers` may have something to do.
    pub(crate) fn help_time_left(&self) -> Option<Duration> {
        let asks = self.asks.lock();
        let covers = asks.covers.iter().filter(|cover| !cover.is_lifted());
        covers.filter_map(|cover| cover.time_left()).min()
    }

    /// Whether an exception is what the job was asked to end with.
    pub(crate) fn is_asked_for(&self, exception: &Bound<'_, PyBaseException>) -> bool {
        let py = exception.py();
        self.is_struck()
            && self
                .asked(py)
                .is_some_and(|asked| exception.get_type().is(asked.bind(py)))
    }
}
