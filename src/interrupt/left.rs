//! What a job leaves on its thread, and the next one is not to find: a trace or a profile function, blocked signals.
//!
//! What was there before is noted when the job is about to change it (`guard/leaves.rs`), so a job that changes nothing pays
//! nothing, and what a debugger or a coverage tool has put on the thread from outside stays. Only a job that ran long is asked for
//! blocked signals nevertheless, since native code blocks them without Python: the system call costs 0.2 us.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use super::slot::Slot;
use super::wake;
use crate::core::sync::Mutex;

/// How long is long, nanoseconds: a hundred times what the looks take that such a job pays for.
const LONG: u64 = 10_000;

/// Notes of what a job has changed.
#[derive(Debug, Default)]
pub(super) struct Left {
    is_anything: AtomicBool,
    before: Mutex<Before>,
    /// The signals that were blocked when the thread began.
    at_first: Option<Mask>,
}

#[derive(Debug, Default)]
struct Before {
    trace: Option<Py<PyAny>>,
    profile: Option<Py<PyAny>>,
    mask: Option<Mask>,
}

/// What of a thread is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Trace,
    Profile,
    Mask,
}

impl Left {
    /// Of the calling thread, a new one.
    pub(super) fn of_this_thread() -> Self {
        wake::let_come();
        Self {
            at_first: Mask::now(),
            ..Self::default()
        }
    }
}

impl Slot {
    /// The job of the calling thread is about to change this.
    pub(super) fn note(&self, py: Python<'_>, part: Part) {
        let function = |get: &str| py.import("sys").and_then(|sys| sys.call_method0(get));
        let made = match part {
            Part::Trace => function("gettrace").ok(),
            Part::Profile => function("getprofile").ok(),
            Part::Mask => None,
        };
        let one_too_many = {
            let mut before = self.left.before.lock();
            let place = match part {
                Part::Trace => Some(&mut before.trace),
                Part::Profile => Some(&mut before.profile),
                Part::Mask => None,
            };
            match place {
                Some(place) if place.is_none() => {
                    *place = made.map(Bound::unbind);
                    None
                }
                Some(_) => made,
                None => {
                    before.mask = before.mask.take().or_else(Mask::now);
                    None
                }
            }
        };
        drop(one_too_many);
        self.left.is_anything.store(true, Ordering::Relaxed);
    }

    /// Put back what the job has changed that ran on this thread for so many nanoseconds. To be called by the worker itself,
    /// attached, between two jobs. True where the job ran long, so that what only Python knows of is to be looked at as well.
    #[inline]
    pub(crate) fn tidy(&self, py: Python<'_>, ran: u64) -> bool {
        if self.left.is_anything.swap(false, Ordering::Relaxed) {
            self.put_all_back(py);
        }
        let is_long = ran > LONG;
        if is_long && let Some(mask) = &self.left.at_first {
            mask.set();
        }
        is_long
    }

    #[cold]
    fn put_all_back(&self, py: Python<'_>) {
        let before = std::mem::take(&mut *self.left.before.lock());
        if let Some(mask) = before.mask {
            mask.set();
        }
        for (set, function) in [("settrace", before.trace), ("setprofile", before.profile)] {
            let Some(function) = function else { continue };
            let done = py
                .import("sys")
                .and_then(|sys| sys.call_method1(set, (function,)));
            if let Err(error) = done {
                error.write_unraisable(py, None);
            }
        }
    }
}

/// The signals that are blocked in a thread.
#[derive(Clone, Copy)]
struct Mask(#[cfg(unix)] libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Mask")
    }
}

#[cfg(unix)]
impl Mask {
    /// Of the calling thread.
    fn now() -> Option<Self> {
        let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: only asks, with a place for the answer, which is initialized as zeros are a valid one.
        unsafe {
            let failed =
                libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr()) != 0;
            (!failed).then(|| Self(mask.assume_init()))
        }
    }

    fn set(&self) {
        // SAFETY: a mask that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}

#[cfg(not(unix))]
impl Mask {
    const fn now() -> Option<Self> {
        None
    }

    const fn set(&self) {
        let _ = self;
    }
}
