//! What a job printed and displayed.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PyString};

use super::errors;
use super::follow::Follow;
use super::job::{Job, keep_first};
use crate::core::ring::Ring;

impl Job {
    /// What `read` makes of the output; its default where there is none, and where it cannot be had: in the child of a fork a
    /// thread that is not there may hold it.
    fn read_output<R: Default>(&self, read: impl FnOnce(&Ring) -> R) -> R {
        let Some(output) = self.output.get() else {
            return R::default();
        };
        if self.house.is_here() {
            output.with(read)
        } else {
            output.try_with(read).unwrap_or_default()
        }
    }
}

/// A text for Python, of any length: `MemoryError` where there is no memory for it.
pub(crate) fn text_of<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    PyString::from_bytes(py, text.as_bytes())
}

#[pymethods]
impl Job {
    /// What it printed so far: stdout and stderr in the order they came, `logging` and `warnings` among them.
    ///
    /// The newest part is kept, 1 MiB unless the manager was made with another `output_limit`; where the beginning was
    /// dropped, a line at the top says how many bytes.
    #[getter]
    fn output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let read = self.read_output(|ring| Some((ring.read(0, true), ring.dropped())));
        let Some((text, dropped)) = read else {
            return Ok(PyString::new(py, ""));
        };
        let (text, _) = text.map_err(|_| errors::no_memory())?;
        if dropped == 0 {
            return text_of(py, &text);
        }
        let note = format!("[{dropped} bytes of older output were dropped]\n");
        let mut all = String::new();
        all.try_reserve_exact(note.len() + text.len())
            .map_err(|_| errors::no_memory())?;
        all.push_str(&note);
        all.push_str(&text);
        text_of(py, &all)
    }

    /// Bytes of its output that were dropped, since they were more than the manager's `output_limit`.
    #[getter]
    fn output_dropped(&self) -> u64 {
        self.read_output(Ring::dropped)
    }

    /// The rich displays it made, oldest first: objects with `data`, `metadata` and `display()`. At most 1,000 are kept.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = self
            .held
            .lock()
            .extras
            .as_ref()
            .and_then(|extras| Some(extras.outputs.as_ref()?.clone_ref(py)));
        let list = list.map_or_else(|| PyList::empty(py), |list| list.into_bound(py));
        PyList::new(py, list.iter())
    }

    /// The live list behind `outputs`.
    fn _outputs_list<'py>(me: &Bound<'py, Self>) -> Bound<'py, PyList> {
        let py = me.py();
        // Made before it is known to be needed: not under the lock.
        let fresh = PyList::empty(py).unbind();
        let (list, other) = Self::link(me, |extras| keep_first(py, &mut extras.outputs, fresh));
        drop(other);
        list.into_bound(py)
    }

    /// Where its output is now: bytes written so far.
    fn _output_position(&self) -> u64 {
        self.read_output(Ring::written)
    }

    /// Have followers look for what is no text: a display was noted.
    fn _mark_output(&self) {
        if self.house.is_here() {
            self.printed().mark();
        }
    }

    /// The last `n` lines of its output. Raises `ValueError` when `n` is negative.
    #[pyo3(signature = (n = None), text_signature = "($self, n=10)")]
    fn tail<'py>(
        &self,
        py: Python<'py>,
        n: Option<&Bound<'_, PyInt>>,
    ) -> PyResult<Bound<'py, PyString>> {
        let lines = match n {
            None => 10,
            Some(n) if n.lt(0)? => {
                return Err(PyValueError::new_err(format!(
                    "tail takes 0 or more lines, not {n}"
                )));
            }
            Some(n) => n.extract().unwrap_or(usize::MAX),
        };
        let text = self.read_output(|ring| Some(ring.tail(lines)));
        let text = text.transpose().map_err(|_| errors::no_memory())?;
        text_of(py, &text.unwrap_or_default())
    }

    /// Iterate over its output from the beginning, in pieces of text as they come, until the job has ended.
    ///
    /// Each step blocks until there is more. Ctrl-C raises `KeyboardInterrupt` from it, and the job goes on. What was
    /// dropped before it could be read is left out. As the value of a cell, or given to `display()`, it shows the job's output
    /// there, rich displays among it, until the job has ended or Ctrl-C detaches: see `%jobs fg`.
    fn follow(me: Bound<'_, Self>) -> Follow {
        Follow::new(me.unbind())
    }
}
