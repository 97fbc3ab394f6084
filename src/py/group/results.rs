//! What came of a group's items: lists of results by the number of their first, and errors apart.

use std::collections::{BTreeMap, VecDeque};

use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTraceback};

use super::super::outcome;

/// An exception, and its traceback as it was.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) exception: Py<PyBaseException>,
    pub(crate) traceback: Option<Py<PyTraceback>>,
}

impl Raised {
    pub(crate) fn new(exception: &Bound<'_, PyBaseException>) -> Self {
        let traceback = PyErr::from_value(exception.as_any().clone()).traceback(exception.py());
        Self {
            exception: exception.clone().unbind(),
            traceback: traceback.map(Bound::unbind),
        }
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            exception: self.exception.clone_ref(py),
            traceback: self
                .traceback
                .as_ref()
                .map(|traceback| traceback.clone_ref(py)),
        }
    }

    /// As it was when it was raised.
    pub(crate) fn restored(self, py: Python<'_>) -> Bound<'_, PyBaseException> {
        outcome::restored(py, self.exception, self.traceback)
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.exception)?;
        visit.call(&self.traceback)
    }
}

/// An item that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) raised: Raised,
    /// The item, for `retry_failed`.
    pub(crate) item: Py<PyAny>,
}

/// Results of items that follow one another. The list may hold more than `len`: who runs the items appends to it.
#[derive(Debug)]
struct Segment {
    list: Py<PyList>,
    len: usize,
    /// Results that were taken and forgotten.
    forgotten: usize,
}

/// All results there are so far. In the place of an item that failed is its exception.
#[derive(Debug, Default)]
pub(super) struct Results {
    segments: BTreeMap<usize, Segment>,
    pub(super) errors: BTreeMap<usize, Failure>,
    /// In the order in which they came: the number of the first and how many.
    log: VecDeque<(usize, usize)>,
    /// Entries of the log that are gone.
    log_gone: usize,
    pub(super) count: usize,
}

/// Where somebody is in the log: the entry, and how many of its results were given.
pub(super) type Place = (usize, usize);

/// What is there for somebody who asks for the next result.
pub(super) enum Next<'py> {
    /// A part of a list: from, to.
    Values(Bound<'py, PyList>, usize, usize),
    /// That item failed.
    Error(Raised),
    /// Not yet.
    Nothing,
}

impl Results {
    /// The list with the segment that begins at `first` has grown to `len`.
    pub(super) fn publish(&mut self, py: Python<'_>, first: usize, list: &Py<PyList>, len: usize) {
        if len == 0 {
            // Robbed before its first item began: that one's result may come in another list.
            return;
        }
        let segment = self.segments.entry(first).or_insert_with(|| Segment {
            list: list.clone_ref(py),
            len: 0,
            forgotten: 0,
        });
        let fresh = len.saturating_sub(segment.len);
        if fresh > 0 {
            let from = first + segment.len;
            segment.len = len;
            self.count += fresh;
            match self.log.back_mut() {
                Some((start, count)) if *start + *count == from => *count += fresh,
                _ => self.log.push_back((from, fresh)),
            }
        }
    }

    fn find(&self, index: usize) -> Option<(usize, &Segment)> {
        let (start, segment) = self.segments.range(..=index).next_back()?;
        (index < start + segment.len).then_some((*start, segment))
    }

    /// Whether the result of this item is there.
    pub(super) fn has(&self, index: usize) -> bool {
        self.find(index).is_some()
    }

    /// Whether anything came after what is at this place of the log.
    pub(super) fn has_come(&self, place: Place) -> bool {
        let at = place.0 - self.log_gone;
        let here = self.log.get(at);
        here.is_some_and(|(_, count)| place.1 < *count || at + 1 < self.log.len())
    }

    /// At most `most` results from this one on, in order.
    pub(super) fn at<'py>(&self, py: Python<'py>, index: usize, most: usize) -> Next<'py> {
        self.part(py, index, most)
    }

    /// At most `most` results as they came. Moves `place` to where the next are; the number of the first.
    pub(super) fn come<'py>(
        &self,
        py: Python<'py>,
        place: &mut Place,
        most: usize,
    ) -> (usize, Next<'py>) {
        while let Some((start, count)) = self.log.get(place.0 - self.log_gone) {
            if place.1 < *count {
                let index = start + place.1;
                let part = self.part(py, index, most.min(count - place.1));
                place.1 += part.count();
                return (index, part);
            }
            if place.0 - self.log_gone + 1 >= self.log.len() {
                // It may still grow.
                break;
            }
            *place = (place.0 + 1, 0);
        }
        (0, Next::Nothing)
    }

    fn part<'py>(&self, py: Python<'py>, index: usize, most: usize) -> Next<'py> {
        let Some((start, segment)) = self.find(index) else {
            return Next::Nothing;
        };
        let end = (start + segment.len).min(index.saturating_add(most));
        let error = self.errors.range(index..end).next();
        let end = match error {
            Some((at, failure)) if *at == index => {
                return Next::Error(failure.raised.clone_ref(py));
            }
            Some((at, _)) => *at,
            None => end,
        };
        let list = segment.list.clone_ref(py).into_bound(py);
        Next::Values(list, index - start, end - start)
    }

    /// The result of this item was taken, and is not to be kept.
    pub(super) fn forget(&mut self, index: usize) {
        let Some((start, _)) = self.find(index) else {
            return;
        };
        if let Some(segment) = self.segments.get_mut(&start) {
            segment.forgotten += 1;
        }
    }

    /// Nobody asks for what is before this place of the log.
    pub(super) fn forget_log(&mut self, place: Place) {
        while self.log_gone < place.0 && self.log.pop_front().is_some() {
            self.log_gone += 1;
        }
    }

    /// Segments that were taken as a whole and do not grow any more: to be dropped outside of the lock.
    pub(super) fn sweep(&mut self, grows: impl Fn(usize) -> bool) -> Vec<Py<PyList>> {
        let gone: Vec<usize> = self
            .segments
            .iter()
            .filter(|(start, segment)| segment.forgotten >= segment.len && !grows(**start))
            .map(|(start, _)| *start)
            .collect();
        gone.iter()
            .filter_map(|start| self.segments.remove(start))
            .map(|segment| segment.list)
            .collect()
    }

    /// Every list with its length, in order; those that were forgotten in part from the first that was not.
    pub(super) fn lists(&self, py: Python<'_>) -> Vec<(usize, Py<PyList>, usize)> {
        self.segments
            .iter()
            .map(|(start, segment)| (*start, segment.list.clone_ref(py), segment.len))
            .collect()
    }

    /// One list in the place of all; what was there is to be dropped outside of the lock.
    pub(super) fn replace(&mut self, list: &Bound<'_, PyList>) -> Vec<Py<PyList>> {
        let segment = Segment {
            list: list.clone().unbind(),
            len: list.len(),
            forgotten: 0,
        };
        let before = std::mem::replace(&mut self.segments, BTreeMap::from([(0, segment)]));
        before.into_values().map(|segment| segment.list).collect()
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for segment in self.segments.values() {
            visit.call(&segment.list)?;
        }
        for failure in self.errors.values() {
            failure.raised.traverse(visit)?;
            visit.call(&failure.item)?;
        }
        Ok(())
    }
}

impl Next<'_> {
    /// How many results it stands for.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Values(_, from, to) => to - from,
            Self::Error(_) => 1,
            Self::Nothing => 0,
        }
    }
}
