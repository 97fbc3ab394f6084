//! The lock and the condition variable for waits.
//!
//! The standard library's and not `parking_lot`'s, which keeps every parked thread in one table of the process: in the child
//! of a fork that table still lists the parent's parked threads, whose memory is gone, so that the first new thread that parks
//! crashes; and a place of the table may be locked for ever. Here the state is in the object itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::bell::Bell;

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

    /// What it protects, where nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it protected.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
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
///
/// A thread that hears a bell is not in the system's, but parked, and in a list: so the bell can end its wait.
#[derive(Debug, Default)]
pub struct Condvar {
    plain: std::sync::Condvar,
    parked: Mutex<Vec<Arc<Bell>>>,
    /// How many those are.
    count: AtomicUsize,
}

impl Condvar {
    /// A new one.
    pub const fn new() -> Self {
        Self {
            plain: std::sync::Condvar::new(),
            parked: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
        }
    }

    /// Wake one that waits, and all that hear bells.
    pub fn notify_one(&self) {
        self.plain.notify_one();
        self.nudge();
    }

    /// Wake all that wait.
    pub fn notify_all(&self) {
        self.plain.notify_all();
        self.nudge();
    }

    fn nudge(&self) {
        // Who waits was counted under the lock that the caller has had to change what is waited for.
        if self.count.load(Ordering::Acquire) > 0 {
            for bell in self.parked.lock().iter() {
                bell.nudge();
            }
        }
    }

    /// Block until notified, or until the deadline (None: no limit), or until a bell rings that the thread hears; the guard of
    /// `mutex`, and whether to wait no longer: the deadline has come, or the bell rang.
    pub fn wait_until<'a, T>(
        &self,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        if let Some(bell) = Bell::heard() {
            return self.wait_parked(mutex, guard, deadline, &bell);
        }
        let Some(deadline) = deadline else {
            return (
                self.plain
                    .wait(guard)
                    .unwrap_or_else(PoisonError::into_inner),
                false,
            );
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return (guard, true);
        }
        let (guard, _) = self
            .plain
            .wait_timeout(guard, left)
            .unwrap_or_else(PoisonError::into_inner);
        (guard, Instant::now() >= deadline)
    }

    fn wait_parked<'a, T>(
        &self,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
        bell: &Arc<Bell>,
    ) -> (MutexGuard<'a, T>, bool) {
        self.parked.lock().push(Arc::clone(bell));
        self.count.fetch_add(1, Ordering::AcqRel);
        drop(guard);
        bell.park(deadline);
        let guard = mutex.lock();
        self.count.fetch_sub(1, Ordering::AcqRel);
        let mut parked = self.parked.lock();
        if let Some(place) = parked.iter().position(|other| Arc::ptr_eq(other, bell)) {
            parked.swap_remove(place);
        }
        drop(parked);
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        (guard, is_late || bell.is_rung())
    }
}

/// Bytes of the stack of a thread that the standard library starts.
pub const STACK_SIZE: usize = 2 << 20;

/// Bytes that a thread needs at its start beside that: a guess, ample.
const BESIDE_STACK: usize = 1 << 20;

/// An error where the system has no memory for a thread with a stack of so many bytes: the standard library, and the C library, end the process when they find
/// none for what belongs to a thread. To be asked before one is started.
///
/// # Errors
/// There is no memory.
pub fn has_memory_for_thread(stack: usize) -> std::io::Result<()> {
    let mut probe = Vec::<u8>::new();
    probe
        .try_reserve_exact(stack + BESIDE_STACK)
        .map_err(|_| std::io::ErrorKind::OutOfMemory.into())
}
