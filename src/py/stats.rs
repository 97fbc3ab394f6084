//! `stats`: what a manager's jobs do and how long they took, in numbers.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::counts::Counts;
use super::manager::JobManager;
use crate::core::clock;
use crate::core::spread::Spread;

#[pymethods]
impl JobManager {
    /// Numbers about the jobs that are kept, as a new `dict` that JSON can hold.
    ///
    /// - `'counts'`: how many jobs are in each state, all ten states in the order of `Job.state`.
    /// - `'wait'`: seconds from a job's creation to its start, of the jobs that have started and ran once.
    /// - `'run'`: seconds from the (last) start to the end, of the jobs that have run and ended.
    /// - `'workers'`, `'max_workers'`: the threads there are and may be.
    ///
    /// `'wait'` and `'run'` are a `dict` of `count`, `mean`, `p50`, `p99` (by nearest rank) and `max`, or None where
    /// there is no such job yet. Forgotten jobs (`flush`, `remove`, `result_ttl`) are not counted. It is worked out when asked
    /// for, and costs running jobs nothing. Does not block.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let seen = self.registry.collect(|job| {
            let (job, record) = (job.get(), &job.get().record);
            let started = record.started();
            let wait = started
                .filter(|_| record.runs() == 0)
                .map(|started| clock::seconds_between(record.created(), started));
            let run = started
                .zip(record.ended())
                .map(|(started, ended)| clock::seconds_between(started, ended));
            Some((job.state(), wait, run))
        });
        let mut counts = Counts::default();
        for (state, ..) in &seen {
            counts.add(*state);
        }
        let stats = PyDict::new(py);
        stats.set_item("counts", counts.to_dict(py, true)?)?;
        let waits = seen.iter().filter_map(|(_, wait, _)| *wait).collect();
        stats.set_item("wait", spread(py, waits)?)?;
        let runs = seen.iter().filter_map(|(.., run)| *run).collect();
        stats.set_item("run", spread(py, runs)?)?;
        stats.set_item("workers", self.workers())?;
        stats.set_item("max_workers", self.house.pool.max_workers())?;
        Ok(stats)
    }
}

fn spread(py: Python<'_>, times: Vec<f64>) -> PyResult<Option<Bound<'_, PyDict>>> {
    let Some(spread) = Spread::of(times) else {
        return Ok(None);
    };
    let shown = PyDict::new(py);
    shown.set_item("count", spread.count)?;
    shown.set_item("mean", spread.mean)?;
    shown.set_item("p50", spread.p50)?;
    shown.set_item("p99", spread.p99)?;
    shown.set_item("max", spread.max)?;
    Ok(Some(shown))
}
