//! `group[i]`: the result of one item, or of several.

use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PySlice, PySliceMethods};

use super::super::job::Job;
use super::super::lent::Lent;
use super::super::shim;
use super::super::wait::Patience;
use super::Group;
use super::blocks::{Cursor, to_raise};
use super::face::JobGroup;
use super::results::Next;

#[pymethods]
impl JobGroup {
    /// `group[i]` is the result of item `i`, and `group[a:b]` the list of several: as `group.results()` has them, as soon as they are
    /// there. `group[-1]` is the last one's; where the number of items is not known yet, it is there when the iterable was
    /// read to its end.
    ///
    /// Raises what the item raised, `IndexError` where there is no such item, what `get()` raises where the group ended before the
    /// item, and `TypeError` for a group with a `buffersize`, which gives each result once. Blocks; Ctrl-C raises
    /// `KeyboardInterrupt` within 100 ms.
    fn __getitem__<'py>(
        me: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, job, group) = (me.py(), me.as_super(), Self::group(me)?);
        if group.forgets {
            return Err(PyTypeError::new_err(
                "a group with a buffersize gives each result once: iterate it, or make it without buffersize=",
            ));
        }
        let _lent = Lent::of(py, job.get())?;
        if let Ok(slice) = key.cast::<PySlice>() {
            return group.several(job, slice);
        }
        let index = shim::INDEX
            .call(py, (key,))
            .ok()
            .and_then(|index| index.cast_into::<PyInt>().ok());
        let Some(index) = index else {
            let kind = key.get_type().qualname()?;
            return Err(PyTypeError::new_err(format!(
                "an item of a group is meant by its number, from 0, or by a slice, and not by {kind}"
            )));
        };
        let from_start = if index.lt(0)? {
            let total = group.wait_for_total(job)?;
            index.add(total)?.extract::<usize>().ok()
        } else {
            Some(index.extract::<usize>().unwrap_or(usize::MAX))
        };
        let found = match from_start {
            Some(item) => group.item(job, item)?,
            None => None,
        };
        found.ok_or_else(|| {
            let known = group.inner.lock().total.map_or_else(
                || "no such item".to_owned(),
                |total| format!("{total} item{}", if total == 1 { "" } else { "s" }),
            );
            PyIndexError::new_err(format!(
                "no item {index} in {}: it has {known}",
                job.get().title(py)
            ))
        })
    }
}

impl Group {
    /// The result of an item, when it is there; None where there is no such item.
    fn item<'py>(
        &self,
        job: &Bound<'py, Job>,
        index: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = job.py();
        // As for somebody who has taken all before it: where they are held back, they come.
        self.inner.lock().window.take_up_to(index);
        self.go_on(job);
        let cursor = Cursor::at(index);
        loop {
            let (next, has_ended, is_beyond) = {
                let inner = self.inner.lock();
                let is_beyond =
                    inner.fault.is_none() && inner.total.is_some_and(|all| index >= all);
                (inner.results.at(py, index, 1), inner.has_ended, is_beyond)
            };
            match next {
                Next::Values(list, from, _) => return list.get_item(from).map(Some),
                Next::Error(raised) => return Err(to_raise(py, raised)),
                Next::Nothing => {}
            }
            if has_ended {
                job.get().saw_end();
                return match self.fault(py, job) {
                    Some(fault) => Err(to_raise(py, fault)),
                    None => Ok(None),
                };
            }
            if is_beyond {
                return Ok(None);
            }
            self.wait_for_next(py, job, &cursor, true, Patience::ENDLESS)?;
        }
    }

    /// How many items there are, when that is known.
    fn wait_for_total(&self, job: &Bound<'_, Job>) -> PyResult<usize> {
        let py = job.py();
        let known = {
            let inner = self.inner.lock();
            // What the iterable raised is raised behind its last item.
            inner.total.filter(|_| inner.fault.is_none())
        };
        if let Some(total) = known {
            return Ok(total);
        }
        // Nothing holds it back from here on, since the last of them is asked for.
        job.get().wait(py, Patience::ENDLESS)?;
        if let Some(fault) = self.fault(py, job) {
            return Err(to_raise(py, fault));
        }
        let inner = self.inner.lock();
        Ok(inner.total.unwrap_or(inner.results.count))
    }

    fn several<'py>(
        &self,
        job: &Bound<'py, Job>,
        slice: &Bound<'py, PySlice>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = job.py();
        let is_from_end = |name: &str, if_none: bool| -> PyResult<bool> {
            let bound = slice.getattr(name)?;
            if bound.is_none() {
                Ok(if_none)
            } else {
                bound.lt(0)
            }
        };
        // One without an end, or from the end, or backwards: the number of items is needed.
        let whole = is_from_end("step", false)?
            || is_from_end("start", false)?
            || is_from_end("stop", true)?;
        let total = if whole {
            isize::try_from(self.wait_for_total(job)?).unwrap_or(isize::MAX)
        } else {
            isize::MAX
        };
        let range = slice.indices(total)?;
        let results = PyList::empty(py);
        let mut at = range.start;
        while if range.step > 0 {
            at < range.stop
        } else {
            at > range.stop
        } {
            let item = usize::try_from(at).unwrap_or(usize::MAX);
            let Some(result) = self.item(job, item)? else {
                break;
            };
            results.append(result)?;
            at = at.saturating_add(range.step);
        }
        Ok(results.into_any())
    }
}
