//! `map` and `starmap`: what they are given, and how that becomes a plan for a group.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::super::manager::{JobManager, count_of};
use super::super::misuse::unknown_in_map;
use super::super::options::Options;
use super::super::shim;
use super::super::view::ManagerView;
use super::Way;
use super::face::JobGroup;
use super::make::start;
use super::source::{Source, is_plain};
use crate::interrupt::names::name;

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
        not_callable(function)?;
        let py = function.py();
        let args = iterables.clone();
        let iterables = &PyTuple::new(
            py,
            iterables
                .iter()
                .map(|iterable| here(&iterable))
                .collect::<PyResult<Vec<_>>>()?,
        )?;
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
            args,
            source,
            total,
            way,
        })
    }

    fn plan_starmap<'py>(
        function: &Bound<'py, PyAny>,
        iterable: &Bound<'py, PyAny>,
    ) -> PyResult<Plan<'py>> {
        not_callable(function)?;
        let items = here(iterable)?;
        Ok(Plan {
            function: function.clone(),
            args: PyTuple::new(function.py(), [iterable])?,
            source: Source::of(&items)?,
            total: length(&items)?,
            way: Way::Star,
        })
    }
}

/// The items of something that only this thread can read, as a list; else the thing itself.
fn here<'py>(iterable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if is_plain(iterable) {
        return Ok(iterable.clone());
    }
    let items = shim::MAP_READ_HERE.call(iterable.py(), (iterable,))?;
    Ok(if items.is_none() {
        iterable.clone()
    } else {
        items
    })
}

/// The number of items, where it can be had.
fn length(iterable: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let py = iterable.py();
    if !iterable.hasattr(name!(py, "__len__"))? {
        return Ok(None);
    }
    match iterable.len() {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

fn nothing_unknown(unknown: Option<&Bound<'_, PyDict>>, method: &str) -> PyResult<()> {
    unknown.map_or(Ok(()), |unknown| Err(unknown_in_map(unknown, method)))
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
    /// They are read on a worker's thread. Rows of a `sqlite3` cursor that belongs to this thread are read here and now, all of
    /// them; of any other iterator that works on one thread alone give the list.
    ///
    /// Options come from `options(...)`: `name`, `daemon`, and `timeout`, which is for each item here. Items run in copies of
    /// the caller's contextvars. Raises `TypeError` when `fn` is not callable or something is not iterable, `ValueError` for
    /// numbers below 1, `ManagerClosed` after `shutdown()`. Does not block.
    #[pyo3(
        signature = (r#fn, /, *iterables, workers = None, chunksize = None, ordered = true, buffersize = None, **unknown),
        text_signature = "($self, fn, /, *iterables, workers=None, chunksize=None, ordered=True, buffersize=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn map<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
        unknown: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        nothing_unknown(unknown, "map")?;
        let manner = Manner::of(self, workers, chunksize, ordered, buffersize)?;
        self.group_under(
            &Options::default(),
            Self::plan_map(r#fn, iterables)?,
            &manner,
        )
    }

    /// As `map`, with the arguments of each call in one item: `fn(*item)`.
    #[pyo3(
        signature = (r#fn, iterable, /, *, workers = None, chunksize = None, ordered = true, buffersize = None, **unknown),
        text_signature = "($self, fn, iterable, /, *, workers=None, chunksize=None, ordered=True, buffersize=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn starmap<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterable: &Bound<'py, PyAny>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
        unknown: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        nothing_unknown(unknown, "starmap")?;
        let manner = Manner::of(self, workers, chunksize, ordered, buffersize)?;
        self.group_under(
            &Options::default(),
            Self::plan_starmap(r#fn, iterable)?,
            &manner,
        )
    }
}

impl JobManager {
    fn group_under<'py>(
        &self,
        options: &Options,
        plan: Plan<'py>,
        manner: &Manner,
    ) -> PyResult<Bound<'py, JobGroup>> {
        let py = plan.function.py();
        start(py, &self.owner(), plan, manner, options)
    }
}

#[pymethods]
impl ManagerView {
    /// As `JobManager.map`, under the options of this view. `timeout` is for each item.
    #[pyo3(
        signature = (r#fn, /, *iterables, workers = None, chunksize = None, ordered = true, buffersize = None, **unknown),
        text_signature = "($self, fn, /, *iterables, workers=None, chunksize=None, ordered=True, buffersize=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn map<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
        unknown: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        nothing_unknown(unknown, "map")?;
        let (manager, options) = self.parts();
        let manner = Manner::of(manager, workers, chunksize, ordered, buffersize)?;
        manager.group_under(options, JobManager::plan_map(r#fn, iterables)?, &manner)
    }

    /// As `JobManager.starmap`, under the options of this view. `timeout` is for each item.
    #[pyo3(
        signature = (r#fn, iterable, /, *, workers = None, chunksize = None, ordered = true, buffersize = None, **unknown),
        text_signature = "($self, fn, iterable, /, *, workers=None, chunksize=None, ordered=True, buffersize=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn starmap<'py>(
        &self,
        r#fn: &Bound<'py, PyAny>,
        iterable: &Bound<'py, PyAny>,
        workers: Option<&Bound<'py, PyAny>>,
        chunksize: Option<&Bound<'py, PyAny>>,
        ordered: bool,
        buffersize: Option<&Bound<'py, PyAny>>,
        unknown: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, JobGroup>> {
        nothing_unknown(unknown, "starmap")?;
        let (manager, options) = self.parts();
        let manner = Manner::of(manager, workers, chunksize, ordered, buffersize)?;
        manager.group_under(options, JobManager::plan_starmap(r#fn, iterable)?, &manner)
    }
}
