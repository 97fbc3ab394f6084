//! What the core knows of one job: number, state, times, and who waits for it.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::clock::{self, Tick};
use super::latch::Waiter;
use super::state::State;
use super::sync::Mutex;

/// The bits of an aim that say which job; those above say which run or part of it.
const NUMBER_BITS: u32 = 40;

/// The core's part of a job. Its state changes only through [`Record::transition`].
#[derive(Debug)]
pub struct Record {
    number: u64,
    /// How often it ran and was queued again.
    runs: AtomicU32,
    state: AtomicU8,
    created: Tick,
    started: AtomicU64,
    ended: AtomicU64,
    cpu: AtomicU64,
    waiters: Mutex<Vec<Waiter>>,
}

impl Record {
    /// A queued job.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            runs: AtomicU32::new(0),
            state: AtomicU8::new(State::Queued as u8),
            created: clock::now(),
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            cpu: AtomicU64::new(0),
            waiters: Mutex::new(Vec::new()),
        }
    }

    /// Its number, given out once.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How often it ran and was queued again.
    pub fn runs(&self) -> u32 {
        self.runs.load(Ordering::Acquire)
    }

    /// What a strike is bound to: this job, and this run of it.
    pub fn aim(&self) -> u64 {
        self.number | (u64::from(self.runs()) << NUMBER_BITS)
    }

    /// What a strike is bound to that is meant for one part of this job: its item of a group, by a number of its own.
    pub fn aim_of_part(&self, part: u64) -> u64 {
        self.number | ((part & 0xFF_FFFF) << NUMBER_BITS)
    }

    /// Whether a strike that is bound to this is one at this job, or a part or a run of it.
    pub fn owns(&self, aim: u64) -> bool {
        aim & ((1 << NUMBER_BITS) - 1) == self.number
    }

    /// Its state. `Acquire`: who sees a terminal state sees the outcome that was stored before it.
    pub fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Acquire))
    }

    /// The one place where a state changes: true when this call made `from` into `to`.
    ///
    /// False when another thread was faster, or the table of [`State::may_become`] forbids it.
    fn transition(&self, from: State, to: State) -> bool {
        from.may_become(to)
            && self
                .state
                .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Queued to running; false when it was cancelled or killed meanwhile.
    pub fn begin(&self, now: Tick) -> bool {
        let begun = self.transition(State::Queued, State::Running);
        if begun {
            self.started.store(now, Ordering::Release);
        }
        begun
    }

    /// Running to queued, to run once more; false when it is not running. Its waiters go on waiting.
    pub fn requeue(&self) -> bool {
        // Counted first: a strike at the run that is over must not find the next one.
        self.runs.fetch_add(1, Ordering::AcqRel);
        self.transition(State::Running, State::Queued)
    }

    /// To a terminal state; true when this call ended it. What `get` reads must be stored before, since waiters
    /// are told right after.
    pub fn end(&self, from: State, to: State, now: Tick) -> bool {
        let waiters = {
            // All who would end the job stand in line here, and `watch` with them: a waiter is either in the list that
            // the winner takes, or sees the terminal state. Only `begin` does not, so only a queued job can slip away.
            let mut waiters = self.waiters.lock();
            if self.state() != from {
                return false;
            }
            // The time first, so that who sees the end sees when.
            self.ended.store(now, Ordering::Release);
            if !self.transition(from, to) {
                self.ended.store(0, Ordering::Release);
                return false;
            }
            std::mem::take(&mut *waiters)
        };
        for waiter in &waiters {
            waiter.tell(to == State::Done);
        }
        true
    }

    /// Tell `waiter` when the job ends; false when it has ended already (then it is not told).
    pub fn watch(&self, waiter: Waiter) -> bool {
        let mut waiters = self.waiters.lock();
        if self.state().is_terminal() {
            return false;
        }
        waiters.push(waiter);
        true
    }

    /// Take a registration back, so that waits that time out leave nothing behind.
    pub fn unwatch(&self, waiter: &Waiter) {
        self.waiters.lock().retain(|kept| !kept.is(waiter));
    }

    /// Whether somebody waits for its end.
    pub fn is_watched(&self) -> bool {
        !self.waiters.lock().is_empty()
    }

    /// When it was accepted.
    pub fn created(&self) -> Tick {
        self.created
    }

    /// When it began to run.
    pub fn started(&self) -> Option<Tick> {
        some(self.started.load(Ordering::Acquire))
    }

    /// When it ended; None until it has.
    pub fn ended(&self) -> Option<Tick> {
        some(self.ended.load(Ordering::Acquire)).filter(|_| self.state().is_terminal())
    }

    /// Processor time of the finished run, nanoseconds.
    pub fn cpu(&self) -> u64 {
        self.cpu.load(Ordering::Acquire)
    }

    /// Note the processor time of the run.
    pub fn set_cpu(&self, nanoseconds: u64) {
        self.cpu.store(nanoseconds, Ordering::Release);
    }

    /// Seconds it has run: 0.0 before it starts, growing until it ends.
    pub fn elapsed(&self) -> f64 {
        self.started().map_or(0.0, |started| {
            clock::seconds_between(started, self.ended().unwrap_or_else(clock::now))
        })
    }
}

