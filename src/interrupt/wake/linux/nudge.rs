//! A signal that ends nothing by itself: its handler finds no request, and returns.
//!
//! Two kinds of calls come back for it. Foreign code (`ctypes`, zmq) that waits in a system call which is never restarted after a
//! handler, whatever its flags, gets `EINTR` and returns to Python, which raises the kill. And a guarded call that is at work in
//! the kernel for long (`sendfile` of a whole file) returns how much it has moved. What is restarted goes on as if nothing had
//! come, since the signal is installed with `SA_RESTART`.
//!
//! Foreign code is nudged where that was seen to be harmless, and nowhere else: by system call, by whose code has made it
//! (`owner.rs`), at the second look that finds it at the same place, and a few times only, since code that begins again with its
//! whole time would never come to the end of it.

use super::owner;
use super::results::{Waiting, state_of};

/// How often foreign code is nudged between two strikes.
const OFTEN: u32 = 8;

/// What was seen at the last look of who is to end a job.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// The foreign call: system call, program counter, stack pointer; and whether it may be nudged.
    foreign: Option<(i64, usize, usize)>,
    is_known: bool,
    nudges: u32,
    /// The guarded call that was at work.
    at_work: u64,
}

impl Looks {
    /// Another strike was sent.
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    /// Whether the foreign call in which the thread waits is to be nudged now.
    pub(super) fn nudges_foreign(&mut self, waiting: &Waiting) -> bool {
        let place = (waiting.number, waiting.pc, waiting.sp);
        if self.foreign != Some(place) {
            self.foreign = Some(place);
            self.is_known = is_never_restarted(waiting.number) && owner::is_known(waiting.sp);
            return false;
        }
        let is_to_be = self.is_known && self.nudges < OFTEN;
        self.nudges += u32::from(is_to_be);
        is_to_be
    }

    /// Whether the guarded call `entry`, which is seen at work, is to be nudged now.
    pub(super) fn nudges_at_work(&mut self, entry: u64) -> bool {
        let is_again = self.at_work == entry;
        self.at_work = entry;
        is_again
    }
}

/// Whether a thread of this process is at work, and waits in no system call. False where that cannot be told.
pub(crate) fn is_at_work(thread: u64) -> bool {
    i32::try_from(thread).is_ok_and(|thread| matches!(state_of(thread), Some(None)))
}

/// The system calls that end with `EINTR` after any handler (signal(7)), so that whoever calls them has to be ready for that: waits
/// for descriptors, which tell nothing but that none is ready, and sleeps. All of them leave nothing half done. Not here: the
/// calls that are restarted, for which a signal is of no use, and `futex`, which C libraries call in the midst of anything.
fn is_never_restarted(number: i64) -> bool {
    #[cfg(target_arch = "x86_64")]
    if matches!(
        number,
        libc::SYS_poll | libc::SYS_select | libc::SYS_epoll_wait | libc::SYS_pause
    ) {
        return true;
    }
    matches!(
        number,
        libc::SYS_ppoll
            | libc::SYS_pselect6
            | libc::SYS_epoll_pwait
            | libc::SYS_epoll_pwait2
            | libc::SYS_nanosleep
            | libc::SYS_clock_nanosleep
    )
}
