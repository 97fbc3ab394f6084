//! Deadlines: one thread that sleeps until the next of them, started by the first, and gone with the last.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::roll::Roll;
use super::sync::{Condvar, Mutex, STACK_SIZE, has_memory_for_thread};

/// Calls `fire` with each `T` when its time has come, on the timers' own thread.
pub struct Timers<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    due: Mutex<Due<T>>,
    changed: Condvar,
    fire: fn(T),
    /// Where their thread is noted, and by which number.
    roll: Arc<Roll>,
    native_id: fn() -> u64,
}

struct Due<T> {
    /// Ordered by time; the counter tells apart those of the same moment.
    by_time: BTreeMap<Key, T>,
    next: u64,
    has_thread: bool,
}

/// What a deadline is taken back by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Instant, u64);

impl<T> std::fmt::Debug for Timers<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Timers").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Timers<T> {
    /// No deadlines, and no thread.
    pub fn new(fire: fn(T), roll: Arc<Roll>, native_id: fn() -> u64) -> Self {
        let due = Due {
            by_time: BTreeMap::new(),
            next: 0,
            has_thread: false,
        };
        Self {
            shared: Arc::new(Shared {
                due: Mutex::new(due),
                changed: Condvar::new(),
                fire,
                roll,
                native_id,
            }),
        }
    }

    /// Fire `item` at `when`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn add(&self, when: Instant, item: T) -> io::Result<Key> {
        let mut due = self.shared.due.lock();
        let key = Key(when, due.next);
        due.next += 1;
        let is_next = due.by_time.keys().next().is_none_or(|first| key < *first);
        due.by_time.insert(key, item);
        if !due.has_thread {
            let shared = Arc::clone(&self.shared);
            shared.roll.expect();
            let started = has_memory_for_thread(STACK_SIZE).and_then(|()| {
                let thread = thread::Builder::new().name("rjobs-timers".into());
                thread.spawn(move || shared.run())
            });
            if let Err(error) = started {
                due.by_time.remove(&key);
                self.shared.roll.did_not_come();
                return Err(error);
            }
            due.has_thread = true;
        } else if is_next {
            self.shared.changed.notify_one();
        }
        Ok(key)
    }

    /// Take a deadline back; None when it has fired, or is firing just now.
    pub fn remove(&self, key: Key) -> Option<T> {
        let mut due = self.shared.due.lock();
        let item = due.by_time.remove(&key);
        // Otherwise the thread is not woken: at worst it looks once in vain, at the time that was removed.
        if due.by_time.is_empty() {
            self.shared.changed.notify_one();
        }
        item
    }

    /// Take all of them back, so that the thread goes.
    pub fn clear(&self) -> Vec<T> {
        let mut due = self.shared.due.lock();
        let all = std::mem::take(&mut due.by_time);
        self.shared.changed.notify_one();
        drop(due);
        all.into_values().collect()
    }

    /// Deadlines that have not fired.
    pub fn len(&self) -> usize {
        self.shared.due.lock().by_time.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Shared<T> {
    fn run(&self) {
        self.roll.is_here((self.native_id)());
        let mut due = self.due.lock();
        while let Some(first) = due.by_time.keys().next().copied() {
            if first.0 > Instant::now() {
                due = self.changed.wait_until(&self.due, due, Some(first.0)).0;
            } else if let Some(item) = due.by_time.remove(&first) {
                drop(due);
                // A panic is said by then, and must not take the others' time with it: this thread is counted on.
                let _ = catch_unwind(AssertUnwindSafe(|| (self.fire)(item)));
                due = self.due.lock();
            }
        }
        // Under the lock, so that who adds next sees it and starts another.
        due.has_thread = false;
    }
}

#[cfg(test)]
mod test {
    use std::time::{Duration, Instant};

    use crossbeam_channel::{Sender, unbounded};

    use super::{Roll, Timers};
    use std::sync::Arc;

    fn timers<T: Send + 'static>(fire: fn(T)) -> (Timers<T>, Arc<Roll>) {
        let roll = Arc::new(Roll::new());
        (Timers::new(fire, Arc::clone(&roll), || 0), roll)
    }

    fn fire((sender, name): (Sender<&'static str>, &'static str)) {
        sender.send(name).unwrap();
    }

    #[test]
    fn they_fire_in_the_order_of_their_times() {
        let (timers, roll) = timers(fire);
        let (sender, receiver) = unbounded();
        for _ in 0..3 {
            let now = Instant::now();
            for (after, name) in [(30, "third"), (10, "first"), (20, "second")] {
                timers
                    .add(now + Duration::from_millis(after), (sender.clone(), name))
                    .unwrap();
            }
            let order: Vec<_> = receiver.iter().take(3).collect();
            assert_eq!(order, ["first", "second", "third"]);
            assert!(timers.is_empty());
        }
        assert!(roll.wait_until_gone(None, |_| false));
    }

    #[test]
    fn a_panic_takes_no_other_deadline_with_it() {
        let (timers, _) = timers(|sender: Option<Sender<()>>| {
            sender.expect("asked for by this test").send(()).unwrap();
        });
        let (sender, receiver) = unbounded();
        let now = Instant::now();
        timers.add(now, None).unwrap();
        timers
            .add(now + Duration::from_millis(5), Some(sender))
            .unwrap();
        assert_eq!(receiver.recv(), Ok(()));
    }

    #[test]
    fn a_deadline_that_was_taken_back_does_not_fire() {
        let (timers, roll) = timers(fire);
        let (sender, receiver) = unbounded();
        let now = Instant::now();
        let key = timers
            .add(now + Duration::from_millis(5), (sender.clone(), "wrong"))
            .unwrap();
        timers
            .add(now + Duration::from_millis(10), (sender.clone(), "right"))
            .unwrap();
        assert!(timers.remove(key).is_some());
        assert!(timers.remove(key).is_none());
        assert_eq!(receiver.iter().take(1).collect::<Vec<_>>(), ["right"]);
        timers
            .add(now + Duration::from_secs(1000), (sender, "never"))
            .unwrap();
        assert_eq!(timers.clear().len(), 1);
        assert!(roll.wait_until_gone(None, |_| false));
        assert_eq!(receiver.try_iter().count(), 0);
    }
}
