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
//! Lock order: the interpreter first, then the slot; nothing under the slot's lock runs Python or gives the interpreter up.

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyTypeInfo, ffi};

use super::frames::Frames;

/// One worker thread, as strikers see it.
#[derive(Debug)]
pub(crate) struct Slot {
    thread: Identity,
    frames: Frames,
    /// Its worker is out of `park`: it may run a job, or what comes before and after one.
    busy: AtomicBool,
    aim: Mutex<Aim>,
}

/// Who a worker thread is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    /// `threading.get_ident()`.
    pub(crate) ident: c_ulong,
    /// `threading.get_native_id()`, where the system has one.
    pub(crate) native_id: u64,
    /// Tells the processor time of the thread, from any other thread.
    pub(crate) clock: super::thread::CpuClock,
}

#[derive(Debug, Default)]
struct Aim {
    /// The job that runs now, if any: only this one may be struck.
    job: Option<u64>,
    /// A strike was sent at it, which may not have arrived.
    struck: bool,
    /// How many holds there are: strikes wait until the last is let go.
    held: u32,
    /// What waits; of several the latest.
    waiting: Option<Py<PyType>>,
    /// For a job in an event loop: what is asked to end it, in the place of an exception sent to the thread.
    striker: Option<Py<PyAny>>,
    /// What was asked for last and put off: until the striker has done so, or the job is where it can be struck.
    asked: Option<Py<PyType>>,
}