fn some(tick: Tick) -> Option<Tick> {
    (tick != 0).then_some(tick)
}

#[cfg(test)]
mod test {
    use std::sync::Arc;
    use std::thread;

    use super::{Record, State};
    use crate::core::clock;
    use crate::core::latch::{Latch, Stream, Waiter};

    #[test]
    fn of_many_that_race_to_end_a_job_one_wins_and_waiters_are_told_once() {
        for _ in 0..200 {
            let record = Arc::new(Record::new(7));
            let latch = Latch::new(2);
            assert!(record.watch(Waiter::latch(&latch)));
            let racers: Vec<_> = [State::Cancelled, State::Killed, State::Lost, State::Expired]
                .into_iter()
                .map(|to| {
                    let record = Arc::clone(&record);
                    thread::spawn(move || record.end(State::Queued, to, clock::now()))
                })
                .collect();
            let won: Vec<bool> = racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
                .collect();
            assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
            assert!(record.state().is_terminal());
            assert!(record.ended().is_some());
            // Two were missing and one end was told: a second telling would have opened it.
            assert!(!latch.wait_until(Some(std::time::Instant::now())));
        }
    }

    #[test]
    fn a_job_begins_once_and_only_when_queued() {
        let record = Record::new(0);
        assert!(record.begin(clock::now()));
        assert!(!record.begin(clock::now()));
        assert!(!record.end(State::Queued, State::Cancelled, clock::now()));
        assert!(record.ended().is_none());
        assert!(record.end(State::Running, State::Done, clock::now()));
        assert!(!record.end(State::Running, State::Failed, clock::now()));
        assert_eq!(record.state(), State::Done);
    }

    #[test]
    fn a_watch_on_an_ended_job_is_refused_and_an_abandoned_one_is_forgotten() {
        let record = Record::new(0);
        let stream = Stream::new();
        let waiter = Waiter::Stream {
            stream: Arc::clone(&stream),
            key: 5,
        };
        assert!(record.watch(waiter.clone()));
        record.unwatch(&waiter);
        assert!(record.watch(Waiter::Stream {
            stream: Arc::clone(&stream),
            key: 6
        }));
        assert!(record.end(State::Queued, State::Cancelled, clock::now()));
        assert_eq!(stream.ready(), Some(6));
        assert_eq!(stream.ready(), None);
        assert!(!record.watch(waiter));
    }

    #[test]
    fn trouble_opens_a_latch_that_asked_for_it() {
        let (good, bad) = (Record::new(0), Record::new(1));
        let latch = Latch::new(3);
        for record in [&good, &bad] {
            record.watch(Waiter::Latch {
                latch: Arc::clone(&latch),
                on_trouble: true,
            });
            assert!(record.begin(clock::now()));
        }
        good.end(State::Running, State::Done, clock::now());
        assert!(!latch.wait_until(Some(std::time::Instant::now())));
        bad.end(State::Running, State::Failed, clock::now());
        assert!(latch.wait_until(None));
    }
}
