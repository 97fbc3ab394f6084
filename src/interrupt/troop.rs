//! Threads that a job started: they are struck with it, before it is, and its waits for them are not cut.
//!
//! Who cuts such a wait has the job go on, and give back what the threads still use: buffers that a C library reads from, a file that
//! is closed. So while a job waits for one of them it is not struck, neither for the first time nor again: they end first. A
//! second kill by somebody cuts the wait (`cut`).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use pyo3::prelude::*;

use super::finalizer::TOLD_ONCE;
use super::slot::Slot;
use crate::core::sync::Mutex;

/// The threads of one run of a job, those included that its threads have started.
#[derive(Debug)]
pub(crate) struct Troop {
    /// Which run.
    run: u64,
    /// What else the job has started, in Python.
    belongings: Py<PyAny>,
    members: Mutex<Vec<Arc<Member>>>,
    is_struck: AtomicBool,
    is_cut: AtomicBool,
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Member {
    /// Where it can be struck; none for one that manages others, and ends with them.
    slot: OnceLock<Arc<Slot>>,
    /// What a join of it waits for, by its address: a lock up to `CPython` 3.12, then the thread's handle.
    awaited: AtomicUsize,
    /// How often it was struck: what it had got by then is over.
    strikes: AtomicU64,
}

impl Member {
    pub(crate) fn slot(&self) -> Option<&Arc<Slot>> {
        self.slot.get()
    }

    /// By the thread itself.
    pub(crate) fn moved_in(&self, slot: &Arc<Slot>) {
        let _ = self.slot.set(Arc::clone(slot));
    }

    pub(crate) fn is_awaited_at(&self, address: usize) {
        self.awaited.store(address, Ordering::Release);
    }

    /// Before its slot is looked at. It looks when that is open: so one of the two sees the other.
    pub(crate) fn struck(&self) {
        self.strikes.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn strikes(&self) -> u64 {
        self.strikes.load(Ordering::SeqCst)
    }
}

impl Troop {
    pub(crate) fn new(run: u64, belongings: Py<PyAny>) -> Self {
        Self {
            run,
            belongings,
            members: Mutex::default(),
            is_struck: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
        }
    }

    pub(crate) fn run(&self) -> u64 {
        self.run
    }

    pub(crate) fn belongings(&self, py: Python<'_>) -> Py<PyAny> {
        self.belongings.clone_ref(py)
    }

    pub(crate) fn join(&self, member: &Arc<Member>) {
        self.members.lock().push(Arc::clone(member));
    }

    /// Its thread has ended.
    pub(crate) fn leave(&self, member: &Arc<Member>) {
        let left = {
            let mut members = self.members.lock();
            let place = members.iter().position(|each| Arc::ptr_eq(each, member));
            place.map(|place| members.swap_remove(place))
        };
        // Outside of the lock: its slot has objects of Python's.
        drop(left);
    }

    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        self.members.lock().clone()
    }

    /// True for the first who strikes it.
    pub(crate) fn strike(&self) -> bool {
        !self.is_struck.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn is_struck(&self) -> bool {
        self.is_struck.load(Ordering::SeqCst)
    }

    /// Waits for it are cut from here on.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    fn has(&self, address: usize) -> bool {
        let members = self.members.lock();
        (members.iter()).any(|each| each.awaited.load(Ordering::Acquire) == address)
    }

    /// Whether one of them is at work, though it was struck.
    fn is_busy(&self) -> bool {
        let members = self.members();
        let mut slots = members.iter().filter_map(|member| member.slot());
        slots.any(|slot| slot.job().is_some_and(|work| slot.is_struck(work)))
    }

    fn is_empty(&self) -> bool {
        self.members.lock().is_empty()
    }
}

impl Slot {
    /// That of a thread that a job started: its work is opened and closed as a job is.
    pub(crate) fn of_this_member(py: Python<'_>, troop: &Arc<Troop>) -> Self {
        let slot = Self {
            is_member: true,
            ..Self::of_this_thread(py)
        };
        // The troop holds its members.
        *slot.troop.lock() = Arc::downgrade(troop);
        slot
    }

    /// The job that runs here has started a thread.
    pub(crate) fn leads(&self, troop: &Arc<Troop>) {
        *self.troop.lock() = Arc::downgrade(troop);
        self.leads.store(true, Ordering::Release);
    }

    /// It leads no more; whether what it led was struck.
    pub(super) fn leads_nobody(&self) -> bool {
        if !self.leads.load(Ordering::Relaxed) {
            return false;
        }
        let troop = self.troop();
        self.leads.store(false, Ordering::Relaxed);
        *self.troop.lock() = Weak::new();
        troop.is_some_and(|troop| troop.is_struck())
    }

    pub(crate) fn troop(&self) -> Option<Arc<Troop>> {
        if !(self.is_member || self.leads.load(Ordering::Acquire)) {
            return None;
        }
        self.troop.lock().upgrade()
    }

    /// Whether something was sent, put off, or waits, that has not arrived. For the thread itself.
    pub(crate) fn is_to_end(&self, py: Python<'_>) -> bool {
        if self.has_put_off() || self.aim.lock().waiting.is_some() {
            return true;
        }
        // SAFETY: the caller's own thread.
        self.has_sent() && unsafe { self.frames.has_pending(py) } == Some(true)
    }

    /// Whether code of the standard library that called ours (to start a thread, a process) is not to be left half way through: a
    /// pool would not know of its own thread. For the thread itself.
    pub(super) fn is_in_the_midst(&self, py: Python<'_>) -> bool {
        // SAFETY: attached; the thread is the caller.
        self.footing.library_holds() || unsafe { self.frames.are_beneath_ours(py, &TOLD_ONCE) }
    }

    /// Whether it waits for the end of a thread that its job started, or is in the code of a pool that does so next.
    pub(super) fn joins_its_own(&self, py: Python<'_>) -> bool {
        let Some(troop) = self.troop().filter(|troop| !troop.is_cut()) else {
            return false;
        };
        match self.beat.awaited() {
            0 if self.beat.current() == 0 => !troop.is_empty() && self.is_about_to_join(py),
            0 => false,
            address => troop.has(address),
        }
    }

    /// Whether it waits in another way for what its threads do, maybe: for a lock, while they are busy, and were struck.
    pub(super) fn waits_beside_its_own(&self) -> bool {
        !self.is_member
            && self.beat.waits_for_lock()
            && self.beat.current() != 0
            && self
                .troop()
                .is_some_and(|troop| !troop.is_cut() && troop.is_struck() && troop.is_busy())
    }
}
