//! `map` and `starmap`: making a group.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyWeakrefReference};

use super::super::entrance::recruit_for;
use super::super::house::House;
use super::super::job::Job;
use super::super::manager::{JobManager, count_of};
use super::super::options::Options;
use super::super::view::ManagerView;
use super::super::work::{Label, Work};
use super::super::{errors, exit, shim};
use super::blocks::Cursor;
use super::face::JobGroup;
use super::results::Results;
use super::source::Source;
use super::{Group, Inner, Way};
use crate::core::muster::Muster;
use crate::core::pace::Pace;
use crate::core::pool::{Admission, Closed};
use crate::core::registry::Registry;
use crate::core::state::State;
use crate::core::sync::{Condvar, Mutex};
use crate::core::window::{Rule, Window};
use crate::interrupt::{collector, context};

/// What `map` was asked for besides the function and the items.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) workers: usize,
    pub(super) chunksize: Option<usize>,
    pub(super) buffersize: Option<usize>,
    pub(super) ordered: bool,
}

impl Manner {
    fn of(
        manager: &JobManager,
        workers: Option<&Bound<'_, PyAny>>,
        chunksize: Option<&Bound<'_, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let count = |name: &str, value: Option<&Bound<'_, PyAny>>| {
            value
                .map(|value| count_of(name, value, 1, "1 or more, or None"))
                .transpose()
        };
        Ok(Self {
            workers: count("workers", workers)?
                .unwrap_or(usize::MAX)
                .min(manager.house.pool.max_workers()),
            chunksize: count("chunksize", chunksize)?,
            buffersize: count("buffersize", buffersize)?,
            ordered,
        })
    }
}

/// What a group runs.
pub(super) struct Plan<'py> {
    pub(super) function: Bound<'py, PyAny>,
    pub(super) args: Bound<'py, PyTuple>,
    pub(super) source: Source,
    pub(super) total: Option<usize>,
    pub(super) way: Way,
}

impl JobManager {
    /// The source of `map`'s items.
    fn plan_map<'py>(
        function: &Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
    ) -> PyResult<Plan<'py>> {
        let py = function.py();
        let lengths: Vec<Option<usize>> = iterables
            .iter()
            .map(|iterable| length(&iterable))
            .collect::<PyResult<_>>()?;
        // As zip: the shortest.
        let total = lengths
            .into_iter()
            .min_by_key(|length| length.unwrap_or(usize::MAX));
        let (source, way, total) = match iterables.len() {
            0 => {
                return Err(PyTypeError::new_err(
                    "map needs a function and at least one iterable: map(fn, items)",
                ));
            }
            1 => (
                Source::of(&iterables.get_item(0)?)?,
                Way::One,
                total.flatten(),
            ),
            _ => {
                // All of them known, or none: an endless one beside a list ends with the list.
                let zipped = shim::ZIP.get(py)?.call1(iterables)?;
                (Source::of(&zipped)?, Way::Star, total.flatten())
            }
        };
        Ok(Plan {
            function: function.clone(),
            args: iterables.clone(),
            source,
            total,
            way,
        })
    }

    fn plan_starmap<'py>(
        function: &Bound<'py, PyAny>,
        iterable: &Bound<'py, PyAny>,
    ) -> PyResult<Plan<'py>> {
        Ok(Plan {
            function: function.clone(),
            args: PyTuple::new(function.py(), [iterable])?,
            source: Source::of(iterable)?,
            total: length(iterable)?,
            way: Way::Star,
        })
    }
}

