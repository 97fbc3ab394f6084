//! `Job`: the record of one piece of work, and its life from new to released.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyType};

use super::group::Group;
use super::house::House;
use super::options::Options;
use super::outcome::Outcome;
use super::runner::Runner;
use super::shim;
use super::work::{Label, Work};
use super::{exit, held};
use crate::core::clock::Tick;
use crate::core::latch::Latch;
use crate::core::output::Output;
use crate::core::record::Record;
use crate::core::state::State;
use crate::interrupt::slot::Slot;
use crate::interrupt::{call, collector};

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
    pub(crate) timeout: Option<Duration>,
    pub(crate) daemon: bool,
    /// Its end was told of, by `status` or at a prompt.
    pub(crate) reported: AtomicBool,
    pub(crate) stop_requested: AtomicBool,
    /// It is inside, and the pool does not know of it: it waits, or runs on something else than a worker.
    aside: AtomicBool,
    /// It is a group: a function over many items, run by several workers.
    pub(crate) group: OnceLock<Arc<Group>>,
    pub(crate) held: Mutex<Held>,
    pub(crate) output: OnceLock<Box<Output>>,
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
    /// Opened by `stop`.
    pub(crate) stop: Option<Arc<Latch>>,
    /// The classes that kills asked for. All are kept until the job has ended: the thread's state may hold one.
    pub(crate) kills: Vec<Py<PyType>>,
}

impl Job {
    pub(crate) fn new(
        number: u64,
        house: &Arc<House>,
        label: Label,
        source: Option<Box<Source>>,
        work: Work,
        options: &Options,
    ) -> Self {
        Self {
            record: Record::new(number),
            house: Arc::clone(house),
            label,
            given_name: options.name.clone(),
            source,
            timeout: options.timeout,
            daemon: options.daemon,
            reported: AtomicBool::new(false),
            stop_requested: AtomicBool::new(false),
            aside: AtomicBool::new(false),
            group: OnceLock::new(),
            held: Mutex::new(Held {
                work: Some(work),
                outcome: Outcome::None,
                extras: None,
                runner: None,
            }),
            output: OnceLock::new(),
        }
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
        self.aside.store(true, Ordering::Release);
    }

    /// It is in the pool now, or has ended.
    pub(crate) fn come_back(&self) {
        if self.aside.swap(false, Ordering::AcqRel) {
            self.house.one_left();
        }
    }

    /// The slot of the worker that runs it, or ran it last.
    pub(crate) fn slot(&self) -> Option<Arc<Slot>> {
        if let Some(group) = self.group.get() {
            return group.slot(&self.record);
        }
        match &self.held.lock().runner {
            Some(Runner::Worker(slot)) => Some(Arc::clone(slot)),
            None => None,
        }
    }

    /// "job 3 ('name')", for messages.
    pub(crate) fn title(&self, py: Python<'_>) -> String {
        format!(
            "job {} ('{}')",
            self.record.number(),
            self.shown_name(py).escape_debug()
        )
    }

    pub(crate) fn shown_name(&self, py: Python<'_>) -> String {
        match &self.given_name {
            Some(name) => name.to_string(),
            None => self.label.name.bind(py).to_string_lossy().into_owned(),
        }
    }

    /// What few jobs have, under the lock: no Python in `change`.
    pub(crate) fn with_extras<R>(&self, change: impl FnOnce(&mut Extras) -> R) -> R {
        change(self.held.lock().extras.get_or_insert_default())
    }

    /// The same for what may refer back to the job: from then on the collector has to see it.
    pub(crate) fn link<R>(me: &Bound<'_, Self>, change: impl FnOnce(&mut Extras) -> R) -> R {
        let result = me.get().with_extras(change);
        // Before the end the job cannot be garbage, and at the end the links are seen.
        if me.get().record.state().is_terminal() {
            collector::track(me);
        }
        result
    }

    /// End a job that has not started: it never runs. False when it has started or ended.
    pub(crate) fn end_queued(me: &Bound<'_, Self>, to: State) -> bool {
        let job = me.get();
        if !job.house.is_here() || !job.record.end(State::Queued, to, crate::core::clock::now()) {
            return false;
        }
        let work = job.held.lock().work.take();
        if let Some(work) = work {
            work.release(me.py());
        }
        Self::after_end(me);
        true
    }

    /// The worker's end of a job: store the outcome, release what it ran, then say so.
    pub(crate) fn end_running(me: &Bound<'_, Self>, to: State, outcome: Outcome, now: Tick) {
        let job = me.get();
        let work = {
            let mut held = job.held.lock();
            held.outcome = outcome;
            held.work.take()
        };
        if let Some(work) = work {
            work.release(me.py());
        }
        if job.record.end(State::Running, to, now) {
            Self::after_end(me);
        }
    }

    fn after_end(me: &Bound<'_, Self>) {
        let job = me.get();
        if let Some(output) = job.output.get() {
            output.end();
        }
        if let Some(group) = job.group.get() {
            group.has_ended(me.py());
        }
        let (callbacks, kills, is_linked) = {
            let mut held = job.held.lock();
            let has_cycles = held.outcome.can_have_cycles(me.py());
            match &mut held.extras {
                None => (Vec::new(), Vec::new(), has_cycles),
                Some(extras) => (
                    std::mem::take(&mut extras.callbacks),
                    std::mem::take(&mut extras.kills),
                    has_cycles || extras.future.is_some() || extras.outputs.is_some(),
                ),
            }
        };
        drop(kills);
        if !job.daemon {
            exit::forget(me);
        }
        if is_linked {
            collector::track(me);
        }
        for callback in callbacks {
            Self::run_callback(me, &callback.into_bound(me.py()));
        }
        job.come_back();
    }

    /// A callback's exception is its own affair, and is shown as Python shows those of `__del__`.
    pub(crate) fn run_callback(me: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) {
        let py = me.py();
        let Ok(args) = (me,).into_pyobject(py) else {
            return;
        };
        // A job that ends another one runs its callbacks: a kill of the former must not land in them.
        held::undisturbed(py, || {
            if let Err(exception) = call::call(callback, &args, None) {
                let told = shim::EXCEPTION_IN_CALLBACK.call(py, (me, callback, &exception));
                if let Err(error) = told {
                    error.write_unraisable(py, Some(callback));
                }
            }
        });
    }

    /// Append to its output.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.printed().write(bytes);
    }

    pub(crate) fn printed(&self) -> &Output {
        let output = self
            .output
            .get_or_init(|| Box::new(Output::new(self.house.output_limit)));
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
            for kill in &extras.kills {
                visit.call(kill)?;
            }
            visit.call(&extras.future)?;
            visit.call(&extras.outputs)?;
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
        drop(held);
        if let Some(group) = self.group.get() {
            group.clear();
        }
    }
}