impl Slot {
    /// The slot of the calling thread.
    pub(crate) fn of_this_thread(py: Python<'_>) -> Self {
        Self {
            thread: super::thread::this_thread(),
            frames: Frames::of_this_thread(py),
            busy: AtomicBool::new(true),
            aim: Mutex::new(Aim::default()),
        }
    }

    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Release);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    pub(crate) fn thread(&self) -> Identity {
        self.thread
    }

    /// From here on `job` may be struck. Nothing but its call may follow.
    pub(crate) fn open(&self, job: u64) {
        let mut aim = self.aim.lock();
        aim.job = Some(job);
        aim.struck = false;
    }

    /// From here on nobody may be struck. To be called by the worker itself, attached, as the first thing after the job's
    /// call, before any other Python code (a finalizer, a callback) can run.
    ///
    /// True when a strike had been sent at the job.
    pub(crate) fn close(&self, _py: Python<'_>) -> bool {
        let (struck, dropped) = {
            let mut aim = self.aim.lock();
            aim.job = None;
            aim.held = 0;
            (
                std::mem::take(&mut aim.struck),
                (aim.waiting.take(), aim.striker.take(), aim.asked.take()),
            )
        };
        if struck {
            // SAFETY: attached, as the token shows; NULL takes back what is pending for this thread, and nobody sets
            // anything new, since the slot is closed.
            unsafe {
                ffi::PyThreadState_SetAsyncExc(long(self.thread.ident), std::ptr::null_mut())
            };
        }
        // Last, and outside of the lock: dropping them may run Python code.
        drop(dropped);
        struck
    }

    /// Strikes wait from here on. To be called by the worker itself.
    pub(crate) fn hold(&self) {
        self.aim.lock().held += 1;
    }

    /// The opposite: after the last hold, what waited is sent.
    pub(crate) fn let_go(&self, py: Python<'_>) {
        let waiting = {
            let mut aim = self.aim.lock();
            aim.held = aim.held.saturating_sub(1);
            if aim.held == 0 {
                aim.waiting.take().zip(aim.job)
            } else {
                None
            }
        };
        if let Some((exc, job)) = waiting {
            self.strike(exc.bind(py), job);
        }
    }

    /// From here on `striker(exc)` is asked to end the job, and the thread is only struck by `insist`. None: as before. To be
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

    /// Put a strike off, for the striker or for `insist`. False when the job is over, or one was put off before and is still
    /// to be done: then this takes its place.
    pub(crate) fn put_off(&self, exc: &Bound<'_, PyType>, job: u64) -> bool {
        let mut aim = self.aim.lock();
        if aim.job != Some(job) {
            return false;
        }
        // A job may end by its striker at once.
        aim.struck = true;
        let before = aim.asked.replace(exc.clone().unbind());
        drop(aim);
        before.is_none()
    }

    /// The striker has done what it was asked for. To be called by the worker itself.
    pub(crate) fn has_done(&self) {
        let asked = self.aim.lock().asked.take();
        drop(asked);
    }

    /// Strike the thread of `job` with what was put off, but not in `modules`.
    pub(crate) fn insist(&self, py: Python<'_>, job: u64, modules: &[&str]) -> Choice {
        let asked = {
            let aim = self.aim.lock();
            let asked = aim.asked.as_ref().filter(|_| aim.job == Some(job));
            asked.map(|exc| exc.clone_ref(py))
        };
        let Some(exc) = asked else {
            return Choice::Settled;
        };
        if !self.is_outside(py, job, modules) {
            return Choice::NotNow;
        }
        let mut aim = self.aim.lock();
        if aim.held > 0 {
            return Choice::NotNow;
        }
        if aim.job == Some(job) && aim.asked.is_some() {
            let done = aim.asked.take();
            // Nothing was run since the frames were looked at, so with the GIL the thread is where it was.
            self.send(&mut aim, exc.bind(py));
            drop(aim);
            drop(done);
        }
        Choice::Settled
    }

    /// True while a strike was sent at `job` and it still runs.
    pub(crate) fn is_struck(&self, job: u64) -> bool {
        let aim = self.aim.lock();
        aim.struck && aim.job == Some(job)
    }

    /// The job ends itself: the worker raises the exception without our help.
    pub(crate) fn struck_itself(&self) {
        self.aim.lock().struck = true;
    }

    /// The job that runs here now.
    pub(crate) fn job(&self) -> Option<u64> {
        self.aim.lock().job
    }

    /// Whether `job` is over, or in none of `modules` just now and in nothing of the standard library that these called. With
    /// the GIL that holds until the caller runs bytecode or detaches, but on CPython 3.13, where a strike may arrive one
    /// call or jump later; without it the thread may have gone on.
    pub(crate) fn is_outside(&self, py: Python<'_>, job: u64, modules: &[&str]) -> bool {
        // SAFETY: attached, and the slot names the job at this moment.
        self.job() != Some(job) || !unsafe { self.frames.are_in(py, modules) }
    }

    /// Have `exc` raised in `job`, if it still runs here; false when it is over (then nobody was hit).
    pub(crate) fn strike(&self, exc: &Bound<'_, PyType>, job: u64) -> bool {
        let mut aim = self.aim.lock();
        if aim.job != Some(job) {
            return false;
        }
        if aim.held > 0 || aim.striker.is_some() {
            let before = aim.waiting.replace(exc.clone().unbind());
            aim.struck = true;
            drop(aim);
            drop(before);
            return true;
        }
        self.send(&mut aim, exc)
    }

    fn send(&self, aim: &mut Aim, exc: &Bound<'_, PyType>) -> bool {
        // SAFETY: attached, as `exc` shows. The call takes its own reference to the class, stores it in the thread's
        // state and returns; what it replaces is NULL or another class, which other references keep alive, so nothing
        // is deallocated and no Python code runs under the lock.
        let hit = unsafe { ffi::PyThreadState_SetAsyncExc(long(self.thread.ident), exc.as_ptr()) };
        aim.struck |= hit > 0;
        hit > 0
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

/// Have `exc` raised in a thread that is no worker of ours: bound to the thread, since there is no job to bind it to.
/// False when there is no such thread.
pub(crate) fn strike_thread(exc: &Bound<'_, PyType>, ident: c_ulong) -> bool {
    debug_assert!(PyType::is_type_of(exc));
    // SAFETY: attached, as `exc` shows; an ident that is no thread's makes the call return 0.
    unsafe { ffi::PyThreadState_SetAsyncExc(long(ident), exc.as_ptr()) > 0 }
}

/// `PyO3` declares the ident as a `long`; `CPython` has an `unsigned long`. The bits are the same.
#[expect(clippy::cast_possible_wrap)]
const fn long(ident: c_ulong) -> std::ffi::c_long {
    ident as std::ffi::c_long
}
