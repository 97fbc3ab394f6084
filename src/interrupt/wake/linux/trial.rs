//! Whether calls can be ended where the kernel does not tell what a thread waits in: tried once, on a thread of our own.
//!
//! Sandboxes emulate system calls, and what they leave in the registers of a thread that was interrupted is theirs to decide.

use std::sync::mpsc;
use std::thread::{Builder, sleep};
use std::time::Duration;

use super::wake_unseen;
use crate::interrupt::beat::Beat;

/// How long the thread waits when nothing ends it. Milliseconds.
const PATIENCE: i32 = 250;

/// How often it is tried.
const PAUSE: Duration = Duration::from_micros(200);

/// Blocks for less than a millisecond, or until the thread has lost its patience.
pub(super) fn succeeds() -> bool {
    let (tell, told) = mpsc::channel();
    let begin = move || {
        let beat = Beat::of_this_thread();
        let entry = beat.enter(false);
        // Cannot fail: who has begun this thread waits for it.
        let _ = tell.send((beat, beat.current()));
        let mut nothing = libc::pollfd {
            fd: -1,
            events: 0,
            revents: 0,
        };
        // SAFETY: one record, which outlives the call.
        unsafe { libc::poll(&raw mut nothing, 1, PATIENCE) };
        let was_ended = beat.leave(&entry);
        beat.retire();
        was_ended
    };
    let Ok(thread) = Builder::new().stack_size(128 * 1024).spawn(begin) else {
        return false;
    };
    if let Ok((beat, entry)) = told.recv() {
        while !thread.is_finished() {
            wake_unseen(beat, entry);
            sleep(PAUSE);
        }
    }
    thread.join().unwrap_or(false)
}
