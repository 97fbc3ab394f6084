//! The slot of a thread whose event loop runs many jobs: it is opened for one of them at a time, for one step of its code.
//!
//! A strike is bound to the job, and lands in that job's own code or nowhere: what has not arrived when the step is over is taken
//! back, before anything of the loop's or of another job runs. The loop's own code is never struck, also where a step calls it.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::PyType;

use super::slot::Slot;

/// Code that belongs to all jobs of a loop: half done, it would harm the others.
const SHARED: [&str; 2] = ["asyncio", "rjobs"];

/// What strikes did to a job, or in one step of a coroutine job.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    /// One was sent, or the job raised it itself.
    pub(crate) at_all: bool,
    /// It arrived, as far as that can be told.
    pub(crate) arrived: bool,
    /// A function that ends calls was called for the job.
    pub(crate) was_helped: bool,
    /// What was asked for last.
    pub(crate) class: Option<Py<PyType>>,
}

impl Slot {
    /// The slot of the calling thread, which runs an event loop for many jobs.
    pub(crate) fn of_this_loop(py: Python<'_>) -> Self {
        Self {
            is_shared: true,
            ..Self::of_this_thread(py)
        }
    }

    /// The job ends itself: the worker raises the exception without our help.
    pub(crate) fn struck_itself(&self) {
        let mut aim = self.aim.lock();
        (aim.struck, aim.itself) = (true, true);
    }

    /// The step that runs now, by its number, if it is one of `job`.
    pub(crate) fn step_of(&self, job: u64) -> Option<u64> {
        let aim = self.aim.lock();
        (aim.job == Some(job)).then(|| self.steps.load(Ordering::Relaxed))
    }

    /// Whether the step that runs waits in a call that can be ended.
    pub(crate) fn waits_in_a_call(&self) -> bool {
        self.beat.current() != 0
    }

    /// From here to the end of the step each line of the job raises `exc`. By the thread itself, after `open`.
    pub(crate) fn rage(&self, exc: &Bound<'_, PyType>) {
        let before = {
            let mut aim = self.aim.lock();
            aim.struck = true;
            aim.sent.replace(exc.clone().unbind())
        };
        drop(before);
        self.storm.begin(exc.py());
    }

    /// Whether the thread is in code that all jobs of its loop share.
    pub(super) fn is_in_asyncio(&self, py: Python<'_>) -> bool {
        self.is_in(py, &SHARED)
    }

    /// Whether the thread is in code of the event loop that its job runs in.
    pub(super) fn is_in_its_loop(&self, py: Python<'_>) -> bool {
        (self.is_shared && self.is_in_asyncio(py)) || (self.has_striker() && self.is_in_loop(py))
    }
}
