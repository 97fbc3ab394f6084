//! A worker as strikers see it: who it is, what it runs, what is to happen to that. The protocol is in `strike.rs`.

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::beat::{self, Beat};
use super::cover::Cover;
use super::footing::Footing;
use super::frames::Frames;
use super::left::Left;
use super::pending;
use super::sight::Position;
use super::steps::Struck;
use super::storm::Storm;
use super::troop::Troop;
use crate::core::bell::Bell;
use crate::core::clock;
use crate::core::sync::Mutex;

/// One worker thread, as strikers see it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(super) thread: Identity,
    pub(super) frames: Frames,
    pub(super) beat: &'static Beat,
    /// Its worker is out of `park`: it may run a job, or what comes before and after one.
    pub(super) busy: AtomicBool,
    /// It names a job; for the thread itself, in guards.
    pub(super) open: AtomicBool,
    /// Its thread runs an event loop for many jobs: what belongs to all of them is not struck.
    pub(super) is_shared: bool,
    /// Its thread was started by a job, and is no worker.
    pub(crate) is_member: bool,
    /// How often it was opened.
    pub(super) steps: AtomicU64,
    /// How many strikes were sent to the thread.
    pub(super) sends: AtomicU64,
    /// A strike waits until the job is where it can be struck.
    pub(super) put_off: AtomicBool,
    /// One more than the job that somebody sees the end of.
    pub(super) pursued: AtomicU64,
    /// Why what was sent does not land: one of `Obstacle`.
    pub(super) obstacle: AtomicU8,
    /// Since when, by our clock.
    pub(super) stuck_since: AtomicU64,
    /// An exception that was sent is being made, on the thread itself, which may run code.
    pub(super) landing: AtomicBool,
    /// How often finalizers have swallowed what was sent.
    pub(super) swallowed: AtomicU32,
    /// Every line of the job raises.
    pub(super) storm: Storm,
    /// What its jobs have changed on the thread.
    pub(super) left: Left,
    /// Where it stands with its locks.
    pub(super) footing: Footing,
    /// Rings when a strike was sent.
    pub(super) bell: Arc<Bell>,
    pub(super) aim: Mutex<Aim>,
    /// Its job has started threads.
    pub(super) leads: AtomicBool,
    /// The threads that the job has started, this one among them if it is one.
    pub(super) troop: Mutex<Weak<Troop>>,
}

/// Why a strike that was sent does not land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Obstacle {
    /// Nothing is known to hinder it.
    None = 0,
    /// The job is in a call that cannot be ended: nothing can wake its thread, or that very call is not to be touched.
    Call = 1,
    /// The job is in native code that is no guarded call, and has been for a while.
    Native = 2,
    /// The job waits for the end of threads that it started, which were struck.
    Threads = 3,
}

/// Who a worker thread is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    /// `threading.get_ident()`.
    pub(crate) ident: c_ulong,
    /// `threading.get_native_id()`, where the system has one.
    pub(crate) native_id: u64,
    /// Tells the processor time of the thread, from any other thread.
    pub(crate) clock: super::thread::CpuClock,
}

#[derive(Debug, Default)]
pub(super) struct Aim {
    /// The job that runs now, if any: only this one may be struck.
    pub(super) job: Option<u64>,
    /// A strike was sent at it, which may not have arrived.
    pub(super) struck: bool,
    /// How many holds there are: strikes wait until the last is let go.
    pub(super) held: u32,
    /// What waits; of several the latest.
    pub(super) waiting: Option<Py<PyType>>,
    /// For a job in an event loop: what is asked to end it, in the place of an exception sent to the thread.
    pub(super) striker: Option<Py<PyAny>>,
    /// What was asked for last and put off: until the striker has done so, or the job is where it can be struck.
    pub(super) asked: Option<Py<PyType>>,
    /// What the striker was asked for and has done.
    pub(super) done: Option<Py<PyType>>,
    /// What was sent last, and where the job was then.
    pub(super) sent: Option<Py<PyType>>,
    pub(super) sent_at: Option<Position>,
    /// Blocks that a kill ends by a function; the innermost is the last.
    pub(super) covers: Vec<Arc<Cover>>,
    /// A function that ends calls has been called for the job.
    pub(super) was_helped: bool,
    /// The job raised the exception itself.
    pub(super) itself: bool,
}

impl Aim {
    /// Whether strikes wait for functions of covers.
    pub(super) fn is_covered(&self) -> bool {
        self.covers.iter().any(|cover| !cover.is_lifted())
    }

    /// What is left of it when the job is over.
    pub(super) fn into_struck(self, arrived: bool) -> Struck {
        Struck {
            at_all: self.struck,
            arrived,
            was_helped: self.was_helped || self.covers.iter().any(|cover| cover.was_called()),
            class: self.asked.or(self.waiting).or(self.done).or(self.sent),
        }
    }
}

