//! Seeing to it that a strike ends its job: what is done next, depending on what became of the last step.
//!
//! | what is seen | what is done |
//! |---|---|
//! | the strike was put off | tried again every 2 ms; sent anyway for an import after 2 s, above what is spared after 10 ms at work |
//! | sent, and the job has not moved | if it waits in a guarded call: that is ended; if it is at work there, or waits in foreign code that is known to return for a signal: nudged; else wait, ever longer |
//! | finalizers have swallowed 16 | put off for 2 ms, then ever longer, up to 64 ms |
//! | arrived, and the job cleans up | left alone for half a second, then struck again |
//! | arrived, and an event loop of its own goes on | the same: it passes on what a task has raised |
//! | arrived, and the job went on | struck again; the third time each of its lines raises |
//! | it waits for threads that the job started | they are struck, and the job only when they have ended, or it is killed once more |
//! | its event loop has cancelled it, and half a second later it goes on | cancelled again; the third time each line raises |
//!
//! "Has not moved" is told by the innermost frame and its instruction, "cleans up" by the exception that the thread handles.
//! A job that has not moved for long is in native code, or in a call that cannot be ended: it is looked after ever more rarely, as
//! long as it lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::frozen::frozen;
use super::guard::Told;
use super::sight::{Fate, Spare};
use super::slot::{Obstacle, Slot};
use super::strike::Choice;
use super::wake::{Looks, Wake, is_possible, wake};

/// How long the event loop of a job has to come to its cancellation before its thread is struck.
const LOOP_TIME: Duration = Duration::from_millis(20);

/// How soon a strike is tried again that found its thread where it must not be hit.
const AGAIN: Duration = Duration::from_millis(2);

/// How long it is put off for an import at most: a module that is imported may be a whole program.
const IMPORT_TIME: Duration = Duration::from_secs(2);

/// How much processor time what is right above a spared place has: a finalizer takes less, and else it is a function that was
/// called there. Not a time by the clock, in which a thread may not get a turn at all.
const ABOVE_TIME: Duration = Duration::from_millis(10);

/// The longest pause in which finalizers are left alone that have swallowed many strikes; the first is `AGAIN`, and each is
/// twice as long as the one before.
const LONGEST_REST: Duration = Duration::from_millis(64);

/// How long a job has for its `finally` and `with` blocks before it is struck again.
const GRACE: Duration = Duration::from_millis(500);

/// The first look after a strike, and the longest time between two.
const FIRST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(250);

/// How long a job has not moved that is said to be in native code, or in a call that cannot be ended.
const NATIVE: Duration = Duration::from_millis(100);

/// How long a library is told to end its call in a row, also where it waits for a lock, and how often meanwhile.
const BURST: Duration = Duration::from_millis(5);
const LONG_BURST: Duration = Duration::from_millis(40);
const TURN: Duration = Duration::from_micros(15);

/// For how long that begins anew at once.
const PATIENT: Duration = Duration::from_secs(2);

/// How long a job has been in native code that is helped out of it, and when that is tried again.
const HELP: Duration = Duration::from_millis(3);
const HELP_AGAIN: Duration = Duration::from_secs(1);

/// How long a job that waits beside its own threads is left alone: they are struck first, and what it waits for may raise that.
const ASIDE: Duration = Duration::from_millis(30);

/// How soon a job is looked at again that has waited for its own threads for long.
const LATER: Duration = Duration::from_millis(10);

/// How often it is struck before every line raises.
const PATIENCE: u32 = 2;

/// One job that is to end.
#[derive(Debug)]
pub(crate) struct Pursuit {
    slot: Arc<Slot>,
    job: u64,
    begun: Instant,
    /// Since when what is seen now was seen.
    since: Instant,
    /// The processor time that the thread had used then, where that can be told.
    used: Option<u64>,
    seen: Fate,
    pause: Duration,
    struck_again: u32,
    /// Bursts of swallowed strikes that were seen, and the pause after the last.
    bursts: u32,
    rest: Duration,
    /// What was seen of the call that it is in.
    looks: Looks,
    /// How often its event loop was asked once more.
    asked_again: u32,
    /// When a library's own way to end its call was last looked for.
    helped: Option<Instant>,
    /// Another worker was asked for, in the place of this one.
    pub(crate) is_replaced: bool,
    /// The job was struck again, and so are the threads that it has started meanwhile. For who takes the steps.
    pub(crate) is_struck_again: bool,
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The job has ended.
    Over,
    /// After this time.
    In(Duration),
    /// Its event loop has done what it was asked for, and half a second later the job has not ended: ask again.
    Ask,
}

