//! Between two jobs of a worker: what the last one has left on the thread is not what the next one finds.

use pyo3::prelude::*;

use super::recruit::{Recruited, recruit};
use super::worker::{Shift, Worker};
use super::{exit, shim};
use crate::core::pool::Admission;

impl Worker {
    /// Whether this worker leaves, with another in its place where there is work: what a killed job has left on its thread
    /// nobody knows (trio still runs there, a library's thread-local says that it is at work), and the next is not to find it.
    /// Where the system has no other thread it stays.
    pub(super) fn goes(&self, py: Python<'_>) -> bool {
        if exit::is_ending() {
            return false;
        }
        if self.house.pool.one_is_to_go() == Admission::NeedsWorker
            && let Recruited::No(error) | Recruited::Yes(Err(error)) = recruit(py, &self.house)
        {
            error.write_unraisable(py, None);
        }
        self.house.pool.one_goes()
    }

    /// The interpreter has begun to end. Who waits for the workers until then does not wait for this one.
    pub(super) fn stay_out(&self, py: Python<'_>) -> ! {
        self.house.pool.stay_away();
        exit::stay_out(py)
    }
}

impl Shift<'_> {
    /// What the job has left on its thread that the next is not to find.
    pub(super) fn tidy(&self, py: Python<'_>) {
        if self.slot.tidy(py, self.ran)
            && let Err(error) = shim::TIDY_THREAD.call(py, ())
        {
            error.write_unraisable(py, None);
        }
    }
}
