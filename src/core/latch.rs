//! Waiting for jobs: a counter that opens at zero, and a stream of those that ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::sync::{Condvar, Mutex};

/// Opens, once and for good, when as many jobs have ended as it was made for.
#[derive(Debug)]
pub struct Latch {
    missing: Mutex<usize>,
    opened: Condvar,
}

impl Latch {
    /// A latch that `missing` ends will open; 0 makes an open one.
    pub fn new(missing: usize) -> Arc<Self> {
        Arc::new(Self {
            missing: Mutex::new(missing),
            opened: Condvar::new(),
        })
    }

    /// One of the awaited jobs has ended.
    pub fn count_down(&self) {
        let mut missing = self.missing.lock();
        *missing = missing.saturating_sub(1);
        if *missing == 0 {
            self.opened.notify_all();
        }
    }

    /// Open now, whatever is missing.
    pub fn open(&self) {
        *self.missing.lock() = 0;
        self.opened.notify_all();
    }

    /// Block until open, or until the deadline; true when open.
    pub fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let mut missing = self.missing.lock();
        while *missing > 0 {
            let (back, is_over) = self.opened.wait_until(&self.missing, missing, deadline);
            missing = back;
            if is_over {
                break;
            }
        }
        *missing == 0
    }
}

/// Receives the key of each watched job as it ends, in that order.
#[derive(Debug, Default)]
pub struct Stream {
    ended: Mutex<VecDeque<usize>>,
    one_came: Condvar,
}

impl Stream {
    /// A stream that nothing feeds yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Block until a job ends, or until the deadline (None).
    pub fn next_until(&self, deadline: Option<Instant>) -> Option<usize> {
        let mut ended = self.ended.lock();
        loop {
            if let Some(key) = ended.pop_front() {
                return Some(key);
            }
            let (back, is_over) = self.one_came.wait_until(&self.ended, ended, deadline);
            ended = back;
            if is_over {
                return ended.pop_front();
            }
        }
    }

    /// A job that has ended already, without blocking.
    pub fn ready(&self) -> Option<usize> {
        self.ended.lock().pop_front()
    }

    /// Send a key down the stream.
    pub fn send(&self, key: usize) {
        self.ended.lock().push_back(key);
        self.one_came.notify_all();
    }
}

/// Who is told when a job ends.
#[derive(Debug, Clone)]
pub enum Waiter {
    /// Counts the latch down; with `on_trouble`, any end but `Done` opens it at once.
    Latch {
        /// What is opened.
        latch: Arc<Latch>,
        /// Whether a job that did not succeed opens it alone.
        on_trouble: bool,
    },
    /// Sends `key` down the stream.
    Stream {
        /// Where to.
        stream: Arc<Stream>,
        /// What the receiver knows the job by.
        key: usize,
    },
}

impl Waiter {
    /// Counts `latch` down.
    pub fn latch(latch: &Arc<Latch>) -> Self {
        Self::Latch {
            latch: Arc::clone(latch),
            on_trouble: false,
        }
    }

    /// True when both are the same registration.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Latch { latch: a, .. }, Self::Latch { latch: b, .. }) => Arc::ptr_eq(a, b),
            (Self::Stream { stream: a, key: x }, Self::Stream { stream: b, key: y }) => {
                Arc::ptr_eq(a, b) && x == y
            }
            _ => false,
        }
    }

    pub(super) fn tell(&self, succeeded: bool) {
        match self {
            Self::Latch { latch, on_trouble } if *on_trouble && !succeeded => latch.open(),
            Self::Latch { latch, .. } => latch.count_down(),
            Self::Stream { stream, key } => stream.send(*key),
        }
    }
}
