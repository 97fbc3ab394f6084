//! What wakes one thread, whatever it waits for.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

/// One thread's. Its waits are those for a `sync::Condvar` in `hear`, and `sleep_until`.
///
/// They park the thread, and whoever rings unparks it: that is remembered if it comes before, so no ring is missed.
#[derive(Debug)]
pub struct Bell {
    thread: Thread,
    is_rung: AtomicBool,
}

thread_local! {
    // Without a destructor: `hear` puts back what was there, at last nothing.
    static HEARD: RefCell<ManuallyDrop<Option<Arc<Bell>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

impl Bell {
    /// The calling thread's.
    pub fn of_this_thread() -> Arc<Self> {
        Arc::new(Self {
            thread: thread::current(),
            is_rung: AtomicBool::new(false),
        })
    }

    /// End the wait that the thread is in, or else the next one. Does not block, and takes no lock.
    pub fn ring(&self) {
        self.is_rung.swap(true, Ordering::AcqRel);
        self.thread.unpark();
    }

    /// It rang, and that was seen: who hushes it sees what was done before the ring, too, and looks at that after this.
    pub fn hush(&self) {
        // Not a store, which a look that comes after it may overtake: then neither that nor the bell would tell.
        self.is_rung.swap(false, Ordering::AcqRel);
    }

    /// Whether it rang since it was hushed.
    pub fn is_rung(&self) -> bool {
        self.is_rung.load(Ordering::Acquire)
    }

    /// Run `wait` on the bell's thread: a ring ends its waits, as if their deadlines had come.
    pub fn hear<R>(self: &Arc<Self>, wait: impl FnOnce() -> R) -> R {
        /// Also when `wait` panics.
        struct Deaf(Option<Arc<Bell>>);
        impl Drop for Deaf {
            fn drop(&mut self) {
                HEARD.replace(ManuallyDrop::new(self.0.take()));
            }
        }
        let before = HEARD.replace(ManuallyDrop::new(Some(Arc::clone(self))));
        let _deaf = Deaf(ManuallyDrop::into_inner(before));
        wait()
    }

    /// The one that the calling thread hears.
    pub(super) fn heard() -> Option<Arc<Self>> {
        HEARD.with_borrow(|heard| (**heard).clone())
    }

    /// Block until it rings, until the deadline (None: no limit), or for no reason. On its thread.
    pub(super) fn park(&self, deadline: Option<Instant>) {
        if self.is_rung() {
            return;
        }
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// Have the thread look again at what it waits for.
    pub(super) fn nudge(&self) {
        self.thread.unpark();
    }

    /// Block until it rings, or until the deadline. On its thread.
    pub fn sleep_until(&self, deadline: Instant) {
        while !self.is_rung() && Instant::now() < deadline {
            self.park(Some(deadline));
        }
    }
}

#[cfg(test)]
mod test {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::Bell;
    use crate::core::latch::Latch;

    /// How long a test waits that must not wait: long, and still an end.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_ring_ends_a_wait_that_began_before_or_begins_after_it() {
        for _ in 0..1000 {
            let (sender, receiver) = mpsc::channel();
            let latch = Latch::new(1);
            let waits = {
                let latch = Arc::clone(&latch);
                thread::spawn(move || {
                    let bell = Bell::of_this_thread();
                    sender.send(Arc::clone(&bell)).unwrap();
                    let opened = bell.hear(|| latch.wait_until(Some(Instant::now() + LONG)));
                    (opened, bell.is_rung())
                })
            };
            receiver.recv().unwrap().ring();
            assert_eq!(waits.join().unwrap(), (false, true));
        }
    }

    #[test]
    fn what_is_waited_for_is_not_missed_by_who_hears_a_bell() {
        for _ in 0..1000 {
            let latch = Latch::new(1);
            let waits = {
                let latch = Arc::clone(&latch);
                thread::spawn(move || {
                    let bell = Bell::of_this_thread();
                    bell.hear(|| latch.wait_until(None))
                })
            };
            latch.count_down();
            assert!(waits.join().unwrap());
        }
    }

    #[test]
    fn a_bell_that_nobody_hears_ends_no_wait() {
        let bell = Bell::of_this_thread();
        bell.ring();
        let until = Instant::now() + Duration::from_millis(5);
        assert!(!Latch::new(1).wait_until(Some(until)));
        assert!(Instant::now() >= until);
        bell.sleep_until(Instant::now() + LONG);
        bell.hush();
        assert!(!bell.is_rung());
    }
}
