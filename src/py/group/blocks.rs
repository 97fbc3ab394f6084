//! Iterating over a group: blocks of results as they are there, for `itertools.chain` to hand out one by one.
//!
//! `chain` costs a few nanoseconds for each result, and a `__next__` of ours ten times as much. Where there is nothing to
//! hand out yet, or an item failed, the block is a [`Waiting`]: an iterator that waits, or raises, and is empty. What it raises
//! goes through `chain`, which asks it again afterwards and goes on with the next block.

use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::super::job::Job;
use super::super::lent::Lent;
use super::super::wait::{self, Patience};
use super::results::{Next, Place, Raised};
use super::{Group, Inner};
use crate::core::state::State;
use crate::core::sync::Mutex;
use crate::core::window::TAKEN_AT_ONCE;
use crate::interrupt::names::name;

/// Results in one block.
const BLOCK: usize = 1 << 14;
/// How often who waits looks at batches that run, seconds: results of theirs come without anybody saying so.
const LOOK: Duration = Duration::from_millis(5);

/// Where somebody is who iterates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    /// In order: the next item.
    index: usize,
    /// As they come: where in the log.
    place: Place,
    /// How many were given.
    given: usize,
    /// What ended the group was raised.
    is_told: bool,
}

impl Cursor {
    /// Whoever has had all items before this one.
    pub(super) fn at(index: usize) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }
}

/// The blocks of a group's results, from the first one on.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Blocks {
    group: Py<Job>,
    is_ordered: bool,
    patience: Patience,
    cursor: Mutex<Cursor>,
}

/// A block without results: it waits for some, or raises what an item raised.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Waiting {
    group: Py<Job>,
    is_ordered: bool,
    patience: Patience,
    cursor: Cursor,
    error: Mutex<Option<Raised>>,
}

impl Inner {
    /// Whether there is anything for who is there.
    fn has_news_for(&self, cursor: &Cursor, is_ordered: bool) -> bool {
        self.has_ended
            || if is_ordered {
                self.results.has(cursor.index)
            } else {
                self.results.has_come(cursor.place)
            }
    }

    /// The next results for who is there, who has them from now on.
    fn take<'py>(
        &mut self,
        py: Python<'py>,
        cursor: &mut Cursor,
        is_ordered: bool,
        forgets: bool,
    ) -> Next<'py> {
        let most = if forgets {
            1
        } else if self.total.is_none() {
            TAKEN_AT_ONCE
        } else {
            BLOCK
        };
        let (index, next) = if is_ordered {
            (cursor.index, self.results.at(py, cursor.index, most))
        } else {
            self.results.come(py, &mut cursor.place, most)
        };
        let count = next.count();
        cursor.given += count;
        if is_ordered {
            cursor.index += count;
        }
        if forgets {
            self.window.take(count);
            if count > 0 {
                self.results.forget(index);
                self.results.forget_log(cursor.place);
            }
        } else if is_ordered {
            self.window.take_up_to(cursor.index);
        } else {
            self.window.take_up_to(cursor.given);
        }
        next
    }
}

impl Blocks {
    pub(super) fn new(group: &Bound<'_, Job>, is_ordered: bool, patience: Patience) -> Self {
        Self {
            group: group.clone().unbind(),
            is_ordered,
            patience,
            cursor: Mutex::new(Cursor::default()),
        }
    }

    fn waiting(&self, py: Python<'_>, cursor: Cursor, error: Option<Raised>) -> Waiting {
        Waiting {
            group: self.group.clone_ref(py),
            is_ordered: self.is_ordered,
            patience: self.patience,
            cursor,
            error: Mutex::new(error),
        }
    }
}

