//! `Job`: the record of one piece of work, and its life from new to released.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyType};

use super::event_loop::errand::Errand;
use super::group::Group;
use super::house::House;
use super::options::Options;
use super::outcome::Outcome;
use super::plan::Plan;
use super::runner::Runner;
use super::values::Stream;
use super::work::{Kind, Label, Work};
use super::{errors, text};
use crate::core::bars::Bars;
use crate::core::census::Entry;
use crate::core::clock::Tick;
use crate::core::latch::Latch;
use crate::core::once::Once;
use crate::core::output::Output;
use crate::core::record::Record;
use crate::core::state::State;
use crate::core::sync::Mutex;
use crate::interrupt::slot::Slot;
use crate::interrupt::troop::Troop;

/// One piece of work and its record: what `new`, `submit` and `%job` give.
///
/// It is made by a manager only. Its methods may be called from any thread.
#[pyclass(frozen, subclass, weakref, generic, module = "rjobs")]
#[derive(Debug)]
pub struct Job {
    pub(crate) record: Record,
    pub(crate) house: Arc<House>,
    pub(crate) label: Label,
    pub(crate) given_name: Option<Box<str>>,
    pub(crate) source: Option<Box<Source>>,
    pub(crate) kind: Kind,
    pub(crate) timeout: Option<Duration>,
    /// What was asked for.
    pub(crate) daemon: Option<bool>,
    /// How the census of its house has it.
    pub(super) entry: Entry,
    pub(crate) echo: bool,
    /// What holds it back and what comes after a run, for the few that have such a thing.
    pub(crate) plan: Option<Box<Plan>>,
    /// It counts for `max_queued`.
    pub(crate) counted: AtomicBool,
    /// Its end was told of, by `status` or at a prompt.
    pub(crate) reported: AtomicBool,
    pub(crate) stop_requested: AtomicBool,
    /// It keeps figures (`figures.rs`), or did.
    pub(crate) has_figures: AtomicBool,
    /// How often the entrance counts it as beside the pool: it waits, or runs on something else than a worker. Twice while who
    /// launched it has not yet said so, and its first run is over.
    aside: AtomicU32,
    /// It is a group: a function over many items, run by several workers.
    pub(crate) group: OnceLock<Arc<Group>>,
    pub(crate) held: Mutex<Held>,
    pub(crate) output: Once<Box<Output>>,
}

/// The Python objects that come and go with a job's life, under one lock.
#[derive(Debug)]
pub(crate) struct Held {
    /// Taken by who ends it.
    pub(crate) work: Option<Work>,
    /// Stored before the state says that it is there.
    pub(crate) outcome: Outcome,
    pub(crate) extras: Option<Box<Extras>>,
    /// What runs it, or ran it last; set before the state says `Running`.
    pub(crate) runner: Option<Runner>,
}

/// For code: what it was made of, kept for as long as the job.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) expression: Py<PyString>,
    pub(crate) code: Option<Py<PyAny>>,
}

/// What few jobs have.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) callbacks: Vec<Py<PyAny>>,
    pub(crate) future: Option<Py<PyAny>>,
    pub(crate) outputs: Option<Py<PyList>>,
    /// Those that it has open in `matplotlib.pyplot`: `rjobs._figures.Figures`.
    pub(crate) figures: Option<Py<PyAny>>,
    /// Opened by `stop`.
    pub(crate) stop: Option<Arc<Latch>>,
    /// The jobs that come after this one.
    pub(crate) dependents: Vec<Py<Job>>,
    /// The job whose result is its first argument, until that is there.
    pub(crate) feeds: Option<Py<Job>>,
    /// It has ended without that.
    pub(crate) is_unfed: bool,
    /// The job for which it was skipped.
    pub(crate) cause: Option<Py<Job>>,
    /// When it is tried again: a policy, or what keeps count under one.
    pub(crate) policy: Option<Py<PyAny>>,
    /// The classes that kills asked for. All are kept until the job has ended: the thread's state may hold one.
    pub(crate) kills: Vec<Py<PyType>>,
    /// The values it gives before its end, and how many may wait to be read, where that was said.
    pub(crate) stream: Option<Arc<Stream>>,
    pub(crate) buffersize: Option<usize>,
    pub(crate) progress: Option<Box<Bars>>,
    /// Those who follow its output to its end.
    pub(crate) followers: usize,
    /// Somebody has read its values, or was about to.
    pub(crate) was_read: bool,
    /// What was in the frames of what it raised is let go of.
    pub(crate) has_no_frames: bool,
    /// What its last run raised, after which it runs again.
    pub(crate) last_failure: Option<Box<Outcome>>,
    /// How often somebody has asked for its end.
    pub(crate) asked_to_end: usize,
    /// What its run has started.
    pub(crate) troop: Option<Arc<Troop>>,
}

