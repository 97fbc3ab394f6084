//! Looking into a job: where it is, where it failed.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::job::Job;
use super::outcome::{self, Outcome};
use super::shim;

#[pymethods]
impl Job {
    /// The coroutine of a job that runs on its manager's event loop.
    #[getter(_coroutine)]
    fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.errand()?.coroutine(py)
    }

    /// Where a running job is now: a formatted traceback, innermost call last. Of a coroutine job that is suspended it ends where
    /// that waits. Empty when it does not run.
    fn stack<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::STACK.call(me.py(), (me,))
    }

    /// The traceback of a dead job as a text, formatted by `IPython` where there is one; of one that is to be tried again, or was
    /// ended before it could be, that of its last try. None where there is none.
    #[getter(_tb)]
    fn formatted_traceback<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let outcome = self.held.lock().outcome.clone_ref(py);
        match outcome {
            Outcome::Raised(exception, traceback) if self.is_over() => {
                let exception = outcome::restored(py, exception, traceback);
                shim::FORMAT_EXCEPTION.call(py, (exception,)).map(Some)
            }
            _ => match self.last_failure(py) {
                Some(exception) => shim::FORMAT_EXCEPTION.call(py, (exception,)).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Print the traceback of a dead job, as `IPython` formats it where there is an `IPython`. Prints why there is none else. A
    /// job with `retry=`, or one that `every` runs, has that of its last failure, until a run of it succeeds.
    fn traceback(&self, py: Python<'_>) -> PyResult<()> {
        self.saw_end();
        let text = if let Some(text) = self.formatted_traceback(py)? {
            text
        } else {
            let why = format!(
                "No traceback: {} is {}.",
                self.title(py),
                self.state().name()
            );
            PyString::new(py, &why).into_any()
        };
        shim::PRINT.call(py, (text,)).map(drop)
    }

    /// Look around where it failed: a debugger, post mortem, on its live traceback. In IPython the same as `%debug`.
    ///
    /// Blocks until the debugger is left. Raises `RuntimeError` for a job that has not ended or raised nothing, for one whose
    /// traceback is gone, and inside a job, where nobody can be asked.
    fn debug(me: &Bound<'_, Self>) -> PyResult<()> {
        shim::DEBUG.call(me.py(), (me,)).map(drop)
    }
}
