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

/// One worker thread, as strikers see it.
#[derive(Debug)]
pub(crate) struct Slot {
    thread: Identity,
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
}

impl Slot {
    /// The slot of the calling thread.
    pub(crate) fn of_this_thread(_py: Python<'_>) -> Self {
        Self {
            thread: super::thread::this_thread(),
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
                (aim.waiting.take(), aim.striker.take()),
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

    /// Have `striker(exc)` asked first, or nobody. To be called by the worker itself.
    pub(crate) fn set_striker(&self, striker: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut self.aim.lock().striker, striker);
        drop(before);
    }

    /// Who is to be asked first, while `job` runs here.
    pub(crate) fn striker(&self, py: Python<'_>, job: u64) -> Option<Py<PyAny>> {
        let aim = self.aim.lock();
        let striker = aim.striker.as_ref().filter(|_| aim.job == Some(job))?;
        Some(striker.clone_ref(py))
    }

    /// It is about to be asked, if `job` still runs here.
    pub(crate) fn will_be_struck(&self, job: u64) {
        let mut aim = self.aim.lock();
        aim.struck |= aim.job == Some(job);
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

    /// Have `exc` raised in `job`, if it still runs here; false when it is over (then nobody was hit).
    pub(crate) fn strike(&self, exc: &Bound<'_, PyType>, job: u64) -> bool {
        let mut aim = self.aim.lock();
        if aim.job != Some(job) {
            return false;
        }
        if aim.held > 0 {
            let before = aim.waiting.replace(exc.clone().unbind());
            aim.struck = true;
            drop(aim);
            drop(before);
            return true;
        }
        // SAFETY: attached, as `exc` shows. The call takes its own reference to the class, stores it in the thread's
        // state and returns; what it replaces is NULL or another class, which other references keep alive, so nothing
        // is deallocated and no Python code runs under the lock.
        let hit = unsafe { ffi::PyThreadState_SetAsyncExc(long(self.thread.ident), exc.as_ptr()) };
        aim.struck |= hit > 0;
        hit > 0
    }
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
