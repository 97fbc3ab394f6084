//! Where a group's items come from.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyRange, PySlice, PyTuple};

use super::flight::Robbed;
use super::items::Items;
use super::{Group, Inner};
use crate::core::clock;

/// What gives items.
#[derive(Debug)]
pub(super) enum Source {
    /// A list, tuple or range, taken by slices.
    Slices {
        items: Py<PyAny>,
        next: usize,
        end: usize,
    },
    /// Anything else, asked for the next item by one worker at a time.
    Iterator { iterator: Py<PyAny>, next: usize },
    /// Nothing more.
    Dry,
}

/// Items that were taken out of the source: a list, and what of it was not begun.
#[derive(Debug)]
pub(super) struct Piece {
    /// The number of the first that is left.
    pub(super) start: usize,
    pub(super) items: Py<PyAny>,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// What a worker is to do next.
pub(super) enum Claim<'py> {
    Run(Batch<'py>),
    /// Get up to so many items out of the iterator.
    Pull(Bound<'py, PyAny>, usize),
    /// Take the rest of somebody's batch.
    Rob(Robbed<'py>),
    Nothing,
}

/// Items that belong to one worker.
pub(super) struct Batch<'py> {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) items: Items<'py>,
}

impl Source {
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Slices { items, .. } => visit.call(items),
            Self::Iterator { iterator, .. } => visit.call(iterator),
            Self::Dry => Ok(()),
        }
    }

    /// Of one iterable.
    pub(super) fn of(iterable: &Bound<'_, PyAny>) -> PyResult<Self> {
        if is_plain(iterable)
            && let Ok(end) = iterable.len()
        {
            return Ok(Self::Slices {
                items: iterable.clone().unbind(),
                next: 0,
                end,
            });
        }
        let iterator = iterable.try_iter()?.into_any().unbind();
        Ok(Self::Iterator { iterator, next: 0 })
    }
}

/// Whether it is taken by slices: whatever thread reads it.
pub(super) fn is_plain(iterable: &Bound<'_, PyAny>) -> bool {
    iterable.is_exact_instance_of::<PyList>()
        || iterable.is_exact_instance_of::<PyTuple>()
        || iterable.is_exact_instance_of::<PyRange>()
}

impl Inner {
    /// Whether there are items that nobody has begun, as far as is known without asking the iterator.
    pub(super) fn has_items_left(&self) -> bool {
        !self.pieces.is_empty()
            || match &self.source {
                Source::Slices { next, end, .. } => next < end,
                Source::Iterator { .. } => !self.is_pulling,
                Source::Dry => false,
            }
    }

    /// Whether every item was begun.
    pub(super) fn is_dry(&self) -> bool {
        self.pieces.is_empty()
            && match &self.source {
                Source::Slices { next, end, .. } => next >= end,
                Source::Iterator { .. } => false,
                Source::Dry => true,
            }
    }
}

