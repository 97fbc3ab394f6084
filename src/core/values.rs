//! The values that a job gives before its end: a bounded queue between those who give and those who take.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::sync::{Condvar, Mutex};

#[cfg(test)]
mod test;

/// Values `T` on their way from a job to whoever takes them, each to one taker. Threads block here; event loops leave a bell
/// `W`, which comes back when it is to be rung: by the caller, when no lock is held.
#[derive(Debug)]
pub struct Values<T, W> {
    queue: Mutex<Queue<T, W>>,
    came: Condvar,
    went: Condvar,
    bound: usize,
    /// Threads that have a value and no room for it.
    blocked: AtomicUsize,
}

#[derive(Debug)]
struct Queue<T, W> {
    waiting: VecDeque<T>,
    ended: bool,
    /// How often givers were told to look again, for another reason than room.
    pokes: u64,
    bells: u64,
    takers: VecDeque<(u64, W)>,
    givers: VecDeque<(u64, W)>,
}

/// What came of giving a value.
#[derive(Debug)]
pub enum Given<T, W> {
    /// It waits to be taken; the bell is to be rung.
    Yes(Option<W>),
    /// There is no room, and here it is back.
    Full(T),
    /// The job has ended, and here it is back.
    Ended(T),
    /// There is no memory for it, and here it is back.
    Short(T),
}

/// What there was to take.
#[derive(Debug)]
pub enum Taken<T, W> {
    /// The oldest value, and a bell that is to be rung.
    Value(T, Option<W>),
    /// Nothing yet.
    Nothing,
    /// Nothing, and there will be nothing more.
    End,
}

