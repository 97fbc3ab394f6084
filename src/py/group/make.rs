//! Making a group: out of a plan, or of the items of another one that failed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyWeakrefReference};

use super::super::entrance::Owner;
use super::super::job::Job;
use super::super::options::{More, Options};
use super::super::shim::{self, Opened};
use super::super::work::{Kind, Label, Work};
use super::super::{errors, held, misuse};
use super::blocks::Cursor;
use super::face::JobGroup;
use super::map::{Manner, Plan};
use super::results::Results;
use super::source::Source;
use super::{Group, Inner, Way};
use crate::core::muster::Muster;
use crate::core::pace::Pace;
use crate::core::sync::{Condvar, Mutex};
use crate::core::window::{Rule, Window};
use crate::interrupt::context;

/// Make a group, register it, and send for its first worker. What it returns was accepted; an error leaves nothing behind.
pub(super) fn start<'py>(
    py: Python<'py>,
    owner: &Owner<'_>,
    plan: Plan<'py>,
    manner: &Manner,
    options: &Options,
) -> PyResult<Bound<'py, JobGroup>> {
    owner.check()?;
    let house = owner.house;
    let more = options.more.as_deref();
    if let Some(unfit) = more.and_then(unfit_for_items) {
        return Err(PyTypeError::new_err(unfit));
    }
    let label = Label::of_callable(&plan.function);
    let group = Group::new(
        py,
        &plan.function,
        plan.source,
        plan.total,
        plan.way,
        manner,
    )?;
    let work = Work {
        callable: plan.function.unbind(),
        args: plan.args.unbind(),
        kwargs: None,
        context: context::copy_current(py)?.unbind(),
        namespaces: None,
        order: None,
    };
    // It is inside until it has ended: its workers come and go, and the pool must not close meanwhile.
    if !house.entrance.enter() {
        return Err(errors::closed());
    }
    let number = owner.registry.reserve();
    let job = Job::new(number, house, label, None, Kind::Group, work, options);
    job.went_aside();
    let _ = job.group.set(Arc::new(group));
    let made = Bound::new(
        py,
        PyClassInitializer::from(job).add_subclass(JobGroup::new()),
    );
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            house.one_left();
            return Err(error);
        }
    };
    let job = made.as_super();
    let me = PyWeakrefReference::new(job.as_any())?;
    if let Some(group) = job.get().group.get() {
        let _ = group.me.set(me.unbind());
    }
    owner.enrol(job, options);
    match Owner::send_off(job, more) {
        Ok(None) => Ok(made),
        Ok(Some(interrupt)) => Err(interrupt),
        Err(error) => {
            owner.take_back(job);
            Err(error)
        }
    }
}

/// What options of a job mean nothing for many items.
fn unfit_for_items(more: &More) -> Option<&'static str> {
    let unfit = [
        ("retry", more.retries > 0 || more.policy.is_some()),
        ("limit", more.limits.is_some()),
        ("cache", more.cache.is_some() || more.lock.is_some()),
    ];
    let option = unfit
        .into_iter()
        .find_map(|(option, is_given)| is_given.then_some(option))?;
    misuse::unfit_for_items(option)
}

/// The first worker is asked for.
pub(crate) fn ask(job: &Job) {
    if let Some(group) = job.group.get() {
        group.inner.lock().muster.ask();
    }
}

impl Group {
    fn new(
        py: Python<'_>,
        function: &Bound<'_, PyAny>,
        source: Source,
        total: Option<usize>,
        way: Way,
        manner: &Manner,
    ) -> PyResult<Self> {
        // Now, so that no worker has to import.
        shim::open(py, Opened::Map)?;
        // Held, as it may import asyncio.
        let is_async = held::held(py, || shim::MAP_IS_ASYNC.call(py, (function,)))?.is_truthy()?;
        let rule = match (manner.buffersize, total) {
            (Some(size), _) => Rule::Buffer(size),
            (None, Some(_)) => Rule::Free,
            (None, None) => Rule::Consumer,
        };
        let inner = Inner {
            function: Some(function.clone().unbind()),
            source,
            pieces: VecDeque::new(),
            flights: Vec::new(),
            flights_begun: 0,
            results: Results::default(),
            muster: Muster::new(manner.workers),
            window: Window::new(rule),
            pace: Pace::new(manner.chunksize),
            slots: Vec::new(),
            boarding: 0,
            robbers: 0,
            is_pulling: false,
            total,
            fault: None,
            kill: None,
            killed_by: None,
            is_over: false,
            has_ended: false,
            is_watched: false,
            is_expecting: false,
            is_stalled: false,
            cursor: Cursor::default(),
            news: 0,
        };
        Ok(Self {
            me: OnceLock::new(),
            way,
            is_async,
            is_ordered: manner.ordered,
            workers: manner.workers,
            chunksize: manner.chunksize,
            forgets: manner.buffersize.is_some(),
            is_killed: AtomicBool::new(false),
            serial: AtomicU64::new(0),
            inner: Mutex::new(inner),
            changed: Condvar::new(),
        })
    }

    /// The items that failed, as a group of their own.
    pub(super) fn again<'py>(&self, me: &Bound<'py, Job>) -> PyResult<Bound<'py, JobGroup>> {
        let (py, job) = (me.py(), me.get());
        let (function, items) = {
            let inner = self.inner.lock();
            let function = inner
                .function
                .as_ref()
                .map(|function| function.clone_ref(py));
            let errors = inner.results.errors.values();
            let items: Vec<_> = errors.map(|failure| failure.item.clone_ref(py)).collect();
            (function, items)
        };
        let Some(registry) = job.house.registry() else {
            return Err(errors::closed());
        };
        let function = match function {
            Some(function) => function.into_bound(py),
            // Nothing failed, and nothing will be called.
            None => shim::NOTHING.get(py)?.clone(),
        };
        let total = items.len();
        let items = PyList::new(py, items)?.into_any();
        let plan = Plan {
            function,
            args: PyTuple::new(py, [&items])?,
            source: Source::of(&items)?,
            total: Some(total),
            way: self.way,
        };
        let manner = Manner {
            workers: self.workers,
            chunksize: self.chunksize,
            buffersize: None,
            ordered: self.is_ordered,
        };
        let options = job.its_options(py);
        let owner = Owner {
            house: &job.house,
            registry: &registry,
        };
        start(py, &owner, plan, &manner, &options)
    }
}