impl Extras {
    /// Those that options ask for.
    fn under(options: &Options) -> Option<Box<Self>> {
        options.buffersize?;
        Some(Box::new(Self {
            buffersize: options.buffersize,
            ..Self::default()
        }))
    }

    /// It has ended: not to hold the one before it, since a long row of them would hang together.
    pub(crate) fn let_go_of_feeds(&mut self) -> Option<Py<Job>> {
        let feeds = self.feeds.take();
        self.is_unfed = feeds.is_some();
        feeds
    }

    /// Whether it may refer back to the job.
    pub(crate) fn is_linked(&self) -> bool {
        self.future.is_some()
            || self.outputs.is_some()
            || self.figures.is_some()
            || self.cause.is_some()
            || self.policy.is_some()
            || self.last_failure.is_some()
            || self.stream.is_some()
    }
}

impl Job {
    pub(crate) fn new(
        number: u64,
        house: &Arc<House>,
        label: Label,
        source: Option<Box<Source>>,
        kind: Kind,
        work: Work,
        options: &Options,
    ) -> Self {
        Self {
            record: Record::new(number),
            house: Arc::clone(house),
            label,
            given_name: options.name.clone(),
            source,
            kind,
            timeout: options.timeout,
            daemon: options.daemon,
            entry: Entry::new(),
            echo: options.echo,
            plan: options.more.as_ref().map(|more| Box::new(Plan::new(more))),
            counted: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            stop_requested: AtomicBool::new(false),
            has_figures: AtomicBool::new(false),
            aside: AtomicU32::new(0),
            group: OnceLock::new(),
            held: Mutex::new(Held {
                work: Some(work),
                outcome: Outcome::None,
                extras: Extras::under(options),
                runner: None,
            }),
            output: Once::new(),
        }
    }

    /// Queued to running; false when it was ended meanwhile.
    pub(crate) fn begin(&self, now: Tick) -> bool {
        let begun = self.record.begin(now);
        if begun {
            if let Some(plan) = &self.plan {
                plan.starts.fetch_add(1, Ordering::AcqRel);
            }
            self.leave_backlog();
        }
        begun
    }

    /// It counts for `max_queued` no more.
    pub(crate) fn leave_backlog(&self) {
        if let Some(backlog) = &self.house.backlog
            && self.counted.swap(false, Ordering::AcqRel)
        {
            backlog.leave();
        }
    }

    /// Its rank in the queue.
    pub(crate) fn rank(&self) -> i32 {
        self.plan.as_ref().map_or(0, |plan| plan.rank)
    }

