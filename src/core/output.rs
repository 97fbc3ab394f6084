//! What a job printed, and waiting for more of it.

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
    /// The job has ended: a follower need not wait for more.
    ended: bool,
}

/// What a follower got.
#[derive(Debug, PartialEq, Eq)]
pub enum Followed {
    /// New text, and the position after it.
    Text(String, u64),
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
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Append.
    pub fn write(&self, bytes: &[u8]) {
        self.text.lock().ring.push(bytes);
        self.changed.notify_all();
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
        let mut text = self.text.lock();
        loop {
            let (new, next) = text.ring.read(position, text.ended);
            if !new.is_empty() {
                return Followed::Text(new, next);
            }
            if text.ended {
                return Followed::End;
            }
            let (back, is_over) = self.changed.wait_until(text, Some(deadline));
            text = back;
            if is_over {
                return Followed::Nothing;
            }
        }
    }
}
