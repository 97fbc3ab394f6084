//! The processor clock of a worker's thread, read no oftener than it has to be.

use crate::core::clock::{self, Tick};
use crate::interrupt::thread;

/// How old a reading of the processor clock may be, nanoseconds. The system call costs 0.3 us, as much as a small job.
const READING: u64 = 1_000_000;

/// The clock as last read, and when; nanoseconds.
#[derive(Debug)]
pub(crate) struct CpuClock {
    used: u64,
    read: Tick,
}

impl CpuClock {
    /// That of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        Self {
            used: thread::cpu_time(),
            read: clock::now(),
        }
    }

    /// Read it, unless it was read a moment ago: then what has passed since is counted as used, which it was, as a worker that has
    /// work does not wait.
    pub(crate) fn at(&mut self, now: Tick) -> u64 {
        let since = now.saturating_sub(self.read);
        (self.used, self.read) = if since > READING {
            (thread::cpu_time(), now)
        } else {
            (self.used + since, self.read + since)
        };
        self.used
    }
}
