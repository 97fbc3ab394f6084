//! What a striker can see of a job: whether it may be struck where it is, and what became of a strike.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;

use super::finalizer::TOLD_ONCE;
use super::frame::IMPORT;
use super::frames::{Frames, LIBRARIES};
use super::guard::{GIVING, JOINING, SPARED};
use super::slot::Slot;

/// Where a job is not struck: the strike would be lost there, or leave broken what others need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spare {
    /// The event loop's own code.
    Loop,
    /// A finalizer, or whatever else is right above what `Locks` spares; and what `Import` spares.
    Above,
    /// A module that is being imported; and what `Locks` spares.
    Import,
    /// The place right behind an `acquire`, and library code that holds a lock.
    Locks,
}

/// The loop's own code.
const LOOP: [&str; 4] = ["asyncio", "selectors", "concurrent", "rjobs"];

/// Event loops that run tasks, and hand on what one of them raises.
const EVENT_LOOPS: [&str; 5] = ["asyncio", "selectors", "trio", "outcome", "anyio"];

/// A frame and an instruction in it; only good to be compared.
pub(super) type Position = (usize, i32);

/// What became of a strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The job has ended.
    Over,
    /// It was not sent yet.
    PutOff,
    /// It was sent, and the job has not moved since: it waits, or for its turn.
    Underway,
    /// It arrived, and the job is cleaning up.
    Handled,
    /// It arrived, and the job went on.
    Swallowed,
}

impl Slot {
    /// Whether `job` is over, or where a strike harms nobody but it. With the GIL that holds until the caller runs bytecode
    /// or detaches, but from CPython 3.13 on, where a strike may arrive one call or jump later; without it for as
    /// long as all threads stand still (`frozen`).
    pub(crate) fn may_be_struck(&self, py: Python<'_>, job: u64, spare: Spare) -> bool {
        if self.job() != Some(job) {
            return true;
        }
        if self.is_shared && self.is_in_asyncio(py) {
            return false;
        }
        if self.joins_its_own(py) {
            return false;
        }
        match spare {
            Spare::Loop => !self.is_in_loop(py),
            Spare::Above | Spare::Import if self.is_in(py, &[IMPORT]) => false,
            // What it waits in raises the exception itself, where that is safe.
            _ if self.beat.current() != 0 && !self.is_in_callback(py) => !self.beat.is_deaf(),
            Spare::Above if self.is_above_spared(py) => false,
            Spare::Above | Spare::Import | Spare::Locks => {
                let is_behind = self
                    .position(py)
                    .is_some_and(|(frame, at)| self.footing.is_behind_acquire(frame, at));
                // SAFETY: attached, and it runs a job, as was seen since.
                let is_before_exit = || unsafe { self.frames.is_before_exit(py) };
                !(is_behind || self.is_spared(py) || is_before_exit())
            }
        }
    }

    /// Whether the thread is in code of the standard library that waits for threads, and not in its wait just now.
    pub(super) fn is_about_to_join(&self, py: Python<'_>) -> bool {
        // SAFETY: attached; the thread runs a job, as everybody who asks has seen since they attached.
        unsafe { self.frames.run(py, &JOINING) }
    }

    /// Whether a permit of a semaphore is being given back.
    pub(super) fn gives_back(&self, py: Python<'_>) -> bool {
        // SAFETY: attached; the thread is the caller.
        unsafe { self.frames.run(py, &SPARED[GIVING..]) }
    }

    /// Whether a strike must not be raised where the last lock was given back. A permit has been given back then, too.
    pub(super) fn is_spared_at_release(&self, py: Python<'_>) -> bool {
        // SAFETY: attached; the thread is the caller.
        self.footing.library_holds() || unsafe { self.frames.run(py, &SPARED[..GIVING]) }
    }

    /// Whether the standard library's own code holds a lock of its own there, or is about to take one again, or hands out
    /// what it was asked for.
    pub(super) fn is_spared(&self, py: Python<'_>) -> bool {
        // SAFETY: attached; the thread is the caller, or runs a job, as everybody who asks has seen since they attached.
        let is_there = unsafe { self.frames.run(py, &SPARED) };
        // Locks between processes are semaphores, and not counted; how a child ended is told once.
        is_there
            || self.is_in(py, &TOLD_ONCE)
            || self.footing.library_holds() && self.is_in(py, &LIBRARIES)
    }

    /// Whether the thread is in the event loop's own code.
    pub(super) fn is_in_loop(&self, py: Python<'_>) -> bool {
        self.is_in(py, &LOOP)
    }

    /// Whether the thread is in an event loop's own code, of whatever library.
    pub(super) fn is_in_event_loop(&self, py: Python<'_>) -> bool {
        self.is_in(py, &EVENT_LOOPS)
    }

    /// Whether the thread is in one of `modules` or in what these called of the standard library.
    pub(super) fn is_in(&self, py: Python<'_>, modules: &[&str]) -> bool {
        // SAFETY: attached; the thread is the caller, or runs a job, as everybody who asks has seen since they attached.
        unsafe { self.frames.are_in(py, modules) }
    }

    /// Where the job's code is; only good to be compared.
    pub(super) fn position(&self, py: Python<'_>) -> Option<Position> {
        self.job()?;
        // SAFETY: attached, and it runs a job at this moment.
        unsafe { self.frames.position(py) }
    }

    /// What became of what was sent to `job`, as far as can be seen.
    pub(super) fn fate(&self, py: Python<'_>, job: u64) -> Fate {
        let (sent, sent_at) = {
            let aim = self.aim.lock();
            if aim.job != Some(job) {
                return Fate::Over;
            }
            if aim.asked.is_some() || aim.waiting.is_some() {
                return Fate::PutOff;
            }
            let sent = aim.sent.as_ref().map(|sent| sent.clone_ref(py));
            (sent, aim.sent_at)
        };
        let Some(sent) = sent else {
            return Fate::PutOff;
        };
        // SAFETY: attached, and it runs a job at this moment.
        let is_pending = unsafe { self.frames.has_pending(py) };
        if is_pending.unwrap_or_else(|| self.position(py) == sent_at) {
            return Fate::Underway;
        }
        if self.landing.load(Ordering::Acquire) || Frames::handles(sent.bind(py), self.thread.ident)
        {
            return Fate::Handled;
        }
        Fate::Swallowed
    }
}
