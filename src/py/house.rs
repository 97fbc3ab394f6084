//! What a manager, its jobs and its workers share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::alarm::Alarm;
use super::errors;
use super::event_loop::room::Room;
use super::hog::{self, Watch};
use super::job::Job;
use super::keep_frames::Setting;
use super::news::News;
use crate::core::backlog::Backlog;
use crate::core::census::Census;
use crate::core::entrance::Entrance;
use crate::core::generations;
use crate::core::limits::Limits;
use crate::core::pool::Pool;
use crate::core::registry::Registry;
use crate::core::roll::Roll;
use crate::core::sync::Mutex;
use crate::core::timers::Timers;
use crate::interrupt::slot::Slot;
use crate::interrupt::thread;

/// The pool of one manager and what belongs to it. Jobs and workers hold it, so it outlives the manager until they end;
/// it does not hold the registry, so that a manager that nobody holds is freed with its records.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) pool: Pool<Py<Job>>,
    pub(crate) timers: Timers<Alarm>,
    /// Looks for code that keeps the interpreter.
    pub(crate) watch: Watch,
    pub(crate) entrance: Entrance,
    pub(crate) limits: Limits<Py<Job>>,
    /// When the timers look at the limits next.
    pub(crate) next_look: Mutex<Option<Instant>>,
    /// Of `max_queued`.
    pub(crate) backlog: Option<Backlog>,
    /// `on_full='block'`.
    pub(crate) blocks_when_full: bool,
    /// Where coroutine jobs run.
    pub(crate) room: Room,
    /// The manager's records; gone when nobody holds the manager.
    registry: Weak<Registry<Py<Job>>>,
    /// Who is told when jobs end: the manager's, too.
    news: Weak<News>,
    /// Somebody is to be told at once. Read at every end of a job.
    listened: AtomicBool,
    /// The workers that are alive, each with the job that it runs.
    members: Mutex<Vec<Member>>,
    /// All its threads: workers, the event loop's, the timers'.
    pub(crate) roll: Arc<Roll>,
    /// It has run external commands, whose threads are the process's.
    pub(crate) has_commands: AtomicBool,
    /// Jobs that wait in `shutdown` until the others have ended: they do not wait for one another.
    pub(crate) leavers: Mutex<Vec<u64>>,
    /// `daemon=` of the manager.
    pub(crate) daemon: Option<bool>,
    /// The jobs that have not ended, for the end of the program.
    pub(crate) census: Census,
    /// Bytes of output kept per job.
    pub(crate) output_limit: usize,
    pub(crate) keep_frames: Setting,
    workers_started: AtomicU64,
    /// Tells it from every other one of this process, also when it is gone.
    pub(crate) serial: u64,
    /// Somebody waits until every job has ended.
    awaited: AtomicBool,
    generation: u32,
}

/// A worker: where it can be struck, and what it works for.
type Member = (Arc<Slot>, Arc<Mutex<Option<Py<Job>>>>);

static HOUSES_MADE: AtomicU64 = AtomicU64::new(0);

/// Every house that is alive, for the exit of the interpreter.
static HOUSES: Mutex<Vec<Weak<House>>> = Mutex::new(Vec::new());

/// The houses of this process.
pub(crate) fn houses() -> Vec<Arc<House>> {
    let houses: Vec<_> = HOUSES.lock().iter().filter_map(Weak::upgrade).collect();
    houses.into_iter().filter(|house| house.is_here()).collect()
}

