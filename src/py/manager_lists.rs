//! The registry's face: lists, lookup, status, remove and flush, as in `IPython`.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList};

use super::errors::{self, UnknownJob};
use super::job::Job;
use super::manager::JobManager;
use super::{shim, text};
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
        // operator.index: numpy's integers are numbers too, 1.0 is none.
        let number = shim::INDEX.call(py, (key,)).map_err(|_| wrong())?;
        // One that is negative or larger than any number there is, is nobody's.
        number
            .extract::<u64>()
            .ok()
            .and_then(|number| self.registry.with(number, |job| job.clone_ref(py)))
            .map(|job| job.into_bound(py))
            .ok_or_else(|| errors::unknown_job(number))
    }

    pub(crate) fn select(&self, py: Python<'_>, wanted: impl Fn(State) -> bool) -> Vec<Py<Job>> {
        self.registry
            .collect(|job| wanted(job.get().state()).then(|| job.clone_ref(py)))
    }

    /// The same, with an error in the log where there is none.
    fn find_or_log<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Job>>> {
        let py = key.py();
        match self.find(key) {
            Err(error) if error.is_instance_of::<UnknownJob>(py) => {
                let number = match key.cast::<Job>() {
                    Ok(job) => job.get().record.number().to_string(),
                    Err(_) => key.str()?.to_string(),
                };
                log_error(py, format!("Job #{number} not found."))?;
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// Every job that has not ended, by number.
    pub(crate) fn unfinished(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.select(py, |state| !state.is_terminal())
    }
}

/// Through Python's `logging` and not pyo3-log: it is said to the user who called, at the level of the root logger.
fn log_error(py: Python<'_>, message: String) -> PyResult<()> {
    shim::LOG_ERROR.call(py, (message,)).map(drop)
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
    pub(crate) fn workers(&self) -> usize {
        if self.house.is_here() {
            self.house.pool.workers()
        } else {
            0
        }
    }

    /// True after `shutdown()`.
    #[getter]
    fn closed(&self) -> bool {
        !self.house.is_here() || self.house.entrance.is_closed()
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

    #[expect(clippy::unused_self, reason = "Python asks the instance")]
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
    /// Of very many jobs not all are shown: those that run come first, then those that failed or ended badly, the newest
    /// first, then those that are queued, then those that are done. `verbose` is there for
    /// `IPython`'s sake and does nothing.
    #[pyo3(signature = (verbose = None))]
    fn status(me: &Bound<'_, Self>, verbose: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let _ = verbose;
        shim::STATUS.call(me.py(), (me,)).map(drop)
    }

    fn __call__(me: &Bound<'_, Self>) -> PyResult<()> {
        Self::status(me, None)
    }

    fn _repr_html_<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::MANAGER_HTML.call(me.py(), (me,))
    }

    fn _repr_pretty_(
        me: &Bound<'_, Self>,
        printer: &Bound<'_, PyAny>,
        cycle: bool,
    ) -> PyResult<()> {
        let _ = cycle;
        let text = shim::MANAGER_TEXT.call(me.py(), (me,))?;
        printer.call_method1("text", (text,)).map(drop)
    }

    fn __repr__(&self) -> String {
        let counts = self.registry.len();
        format!(
            "<JobManager: {counts} job{}, {} of at most {} workers{}>",
            if counts == 1 { "" } else { "s" },
            self.workers(),
            self.house.pool.max_workers(),
            if self.closed() { ", shut down" } else { "" },
        )
    }

    fn _ipython_key_completions_(&self) -> Vec<u64> {
        // More help nobody who presses the Tab key.
        const MOST: usize = 1000;
        let mut numbers = self
            .registry
            .collect_newest(MOST, |job| Some(job.get().record.number()));
        numbers.reverse();
        numbers
    }

    /// The jobs whose end was not told of yet: `list[Job]` by number. They are told of by this.
    #[pyo3(name = "_newly_ended")]
    fn newly_ended(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.registry
            .collect(|job| job.get().report().then(|| job.clone_ref(py)))
    }

    /// Print the jobs that have ended since this or `status()` was last called; True when there are any.
    fn _status_new<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::STATUS_NEW.call(me.py(), (me,))
    }

    /// The result of job `num`: the same as `jobs[num].result`. For a job that is not known, None, and an error in the log
    /// (as in `IPython`; `jobs[num]` raises).
    fn result<'py>(&self, num: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.find_or_log(num)?
            .map(|job| job.getattr("result"))
            .transpose()
    }

    /// Print the traceback of a job, or without one those of all dead jobs. For a job that is not known, an error in the
    /// log (as in `IPython`).
    #[pyo3(signature = (job = None))]
    fn traceback(&self, py: Python<'_>, job: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let print = |job: &Bound<'_, Job>| job.call_method0("traceback").map(drop);
        if let Some(job) = job.filter(|job| !job.is_none()) {
            return self.find_or_log(job)?.map_or(Ok(()), |job| print(&job));
        }
        for job in self.dead(py) {
            let job = job.bind(py);
            shim::PRINT.call(
                py,
                (format!("Traceback for: {}", text::lossy(&job.repr()?)),),
            )?;
            print(job)?;
            shim::PRINT.call(py, ())?;
        }
        Ok(())
    }

    /// Forget an ended job: `jobs[num]` is unknown from then on. Who holds the `Job` keeps it.
    ///
    /// A job that has not ended stays, and one that is not known is none: both are an error in the log, as in `IPython`.
    fn remove(&self, num: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(job) = self.find_or_log(num)? else {
            return Ok(());
        };
        let job = job.get();
        let number = job.record.number();
        if !job.is_over() {
            return log_error(
                num.py(),
                format!(
                    "Job #{number} is still {}, it can not be removed: end it first, with kill({number}) or cancel().",
                    if job.state() == State::Queued {
                        "queued"
                    } else {
                        "running"
                    },
                ),
            );
        }
        let gone = self.registry.remove(number);
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
        for (count, kind) in [(completed, "Completed"), (gone.len() - completed, "Dead")] {
            if count > 0 {
                let plural = if count == 1 { "" } else { "s" };
                shim::PRINT.call(py, (format!("Flushing {count} {kind} job{plural}."),))?;
            }
        }
        if gone.is_empty() {
            shim::PRINT.call(py, ("No jobs to flush.",))?;
        }
        drop(gone);
        Ok(())
    }
}
