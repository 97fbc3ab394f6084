//! The registry's face: lists, lookup, status, remove and flush, as in IPython.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList};

use super::errors::{self, JobRunning};
use super::job::Job;
use super::manager::JobManager;
use super::shim;
use crate::core::state::State;

impl JobManager {
    /// The job that a number or a `Job` means, if it is one of ours.
    pub(crate) fn find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Job>> {
        let py = key.py();
        if let Ok(job) = key.cast::<Job>() {
            let number = job.get().record.number();
            let is_ours = self
                .registry
                .with(number, |kept| kept.is(job))
                .unwrap_or(false);
            return if is_ours {
                Ok(job.clone())
            } else {
                Err(errors::unknown_job(number))
            };
        }
        let wrong = || PyTypeError::new_err("a job is meant by its number or by the Job itself");
        if key.is_instance_of::<PyBool>() {
            return Err(wrong());
        }
        let number: i128 = key.extract().map_err(|_| wrong())?;
        u64::try_from(number)
            .ok()
            .and_then(|number| self.registry.with(number, |job| job.clone_ref(py)))
            .map(|job| job.into_bound(py))
            .ok_or_else(|| errors::unknown_job(number))
    }

    pub(crate) fn select(&self, py: Python<'_>, wanted: impl Fn(State) -> bool) -> Vec<Py<Job>> {
        self.registry
            .collect(|job| wanted(job.get().state()).then(|| job.clone_ref(py)))
    }

    /// Every job that has not ended, by number.
    pub(crate) fn unfinished(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.select(py, |state| !state.is_terminal())
    }
}

#[pymethods]
impl JobManager {
    /// The jobs that have not ended, queued ones among them: `list[Job]` by number.
    #[getter]
    fn running(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.unfinished(py)
    }

    /// The jobs that are done: `list[Job]` by number.
    #[getter]
    fn completed(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.select(py, |state| state == State::Done)
    }

    /// The jobs that ended in any other way than done: `list[Job]` by number.
    #[getter]
    fn dead(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.select(py, |state| state.is_terminal() && state != State::Done)
    }

