//! How many jobs may wait: the bound of `max_queued`, and waiting for room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::sync::{Condvar, Mutex};

/// Counts the jobs that were accepted and have not started, up to a bound.
#[derive(Debug)]
pub struct Backlog {
    most: usize,
    queued: Mutex<usize>,
    /// Changed under the lock.
    is_closed: AtomicBool,
    room_came: Condvar,
}

impl Backlog {
    /// Room for `most`.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            queued: Mutex::new(0),
            is_closed: AtomicBool::new(false),
            room_came: Condvar::new(),
        }
    }

    /// The bound.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        *self.queued.lock()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Take a place, if there is one.
    pub fn try_enter(&self) -> bool {
        let mut queued = self.queued.lock();
        if *queued >= self.most {
            return false;
        }
        *queued += 1;
        true
    }

    /// Take a place, also beyond the bound.
    pub fn enter(&self) {
        *self.queued.lock() += 1;
    }

    /// Take a place, if there is one by the deadline; false as well when it was woken for nothing, or is closed.
    pub fn enter_until(&self, deadline: Option<Instant>) -> bool {
        let mut queued = self.queued.lock();
        if *queued >= self.most && !self.is_closed.load(Ordering::Relaxed) {
            queued = (self.room_came)
                .wait_until(&self.queued, queued, deadline)
                .0;
        }
        let has_place = *queued < self.most;
        *queued += usize::from(has_place);
        has_place
    }

    /// One of those that waited has started, or will not.
    pub fn leave(&self) {
        *self.queued.lock() -= 1;
        self.room_came.notify_one();
    }

    /// Let nobody wait any more.
    pub fn close(&self) {
        let queued = self.queued.lock();
        self.is_closed.store(true, Ordering::Relaxed);
        drop(queued);
        self.room_came.notify_all();
    }
}

#[cfg(test)]
mod test {
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::Backlog;

    #[test]
    fn never_more_than_its_bound_under_many_who_want_in() {
        let backlog = Arc::new(Backlog::new(3));
        let seen: Vec<_> = (0..8)
            .map(|_| {
                let backlog = Arc::clone(&backlog);
                thread::spawn(move || {
                    let mut most = 0;
                    for _ in 0..2000 {
                        while !backlog.enter_until(None) {}
                        most = most.max(backlog.len());
                        backlog.leave();
                    }
                    most
                })
            })
            .collect();
        for most in seen {
            assert!(most.join().unwrap() <= 3);
        }
        assert!(backlog.is_empty());
    }

    #[test]
    fn who_waits_in_vain_is_told() {
        let backlog = Backlog::new(1);
        assert!(backlog.try_enter());
        assert!(!backlog.try_enter());
        assert!(!backlog.enter_until(Some(Instant::now() + Duration::from_millis(2))));
        backlog.enter();
        assert_eq!(backlog.len(), 2);
    }
}
