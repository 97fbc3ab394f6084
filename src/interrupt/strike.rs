//! The protocol that binds a strike to its job and never to the thread.
//!
//! `PyThreadState_SetAsyncExc` aims at a thread, and the exception arrives whenever that thread next runs bytecode: by
//! then the job may be over, and the next job, a callback or the pool's own code would be hit. So each worker has a
//! [`Slot`] that says which job it runs, and both sides look at it under its lock:
//!
//! - the striker sets the exception only while the slot names the job it means (re-check);
//! - the worker, as the very first thing after the job's call returns, empties the slot, and takes back an exception that
//!   was set but has not arrived (clear).
//!
//! Either half alone fails: without the re-check a late strike hits the next job, without the clear an early one does.
//! Lock order: the interpreter first (and its list of threads, see `frozen`), then the slot; nothing under the slot's lock runs Python or gives the interpreter up.

use std::ffi::c_ulong;
use std::sync::atomic::Ordering;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::call;
use super::frame::IMPORT;
use super::frozen::frozen;
use super::sight::{Position, Spare};
use super::slot::{Aim, Obstacle, Slot};
use super::steps::Struck;
use super::{landing, pending};

impl Slot {
    /// From here on `job` may be struck. Nothing but its call may follow.
    pub(crate) fn open(&self, job: u64) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.footing.begin();
        self.beat.begin();
        self.obstacle.store(Obstacle::None as u8, Ordering::Relaxed);
        self.landing.store(false, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
        let mut aim = self.aim.lock();
        aim.job = Some(job);
        (aim.struck, aim.itself, aim.was_helped) = (false, false, false);
    }

    /// From here on nobody may be struck. To be called by the worker itself, attached, as the first thing after the job's
    /// call, before any other Python code (a finalizer, a callback) can run.
    ///
    /// What strikes did to the job.
    pub(crate) fn close(&self, py: Python<'_>) -> Struck {
        let over = {
            let mut aim = self.aim.lock();
            aim.held = 0;
            std::mem::take(&mut *aim)
        };
        self.open.store(false, Ordering::Relaxed);
        let struck = over.struck;
        let mut arrived = false;
        // Whatever threads and processes that were struck have made of that comes of it as well.
        let troop_is_struck = self.leads_nobody();
        if struck {
            // SAFETY: the caller's own thread.
            let is_pending = unsafe { self.frames.has_pending(py) } == Some(true);
            // What was swallowed in a finalizer and put off has not arrived; what the job's event loop was asked for and did has.
            let was_raised = over.sent.is_some() && !is_pending && !self.has_put_off();
            arrived = over.itself || was_raised || over.done.is_some() || troop_is_struck;
            self.put_off.store(false, Ordering::Relaxed);
            // Nobody sends anything new, since the slot is closed.
            self.take_back(py);
            self.storm.end(py);
        }
        // Last, and outside of the lock: dropping them may run Python code.
        let struck = over.into_struck(arrived);
        if struck.at_all {
            call::handle_nothing(py);
        }
        struck
    }

    /// Take back what was sent and has not arrived. To be called by the worker itself, attached.
    pub(super) fn take_back(&self, py: Python<'_>) {
        // SAFETY: the caller's own thread.
        let is_pending = unsafe { self.frames.has_pending(py) };
        if is_pending == Some(false) {
            return;
        }
        if cfg!(not(Py_3_13)) && is_pending == Some(true) {
            drop(pending::arrive(py));
        }
        // SAFETY: as above; a second look, since what arrived may have been something else (a recursion limit).
        if unsafe { self.frames.has_pending(py) } != Some(false) {
            // SAFETY: attached; NULL takes back what is pending for this thread.
            unsafe {
                ffi::PyThreadState_SetAsyncExc(long(self.thread.ident), std::ptr::null_mut());
            }
        }
    }

    /// What was sent last.
    pub(super) fn sent(&self, py: Python<'_>) -> Option<Py<PyType>> {
        let aim = self.aim.lock();
        aim.sent.as_ref().map(|sent| sent.clone_ref(py))
    }

    /// Whether anything was sent at the job.
    pub(super) fn has_sent(&self) -> bool {
        self.aim.lock().sent.is_some()
    }

    /// Whether strikes wait.
    pub(crate) fn is_held(&self) -> bool {
        let aim = self.aim.lock();
        aim.held > 0 || aim.is_covered()
    }

    /// Strikes wait from here on. To be called by the worker itself.
    pub(crate) fn hold(&self) {
        self.aim.lock().held += 1;
    }

