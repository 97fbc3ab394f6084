//! Following a job's output as it grows.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::job::Job;
use super::wait::{self, Patience};
use crate::core::output::Followed;

/// Iterates over the text that a job prints: what `Job.follow()` returns.
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
}

#[pymethods]
impl Follow {
    fn __iter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.job)
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        if !self.job.get().house.is_here() {
            return Ok(None);
        }
        let position = *self.position.lock();
        let output = self.job.get().printed();
        let following = self.job.get().follow_to_the_end(py);
        let far = Duration::from_secs(3600);
        let got = wait::block(py, Patience::of(None)?, |until| {
            match output.follow(position, until.unwrap_or_else(|| Instant::now() + far)) {
                Followed::Nothing => None,
                got => Some(got),
            }
        })?;
        drop(following);
        match got {
            Some(Followed::Text(text, next)) => {
                *self.position.lock() = next;
                Ok(Some(text))
            }
            _ => Ok(None),
        }
    }
}
