//! The lock and the condition variable for waits.
//!
//! The standard library's and not `parking_lot`'s, which keeps every parked thread in one table of the process: in the child
//! of a fork that table still lists the parent's parked threads, whose memory is gone, and the first new thread that parks
//! crashes. Here the state is in the object itself. `parking_lot` stays where a lock is held for a few instructions and
//! nobody waits for anything but that.

use std::sync::{MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// A mutex that a panic does not poison: what it protects is changed in one last step.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A new one around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Block until it is ours.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take it if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// A condition variable; it may wake for nothing, so callers look again.
#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    /// A new one.
    pub const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Wake one that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wake all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Block until notified, or until the deadline (None: no limit); the guard, and whether the deadline has come.
    pub fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        let Some(deadline) = deadline else {
            return (
                self.0.wait(guard).unwrap_or_else(PoisonError::into_inner),
                false,
            );
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return (guard, true);
        }
        let (guard, _) = self
            .0
            .wait_timeout(guard, left)
            .unwrap_or_else(PoisonError::into_inner);
        (guard, Instant::now() >= deadline)
    }
}
