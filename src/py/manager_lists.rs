//! The registry's face: lists, lookup, status, remove and flush, as in `IPython`.

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::errors::UnknownJob;
use super::job::Job;
use super::manager::JobManager;
use super::misuse::short;
use super::seconds::FOR_EVER;
use super::{shim, text};
use crate::core::backlog::Backlog;
use crate::core::state::State;

impl JobManager {
    pub(crate) fn select(&self, py: Python<'_>, wanted: impl Fn(State) -> bool) -> Vec<Py<Job>> {
        self.registry
            .collect(|job| wanted(job.get().state()).then(|| job.clone_ref(py)))
    }

    /// The job that is meant, or an error in the log where there is none.
    fn find_or_log<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Job>>> {
        let py = key.py();
        match self.find(key) {
            Err(error) if error.is_instance_of::<UnknownJob>(py) => {
                let meant = match key.cast::<Job>() {
                    Ok(job) => format!("#{}", job.get().record.number()),
                    Err(_) if key.is_instance_of::<PyString>() => key.repr()?.to_string(),
                    Err(_) => format!("#{}", key.str()?),
                };
                log_error(py, format!("Job {meant} not found: {}", error.value(py)))?;
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

/// What a manager has from its beginning, and is tried to be changed.
fn fixed(name: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let value = short(value);
    PyAttributeError::new_err(format!(
        "{name} holds for a manager from its beginning: JobManager({name}={value}) makes another one; in a notebook \
         %config RJobs.{name} = {value}"
    ))
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

    /// Settings that a manager has from its beginning.
    #[setter(max_workers)]
    #[expect(clippy::unused_self, reason = "Python asks the instance")]
    fn set_max_workers(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(fixed("max_workers", value))
    }

    #[setter(idle_timeout)]
    #[expect(clippy::unused_self, reason = "Python asks the instance")]
    fn set_idle_timeout(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(fixed("idle_timeout", value))
    }

    #[setter(output_limit)]
    #[expect(clippy::unused_self, reason = "Python asks the instance")]
    fn set_output_limit(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(fixed("output_limit", value))
    }

    #[setter(max_queued)]
    #[expect(clippy::unused_self, reason = "Python asks the instance")]
    fn set_max_queued(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(fixed("max_queued", value))
    }

    #[setter(on_full)]
    #[expect(clippy::unused_self, reason = "Python asks the instance")]
    fn set_on_full(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(fixed("on_full", value))
    }

    /// Seconds without work after which a thread leaves; None: it stays.
    #[getter]
    fn idle_timeout(&self) -> Option<f64> {
        let idle = self.house.pool.idle_timeout();
        (idle < FOR_EVER).then_some(idle.as_secs_f64())
    }

    /// Bytes of its output that each job keeps.
    #[getter]
    fn output_limit(&self) -> usize {
        self.house.output_limit
    }

    /// The most jobs that may wait for their start; None for any number.
    #[getter]
    fn max_queued(&self) -> Option<usize> {
        self.house.backlog.as_ref().map(Backlog::most)
    }

    /// 'block' or 'reject': what a submission does where `max_queued` jobs wait.
    #[getter]
    fn on_full(&self) -> &'static str {
        if self.house.blocks_when_full {
            "block"
        } else {
            "reject"
        }
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

    /// The number of its pool, which its worker threads have as well.
    #[getter(_house)]
    fn house_serial(&self) -> u64 {
        self.house.serial
    }

    /// True after `shutdown()`.
    #[getter]
    fn closed(&self) -> bool {
        !self.house.is_here() || self.house.entrance.is_closed()
    }

    /// `jobs[3]` is the job with that number, `jobs[-1]` the newest that is kept, `jobs["name"]` the newest of that name.
    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Job>> {
        self.find(key)
    }

    fn __contains__(&self, job: &Bound<'_, PyAny>) -> bool {
        self.is_known(job)
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

    fn _ipython_key_completions_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        // More help nobody who presses the Tab key.
        const MOST: usize = 1000;
        let mut numbers = self
            .registry
            .collect_newest(MOST, |job| Some(job.get().record.number()));
        numbers.reverse();
        let keys = PyList::new(py, numbers)?;
        for name in self.names(py) {
            keys.append(name)?;
        }
        Ok(keys)
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
    /// log (as in `IPython`; `jobs[num].traceback()` raises).
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

    /// Forget ended jobs (numbers, names or `Job`s): `jobs[num]` is unknown from then on. Who holds the `Job` keeps it; what was in
    /// the frames of one that was killed or timed out is let go of.
    ///
    /// A job that has not ended stays, and one that is not known is none: both are an error in the log and nothing is raised, as
    /// in `IPython`, whose own tests ask for that. Raises `TypeError` for what means no job.
    #[pyo3(signature = (num, *more))]
    fn remove(&self, num: &Bound<'_, PyAny>, more: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = num.py();
        // All are looked at before the first goes: numbers from the end are those of now.
        let mut jobs = Vec::new();
        jobs.extend(self.find_or_log(num)?);
        for key in more {
            jobs.extend(self.find_or_log(&key)?);
        }
        for job in jobs {
            let job = job.get();
            let number = job.record.number();
            if job.is_over() {
                if let Some(gone) = self.registry.remove(number) {
                    gone.get().record_goes(py);
                }
            } else {
                let state = job.state().name();
                log_error(
                    py,
                    format!(
                        "Job #{number} is still {state}, it can not be removed: end it first, with kill({number}) or cancel()."
                    ),
                )?;
            }
        }
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
        for job in gone {
            job.get().record_goes(py);
        }
        Ok(())
    }
}