impl Group {
    /// The next thing for a worker to do. `most`: no larger batch than this.
    pub(super) fn claim<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Claim<'py>> {
        let (start, count, items, from) = {
            let mut guard = self.inner.lock();
            let inner = &mut *guard;
            let batch = inner.pace.batch().min(most);
            if let Some(piece) = inner.pieces.front_mut() {
                let left = piece.to - piece.from;
                let count = batch.min(left);
                let (start, from) = (piece.start, piece.from);
                let items = piece.items.clone_ref(py).into_bound(py);
                piece.start += count;
                piece.from += count;
                inner.boarding += 1;
                // The clone is another reference: nothing is deallocated here.
                let done = if piece.from == piece.to {
                    inner.pieces.pop_front()
                } else {
                    None
                };
                drop(guard);
                drop(done);
                (start, count, items, from)
            } else {
                let room = inner.window.room(clock::now());
                if inner.has_items_left() && room == 0 {
                    inner.is_stalled = true;
                    if inner.window.grows_out() {
                        drop(guard);
                        self.look_again_later(py);
                    }
                    return Ok(Claim::Nothing);
                }
                match &mut inner.source {
                    Source::Slices { items, next, end } if *next < *end => {
                        let count = batch.min(*end - *next).min(room);
                        let start = *next;
                        *next += count;
                        inner.window.begin(count);
                        inner.boarding += 1;
                        (start, count, items.clone_ref(py).into_bound(py), start)
                    }
                    Source::Iterator { iterator, .. } if !inner.is_pulling => {
                        inner.is_pulling = true;
                        let iterator = iterator.clone_ref(py).into_bound(py);
                        return Ok(Claim::Pull(iterator, batch.min(room)));
                    }
                    _ => {
                        let robbed = inner.flights.iter().find(|flight| flight.may_be_robbed());
                        let Some(flight) = robbed else {
                            return Ok(Claim::Nothing);
                        };
                        inner.robbers += 1;
                        return Ok(Claim::Rob(Robbed {
                            number: flight.number,
                            start: flight.start,
                            iterator: flight.iterator.clone_ref(py).into_bound(py),
                        }));
                    }
                }
            }
        };
        let batch = Self::cut(&items, from, count);
        let got = batch.as_ref().map_or(0, |(got, _)| *got);
        // A list can have become shorter since.
        if got < count {
            self.falls_short(start + got, count - got);
        }
        if got == 0 {
            self.inner.lock().boarding -= 1;
        }
        let (count, items) = batch?;
        Ok(Claim::Run(Batch {
            start,
            count,
            items,
        }))
    }

    fn cut<'py>(
        items: &Bound<'py, PyAny>,
        from: usize,
        count: usize,
    ) -> PyResult<(usize, Items<'py>)> {
        let slice = slice(items, from, from + count)?;
        let got = slice.len()?;
        Ok((got, Items::of(slice)?))
    }

    /// There are fewer items than there were to be.
    fn falls_short(&self, total: usize, missing: usize) {
        let mut inner = self.inner.lock();
        if let Source::Slices { end, .. } = &mut inner.source {
            *end = (*end).min(total);
        }
        inner.window.give_back(missing);
        inner.total = Some(inner.total.map_or(total, |known| known.min(total)));
    }

    /// What a pull gave: items, and whether that was the last of them.
    pub(super) fn has_pulled(&self, items: &Bound<'_, PyList>, is_dry: bool) {
        let count = items.len();
        let gone = {
            let mut guard = self.inner.lock();
            let inner = &mut *guard;
            inner.is_pulling = false;
            let mut gone = None;
            if let Source::Iterator { next, .. } = &mut inner.source {
                let start = *next;
                *next += count;
                let total = *next;
                if is_dry {
                    inner.total = Some(total);
                    gone = Some(std::mem::replace(&mut inner.source, Source::Dry));
                }
                if count > 0 {
                    inner.window.begin(count);
                    inner.pieces.push_back(Piece {
                        start,
                        items: items.clone().into_any().unbind(),
                        from: 0,
                        to: count,
                    });
                }
            }
            self.tell(inner);
            gone
        };
        drop(gone);
    }

    /// Items that were taken from a batch are there for everybody.
    pub(super) fn put_back(&self, start: usize, items: &Bound<'_, PyAny>, count: usize) {
        let mut inner = self.inner.lock();
        let piece = Piece {
            start,
            items: items.clone().unbind(),
            from: 0,
            to: count,
        };
        let at = inner.pieces.iter().position(|other| other.start > start);
        let at = at.unwrap_or(inner.pieces.len());
        inner.pieces.insert(at, piece);
        inner.robbers -= 1;
        inner.pace.start_over();
        inner.muster.spread(true);
    }
}

/// `items[from:to]`, or the items themselves where that is all of a list of ours.
fn slice<'py>(items: &Bound<'py, PyAny>, from: usize, to: usize) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(list) = items.cast_exact::<PyList>() {
        return Ok(list.get_slice(from, to).into_any());
    }
    // Not by `PySequence`: `PyO3` has a class of Python's for that, which it looks up as `core::once` says that it must not.
    let (from, to) = (isize::try_from(from)?, isize::try_from(to)?);
    items.get_item(PySlice::new(items.py(), from, to, 1))
}