/// The number of items, where it can be had.
fn length(iterable: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let py = iterable.py();
    if !iterable.hasattr(pyo3::intern!(py, "__len__"))? {
        return Ok(None);
    }
    match iterable.len() {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Make a group, register it, and send for its first worker. What it returns was accepted; an error leaves nothing behind.
pub(super) fn start<'py>(
    py: Python<'py>,
    house: &Arc<House>,
    registry: &Registry<Py<Job>>,
    plan: Plan<'py>,
    manner: &Manner,
    options: &Options,
) -> PyResult<Bound<'py, JobGroup>> {
    house.check()?;
    if exit::is_ending() {
        return Err(errors::at_the_end());
    }
    let is_async = shim::MAP_IS_ASYNC
        .call(py, (&plan.function,))?
        .is_truthy()?;
    // Now, so that no worker has to import.
    for near in [&shim::MAP_RUN, &shim::MAP_RUN_STAR, &shim::MAP_RUN_ASYNC] {
        near.get(py)?;
    }
    for near in [&shim::MAP_RUN_ASYNC_STAR, &shim::MAP_PULL, &shim::MAP_TRIM] {
        near.get(py)?;
    }
    let rule = match (manner.buffersize, plan.total) {
        (Some(size), _) => Rule::Buffer(size),
        (None, Some(_)) => Rule::Free,
        (None, None) => Rule::Consumer,
    };
    let group = Group {
        me: OnceLock::new(),
        way: plan.way,
        is_async,
        is_ordered: manner.ordered,
        workers: manner.workers,
        chunksize: manner.chunksize,
        forgets: manner.buffersize.is_some(),
        is_killed: AtomicBool::new(false),
        serial: AtomicU64::new(0),
        inner: Mutex::new(Inner {
            function: Some(plan.function.clone().unbind()),
            source: plan.source,
            pieces: VecDeque::new(),
            flights: Vec::new(),
            flights_begun: 0,
            results: Results::default(),
            muster: Muster::new(manner.workers),
            window: Window::new(rule),
            pace: Pace::new(manner.chunksize),
            slots: Vec::new(),
            robbers: 0,
            is_pulling: false,
            total: plan.total,
            fault: None,
            kill: None,
            killed_by: None,
            is_over: false,
            has_ended: false,
            is_watched: false,
            is_expecting: false,
            is_stalled: false,
            news: 0,
            cursor: Cursor::default(),
        }),
        changed: Condvar::new(),
    };
    let label = Label::of_callable(&plan.function);
    let work = Work {
        callable: plan.function.unbind(),
        args: plan.args.unbind(),
        kwargs: None,
        context: context::copy_current(py)?.unbind(),
        namespaces: None,
    };
    // It is inside until it has ended: its workers come and go, and the pool must not close meanwhile.
    if !house.entrance.enter() {
        return Err(errors::closed());
    }
    let number = registry.reserve();
    let job = Job::new(number, house, label, None, work, options);
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
    collector::untrack(&made);
    let me = PyWeakrefReference::new(job.as_any())?;
    if let Some(group) = job.get().group.get() {
        let _ = group.me.set(me.unbind());
    }
    if !options.daemon {
        exit::keep_for(job);
    }
    registry.insert(number, job.clone().unbind());
    match launch(job) {
        Ok(None) => Ok(made),
        Ok(Some(interrupt)) => Err(interrupt),
        Err(error) => {
            let kept = registry.remove(number);
            drop(kept);
            Job::end_queued(job, State::Cancelled);
            Err(error)
        }
    }
}

/// Send for the first worker. As `entrance::launch`.
fn launch(job: &Bound<'_, Job>) -> PyResult<Option<PyErr>> {
    let house = &job.get().house;
    if let Some(group) = job.get().group.get() {
        group.inner.lock().muster.ask();
    }
    match house.pool.push(job.clone().unbind()) {
        Ok(Admission::Queued) => Ok(None),
        Ok(Admission::NeedsWorker) => recruit_for(job, house),
        Err(Closed(back)) => {
            drop(back);
            Err(errors::closed())
        }
    }
}

impl Group {
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
        let options = Options {
            name: job.given_name.clone(),
            timeout: job.timeout,
            daemon: job.daemon,
        };
        start(py, &job.house, &registry, plan, &manner, &options)
    }
}

