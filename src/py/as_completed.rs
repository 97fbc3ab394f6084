//! Jobs as they end.

use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::event_loop::to_the_loop;
use super::job::Job;
use super::wait::{self, Patience};
use crate::core::latch::{Stream, Waiter};
use crate::core::sync::Mutex;

/// Iterates over jobs as they end: what `JobManager.as_completed()` returns.
#[pyclass(frozen, module = "rjobs")]
#[derive(Debug)]
pub(crate) struct AsCompleted {
    stream: Arc<Stream>,
    patience: Patience,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    /// By the key that the stream knows them by; None once given.
    jobs: Vec<Option<Py<Job>>>,
    count: usize,
    /// Ended before they could be watched: given first, from the end.
    ended: Vec<usize>,
}

/// What goes down the stream when every job was given.
const END: usize = usize::MAX;

impl AsCompleted {
    pub(crate) fn new(jobs: Vec<Bound<'_, Job>>, patience: Patience) -> Self {
        let stream = Stream::new();
        let mut ended: Vec<usize> = jobs
            .iter()
            .enumerate()
            .filter(|(key, job)| {
                job.get().is_over()
                    || !job.get().watch(
                        job.py(),
                        Waiter::Stream {
                            stream: Arc::clone(&stream),
                            key: *key,
                        },
                    )
            })
            .map(|(key, _)| key)
            .collect();
        ended.reverse();
        let count = jobs.len();
        let jobs = jobs.into_iter().map(|job| Some(job.unbind())).collect();
        Self {
            stream,
            patience,
            left: Mutex::new(Left { jobs, count, ended }),
        }
    }
}

impl AsCompleted {
    /// Whether the calling thread is the event loop that a job of these runs on.
    fn would_block_its_loop(&self) -> bool {
        let left = self.left.lock();
        let mut jobs = left.jobs.iter().flatten();
        jobs.any(|job| to_the_loop::would_wait_for_itself(job.get()))
    }
}

impl Drop for AsCompleted {
    fn drop(&mut self) {
        for (key, job) in self.left.get_mut().jobs.iter().enumerate() {
            if let Some(job) = job {
                let waiter = Waiter::Stream {
                    stream: Arc::clone(&self.stream),
                    key,
                };
                job.get().record.unwatch(&waiter);
            }
        }
    }
}

#[pymethods]
impl AsCompleted {
    fn __iter__(me: PyRef<'_, Self>) -> PyRef<'_, Self> {
        me
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<Job>>> {
        let first = {
            let mut left = self.left.lock();
            if left.count == 0 {
                return Ok(None);
            }
            left.ended.pop()
        };
        let stream = &self.stream;
        let key = match first.or_else(|| stream.ready()) {
            Some(key) => Some(key),
            None if self.would_block_its_loop() => return Err(to_the_loop::blocks_its_loop()),
            None => wait::block(py, self.patience, |until| stream.next_until(until))?,
        };
        let mut left = self.left.lock();
        match key {
            // Another thread took the last one: the next that waits has to hear of it, too.
            Some(END) => {
                self.stream.send(END);
                Ok(None)
            }
            Some(key) => {
                left.count -= 1;
                if left.count == 0 {
                    self.stream.send(END);
                }
                let job = left.jobs[key].take();
                drop(left);
                Ok(job.inspect(|job| job.get().saw_end()))
            }
            None => {
                let (count, all) = (left.count, left.jobs.len());
                Err(wait::ran_out(&format!("{count} of {all} jobs")))
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(left) = self.left.try_lock() else {
            return Ok(());
        };
        left.jobs.iter().try_for_each(|job| visit.call(job))
    }
}