impl<T, W> Values<T, W> {
    /// An empty queue, where `bound` values may wait.
    pub const fn new(bound: usize) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            ended: false,
            pokes: 0,
            bells: 0,
            takers: VecDeque::new(),
            givers: VecDeque::new(),
        };
        Self {
            queue: Mutex::new(queue),
            came: Condvar::new(),
            went: Condvar::new(),
            bound,
            blocked: AtomicUsize::new(0),
        }
    }

    /// Put a value at the end; without `bounded` whether there is room or not.
    pub fn give(&self, value: T, bounded: bool) -> Given<T, W> {
        let mut queue = self.queue.lock();
        if queue.ended {
            return Given::Ended(value);
        }
        if bounded && queue.waiting.len() >= self.bound {
            return Given::Full(value);
        }
        if queue.waiting.try_reserve(1).is_err() {
            return Given::Short(value);
        }
        queue.waiting.push_back(value);
        let bell = queue.takers.pop_front();
        drop(queue);
        // One value is for one taker, and who is woken takes it or finds that another has.
        self.came.notify_one();
        Given::Yes(bell.map(|(_, bell)| bell))
    }

    /// The oldest value.
    pub fn take(&self) -> Taken<T, W> {
        let mut queue = self.queue.lock();
        let Some(value) = queue.waiting.pop_front() else {
            return if queue.ended {
                Taken::End
            } else {
                Taken::Nothing
            };
        };
        if queue.ended && queue.waiting.is_empty() {
            // Nobody fills it again.
            queue.waiting = VecDeque::new();
        }
        let bell = (queue.waiting.len() < self.bound)
            .then(|| queue.givers.pop_front())
            .flatten();
        drop(queue);
        self.went.notify_one();
        Taken::Value(value, bell.map(|(_, bell)| bell))
    }

    /// The same without blocking on the lock, and without an end: in the child of a fork a thread that is not there may hold
    /// it for ever.
    pub fn try_take(&self) -> Option<T> {
        self.queue.try_lock()?.waiting.pop_front()
    }

    /// Block until there is something to take, or will never be, or until the deadline; false for that.
    pub fn wait_for_value(&self, deadline: Option<Instant>) -> bool {
        let mut queue = self.queue.lock();
        while queue.waiting.is_empty() && !queue.ended {
            let (back, is_over) = self.came.wait_until(&self.queue, queue, deadline);
            queue = back;
            if is_over {
                break;
            }
        }
        !queue.waiting.is_empty() || queue.ended
    }

    /// Block until there is room, or givers were told to look again since they read `pokes`, or until the deadline; false
    /// for that.
    pub fn wait_for_room(&self, pokes: u64, deadline: Option<Instant>) -> bool {
        let mut queue = self.queue.lock();
        while !self.is_to_look(&queue, pokes) {
            let (back, is_over) = self.went.wait_until(&self.queue, queue, deadline);
            queue = back;
            if is_over {
                break;
            }
        }
        self.is_to_look(&queue, pokes)
    }

    fn is_to_look(&self, queue: &Queue<T, W>, pokes: u64) -> bool {
        queue.ended || queue.pokes != pokes || queue.waiting.len() < self.bound
    }

    /// How often givers were told to look again: to be read before the look.
    pub fn pokes(&self) -> u64 {
        self.queue.lock().pokes
    }

    /// Have everybody who waits for room look again; the bells are to be rung.
    #[must_use]
    pub fn poke(&self) -> Vec<W> {
        let mut queue = self.queue.lock();
        queue.pokes += 1;
        let bells = queue.givers.drain(..).map(|(_, bell)| bell).collect();
        drop(queue);
        self.went.notify_all();
        bells
    }

    /// The job has ended: what waits can still be taken. The bells are to be rung.
    #[must_use]
    pub fn end(&self) -> Vec<W> {
        let mut queue = self.queue.lock();
        queue.ended = true;
        queue.waiting.shrink_to_fit();
        let Queue { takers, givers, .. } = &mut *queue;
        let bells = takers.drain(..).chain(givers.drain(..));
        let bells = bells.map(|(_, bell)| bell).collect();
        drop(queue);
        self.came.notify_all();
        self.went.notify_all();
        bells
    }

    /// Leave a bell for when there is something to take: its number. It comes back where there is something already.
    ///
    /// # Errors
    /// The bell is not needed.
    pub fn await_value(&self, bell: W) -> Result<u64, W> {
        let mut queue = self.queue.lock();
        if !queue.waiting.is_empty() || queue.ended {
            return Err(bell);
        }
        queue.bells += 1;
        let number = queue.bells;
        queue.takers.push_back((number, bell));
        Ok(number)
    }

    /// Leave a bell for when `wait_for_room` would return: its number. It comes back where that is now.
    ///
    /// # Errors
    /// The bell is not needed.
    pub fn await_room(&self, bell: W, pokes: u64) -> Result<u64, W> {
        let mut queue = self.queue.lock();
        if self.is_to_look(&queue, pokes) {
            return Err(bell);
        }
        queue.bells += 1;
        let number = queue.bells;
        queue.givers.push_back((number, bell));
        Ok(number)
    }

    /// Take a bell back; None where it was rung: then whoever left it looks, or has another rung in its place (`pass_on`).
    pub fn give_up(&self, number: u64) -> Option<W> {
        let mut queue = self.queue.lock();
        let Queue { takers, givers, .. } = &mut *queue;
        [takers, givers].into_iter().find_map(|bells| {
            let index = bells.iter().position(|(its, _)| *its == number)?;
            bells.remove(index).map(|(_, bell)| bell)
        })
    }

    /// A bell that was rung rang for nobody: those to be rung in its place.
    #[must_use]
    pub fn pass_on(&self) -> Vec<W> {
        let mut queue = self.queue.lock();
        let mut bells = Vec::new();
        if !queue.waiting.is_empty() {
            bells.extend(queue.takers.pop_front());
        }
        if queue.waiting.len() < self.bound {
            bells.extend(queue.givers.pop_front());
        }
        drop(queue);
        bells.into_iter().map(|(_, bell)| bell).collect()
    }

    /// A thread has a value and no room for it, for as long as what this returns lives.
    pub fn block(&self) -> Blocked<'_> {
        self.blocked.fetch_add(1, Ordering::AcqRel);
        Blocked(&self.blocked)
    }

    /// Whether somebody has a value and no room for it. False where that cannot be seen without blocking.
    pub fn is_full(&self) -> bool {
        self.blocked.load(Ordering::Acquire) > 0
            || self
                .queue
                .try_lock()
                .is_some_and(|queue| !queue.givers.is_empty())
    }

    /// How many wait to be taken.
    pub fn len(&self) -> usize {
        self.queue.lock().waiting.len()
    }

    /// Whether none waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is kept, for the garbage collector: nothing where that is changed just now. It runs under the lock.
    ///
    /// # Errors
    /// What `value` or `bell` gives.
    pub fn try_each<E>(
        &self,
        value: impl Fn(&T) -> Result<(), E>,
        bell: impl Fn(&W) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(queue) = self.queue.try_lock() else {
            return Ok(());
        };
        queue.waiting.iter().try_for_each(value)?;
        let mut bells = queue.takers.iter().chain(&queue.givers);
        bells.try_for_each(|(_, its)| bell(its))
    }

    /// Empty it into the caller's hands.
    #[must_use]
    pub fn clear(&self) -> (VecDeque<T>, Vec<W>) {
        let mut queue = self.queue.lock();
        let Queue { takers, givers, .. } = &mut *queue;
        let bells = takers.drain(..).chain(givers.drain(..));
        let bells = bells.map(|(_, bell)| bell).collect();
        (std::mem::take(&mut queue.waiting), bells)
    }
}

/// A thread that has no room for its value.
#[derive(Debug)]
pub struct Blocked<'a>(&'a AtomicUsize);

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
