//! The threads of somebody: who waits for them waits until the system has none of them any more.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::sync::{Condvar, Mutex};
use super::visits;

/// How long a thread that has done all that a program can see may take until the system has it no more.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// Counts threads from their start until they have run the last of their code.
#[derive(Debug, Default)]
pub struct Roll {
    threads: Mutex<Threads>,
    one_gone: Condvar,
}

#[derive(Debug, Default)]
struct Threads {
    alive: usize,
    /// Nobody waits for them any more.
    is_void: bool,
    /// Those that went a moment ago: by the system's number, and when.
    gone: Vec<(u64, Instant)>,
}

thread_local! {
    /// Dropped as the calling thread ends, behind all that Python does on it.
    static HERE: RefCell<Option<Presence>> = const { RefCell::new(None) };
}

/// A thread is on a roll.
#[derive(Debug)]
struct Presence {
    roll: Arc<Roll>,
    native_id: u64,
    generation: u32,
}

impl Drop for Presence {
    fn drop(&mut self) {
        // In the child of a fork the roll is the parent's, and who had its lock is not here.
        if self.generation == visits::generation() {
            self.roll.leave(Some(self.native_id));
        }
    }
}

/// The calling thread stays where it is, for good: nobody is to wait for it.
pub fn is_lost() {
    let here = HERE.try_with(|here| here.borrow_mut().take());
    if let Ok(Some(presence)) = here {
        if presence.generation == visits::generation() {
            presence.roll.leave(None);
        }
        std::mem::forget(presence);
    }
}

impl Roll {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            threads: Mutex::new(Threads {
                alive: 0,
                is_void: false,
                gone: Vec::new(),
            }),
            one_gone: Condvar::new(),
        }
    }

    /// A thread is about to be started.
    pub fn expect(&self) {
        self.threads.lock().alive += 1;
    }

    /// It could not be.
    pub fn did_not_come(&self) {
        self.leave(None);
    }

    /// The calling thread is the one that was expected. `native_id` is what the system calls it.
    pub fn is_here(self: &Arc<Self>, native_id: u64) {
        let presence = Presence {
            roll: Arc::clone(self),
            native_id,
            generation: visits::generation(),
        };
        let before = HERE.replace(Some(presence));
        drop(before);
    }

    fn leave(&self, native_id: Option<u64>) {
        let mut threads = self.threads.lock();
        threads.alive = threads.alive.saturating_sub(1);
        let now = Instant::now();
        threads
            .gone
            .retain(|(_, when)| now.saturating_duration_since(*when) < LAST_STEPS);
        threads.gone.extend(native_id.map(|id| (id, now)));
        if threads.alive == 0 {
            self.one_gone.notify_all();
        }
    }

    /// Nobody waits for the threads any more: the program ends.
    pub fn void(&self) {
        self.threads.lock().is_void = true;
        self.one_gone.notify_all();
    }

    /// Block until all have gone, or until the deadline; true when they have. `is_there` tells whether the system still has a
    /// thread of this number.
    pub fn wait_until_gone(
        &self,
        deadline: Option<Instant>,
        is_there: impl Fn(u64) -> bool,
    ) -> bool {
        let mut threads = self.threads.lock();
        while threads.alive > 0 && !threads.is_void {
            let (back, is_over) = self.one_gone.wait_until(&self.threads, threads, deadline);
            threads = back;
            if is_over {
                break;
            }
        }
        if threads.is_void {
            return true;
        }
        if threads.alive > 0 {
            return false;
        }
        let gone = std::mem::take(&mut threads.gone);
        drop(threads);
        for (id, when) in gone {
            // By looking: nobody is told of this, and it is a matter of microseconds.
            while is_there(id) && when.elapsed() < LAST_STEPS {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        true
    }
}

#[cfg(test)]
mod test {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::{Roll, is_lost};

    #[test]
    fn who_waits_is_told_when_the_last_thread_has_ended() {
        let (roll, done) = (Arc::new(Roll::new()), Arc::new(AtomicBool::new(false)));
        for _ in 0..4 {
            roll.expect();
            let (roll, done) = (Arc::clone(&roll), Arc::clone(&done));
            std::thread::spawn(move || {
                roll.is_here(1);
                std::thread::sleep(Duration::from_millis(5));
                done.store(true, Ordering::Release);
            });
        }
        assert!(!roll.wait_until_gone(Some(Instant::now()), |_| false));
        assert!(roll.wait_until_gone(None, |_| false));
        assert!(done.load(Ordering::Acquire));
    }

    #[test]
    fn one_that_is_lost_or_never_came_is_not_waited_for() {
        let roll = Arc::new(Roll::new());
        roll.expect();
        roll.expect();
        roll.did_not_come();
        roll.is_here(1);
        assert!(!roll.wait_until_gone(Some(Instant::now()), |_| false));
        is_lost();
        assert!(roll.wait_until_gone(None, |_| false));
        roll.expect();
        roll.void();
        assert!(roll.wait_until_gone(None, |_| false));
    }

    #[test]
    fn the_system_is_asked_for_those_that_went_a_moment_ago() {
        let roll = Arc::new(Roll::new());
        roll.expect();
        let there = Arc::clone(&roll);
        std::thread::spawn(move || there.is_here(7)).join().unwrap();
        let asked = std::cell::Cell::new(0);
        let is_there = |id| {
            assert_eq!(id, 7);
            asked.set(asked.get() + 1);
            asked.get() < 3
        };
        assert!(roll.wait_until_gone(None, is_there));
        assert_eq!(asked.get(), 3);
    }
}