#[pymethods]
impl Blocks {
    fn __iter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let job = self.group.bind(py);
        let Some(group) = job.get().group.get() else {
            return Ok(None);
        };
        let mut cursor = if group.forgets {
            group.inner.lock().cursor
        } else {
            *self.cursor.lock()
        };
        let (next, has_ended) = {
            let mut inner = group.inner.lock();
            inner.window.meet_consumer();
            // Others may share the place: it is read and written under one lock.
            if group.forgets {
                cursor = inner.cursor;
            }
            let next = inner.take(py, &mut cursor, self.is_ordered, group.forgets);
            if group.forgets {
                inner.cursor = cursor;
            }
            (next, inner.has_ended)
        };
        let block = match next {
            Next::Values(list, from, to) => {
                let block = list.get_slice(from, to);
                if group.forgets {
                    for index in from..to {
                        list.set_item(index, py.None())?;
                    }
                    group.sweep();
                }
                Some(block.into_any())
            }
            Next::Error(raised) => {
                group.sweep();
                let waiting = self.waiting(py, cursor, Some(raised));
                Some(Bound::new(py, waiting)?.into_any())
            }
            Next::Nothing if !has_ended => {
                let waiting = self.waiting(py, cursor, None);
                Some(Bound::new(py, waiting)?.into_any())
            }
            Next::Nothing if !std::mem::replace(&mut cursor.is_told, true) => {
                job.get().saw_end();
                let fault = group.fault(py, job);
                let waiting = fault.map(|fault| self.waiting(py, cursor, Some(fault)));
                waiting
                    .map(|waiting| Bound::new(py, waiting).map(Bound::into_any))
                    .transpose()?
            }
            Next::Nothing => None,
        };
        if !group.forgets {
            *self.cursor.lock() = cursor;
        } else if cursor.is_told {
            group.inner.lock().cursor.is_told = true;
        }
        group.go_on(job);
        Ok(block)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.group)
    }
}

#[pymethods]
impl Waiting {
    fn __iter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let error = self.error.lock().take();
        if let Some(error) = error {
            return Err(to_raise(py, error));
        }
        let job = self.group.bind(py);
        if let Some(group) = job.get().group.get() {
            let _lent = Lent::of(py, job.get())?;
            group.wait_for_next(py, job, &self.cursor, self.is_ordered, self.patience)?;
        }
        Ok(None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.group)?;
        match self.error.try_lock() {
            Some(error) => error
                .as_ref()
                .map_or(Ok(()), |error| error.traverse(&visit)),
            None => Ok(()),
        }
    }
}

/// An iterator must not raise `StopIteration` for anything but its end: as generators, it raises `RuntimeError` from it.
pub(super) fn to_raise(py: Python<'_>, error: Raised) -> PyErr {
    let exception = PyErr::from_value(error.restored(py).into_any());
    if !exception.is_instance_of::<PyStopIteration>(py) {
        return exception;
    }
    let instead = PyRuntimeError::new_err("an item of the group raised StopIteration");
    instead.set_cause(py, Some(exception));
    instead
}

impl Group {
    /// Block until there is something for who is there.
    pub(super) fn wait_for_next(
        &self,
        py: Python<'_>,
        job: &Bound<'_, Job>,
        cursor: &Cursor,
        is_ordered: bool,
        patience: Patience,
    ) -> PyResult<()> {
        loop {
            // First: what begins after the look is news.
            let news = self.inner.lock().news;
            let more_may_come = self.look(py);
            if self.inner.lock().has_news_for(cursor, is_ordered) {
                return Ok(());
            }
            let look = if more_may_come {
                patience.or_sooner(Patience::of(Some(LOOK)))
            } else {
                patience
            };
            wait::block(py, look, |until| self.wait_for_news(news, until))?;
            if patience.is_over() {
                return Err(wait::ran_out(&job.get().title(py)));
            }
        }
    }

    /// What is raised behind the last result of a group that has ended.
    pub(super) fn fault(&self, py: Python<'_>, job: &Bound<'_, Job>) -> Option<Raised> {
        match job.get().state() {
            State::Done => None,
            // What items raised was raised in their places.
            State::Failed => {
                let inner = self.inner.lock();
                inner.fault.as_ref().map(|fault| fault.clone_ref(py))
            }
            _ => {
                let error = job.get().trouble(py);
                let exception = match error {
                    Ok(exception) => exception?,
                    Err(error) => error.into_value(py).into_bound(py),
                };
                Some(Raised::new(&exception))
            }
        }
    }

    /// Let go of lists whose results were all taken.
    fn sweep(&self) {
        if !self.forgets {
            return;
        }
        let gone = {
            let mut guard = self.inner.lock();
            let Inner {
                results, flights, ..
            } = &mut *guard;
            results.sweep(|first| flights.iter().any(|flight| flight.first == first))
        };
        drop(gone);
    }
}

/// What `iter()` gives.
pub(super) fn iterate<'py>(
    group: &Bound<'py, Job>,
    is_ordered: bool,
    patience: Patience,
) -> PyResult<Bound<'py, PyAny>> {
    let py = group.py();
    let blocks = Bound::new(py, Blocks::new(group, is_ordered, patience))?;
    super::super::shim::CHAIN
        .get(py)?
        .call_method1(name!(py, "from_iterable"), (blocks,))
}