fn not_callable(function: &Bound<'_, PyAny>) -> PyResult<()> {
    if function.is_callable() {
        return Ok(());
    }
    let kind = function.get_type().qualname()?;
    Err(PyTypeError::new_err(format!(
        "map needs a callable first, and then the items: map(fn, items); got {kind}"
    )))
}

#[pymethods]
impl JobManager {
    /// Call `fn(item)` for every item, with several workers, and return the `JobGroup` at once: one job in the table.
    ///
    /// With several iterables it is `fn(a, b)`, and ends with the shortest, as `zip`. Iterate the group for results in order
    /// (with `ordered=False` as they come), or take `results()`. One item that is slow, raises or takes too long holds up
    /// nobody else's. `workers` (default: all that the manager may have) bounds the workers, `chunksize` fixes how many items
    /// a worker takes at a time (default: as many as take about a millisecond).
    ///
    /// Iterables without a length are read as far as needed: at most 1,000 items ahead of who iterates the group; without
    /// limit when somebody waits for the whole group, or nobody has come to iterate it after a second. `buffersize=N` lets no
    /// more than N items be ahead, and forgets results when they are taken: for endless iterables.
    ///
    /// Options come from `options(...)`: `name`, `daemon`, and `timeout`, which is for each item here. Items run in copies of
    /// the caller's contextvars. Raises `TypeError` when `fn` is not callable or something is not iterable, `ValueError` for
    /// numbers below 1, `ManagerClosed` after `shutdown()`. Does not block.
    #[pyo3(signature = (r#fn, /, *iterables, workers = None, chunksize = None, ordered = true, buffersize = None))]
    fn map<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        self.map_under(
            &Options::default(),
            r#fn,
            iterables,
            &Manner::of(self, workers, chunksize, ordered, buffersize)?,
        )
    }

    /// As `map`, with the arguments of each call in one item: `fn(*item)`.
    #[pyo3(signature = (r#fn, iterable, /, *, workers = None, chunksize = None, ordered = true, buffersize = None))]
    fn starmap<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterable: &Bound<'py, PyAny>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        self.starmap_under(
            &Options::default(),
            r#fn,
            iterable,
            &Manner::of(self, workers, chunksize, ordered, buffersize)?,
        )
    }
}

impl JobManager {
    fn map_under<'py>(
        &self,
        options: &Options,
        function: &Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
        manner: &Manner,
    ) -> PyResult<Bound<'py, JobGroup>> {
        not_callable(function)?;
        let plan = Self::plan_map(function, iterables)?;
        start(
            function.py(),
            &self.house,
            &self.registry,
            plan,
            manner,
            options,
        )
    }

    fn starmap_under<'py>(
        &self,
        options: &Options,
        function: &Bound<'py, PyAny>,
        iterable: &Bound<'py, PyAny>,
        manner: &Manner,
    ) -> PyResult<Bound<'py, JobGroup>> {
        not_callable(function)?;
        let plan = Self::plan_starmap(function, iterable)?;
        start(
            function.py(),
            &self.house,
            &self.registry,
            plan,
            manner,
            options,
        )
    }
}

#[pymethods]
impl ManagerView {
    /// As `JobManager.map`, under the options of this view. `timeout` is for each item.
    #[pyo3(signature = (r#fn, /, *iterables, workers = None, chunksize = None, ordered = true, buffersize = None))]
    fn map<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        let (manager, options) = self.parts();
        let manner = Manner::of(manager, workers, chunksize, ordered, buffersize)?;
        manager.map_under(options, r#fn, iterables, &manner)
    }

    /// As `JobManager.starmap`, under the options of this view. `timeout` is for each item.
    #[pyo3(signature = (r#fn, iterable, /, *, workers = None, chunksize = None, ordered = true, buffersize = None))]
    fn starmap<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterable: &Bound<'py, PyAny>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        let (manager, options) = self.parts();
        let manner = Manner::of(manager, workers, chunksize, ordered, buffersize)?;
        manager.starmap_under(options, r#fn, iterable, &manner)
    }
}