impl Pursuit {
    pub(crate) fn new(slot: &Arc<Slot>, job: u64) -> Self {
        let now = Instant::now();
        Self {
            slot: Arc::clone(slot),
            job,
            begun: now,
            since: now,
            used: slot.thread().clock.elsewhere(),
            seen: Fate::PutOff,
            pause: FIRST,
            struck_again: 0,
            bursts: slot.bursts(),
            rest: AGAIN,
            looks: Looks::default(),
            asked_again: 0,
            helped: None,
            is_replaced: false,
            is_struck_again: false,
        }
    }

    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    pub(crate) fn job(&self) -> u64 {
        self.job
    }

    /// Whether a call should be looked for that only its library can end: in native code that is no guarded call. Seldom true.
    pub(crate) fn wants_help(&mut self) -> bool {
        let is_native = self.seen == Fate::Underway && self.slot.beat().current() == 0;
        let is_time =
            self.since.elapsed() > HELP && self.helped.is_none_or(|at| at.elapsed() > HELP_AGAIN);
        if is_native && is_time {
            self.helped = Some(Instant::now());
        }
        is_native && is_time
    }

    /// The first step, by who sent the strike; then `step` after what this returns.
    pub(crate) fn begin(&mut self, py: Python<'_>) -> Duration {
        if self.slot.striker(py, self.job).is_some() {
            return AGAIN;
        }
        let entry = self.slot.beat().current();
        if entry != 0 && self.slot.fate(py, self.job) == Fate::Underway {
            self.end_call(py, entry);
        }
        FIRST
    }

    /// Look what became of it, and do the next thing. Attached; does not block.
    pub(crate) fn step(&mut self, py: Python<'_>) -> Next {
        // Before the fate is looked at: a call that begins after that is not the one the job was in.
        let entry = self.slot.beat().current();
        let fate = self.slot.fate(py, self.job);
        if fate != self.seen {
            (self.seen, self.pause) = (fate, FIRST);
            self.see_anew();
        }
        match fate {
            Fate::Over => return Next::Over,
            Fate::PutOff => return self.put_off(py),
            Fate::Underway => self.underway(py, entry),
            Fate::Handled if self.since.elapsed() < GRACE => {}
            // It landed in a task, and an event loop of the job's own passes it on: struck in there, that would be left broken.
            Fate::Swallowed if self.since.elapsed() < GRACE && self.is_in_event_loop(py) => {}
            Fate::Handled | Fate::Swallowed if self.slot.has_striker() => {
                if self.since.elapsed() > GRACE {
                    return self.ask_again(py);
                }
            }
            // What it gives back while it cleans up may still be used by its threads.
            Fate::Handled if self.slot.waits_beside_its_own() => self.has_time_again(),
            Fate::Handled | Fate::Swallowed => self.strike_again(py),
        }
        self.slow_down()
    }

    fn put_off(&mut self, py: Python<'_>) -> Next {
        let has_striker = self.slot.striker(py, self.job).is_some();
        if has_striker && !self.slot.has_put_off() {
            // The loop has cancelled the task, which may be cleaning up.
            if self.since.elapsed() > GRACE {
                return self.ask_again(py);
            }
            return self.slow_down();
        }
        // A step that waits in a guarded call does not come to its end soon; one that computes may.
        if has_striker && self.since.elapsed() < LOOP_TIME && self.slot.beat().current() == 0 {
            return Next::In(AGAIN);
        }
        if !self.slot.has_put_off() {
            // It waits for the end of a shield, which sends it.
            return self.slow_down();
        }
        let joins = !has_striker && frozen(py, || self.slot.joins_its_own(py)) == Some(true);
        if joins || (self.begun.elapsed() < ASIDE && self.slot.waits_beside_its_own()) {
            self.waits_for_threads();
            let is_long = self.since.elapsed() > NATIVE;
            return Next::In(if is_long { LATER } else { AGAIN });
        }
        let bursts = self.slot.bursts();
        if bursts != self.bursts {
            self.bursts = bursts;
            let rest = self.rest;
            self.rest = (rest * 2).min(LONGEST_REST);
            return Next::In(rest);
        }
        let spare = if has_striker {
            Spare::Loop
        } else {
            self.spare()
        };
        match self.slot.send_put_off(py, self.job, spare) {
            Choice::Settled => Next::In(FIRST),
            Choice::NotNow => Next::In(AGAIN),
        }
    }

