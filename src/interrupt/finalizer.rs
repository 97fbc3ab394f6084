//! Finalizers: code of anybody's that runs in the midst of other code, wherever the collector begins or a last reference goes.
//!
//! What is raised in one is swallowed by Python, and what is sent to a thread that is in one may arrive when it has returned: in
//! the code that it interrupted. So where that must not be struck the finalizer is not either, although it is nobody's library; and
//! what was swallowed in one is sent again at once only where the job may be struck, and not without end.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;

use super::frame::{Frame, IMPORT};
use super::frames::LIBRARIES;
use super::guard::is_spared_code;
use super::slot::Slot;

/// Modules whose semaphores are not counted as locks, and that are told only once how a child ended.
pub(super) const TOLD_ONCE: [&str; 2] = ["multiprocessing", "subprocess"];

/// How often in a row what was swallowed is sent again at once. That ends a job which hardly ever is out of its finalizers; but
/// the collector may be at a hundred thousand of them, which are done much sooner when it is left alone: so `pursuit.rs` pauses
/// after each burst, longer and longer.
const BURST: u32 = 16;

impl Slot {
    /// Whether one of the innermost frames, whoever's code is above it, is where the job must not be struck. That may also be code
    /// that such a frame has called and that goes on for long, so it holds nobody up for more than some milliseconds.
    pub(super) fn is_above_spared(&self, py: Python<'_>) -> bool {
        let holds = self.footing.library_holds();
        // SAFETY: attached; the thread is the caller, or runs a job, as everybody who asks has seen since they attached.
        unsafe {
            self.frames.is_near(py, |frame| {
                is_spared_code(frame.code())
                    || is_before_anything(frame)
                    || self.footing.is_behind_acquire(frame.mark(), frame.at())
                    || frame.ask_module(|top| {
                        TOLD_ONCE.contains(&top) || (holds && LIBRARIES.contains(&top))
                    })
            })
        }
    }

    /// What was sent to `job` was swallowed in a finalizer, on the thread itself, which is back in the code that this interrupted.
    /// False when the job is over.
    pub(super) fn was_swallowed(&self, py: Python<'_>, job: u64) -> bool {
        let swallowed = self.swallowed.fetch_add(1, Ordering::Relaxed) + 1;
        if swallowed.is_multiple_of(BURST) || self.is_above_spared(py) || self.is_in(py, &[IMPORT])
        {
            self.put_back(py);
            return true;
        }
        self.send_again(py, job, false)
    }

    /// How often that was enough for a while. Never less than before.
    pub(super) fn bursts(&self) -> u32 {
        self.swallowed.load(Ordering::Relaxed) / BURST
    }
}

/// Up to `CPython` 3.11 the collector may begin as a call is prepared: what is sent while one of its finalizers runs arrives at the
/// first instruction of the function then, which may be an `__exit__`. (From 3.12 on the carrier runs that, `landing.rs`.)
fn is_before_anything(frame: &Frame<'_>) -> bool {
    let name = || {
        let code = frame.as_any().getattr("f_code")?;
        code.getattr("co_name")?.eq("__del__")
    };
    cfg!(not(Py_3_12)) && name().unwrap_or(false)
}