impl Slot {
    /// The slot of the calling thread.
    pub(crate) fn of_this_thread(py: Python<'_>) -> Self {
        Self {
            thread: super::thread::this_thread(),
            frames: Frames::of_this_thread(py),
            beat: Beat::of_this_thread(),
            busy: AtomicBool::new(true),
            open: AtomicBool::new(false),
            is_shared: false,
            is_member: false,
            steps: AtomicU64::new(0),
            sends: AtomicU64::new(0),
            put_off: AtomicBool::new(false),
            pursued: AtomicU64::new(0),
            obstacle: AtomicU8::new(Obstacle::None as u8),
            stuck_since: AtomicU64::new(0),
            landing: AtomicBool::new(false),
            swallowed: AtomicU32::new(0),
            storm: Storm::default(),
            left: Left::of_this_thread(),
            footing: Footing::default(),
            bell: Bell::of_this_thread(),
            aim: Mutex::new(Aim::default()),
            leads: AtomicBool::new(false),
            troop: Mutex::new(Weak::new()),
        }
    }

    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Release);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Whether its thread is not done with a job, or an event loop's with a step.
    pub(crate) fn is_at_work(&self) -> bool {
        if self.is_shared {
            self.job().is_some()
        } else {
            self.is_busy()
        }
    }

    pub(crate) fn thread(&self) -> Identity {
        self.thread
    }

    /// True while it names a job. For the thread itself.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn beat(&self) -> &'static Beat {
        self.beat
    }

    /// The worker ends: to be called by itself, once, when it runs no more jobs.
    pub(crate) fn retire(&self) {
        beat::set_here(None);
        self.beat.retire();
    }

    pub(super) fn storm(&self) -> &Storm {
        &self.storm
    }

    /// True for the first who asks since `job` began: who is to see to it that a strike ends it.
    pub(crate) fn pursue(&self, job: u64) -> bool {
        self.pursued.swap(job + 1, Ordering::AcqRel) != job + 1
    }

    /// `time`: for how long that has been so.
    pub(super) fn note_obstacle(&self, obstacle: Obstacle, time: Duration) {
        let ticks = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.stuck_since
            .store(clock::now().saturating_sub(ticks), Ordering::Release);
        self.obstacle.store(obstacle as u8, Ordering::Release);
    }

    /// For how long what was sent has not landed; None where nothing is known to hinder it.
    pub(crate) fn stuck_for(&self) -> Option<Duration> {
        let ticks = clock::now().saturating_sub(self.stuck_since.load(Ordering::Acquire));
        (self.obstacle() != Obstacle::None).then(|| Duration::from_nanos(ticks))
    }

    /// Why what was sent does not land, as far as was seen.
    pub(crate) fn obstacle(&self) -> Obstacle {
        match self.obstacle.load(Ordering::Acquire) {
            known if known == Obstacle::Native as u8 => Obstacle::Native,
            known if known == Obstacle::Call as u8 => Obstacle::Call,
            known if known == Obstacle::Threads as u8 => Obstacle::Threads,
            _ => Obstacle::None,
        }
    }

    pub(super) fn footing(&self) -> &Footing {
        &self.footing
    }

    /// How many strikes were sent to the thread.
    pub(crate) fn sends(&self) -> u64 {
        self.sends.load(Ordering::Acquire)
    }

    /// Whether a strike was sent that has not arrived, so that the guarded call of the job must raise it. On the thread itself,
    /// attached; `sends` was read earlier, for where the thread's state does not tell.
    pub(super) fn is_due(&self, py: Python<'_>, sends: u64) -> bool {
        // SAFETY: the caller's own thread.
        let is_pending = unsafe { self.frames.has_pending(py) };
        is_pending.unwrap_or_else(|| self.sends() != sends)
    }

    /// What was sent and has not arrived, where a nudge may have had the job's last call return early: its value means nothing. To be
    /// called by the worker itself, attached, before `close`.
    pub(crate) fn cut_short<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBaseException>> {
        // SAFETY: the caller's own thread.
        let is_due = self.beat.is_nudged() && unsafe { self.frames.has_pending(py) } == Some(true);
        is_due.then(|| pending::arrive(py)).flatten()
    }

    /// Block until the deadline, or until a strike is sent that was not counted in `sends`. Detached.
    pub(super) fn sleep_until(&self, deadline: Instant, sends: u64) {
        self.bell.hush();
        // One that was sent before has rung before.
        if self.sends() == sends {
            self.bell.sleep_until(deadline);
        }
    }

    /// Rings when a strike was sent to the thread.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }
}
