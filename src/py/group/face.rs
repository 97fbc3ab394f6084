//! `JobGroup`: what `map` gives.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::super::job::Job;
use super::super::lent::Lent;
use super::super::progress::Progress;
use super::super::shim;
use super::super::wait::{self, Patience};
use super::{Group, blocks};
use crate::core::state::State;

/// One job that calls a function for many items: what `map` and `starmap` give.
///
/// A `Job` in everything: its value is the list of results, `kill()` ends every item that runs and begins no other, `stop()`
/// lets those that run end. It is 'done' when every item is, and 'failed' when one of them raised; `get()` raises the
/// exception of the first of those, and the results of the others stay.
///
/// Iterating it gives results in the order of the items (with `ordered=False` as they come), each as soon as it is there. Where an
/// item failed its exception is raised, and `next()` goes on behind it. Results are kept: each iteration begins with the
/// first, unless the group has a `buffersize`. Iterating blocks; Ctrl-C raises `KeyboardInterrupt` within 100 ms.
#[pyclass(frozen, extends = Job, generic, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct JobGroup;

/// The number of an item, and its exception.
type Failed<'py> = (usize, Bound<'py, PyAny>);

impl JobGroup {
    pub(super) const fn new() -> Self {
        Self
    }

    pub(super) fn group<'a>(me: &'a Bound<'_, Self>) -> PyResult<&'a Arc<Group>> {
        let group = me.as_super().get().group.get();
        group.ok_or_else(|| PyTypeError::new_err("a JobGroup is made by JobManager.map only"))
    }

    /// Block until it has ended; the builtin `TimeoutError` when patience ends first.
    fn wait_for_all(me: &Bound<'_, Self>, patience: Patience) -> PyResult<()> {
        let job = me.as_super().get();
        if job.wait(me.py(), patience)? {
            Ok(())
        } else {
            Err(wait::ran_out(&job.title(me.py())))
        }
    }
}

#[pymethods]
impl JobGroup {
    fn __iter__<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let is_ordered = Self::group(me)?.is_ordered;
        blocks::iterate(me.as_super(), is_ordered, Patience::ENDLESS)
    }

    /// Iterate over results as they come, whatever their order. Where an item failed its exception is raised, and `next()` goes
    /// on behind it.
    ///
    /// Blocks for each; raises the builtin `TimeoutError` when `timeout` seconds (None: no limit) from this call have passed
    /// before all were given. Ctrl-C raises `KeyboardInterrupt` within 100 ms.
    #[pyo3(signature = (timeout = None))]
    fn as_completed<'py>(
        me: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        blocks::iterate(me.as_super(), false, Patience::from_object(timeout)?)
    }

    /// Wait until every item is done, and return the list of all results, in the order of the items: the job's value, the same
    /// list each time.
    ///
    /// Raises the exception of the first item that failed, as `list(Executor.map(...))` would; the others have run all the
    /// same. With `return_exceptions=True` it is a new list, with exceptions in the places of the results that are missing. Raises what the
    /// iterable raised, `JobKilled` when the group was killed, and the builtin `TimeoutError` when `timeout` seconds (None: no
    /// limit) pass first. With a `buffersize`, results that were taken before are not among them. Blocks; Ctrl-C raises
    /// `KeyboardInterrupt` within 100 ms.
    #[pyo3(signature = (timeout = None, *, return_exceptions = false))]
    fn results<'py>(
        me: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
        return_exceptions: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let (py, job) = (me.py(), me.as_super().get());
        Self::wait_for_all(me, Patience::from_object(timeout)?)?;
        job.saw_end();
        let group = Self::group(me)?;
        let is_by_items = {
            let inner = group.inner.lock();
            job.state() == State::Failed && inner.fault.is_none()
        };
        if !(return_exceptions && is_by_items)
            && let Some(exception) = job.trouble(py)?
        {
            return Err(PyErr::from_value(exception.into_any()));
        }
        if job.state() == State::Done {
            return Ok(job.value(py)?.into_bound(py).cast_into::<PyList>()?);
        }
        group.gathered(py)
    }

    /// The items that failed so far: a new dict, from the item's number (from 0) to its exception, in order. Does not block.
    #[getter]
    fn errors<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = me.py();
        let raised: Vec<_> = {
            let inner = Self::group(me)?.inner.lock();
            let errors = inner.results.errors.iter();
            errors
                .map(|(item, failure)| (*item, failure.raised.clone_ref(py)))
                .collect()
        };
        let errors = PyDict::new(py);
        for (item, raised) in raised {
            errors.set_item(item, raised.restored(py))?;
        }
        Ok(errors)
    }

    /// How far it is: `done` and `total` items (total None while that is not known), `rate` (items a second) and `eta`
    /// (seconds, or None); a `Progress`, as other jobs have it. Failed items are done, too. Does not block.
    #[getter]
    fn progress(me: &Bound<'_, Self>) -> PyResult<Progress> {
        let group = Self::group(me)?;
        group.look(me.py());
        let (done, total) = {
            let inner = group.inner.lock();
            (inner.results.count, inner.total)
        };
        let elapsed = me.as_super().get().record.elapsed();
        Progress::of_items(me.as_super(), done, total, elapsed)
    }

    /// For displays: how many items failed so far, and the first `limit` of them as pairs of their number and exception.
    fn _first_errors<'py>(
        me: &Bound<'py, Self>,
        limit: usize,
    ) -> PyResult<(usize, Vec<Failed<'py>>)> {
        let py = me.py();
        let (count, first) = {
            let inner = Self::group(me)?.inner.lock();
            let errors = &inner.results.errors;
            let first: Vec<_> = errors
                .iter()
                .take(limit)
                .map(|(item, failure)| (*item, failure.raised.clone_ref(py)))
                .collect();
            (errors.len(), first)
        };
        let first = first.into_iter();
        let first = first.map(|(item, raised)| (item, raised.restored(py).into_any()));
        Ok((count, first.collect()))
    }

    /// Run the items that failed so far once more: a new group, with the same function and options, and with numbers of
    /// its own from 0 (in the order of `errors`). Without failed items it is an empty one. Raises `ManagerClosed` after
    /// `shutdown()`. Does not block.
    fn retry_failed<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::group(me)?.again(me.as_super())
    }

    /// How many items it has. Raises `TypeError` while that is not known: for an iterable without a length, until it was read to
    /// its end.
    fn __len__(me: &Bound<'_, Self>) -> PyResult<usize> {
        let total = Self::group(me)?.inner.lock().total;
        total.ok_or_else(|| {
            PyTypeError::new_err(
                "the number of items is not known: the iterable has no length, and was not read to its end",
            )
        })
    }

    fn __repr__<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::GROUP_TEXT.call(me.py(), (me,))
    }

    #[expect(clippy::unused_self, reason = "Python asks the instance")]
    fn __bool__(&self) -> bool {
        // A group without items is a group.
        true
    }
}

impl Job {
    /// Somebody waits for its end, from now on: a group is not held back any more.
    pub(crate) fn now_awaited(&self, py: Python<'_>) {
        if let Some(group) = self.group.get() {
            group.is_awaited(py);
        }
    }

    /// `wait`, with its worker lent to others meanwhile where that is needed.
    pub(crate) fn lend(&self, py: Python<'_>) -> PyResult<Lent> {
        Lent::of(py, self)
    }
}
