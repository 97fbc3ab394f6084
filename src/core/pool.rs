//! The queue, and how many workers there should be: who is woken, who is started, who goes home.
//!
//! The pool starts no thread itself. It says when one is missing ([`Admission::NeedsWorker`]), and the caller, who knows
//! what a worker is, starts it; the worker then calls [`Pool::pop`] and [`Pool::park`] in turn.

use std::collections::TryReserveError;
use std::time::{Duration, Instant};

use super::queue::Queue;
use super::sync::{Condvar, Mutex};

/// A queue of `T` and the count of its workers.
#[derive(Debug)]
pub struct Pool<T> {
    crew: Mutex<Crew<T>>,
    work_came: Condvar,
    one_left: Condvar,
    max_workers: usize,
    idle_timeout: Duration,
}

#[derive(Debug)]
struct Crew<T> {
    queue: Queue<T>,
    /// All of them: parked, rising and busy.
    workers: usize,
    /// Blocked in `park`, and not called yet.
    parked: usize,
    /// Calls that no parked worker has taken yet; whoever takes one was counted as rising by who made it.
    calls: usize,
    /// Called or just started, and not yet at their first `pop`: they will take a job soon.
    rising: usize,
    /// Found nothing and on their way to `park`, where they look once more.
    resting: usize,
    /// In a job that cannot be ended: as many more may be there in their place.
    stuck: usize,
    closed: bool,
}

/// What `push` did.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// A worker will see to it.
    Queued,
    /// Queued, and the caller must start one more worker, or call [`Pool::worker_failed`] when it cannot.
    NeedsWorker,
}

/// The pool takes no more work; here it is back.
#[derive(Debug)]
pub struct Closed<T>(pub T);

/// What a worker that found nothing should do.
#[derive(Debug, PartialEq, Eq)]
pub enum Wake {
    /// Look into the queue again.
    Work,
    /// End: the pool closed, or nothing came for the whole idle time. The worker is no longer counted.
    Leave,
}

impl<T> Pool<T> {
    /// A pool without workers. `max_workers` of them at most; one that finds no work for `idle_timeout` leaves.
    pub fn new(max_workers: usize, idle_timeout: Duration) -> Self {
        let crew = Crew {
            queue: Queue::new(),
            workers: 0,
            parked: 0,
            calls: 0,
            rising: 0,
            resting: 0,
            stuck: 0,
            closed: false,
        };
        Self {
            crew: Mutex::new(crew),
            work_came: Condvar::new(),
            one_left: Condvar::new(),
            max_workers,
            idle_timeout,
        }
    }

    /// A worker that finds no work for so long leaves.
    pub const fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// The bound on workers.
    pub fn max_workers(&self) -> usize {
        self.max_workers
    }

    /// Workers there are now, idle ones included.
    pub fn workers(&self) -> usize {
        self.crew.lock().workers
    }

    /// Work that no worker has taken yet.
    pub fn queued(&self) -> usize {
        self.crew.lock().queue.len()
    }

    /// True once `close` was called.
    pub fn is_closed(&self) -> bool {
        self.crew.lock().closed
    }

    /// Put work at the end of the queue, behind all of its rank: see [`Queue`].
    ///
    /// At most one worker is on its way up at a time; each that arrives calls the next while work is left. So a burst of
    /// tiny jobs wakes few threads, and a burst of long ones soon wakes all.
    ///
    /// # Errors
    /// The pool is closed; the work comes back.
    pub fn push(&self, item: T, rank: i32) -> Result<Admission, Closed<T>> {
        let mut crew = self.crew.lock();
        if crew.closed {
            return Err(Closed(item));
        }
        crew.queue.push(item, rank);
        Ok(self.admit(&mut crew))
    }

