//! What a job printed, and waiting for more of it.

use std::collections::TryReserveError;
use std::time::Instant;

use super::sync::{Condvar, Mutex};

use super::ring::Ring;

/// The output of one job: written by its threads, read and followed by others.
#[derive(Debug)]
pub struct Output {
    text: Mutex<Text>,
    changed: Condvar,
}

#[derive(Debug)]
struct Text {
    ring: Ring,
    /// How often something came that is no text (a display), and that followers want to hear of in its place.
    marks: u64,
    /// The job has ended: a follower need not wait for more.
    ended: bool,
}

/// What a follower got.
#[derive(Debug, PartialEq, Eq)]
pub enum Followed {
    /// New text, and the position after it.
    Text(String, u64),
    /// Something came that is no text.
    Mark,
    /// There is text, and no memory for it.
    Short,
    /// Nothing came before the deadline.
    Nothing,
    /// The job has ended and everything was read.
    End,
}

impl Output {
    /// Room for `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self {
            text: Mutex::new(Text {
                ring: Ring::new(limit),
                marks: 0,
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Append.
    ///
    /// # Errors
    /// There is no memory for it: nothing was appended.
    pub fn write(&self, bytes: &[u8]) -> Result<(), TryReserveError> {
        self.text.lock().ring.push(bytes)?;
        self.changed.notify_all();
        Ok(())
    }

    /// Append what there is memory for; what is not kept is counted as dropped.
    pub fn write_what_fits(&self, bytes: &[u8]) {
        self.text.lock().ring.push_what_fits(bytes);
        self.changed.notify_all();
    }

    /// Something came that is no text.
    pub fn mark(&self) {
        self.text.lock().marks += 1;
        self.changed.notify_all();
    }

    /// How often it did.
    pub fn marks(&self) -> u64 {
        self.text.lock().marks
    }

    /// The text from `position` to `until` (None: all there is), and the position to go on from; does not block.
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn read(
        &self,
        position: u64,
        until: Option<u64>,
    ) -> Result<(String, u64), TryReserveError> {
        let text = self.text.lock();
        let (all, until) = until.map_or((text.ended, u64::MAX), |until| (false, until));
        text.ring.read_until(position, until, all)
    }

    /// The job has ended.
    pub fn end(&self) {
        self.text.lock().ended = true;
        self.changed.notify_all();
    }

    /// What `read` makes of the buffer.
    pub fn with<R>(&self, read: impl FnOnce(&Ring) -> R) -> R {
        read(&self.text.lock().ring)
    }

    /// The same without blocking: in the child of a fork a thread that is not there may hold the buffer for ever.
    pub fn try_with<R>(&self, read: impl FnOnce(&Ring) -> R) -> Option<R> {
        self.text.try_lock().map(|text| read(&text.ring))
    }

    /// Block until there is text after `position`, the job ends, or the deadline is reached.
    pub fn follow(&self, position: u64, deadline: Instant) -> Followed {
        self.follow_all(position, None, deadline)
    }

    /// The same; where `marks` says how many marks are known, one more ends the wait as well.
    pub fn follow_all(&self, position: u64, marks: Option<u64>, deadline: Instant) -> Followed {
        let mut text = self.text.lock();
        loop {
            if marks.is_some_and(|known| known != text.marks) {
                return Followed::Mark;
            }
            let Ok((new, next)) = text.ring.read(position, text.ended) else {
                return Followed::Short;
            };
            if !new.is_empty() {
                return Followed::Text(new, next);
            }
            if text.ended {
                return Followed::End;
            }
            let (back, is_over) = self.changed.wait_until(&self.text, text, Some(deadline));
            text = back;
            if is_over {
                return Followed::Nothing;
            }
        }
    }
}
