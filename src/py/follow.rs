//! Following a job's output as it grows.

use std::time::{Duration, Instant};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::errors;
use super::job::Job;
use super::job_output::text_of;
use super::shim;
use super::wait::{self, Patience};
use crate::core::output::Followed;
use crate::core::sync::Mutex;

/// Iterates over the text that a job prints: what `Job.follow()` returns.
///
/// As the value of a cell it shows all that the job prints and displays, until the job has ended or Ctrl-C detaches.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct Follow {
    job: Py<Job>,
    position: Mutex<u64>,
}

impl Follow {
    pub(crate) fn new(job: Py<Job>) -> Self {
        Self {
            job,
            position: Mutex::new(0),
        }
    }

    /// Block until there is more than is known: text after the position or, where `marks` are counted, another mark.
    fn wait(&self, py: Python<'_>, marks: Option<u64>) -> PyResult<Followed> {
        let job = self.job.get();
        if !job.house.is_here() {
            return Ok(Followed::End);
        }
        let position = *self.position.lock();
        let output = job.printed();
        let following = job.follow_to_the_end(py);
        let far = Duration::from_secs(3600);
        let got = wait::block(py, Patience::ENDLESS, |until| {
            let until = until.unwrap_or_else(|| Instant::now() + far);
            match output.follow_all(position, marks, until) {
                Followed::Nothing => None,
                got => Some(got),
            }
        })?;
        drop(following);
        Ok(got.unwrap_or(Followed::End))
    }
}

#[pymethods]
impl Follow {
    fn __iter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.job)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        match self.wait(py, None)? {
            Followed::Text(text, next) => {
                let text = text_of(py, &text)?;
                *self.position.lock() = next;
                Ok(Some(text))
            }
            Followed::Short => Err(errors::no_memory()),
            _ => Ok(None),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Follow: the output of {}>", self.job.get().title(py))
    }

    fn _ipython_display_(me: &Bound<'_, Self>) -> PyResult<()> {
        shim::FOLLOW.call(me.py(), (me,)).map(drop)
    }

    /// The job that it follows.
    #[getter(_job)]
    fn job(&self, py: Python<'_>) -> Py<Job> {
        self.job.clone_ref(py)
    }

    /// What `_wait` takes: how often the job displayed something.
    #[getter(_marks)]
    fn marks(&self) -> u64 {
        let job = self.job.get();
        if job.house.is_here() {
            job.printed().marks()
        } else {
            0
        }
    }

    /// The text that is there and was not read, up to a position of the output (None: all of it); does not block.
    #[pyo3(signature = (until = None))]
    fn _read<'py>(&self, py: Python<'py>, until: Option<u64>) -> PyResult<Bound<'py, PyString>> {
        let job = self.job.get();
        if !job.house.is_here() {
            return Ok(PyString::new(py, ""));
        }
        let read = {
            let mut position = self.position.lock();
            let read = job.printed().read(*position, until);
            if let Ok((_, next)) = &read {
                *position = *next;
            }
            read
        };
        text_of(py, &read.map_err(|_| errors::no_memory())?.0)
    }

    /// Block until there is text to read, or the job has displayed something beyond those `marks`. False when it has ended and
    /// there is neither.
    fn _wait(&self, py: Python<'_>, marks: u64) -> PyResult<bool> {
        Ok(self.wait(py, Some(marks))? != Followed::End)
    }
}