    /// What is spared by now.
    fn spare(&self) -> Spare {
        let at_work = || {
            let used = self.slot.thread().clock.elsewhere().zip(self.used);
            used.map_or_else(
                || self.since.elapsed(),
                |(now, before)| Duration::from_nanos(now.saturating_sub(before)),
            )
        };
        if self.begun.elapsed() > IMPORT_TIME {
            Spare::Locks
        } else if at_work() > ABOVE_TIME {
            Spare::Import
        } else {
            Spare::Above
        }
    }

    fn see_anew(&mut self) {
        self.looks.begin();
        self.since = Instant::now();
        self.used = self.slot.thread().clock.elsewhere();
    }

    fn ask_again(&mut self, py: Python<'_>) -> Next {
        self.asked_again += 1;
        if self.asked_again > PATIENCE {
            self.slot.gather_for_striker(py);
        }
        self.see_anew();
        Next::Ask
    }

    /// The time in which it cleans up begins anew after a wait for its own threads.
    fn has_time_again(&mut self) {
        self.slot
            .note_obstacle(Obstacle::Threads, self.since.elapsed());
        self.see_anew();
    }

    fn waits_for_threads(&self) {
        if self.since.elapsed() > NATIVE {
            self.slot
                .note_obstacle(Obstacle::Threads, self.since.elapsed());
        }
    }

    /// Have the guarded call end that the job is in. A library that waits for a lock of its own tries to get that again and again, and
    /// one that is between two statements does not hear: these are told as often, for a moment.
    fn end_call(&mut self, py: Python<'_>, entry: u64) -> Wake {
        let beat = self.slot.beat();
        let begun = Instant::now();
        let mut was_asked = false;
        loop {
            let told = if entry == 0 {
                Told::Nobody
            } else {
                beat.end_library_call(py)
            };
            let woken = wake(beat, entry, &mut self.looks);
            was_asked |= woken == Wake::Asked;
            let time = if was_asked { LONG_BURST } else { BURST };
            if told != Told::ToEnd || begun.elapsed() > time {
                return woken;
            }
            py.detach(|| {
                let next = Instant::now() + TURN;
                while Instant::now() < next {
                    std::thread::yield_now();
                }
            });
            if beat.current() != entry || self.slot.fate(py, self.job) != Fate::Underway {
                return Wake::Asked;
            }
        }
    }

    fn underway(&mut self, py: Python<'_>, entry: u64) {
        if frozen(py, || self.slot.joins_its_own(py)) == Some(true) {
            // It began to wait for them before what was sent could arrive.
            self.waits_for_threads();
            return;
        }
        let woken = self.end_call(py, entry);
        if self.slot.beat().is_in_library() && self.since.elapsed() < PATIENT {
            self.pause = FIRST;
        }
        let obstacle = if woken == Wake::Asked || self.since.elapsed() <= NATIVE {
            Obstacle::None
        } else if entry != 0 || !is_possible() {
            Obstacle::Call
        } else {
            Obstacle::Native
        };
        self.slot.note_obstacle(obstacle, self.since.elapsed());
    }

    fn strike_again(&mut self, py: Python<'_>) {
        let with_storm = self.struck_again >= PATIENCE;
        self.pause = FIRST;
        let spare = self.spare();
        let may_be_struck = frozen(py, || {
            let may_be_struck = self.slot.may_be_struck(py, self.job, spare);
            may_be_struck && {
                self.slot.send_again(py, self.job, with_storm);
                true
            }
        });
        if may_be_struck != Some(true) {
            if frozen(py, || self.slot.joins_its_own(py)) == Some(true) {
                self.has_time_again();
            }
            return;
        }
        self.struck_again += 1;
        self.is_struck_again = true;
        self.see_anew();
        let entry = self.slot.beat().current();
        if entry != 0 && self.slot.fate(py, self.job) == Fate::Underway {
            self.end_call(py, entry);
        }
    }

    fn is_in_event_loop(&self, py: Python<'_>) -> bool {
        let is_in = || self.slot.job() == Some(self.job) && self.slot.is_in_event_loop(py);
        frozen(py, is_in) == Some(true)
    }

    fn slow_down(&mut self) -> Next {
        let mut pause = self.pause;
        self.pause = (pause * 3 / 2).min(LONGEST);
        if self.seen == Fate::Handled {
            // Not past the time that it has.
            pause = pause.min(GRACE.saturating_sub(self.since.elapsed()).max(FIRST));
        }
        Next::In(pause)
    }
}

impl Slot {
    /// End the guarded call that `job` waits in, if what was sent is still to arrive.
    pub(crate) fn wake(&self, py: Python<'_>, job: u64, looks: &mut Looks) {
        let entry = self.beat().current();
        if entry != 0 && self.fate(py, job) == Fate::Underway {
            wake(self.beat(), entry, looks);
        }
    }
}