impl House {
    pub(crate) fn new(
        max_workers: usize,
        idle_timeout: Duration,
        output_limit: usize,
        backlog: (Option<Backlog>, bool),
        daemon: Option<bool>,
        registry: &Arc<Registry<Py<Job>>>,
        news: &Arc<News>,
    ) -> Arc<Self> {
        let roll = Arc::new(Roll::new());
        let house = Arc::new(Self {
            pool: Pool::new(max_workers, idle_timeout),
            timers: Timers::new(Alarm::fire, Arc::clone(&roll), thread::native_id),
            watch: Watch::new(Timers::new(hog::look, Arc::clone(&roll), thread::native_id)),
            entrance: Entrance::new(),
            limits: Limits::new(),
            next_look: Mutex::new(None),
            backlog: backlog.0,
            blocks_when_full: backlog.1,
            room: Room::new(idle_timeout),
            registry: Arc::downgrade(registry),
            news: Arc::downgrade(news),
            listened: AtomicBool::new(false),
            members: Mutex::new(Vec::new()),
            roll,
            has_commands: AtomicBool::new(false),
            leavers: Mutex::new(Vec::new()),
            daemon,
            census: Census::default(),
            output_limit,
            keep_frames: Setting::default(),
            workers_started: AtomicU64::new(0),
            serial: HOUSES_MADE.fetch_add(1, Ordering::Relaxed),
            awaited: AtomicBool::new(false),
            generation: generations::current(),
        });
        let mut houses = HOUSES.lock();
        houses.retain(|house| house.strong_count() > 0);
        houses.push(Arc::downgrade(&house));
        house
    }

    /// The records of its manager, if that is alive.
    pub(crate) fn registry(&self) -> Option<Arc<Registry<Py<Job>>>> {
        self.registry.upgrade()
    }

    /// Who is told when jobs end, if the manager is alive.
    pub(crate) fn news(&self) -> Option<Arc<News>> {
        self.news.upgrade()
    }

    /// From here on somebody is to be told at once when a job has ended, or nobody.
    pub(crate) fn hear_of_ends(&self, is_heard: bool) {
        self.listened.store(is_heard, Ordering::Release);
    }

    pub(crate) fn hears_of_ends(&self) -> bool {
        self.listened.load(Ordering::Acquire)
    }

    /// Take no more jobs. Those that are inside run; then the workers leave.
    pub(crate) fn close(&self) {
        if self.entrance.close() {
            self.pool.close();
        }
        if let Some(backlog) = &self.backlog {
            backlog.close();
        }
        self.room.close();
    }

    /// A job that the pool did not know of has ended, or is in the pool now.
    pub(crate) fn one_left(&self) {
        if self.entrance.leave() {
            self.pool.close();
        }
    }

    /// Block until every job has ended and every worker has left, or until the deadline; true when they have. To be called
    /// when it is closed.
    pub(crate) fn wait_until_empty(&self, deadline: Option<Instant>) -> bool {
        self.entrance.wait_until_gone(deadline)
            && self.pool.wait_until_empty(deadline)
            && self.room.wait_until_gone(deadline)
    }

    /// Block until the system has none of its threads any more, or until the deadline; true when it has none. To be called when it is
    /// empty and its timers are cleared.
    pub(crate) fn wait_until_gone(&self, deadline: Option<Instant>) -> bool {
        self.roll.wait_until_gone(deadline, thread::is_there)
    }

    /// From here on somebody waits until every job has ended.
    pub(crate) fn await_all(&self) {
        self.awaited.store(true, Ordering::Release);
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Acquire)
    }

    /// False in the child of a fork, where the threads of this house are missing.
    pub(crate) fn is_here(&self) -> bool {
        self.generation == generations::current()
    }

    /// An error in the child of a fork.
    pub(crate) fn check(&self) -> PyResult<()> {
        if self.is_here() {
            Ok(())
        } else {
            Err(errors::of_the_parent())
        }
    }

    /// The number for a new worker's name.
    pub(crate) fn next_worker(&self) -> u64 {
        self.workers_started.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn moved_in(&self, slot: &Arc<Slot>, job: &Arc<Mutex<Option<Py<Job>>>>) {
        let member = (Arc::clone(slot), Arc::clone(job));
        self.members.lock().push(member);
    }

    pub(crate) fn moved_out(&self, slot: &Arc<Slot>) {
        let mut members = self.members.lock();
        let place = members.iter().position(|kept| Arc::ptr_eq(&kept.0, slot));
        let gone = place.map(|place| members.swap_remove(place));
        drop(members);
        drop(gone);
    }

    /// The workers that are alive.
    pub(crate) fn members(&self) -> Vec<Member> {
        self.members.lock().clone()
    }

    /// Their slots.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        let members = self.members.lock();
        members.iter().map(|(slot, _)| Arc::clone(slot)).collect()
    }
}
