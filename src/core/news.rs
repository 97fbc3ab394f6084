//! Something has changed: told to who waits for that, at no cost where nobody does.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::sync::{Condvar, Mutex};

/// A number that changes with every `tell`, and a way to wait for that.
#[derive(Debug, Default)]
pub struct News {
    version: AtomicU64,
    waiting: AtomicUsize,
    lock: Mutex<()>,
    told: Condvar,
}

impl News {
    /// Nothing has changed yet: version 0.
    pub const fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            lock: Mutex::new(()),
            told: Condvar::new(),
        }
    }

    /// Something has changed.
    pub fn tell(&self) {
        // In one order with the two steps of who waits: either we see that it waits, or it sees the new version.
        self.version.fetch_add(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            let _guard = self.lock.lock();
            self.told.notify_all();
        }
    }

    /// Block until the version is another one than `seen`, or until the deadline (None: no limit); the version.
    pub fn wait_past(&self, seen: u64, deadline: Option<Instant>) -> u64 {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock();
        while self.version.load(Ordering::SeqCst) == seen {
            let (back, is_over) = self.told.wait_until(&self.lock, guard, deadline);
            guard = back;
            if is_over {
                break;
            }
        }
        drop(guard);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.version.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod test {
    use std::thread;
    use std::time::Instant;

    use super::News;

    #[test]
    fn who_waits_hears_of_every_change() {
        let news = News::new();
        assert_eq!(news.wait_past(0, Some(Instant::now())), 0);
        for seen in 0..1000 {
            thread::scope(|scope| {
                let waiting = scope.spawn(|| news.wait_past(seen, None));
                news.tell();
                assert_eq!(waiting.join().expect("it ends"), seen + 1);
            });
        }
    }

    #[test]
    fn what_changed_before_is_not_waited_for() {
        let news = News::new();
        news.tell();
        assert_eq!(news.wait_past(0, None), 1);
    }
}