    /// Every job that is kept: a new `dict` of them by number.
    #[getter]
    fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for job in self.select(py, |_| true) {
            all.set_item(job.get().record.number(), job)?;
        }
        Ok(all)
    }

    /// The most threads this manager uses.
    #[getter]
    fn max_workers(&self) -> usize {
        self.house.pool.max_workers()
    }

    /// The threads it has now, idle ones included.
    #[getter]
    fn workers(&self) -> usize {
        self.house.pool.workers()
    }

    /// True after `shutdown()`.
    #[getter]
    fn closed(&self) -> bool {
        self.house.pool.is_closed()
    }

    fn __getitem__<'py>(&self, num: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Job>> {
        self.find(num)
    }

    fn __contains__(&self, job: &Bound<'_, PyAny>) -> bool {
        self.find(job).is_ok()
    }

    fn __len__(&self) -> usize {
        self.registry.len()
    }

    fn __bool__(&self) -> bool {
        // A manager without jobs is a manager.
        true
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.select(py, |_| true))?
            .try_iter()?
            .into_any())
    }

    /// Show a table of the jobs: text in a terminal, HTML in a notebook. The same as calling the manager.
    ///
    /// Those that have not ended come first, then the newest; of very many not all are shown. `verbose` is there for
    /// IPython's sake and does nothing.
    #[pyo3(signature = (verbose = None))]
    fn status(me: &Bound<'_, Self>, verbose: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let _ = verbose;
        shim::STATUS.get(me.py())?.call1((me,)).map(drop)
    }

    fn __call__(me: &Bound<'_, Self>) -> PyResult<()> {
        Self::status(me, None)
    }

    fn _repr_html_<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::MANAGER_HTML.get(me.py())?.call1((me,))
    }

    fn _repr_pretty_(
        me: &Bound<'_, Self>,
        printer: &Bound<'_, PyAny>,
        cycle: bool,
    ) -> PyResult<()> {
        let _ = cycle;
        let text = shim::MANAGER_TEXT.get(me.py())?.call1((me,))?;
        printer.call_method1("text", (text,)).map(drop)
    }

    fn __repr__(&self) -> String {
        let counts = self.registry.len();
        format!(
            "<JobManager: {counts} job{}, {} of at most {} workers{}>",
            if counts == 1 { "" } else { "s" },
            self.house.pool.workers(),
            self.house.pool.max_workers(),
            if self.house.pool.is_closed() {
                ", shut down"
            } else {
                ""
            },
        )
    }

    fn _ipython_key_completions_(&self) -> Vec<u64> {
        self.registry.collect(|job| Some(job.get().record.number()))
    }

    /// For tables: at most `limit` jobs, unfinished ones first and then the newest of the others, and how many there are
    /// in each state.
    fn _snapshot<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
    ) -> PyResult<(Vec<Py<Job>>, Bound<'py, PyDict>)> {
        let mut counts = [0_usize; State::ALL.len()];
        let mut shown = self.registry.collect(|job| {
            let state = job.get().state();
            counts[state as usize] += 1;
            (!state.is_terminal()).then(|| job.clone_ref(py))
        });
        shown.truncate(limit);
        let left = limit - shown.len();
        let newest = self
            .registry
            .collect_newest(left, |job| job.get().is_over().then(|| job.clone_ref(py)));
        shown.extend(newest);
        let by_state = PyDict::new(py);
        for (state, count) in State::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
        {
            by_state.set_item(state.name(), count)?;
        }
        Ok((shown, by_state))
    }

    /// The result of job `num`: the same as `jobs[num].result`. Raises UnknownJob, a KeyError.
    fn result<'py>(&self, num: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.find(num)?.getattr("result")
    }

    /// Print the traceback of a job, or without one those of all dead jobs. Raises UnknownJob, a KeyError.
    #[pyo3(signature = (job = None))]
    fn traceback(&self, py: Python<'_>, job: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(job) = job.filter(|job| !job.is_none()) {
            return self.find(job)?.call_method0("traceback").map(drop);
        }
        let print = shim::PRINT.get(py)?;
        for job in self.dead(py) {
            let job = job.bind(py);
            print.call1((format!("Traceback for: {}", job.repr()?.to_string_lossy()),))?;
            job.call_method0("traceback")?;
            print.call0()?;
        }
        Ok(())
    }

    /// Forget an ended job: `jobs[num]` is unknown from then on. Who holds the `Job` keeps it.
    ///
    /// Raises UnknownJob (a KeyError), and JobRunning when it has not ended: kill or cancel it first.
    fn remove(&self, num: &Bound<'_, PyAny>) -> PyResult<()> {
        let job = self.find(num)?;
        let job = job.get();
        if !job.is_over() {
            return Err(JobRunning::new_err(format!(
                "{} is {} and cannot be removed: end it first, with kill({n}) or cancel()",
                job.title(num.py()),
                job.state().name(),
                n = job.record.number(),
            )));
        }
        let gone = self.registry.remove(job.record.number());
        drop(gone);
        Ok(())
    }

    /// Forget every ended job, and print how many. Jobs that have not ended stay.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let gone = self.registry.remove_where(|job| job.get().is_over());
        let completed = gone
            .iter()
            .filter(|job| job.get().state() == State::Done)
            .count();
        let print = shim::PRINT.get(py)?;
        for (count, kind) in [(completed, "Completed"), (gone.len() - completed, "Dead")] {
            if count > 0 {
                let plural = if count == 1 { "" } else { "s" };
                print.call1((format!("Flushing {count} {kind} job{plural}."),))?;
            }
        }
        if gone.is_empty() {
            print.call1(("No jobs to flush.",))?;
        }
        drop(gone);
        Ok(())
    }
}