    /// The opposite. After the last hold, what waited is sent; or returned, where the striker of the job is to be asked.
    pub(crate) fn let_go(&self, py: Python<'_>) -> Option<Py<PyType>> {
        let (waiting, has_striker) = {
            let mut aim = self.aim.lock();
            aim.held = aim.held.saturating_sub(1);
            if aim.held > 0 {
                return None;
            }
            // It goes on to wait, and the functions of the covers are to be called: see `ask_covers`.
            if aim.is_covered() {
                self.let_covers_hear(&mut aim);
                return None;
            }
            let has_striker = aim.striker.is_some();
            let mut waiting = aim.waiting.take();
            // What was put off for the place where the thread was then waited for this as well.
            if waiting.is_none() && !has_striker {
                waiting = aim.asked.take();
                self.put_off.store(false, Ordering::Release);
            }
            (waiting.zip(aim.job), has_striker)
        };
        let (exc, job) = waiting?;
        if has_striker {
            return Some(exc);
        }
        if self.is_in_the_midst(py) {
            self.put_off(exc.bind(py), job);
        } else {
            self.strike(exc.bind(py), job);
        }
        None
    }

    /// From here on `striker(exc)` is asked to end the job, and the thread is only struck by `send_put_off`. None: as before. To be
    /// called by the worker itself.
    pub(crate) fn set_striker(&self, striker: Option<Py<PyAny>>) {
        let before = {
            let mut aim = self.aim.lock();
            (
                std::mem::replace(&mut aim.striker, striker),
                aim.asked.take(),
            )
        };
        drop(before);
    }

    /// Who is to be asked to end `job`, while it runs here.
    pub(crate) fn striker(&self, py: Python<'_>, job: u64) -> Option<Py<PyAny>> {
        let aim = self.aim.lock();
        let striker = aim.striker.as_ref().filter(|_| aim.job == Some(job))?;
        Some(striker.clone_ref(py))
    }

    /// Put a strike off, for the striker or for `send_put_off`, in the place of one that was put off before; unless the job is
    /// over.
    pub(crate) fn put_off(&self, exc: &Bound<'_, PyType>, job: u64) {
        let mut aim = self.aim.lock();
        if aim.job != Some(job) {
            return;
        }
        // A job may end by its striker at once.
        aim.struck = true;
        let before = aim.asked.replace(exc.clone().unbind());
        self.put_off.store(true, Ordering::Release);
        drop(aim);
        drop(before);
    }

    /// Take back what was sent and has not arrived, and put it off. To be called by the worker itself, attached, in a job.
    pub(super) fn put_back(&self, py: Python<'_>) {
        let sent = self.sent(py);
        self.take_back(py);
        let before = std::mem::replace(&mut self.aim.lock().asked, sent);
        self.put_off.store(true, Ordering::Release);
        drop(before);
    }

    pub(super) fn has_striker(&self) -> bool {
        self.aim.lock().striker.is_some()
    }

    /// To be cancelled is of no use to the job: when it is for the next time, or its thread is struck, each of its lines raises.
    pub(super) fn gather_for_striker(&self, py: Python<'_>) {
        let before = {
            let mut aim = self.aim.lock();
            let done = aim.done.as_ref().map(|done| done.clone_ref(py));
            done.and_then(|done| aim.sent.replace(done))
        };
        self.storm.gather();
        drop(before);
    }

    /// The striker has done what it was asked for. To be called by the worker itself, attached.
    pub(crate) fn has_done(&self, py: Python<'_>) {
        let before = {
            let mut aim = self.aim.lock();
            let asked = aim.asked.take();
            std::mem::replace(&mut aim.done, asked)
        };
        self.put_off.store(false, Ordering::Release);
        drop(before);
        if self.storm.gathers() {
            self.storm.begin(py);
        }
    }

    /// What the striker was asked for last and has done, or its thread was struck with in its place.
    pub(crate) fn last_asked(&self, py: Python<'_>) -> Option<Py<PyType>> {
        let aim = self.aim.lock();
        let last = aim.done.as_ref().or(aim.sent.as_ref());
        last.map(|last| last.clone_ref(py))
    }

    /// Whether a strike waits until the job is where it can be struck. For the thread itself.
    pub(super) fn has_put_off(&self) -> bool {
        self.put_off.load(Ordering::Acquire)
    }

    /// What was put off is to be raised now, by the thread itself: library code has given back its last lock. False where
    /// it has others, or is held off, or imports a module.
    pub(super) fn deliver(&self, py: Python<'_>) -> bool {
        if self.is_spared_at_release(py) || self.is_in(py, &[IMPORT]) {
            return false;
        }
        let mut aim = self.aim.lock();
        let waits = aim.held > 0 || aim.is_covered() || aim.striker.is_some();
        if waits || aim.job.is_none() || aim.asked.is_none() {
            return false;
        }
        self.put_off.store(false, Ordering::Release);
        let asked = aim.asked.take();
        let before = std::mem::replace(&mut aim.sent, asked);
        drop(aim);
        drop(before);
        true
    }

