//! The items of one batch, and who may take the rest of them.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::core::sync::Mutex;

/// With the GIL a list's own iterator is shared by who runs it and who robs it: each step of it is one.
const BUILT_IN: bool = cfg!(not(Py_GIL_DISABLED));

/// A slice, and the iterator over it that a batch runs on.
pub(super) struct Items<'py> {
    pub(super) slice: Bound<'py, PyAny>,
    pub(super) iterator: Bound<'py, PyAny>,
}

impl<'py> Items<'py> {
    /// Of a list, tuple or range that nobody else has.
    pub(super) fn of(slice: Bound<'py, PyAny>) -> PyResult<Self> {
        let py = slice.py();
        let iterator = if BUILT_IN {
            slice.try_iter()?.into_any()
        } else {
            let shared = Shared {
                next: Mutex::new((0, slice.len()?)),
                items: slice.clone().unbind(),
            };
            Bound::new(py, shared)?.into_any()
        };
        Ok(Self { slice, iterator })
    }
}

/// Take what an iterator has left: all of it at once, so that nobody else has one of these items. Where that begins in the
/// batch, if it can be told; else it is what the batch ends with.
pub(super) fn rest_of<'py>(
    iterator: &Bound<'py, PyAny>,
) -> PyResult<(Option<usize>, Bound<'py, PyList>)> {
    let py = iterator.py();
    if let Ok(shared) = iterator.cast::<Shared>() {
        return shared.get().rest(py).map(|(at, rest)| (Some(at), rest));
    }
    // One call of C that runs no Python code from the first item on (a collection comes before it, in the making of the list),
    // so with the GIL nobody comes between.
    let rest = py.get_type::<PyList>().call1((iterator,))?;
    Ok((None, rest.cast_into::<PyList>()?))
}

/// Without the GIL: an iterator over a list that several threads may ask.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Shared {
    /// The next, and the end.
    next: Mutex<(usize, usize)>,
    items: Py<PyAny>,
}

impl Shared {
    fn rest<'py>(&self, py: Python<'py>) -> PyResult<(usize, Bound<'py, PyList>)> {
        let (next, end) = {
            let mut range = self.next.lock();
            let (next, end) = *range;
            range.1 = next;
            (next, end)
        };
        let rest = PyList::empty(py);
        for index in next..end {
            rest.append(self.items.bind(py).get_item(index)?)?;
        }
        Ok((next, rest))
    }
}

#[pymethods]
impl Shared {
    fn __iter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let index = {
            let mut range = self.next.lock();
            if range.0 >= range.1 {
                return Ok(None);
            }
            range.0 += 1;
            range.0 - 1
        };
        self.items.bind(py).get_item(index).map(Some)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.items)
    }
}