    /// See to it that so many more find room in the queue.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn make_room(&self, count: usize) -> Result<(), TryReserveError> {
        self.crew.lock().queue.make_room(count)
    }

    fn admit(&self, crew: &mut Crew<T>) -> Admission {
        let most = self.max_workers.saturating_add(crew.stuck);
        let free = crew.parked + crew.rising + crew.resting;
        if crew.queue.len() > free && crew.workers < most {
            crew.workers += 1;
            crew.rising += 1;
            return Admission::NeedsWorker;
        }
        self.call_one(crew);
        Admission::Queued
    }

    /// A worker is in a job that cannot be ended: another may take its place.
    pub fn one_is_stuck(&self) -> Admission {
        let mut crew = self.crew.lock();
        crew.stuck += 1;
        if crew.closed || crew.queue.is_empty() {
            return Admission::Queued;
        }
        self.admit(&mut crew)
    }

    /// A worker is gone that was counted on: another may be needed, also in a pool that is closed.
    pub fn reinforce(&self) -> Admission {
        let mut crew = self.crew.lock();
        if crew.queue.is_empty() {
            return Admission::Queued;
        }
        self.admit(&mut crew)
    }

    /// Its job has ended after all: one worker too many leaves when it is done with what it does.
    pub fn one_is_back(&self) {
        let mut crew = self.crew.lock();
        crew.stuck = crew.stuck.saturating_sub(1);
    }

    /// A worker is to go, whatever there is to do: another may take its place from now on, also where the pool takes no more
    /// work. What `one_is_stuck` says.
    pub fn one_is_to_go(&self) -> Admission {
        let mut crew = self.crew.lock();
        crew.stuck += 1;
        if crew.queue.is_empty() {
            return Admission::Queued;
        }
        self.admit(&mut crew)
    }

    /// It goes, and asks for nothing any more. False where there is work and no other worker came: then it stays.
    pub fn one_goes(&self) -> bool {
        let mut crew = self.crew.lock();
        crew.stuck = crew.stuck.saturating_sub(1);
        if !crew.queue.is_empty() && crew.workers == 1 {
            return false;
        }
        self.leave(&mut crew);
        true
    }

    fn is_one_too_many(&self, crew: &Crew<T>) -> bool {
        crew.workers > self.max_workers.saturating_add(crew.stuck)
    }

    /// The next piece of work, without blocking. `arriving`: the worker was started or came from `park` since its last call.
    pub fn pop(&self, arriving: bool) -> Option<T> {
        self.pop_from(&mut self.crew.lock(), arriving)
    }

    /// The same for a worker that calls `park` next when there is none. It counts as free from here on: who comes before it is
    /// parked starts no other one.
    pub fn pop_or_rest(&self, arriving: bool) -> Option<T> {
        let mut crew = self.crew.lock();
        let item = self.pop_from(&mut crew, arriving);
        if item.is_none() {
            crew.resting += 1;
        }
        item
    }

    fn pop_from(&self, crew: &mut Crew<T>, arriving: bool) -> Option<T> {
        if arriving {
            crew.rising -= 1;
        }
        if self.is_one_too_many(crew) {
            return None;
        }
        let item = crew.queue.pop();
        if !crew.queue.is_empty() {
            self.call_one(crew);
        }
        item
    }

    /// Block until there is work, the pool closes, or the idle time is over. Call it detached from the interpreter, after
    /// `pop_or_rest`.
    pub fn park(&self) -> Wake {
        let mut crew = self.crew.lock();
        crew.resting -= 1;
        if self.is_one_too_many(&crew) {
            self.leave(&mut crew);
            if !crew.queue.is_empty() {
                self.call_one(&mut crew);
            }
            return Wake::Leave;
        }
        if !crew.queue.is_empty() {
            crew.rising += 1;
            return Wake::Work;
        }
        if crew.closed {
            self.leave(&mut crew);
            return Wake::Leave;
        }
        crew.parked += 1;
        let deadline = Instant::now().checked_add(self.idle_timeout);
        loop {
            let (back, is_over) = self.work_came.wait_until(&self.crew, crew, deadline);
            crew = back;
            if crew.calls > 0 {
                crew.calls -= 1;
                break;
            }
            if is_over {
                crew.parked -= 1;
                self.leave(&mut crew);
                return Wake::Leave;
            }
        }
        if crew.closed && crew.queue.is_empty() {
            crew.rising -= 1;
            self.leave(&mut crew);
            return Wake::Leave;
        }
        Wake::Work
    }

    /// A worker that was asked for did not come. True when there is no worker left at all.
    pub fn worker_failed(&self) -> bool {
        let mut crew = self.crew.lock();
        crew.rising -= 1;
        self.leave(&mut crew);
        // It was counted on, so another may not have been called.
        if !crew.queue.is_empty() {
            self.call_one(&mut crew);
        }
        crew.workers == 0
    }

    /// Take no more work. Workers finish what is queued and leave.
    pub fn close(&self) {
        let mut crew = self.crew.lock();
        crew.closed = true;
        crew.rising += crew.parked;
        crew.calls += crew.parked;
        crew.parked = 0;
        self.work_came.notify_all();
    }

    /// Whether a piece of work for which `is_it` holds is queued, and waits for workers that are all at others. `is_it` runs
    /// under the lock: no Python.
    pub fn is_behind(&self, is_it: impl FnMut(&T) -> bool) -> bool {
        let crew = self.crew.lock();
        let is_full = crew.workers >= self.max_workers.saturating_add(crew.stuck);
        is_full && crew.parked == 0 && crew.rising == 0 && crew.queue.any(is_it)
    }

    /// Empty the queue into the caller's hands, in its order, each with its rank.
    pub fn take_queue(&self) -> Vec<(T, i32)> {
        self.crew.lock().queue.take()
    }

    /// Put back what was taken out of the queue, at its end.
    pub fn put_back(&self, item: T, rank: i32) {
        let mut crew = self.crew.lock();
        crew.queue.push(item, rank);
        self.call_one(&mut crew);
    }

    /// Take from the queue the last item for which `is_it` holds. It runs under the lock: no Python.
    pub fn withdraw(&self, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let mut crew = self.crew.lock();
        crew.queue.withdraw(is_it)
    }

    /// Block until no worker is left, or until the deadline; true when none is. To be called when the pool is closed.
    pub fn wait_until_empty(&self, deadline: Option<Instant>) -> bool {
        let mut crew = self.crew.lock();
        while crew.workers > 0 {
            let (back, is_over) = self.one_left.wait_until(&self.crew, crew, deadline);
            crew = back;
            if is_over {
                break;
            }
        }
        crew.workers == 0
    }

    /// A worker that has work no more, and does not ask for any.
    pub fn stay_away(&self) {
        self.leave(&mut self.crew.lock());
    }

    fn leave(&self, crew: &mut Crew<T>) {
        crew.workers -= 1;
        self.one_left.notify_all();
    }

    fn call_one(&self, crew: &mut Crew<T>) {
        if crew.parked > 0 && crew.rising == 0 {
            crew.parked -= 1;
            crew.rising += 1;
            crew.calls += 1;
            self.work_came.notify_one();
        }
    }
}

#[cfg(test)]
mod test;