    /// Strike `job`, or put that off if it must not be struck where it is.
    pub(crate) fn strike_or_put_off(&self, exc: &Bound<'_, PyType>, job: u64) {
        frozen(exc.py(), || {
            let may_be =
                || self.may_be_struck(exc.py(), job, Spare::Above) && !self.waits_beside_its_own();
            if self.is_covered(job) || may_be() {
                self.strike(exc, job);
            } else {
                self.put_off(exc, job);
            }
        });
    }

    /// Send what was put off to the thread of `job`, if it may be struck there.
    pub(crate) fn send_put_off(&self, py: Python<'_>, job: u64, spare: Spare) -> Choice {
        frozen(py, || self.send_put_off_now(py, job, spare)).unwrap_or(Choice::NotNow)
    }

    /// The same, while it stands still.
    fn send_put_off_now(&self, py: Python<'_>, job: u64, spare: Spare) -> Choice {
        let asked = {
            let mut aim = self.aim.lock();
            if aim.job == Some(job) && aim.held == 0 && aim.is_covered() {
                // The job has entered a cover since.
                self.let_covers_hear(&mut aim);
                return Choice::Settled;
            }
            let asked = aim.asked.as_ref().filter(|_| aim.job == Some(job));
            asked.map(|exc| exc.clone_ref(py))
        };
        let Some(exc) = asked else {
            return Choice::Settled;
        };
        if !self.may_be_struck(py, job, spare) {
            return Choice::NotNow;
        }
        let position = self.position(py);
        let mut aim = self.aim.lock();
        if aim.held > 0 || aim.is_covered() {
            return Choice::NotNow;
        }
        let mut done = None;
        if aim.job == Some(job) && aim.asked.is_some() {
            done = aim.asked.take();
            self.put_off.store(false, Ordering::Release);
            let before = self.send(&mut aim, exc.bind(py), position).1;
            drop(aim);
            drop(before);
        } else {
            drop(aim);
        }
        drop(done);
        Choice::Settled
    }

    /// Send once more what was sent last, or have the next lines raise it, too. False when `job` is over or held off.
    pub(super) fn send_again(&self, py: Python<'_>, job: u64, with_storm: bool) -> bool {
        let sent = self.aim.lock().sent.as_ref().map(|sent| sent.clone_ref(py));
        let Some(sent) = sent else { return false };
        if with_storm {
            self.storm.gather();
        }
        let position = self.position(py);
        let mut aim = self.aim.lock();
        if aim.job != Some(job) || aim.held > 0 || aim.striker.is_some() {
            return false;
        }
        if aim.is_covered() {
            aim.waiting.get_or_insert(sent);
            return false;
        }
        let (hit, before) = self.send(&mut aim, sent.bind(py), position);
        drop(aim);
        drop(before);
        hit
    }

    /// True while a strike was sent at `job` and it still runs.
    pub(crate) fn is_struck(&self, job: u64) -> bool {
        let aim = self.aim.lock();
        aim.struck && aim.job == Some(job)
    }

    /// The job that runs here now.
    pub(crate) fn job(&self) -> Option<u64> {
        self.aim.lock().job
    }

    /// Have `exc` raised in `job`, if it still runs here; false when it is over (then nobody was hit).
    pub(crate) fn strike(&self, exc: &Bound<'_, PyType>, job: u64) -> bool {
        let position = self.position(exc.py());
        let mut aim = self.aim.lock();
        if aim.job != Some(job) {
            return false;
        }
        if aim.held > 0 || aim.is_covered() || aim.striker.is_some() {
            let before = aim.waiting.replace(exc.clone().unbind());
            aim.struck = true;
            drop(aim);
            drop(before);
            return true;
        }
        let (hit, before) = self.send(&mut aim, exc, position);
        drop(aim);
        drop(before);
        hit
    }

    /// Whether there was such a thread, and what was sent before: to be dropped outside of the lock.
    fn send(
        &self,
        aim: &mut Aim,
        exc: &Bound<'_, PyType>,
        position: Option<Position>,
    ) -> (bool, Option<Py<PyType>>) {
        let py = exc.py();
        let class = landing::carrier(py, self.storm.gathers()).unwrap_or(exc);
        // SAFETY: attached, as `exc` shows, and the thread runs a job, as `aim` says. What is replaced is nothing or another
        // class, which other references keep alive, so no Python code runs under the lock.
        let hit = unsafe { self.frames.send(class) };
        aim.struck |= hit;
        let before = aim.sent.replace(exc.clone().unbind());
        aim.sent_at = position;
        self.sends.fetch_add(1, Ordering::AcqRel);
        self.bell.ring();
        (hit, before)
    }
}

/// What became of a strike that is choosy about where it lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It was sent, or there is nothing to send it for.
    Settled,
    /// The job is where it must not be struck: try again in a moment.
    NotNow,
}

/// `PyO3` declares the ident as a `long`; `CPython` has an `unsigned long`. The bits are the same.
#[expect(clippy::cast_possible_wrap)]
pub(super) const fn long(ident: c_ulong) -> std::ffi::c_long {
    ident as std::ffi::c_long
}