    /// Its state. In the child of a fork, what had not ended is lost: its worker is in the parent.
    pub(crate) fn state(&self) -> State {
        let state = self.record.state();
        if state.is_terminal() || self.house.is_here() {
            state
        } else {
            State::Lost
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().is_terminal()
    }

    /// The entrance has counted it as beside the pool.
    pub(crate) fn went_aside(&self) {
        self.aside.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether it is counted so.
    pub(crate) fn is_aside(&self) -> bool {
        self.aside.load(Ordering::Acquire) > 0
    }

    /// It is in the pool now, or has ended.
    pub(crate) fn come_back(&self) {
        let was_aside = self
            .aside
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |times| {
                times.checked_sub(1)
            });
        if was_aside.is_ok() {
            self.house.one_left();
        }
    }

    /// The slot of the thread that runs it, or ran it last.
    pub(crate) fn slot(&self) -> Option<Arc<Slot>> {
        if let Some(group) = self.group.get() {
            return group.slot(&self.record);
        }
        match &self.held.lock().runner {
            Some(Runner::Worker(slot)) => Some(Arc::clone(slot)),
            Some(Runner::Task(errand)) => errand.slot().cloned(),
            Some(Runner::Process(_)) | None => None,
        }
    }

    /// Its run, while that is on its manager's event loop.
    pub(crate) fn errand(&self) -> Option<Arc<Errand>> {
        match &self.held.lock().runner {
            Some(Runner::Task(errand)) => Some(Arc::clone(errand)),
            _ => None,
        }
    }

    /// "job 3 ('name')", for messages.
    pub(crate) fn title(&self, py: Python<'_>) -> String {
        format!(
            "job {} ('{}')",
            self.record.number(),
            text::escaped(&self.shown_name(py))
        )
    }

    pub(crate) fn shown_name(&self, py: Python<'_>) -> String {
        match &self.given_name {
            Some(name) => name.to_string(),
            None => text::lossy(self.label.name.bind(py)).into_owned(),
        }
    }

    /// What few jobs have, under the lock: no Python in `change`.
    pub(crate) fn with_extras<R>(&self, change: impl FnOnce(&mut Extras) -> R) -> R {
        change(self.held.lock().extras.get_or_insert_default())
    }

    /// Append to its output. `MemoryError`, and nothing done, where there is no memory for it.
    pub(crate) fn write(&self, bytes: &[u8]) -> PyResult<()> {
        self.printed().write(bytes).map_err(|_| errors::no_memory())
    }

    pub(crate) fn printed(&self) -> &Output {
        let output = self
            .output
            .get_or_make(|| Box::new(Output::new(self.house.output_limit)));
        if self.is_over() {
            // Made after the end, by a follower or by a thread that outlives the job: nobody else would say so.
            output.end();
        }
        output
    }
}

/// Put `fresh` into an empty place, or leave what is there: what is in it now, and `fresh` if it was not needed (for the
/// caller to drop, outside of the lock).
pub(crate) fn keep_first<T>(
    py: Python<'_>,
    place: &mut Option<Py<T>>,
    fresh: Py<T>,
) -> (Py<T>, Option<Py<T>>) {
    match place {
        Some(kept) => (kept.clone_ref(py), Some(fresh)),
        None => (place.insert(fresh).clone_ref(py), None),
    }
}

#[pymethods]
impl Job {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A lock that is taken just now belongs to a thread that is alive, and the job with it: not visiting only says so.
        visit.call(&self.label.name)?;
        if let Some(group) = self.group.get() {
            group.traverse(&visit)?;
        }
        let Some(held) = self.held.try_lock() else {
            return Ok(());
        };
        held.work
            .as_ref()
            .map_or(Ok(()), |work| work.traverse(&visit))?;
        held.outcome.traverse(&visit)?;
        if let Some(extras) = &held.extras {
            for callback in &extras.callbacks {
                visit.call(callback)?;
            }
            for job in extras
                .dependents
                .iter()
                .chain(&extras.feeds)
                .chain(&extras.cause)
            {
                visit.call(job)?;
            }
            visit.call(&extras.policy)?;
            if let Some(failure) = &extras.last_failure {
                failure.traverse(&visit)?;
            }
            for kill in &extras.kills {
                visit.call(kill)?;
            }
            visit.call(&extras.future)?;
            visit.call(&extras.outputs)?;
            visit.call(&extras.figures)?;
            if let Some(stream) = &extras.stream {
                stream.try_each(|value| visit.call(value), |bell| visit.call(bell))?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        // Taken out first and dropped after: dropping may run Python, which may come back here.
        let held = std::mem::replace(
            &mut *self.held.lock(),
            Held {
                work: None,
                outcome: Outcome::None,
                extras: None,
                runner: None,
            },
        );
        // Who iterates keeps the values as well.
        let stream = held
            .extras
            .as_ref()
            .and_then(|extras| extras.stream.clone());
        drop(stream.map(|stream| stream.clear()));
        drop(held);
        if let Some(group) = self.group.get() {
            group.clear();
        }
    }
}
