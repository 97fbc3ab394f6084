//! Jobs that are made from jobs, and what rules many: `then`, `chain`, `retry`, `every`, `limit`.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::chain::come_after;
use super::entrance::{Blueprint, Owner};
use super::errors::{self, JobError};
use super::gates;
use super::job::{Job, Source};
use super::manager::{self, JobManager};
use super::misuse::{must_be_callable, must_take, short};
use super::options::{More, Options};
use super::plan::Stage;
use super::seconds;
use super::shim::{self, Opened};
use super::view::ManagerView;
use crate::core::state::State;

/// Run again every `period` seconds.
pub(crate) fn repeat(options: &mut Options, period: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = period.py();
    let wanted = "a number of seconds, the time between two runs";
    let given = seconds::number("every", wanted, period)?;
    if given <= 0.0 || given.is_infinite() && period.eq(given)? {
        return Err(PyValueError::new_err(format!(
            "every must be more than 0 seconds, the time between two runs, and not endless; got {}",
            seconds::shown(period)
        )));
    }
    // One that is longer than any process lives: it runs once.
    let period =
        seconds::span(given).map_or(Duration::MAX, |period| period.max(Duration::from_nanos(1)));
    if options
        .more
        .as_ref()
        .is_some_and(|more| more.cache.is_some())
    {
        return Err(PyTypeError::new_err(
            "cache= does not go with every(): a periodic job is there to run again",
        ));
    }
    // Here and now, so that no worker has to import it.
    shim::open(py, Opened::Again)?;
    options.more().every = Some(period);
    Ok(())
}

impl JobManager {
    /// `every`, under options.
    pub(crate) fn periodic<'py>(
        &self,
        period: &Bound<'py, PyAny>,
        callable: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
        mut options: Options,
    ) -> PyResult<Bound<'py, Job>> {
        if period.is_callable() && !callable.is_callable() {
            return Err(PyTypeError::new_err(format!(
                "every takes the time between two runs first, and then the function: every({}, f)",
                short(callable)
            )));
        }
        must_be_callable(callable, "every")?;
        repeat(&mut options, period)?;
        must_take(callable, kwargs.as_ref(), "every(seconds, f)")?;
        let blueprint = Blueprint::of_call(callable, args, kwargs);
        self.add(callable.py(), blueprint, &options)
    }

    /// End periodic jobs that wait for their next run: the manager takes no more work.
    pub(crate) fn end_schedules(&self, py: Python<'_>) {
        for job in self.unfinished(py) {
            let plan = job.get().plan.as_ref();
            if plan.is_some_and(|plan| plan.every.is_some() && plan.stage() == Stage::Schedule) {
                Job::end_queued(job.bind(py), State::Cancelled);
            }
        }
    }
}

#[pymethods]
impl JobManager {
    /// Run `fn(*args, **kwargs)` now and then every `seconds`, as one `Job` with one row in the table.
    ///
    /// Runs never overlap and do not drift: each is due a whole number of periods after the first; one that is due while the
    /// last still runs is left out. Between two runs the job is 'queued', `next_run_at` says until when, and it holds no
    /// worker. A run that raises does not end it: the traceback goes to its output. `kill`, `stop` and `cancel` end it, and
    /// so do `shutdown()` and the end of a script, after the run that it is at. Until then `get()` and `exception()` say at once, by
    /// a `JobError`, that it has no end. Where `seconds` is more than any process lives, it runs once, and `next_run_at` is None.
    /// Options come by `options(...)`: `timeout` and `retry` are for each run. Raises `ValueError` for a time that is not above 0 or
    /// endless, `TypeError` when `fn` is not callable. Does not block.
    #[pyo3(signature = (seconds, r#fn, /, *args, **kwargs))]
    fn every<'py>(
        &self,
        seconds: &Bound<'py, PyAny>,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        self.periodic(seconds, r#fn, args, kwargs, Options::default())
    }

    /// Run callables one after the other, each with the result of the one before as its only argument (the first with none):
    /// `chain(f, g, h)` gives `h(g(f()))`. Returns the last `Job` at once.
    ///
    /// Each is a job of its own. When one does not end as 'done', those after it are 'skipped', and their `get()` raises
    /// `JobSkipped` with the cause. Raises `TypeError` for what is not callable, before anything runs.
    #[pyo3(signature = (*steps))]
    fn chain<'py>(
        &self,
        py: Python<'py>,
        steps: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Job>> {
        self.chained(py, steps, &Options::default())
    }

    /// Make a named limit, or change it, for jobs with the option `limit=name`.
    ///
    /// `concurrency` is how many of them run at once, `rate` how many start in a second (a token bucket that holds one token:
    /// starts are spread evenly); None is no such bound. Jobs wait for their limits without a worker, those of a higher
    /// priority first, then in their order. With several limits a job needs them all. Raises `ValueError` for numbers that
    /// make no sense, `TypeError` when both are missing. Does not block.
    #[pyo3(signature = (name, concurrency = None, rate = None))]
    fn limit(
        &self,
        name: &str,
        concurrency: Option<&Bound<'_, PyAny>>,
        rate: Option<&Bound<'_, PyAny>>,
        py: Python<'_>,
    ) -> PyResult<()> {
        self.house.check()?;
        let concurrency = concurrency
            .filter(|count| !count.is_none())
            .map(|count| manager::count_of("concurrency", count, 1, "1 or more, or None"))
            .transpose()?;
        let every = rate
            .filter(|rate| !rate.is_none())
            .map(period_of)
            .transpose()?;
        if concurrency.is_none() && every.is_none() {
            return Err(PyTypeError::new_err(
                "a limit needs concurrency= (jobs at once), rate= (starts in a second), or both",
            ));
        }
        let released = self
            .house
            .limits
            .set(name, concurrency, every, Instant::now());
        gates::go_on(py, &self.house, released);
        Ok(())
    }

    /// The named limits: a `dict` by name of `(running, waiting)`, jobs that have a place and jobs that wait for one.
    #[getter]
    fn limits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let limits = PyDict::new(py);
        for name in self.house.limits.names() {
            limits.set_item(&*name, self.house.limits.count(&name))?;
        }
        Ok(limits)
    }
}

/// The time between two starts.
fn period_of(rate: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let per_second = seconds::number("rate", "a number of starts in a second, or None", rate)?;
    if per_second <= 0.0 {
        return Err(PyValueError::new_err(format!(
            "rate must be more than 0 starts in a second, or None; got {}",
            seconds::shown(rate)
        )));
    }
    // Two of the longest are still a time that the clock can add: after the first start there is no other.
    let period = Duration::try_from_secs_f64(1.0 / per_second);
    period
        .map(|period| period.min(seconds::FOR_EVER))
        .map_err(|_| {
            PyValueError::new_err(format!(
                "rate must be a number that leaves a time between two starts; got {}",
                seconds::shown(rate)
            ))
        })
}

#[pymethods]
impl ManagerView {
    /// As `JobManager.every`, under the options of this view.
    #[pyo3(signature = (seconds, r#fn, /, *args, **kwargs))]
    fn every<'py>(
        &self,
        seconds: &Bound<'py, PyAny>,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        let options = self.options.clone_ref(r#fn.py());
        self.manager
            .get()
            .periodic(seconds, r#fn, args, kwargs, options)
    }

    /// As `JobManager.chain`; each of its jobs gets the options of this view.
    #[pyo3(signature = (*steps))]
    fn chain<'py>(
        &self,
        py: Python<'py>,
        steps: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Job>> {
        self.manager.get().chained(py, steps, &self.options)
    }
}

impl Job {
    /// Make a job in the manager of this one.
    fn add_beside<'py>(
        &self,
        py: Python<'py>,
        blueprint: Blueprint<'py>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        let registry = self.house.registry().ok_or_else(errors::closed)?;
        let owner = Owner {
            house: &self.house,
            registry: &registry,
        };
        owner.add(py, blueprint, options)
    }

    /// The options it was made with, as far as they are for each of its kind: not the jobs that it came after.
    pub(crate) fn its_options(&self, py: Python<'_>) -> Options {
        let mut options = Options {
            name: self.given_name.clone(),
            timeout: self.timeout,
            daemon: self.daemon,
            echo: self.echo,
            buffersize: self.with_extras(|extras| extras.buffersize),
            more: None,
        };
        if let Some(plan) = &self.plan {
            options.more = Some(Box::new(More {
                rank: plan.rank,
                ttl: plan.ttl,
                result_ttl: plan.result_ttl,
                retries: plan.retries,
                limits: plan.limits.clone(),
                every: plan.every,
                policy: self.with_extras(|extras| {
                    extras.policy.as_ref().map(|policy| policy.clone_ref(py))
                }),
                ..More::default()
            }));
        }
        options
    }
}

#[pymethods]
impl Job {
    /// Run `fn(result, *args, **kwargs)` when this job is done, with its result first, and return the new `Job` at once.
    ///
    /// It belongs to the same manager. When this job ends in any other way than done, the new one is 'skipped', and its
    /// `get()` raises `JobSkipped` with the cause. All keyword arguments are the function's; for options use
    /// `jobs.options(after=job)`. Raises `TypeError` when `fn` is not callable, `ManagerClosed` after `shutdown()`.
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn then<'py>(
        me: &Bound<'py, Self>,
        r#fn: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        must_be_callable(r#fn, "then")?;
        must_take(r#fn, kwargs.as_ref(), "submit(lambda: f(job.get()))")?;
        let mut options = Options::default();
        come_after(&mut options, me);
        let blueprint = Blueprint::of_call(r#fn, args, kwargs);
        me.get().add_beside(me.py(), blueprint, &options)
    }

    /// Run the same work again, as a new job with the same options, and return it.
    ///
    /// For a job that ended and is not done: one that is done has released what it ran. It runs in a copy of the caller's
    /// contextvars, and waits for no other job. Raises `JobError` for one that is done or has not ended, and for one that never got the
    /// result it was to be called with (`then`, `chain`); `ManagerClosed` after `shutdown()`.
    fn retry<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, Job>> {
        let (py, job) = (me.py(), me.get());
        if !job.is_over() {
            return Err(JobError::new_err(format!(
                "{} has not ended: retry() runs again what failed or was ended",
                job.title(py)
            )));
        }
        if job.with_extras(|extras| extras.is_unfed) {
            return Err(JobError::new_err(format!(
                "{} never got the result that it was to be called with: run the one before it again, and then() this",
                job.title(py)
            )));
        }
        if job.group.get().is_some() {
            return Err(JobError::new_err(format!(
                "{} is a group: retry_failed() runs the items again that failed",
                job.title(py)
            )));
        }
        let work = {
            let held = job.held.lock();
            held.work.as_ref().map(|work| work.clone_ref(py))
        };
        let Some(work) = work else {
            return Err(JobError::new_err(format!(
                "{} is done, and has released its function and arguments: submit them again",
                job.title(py)
            )));
        };
        let source = job.source.as_ref().map(|source| {
            Box::new(Source {
                expression: source.expression.clone_ref(py),
                code: source.code.as_ref().map(|code| code.clone_ref(py)),
            })
        });
        let blueprint = Blueprint {
            label: job.label.clone_ref(py),
            source,
            callable: work.callable.into_bound(py),
            args: work.args.into_bound(py),
            kwargs: work.kwargs.map(|kwargs| kwargs.into_bound(py)),
            namespaces: work.namespaces,
            order: work.order,
        };
        job.add_beside(py, blueprint, &job.its_options(py))
    }

    /// How often it was started: 0 before its first run, more than 1 after `retry=` or for a periodic job.
    #[getter]
    fn runs(&self) -> u32 {
        match &self.plan {
            Some(plan) => plan.starts.load(Ordering::Acquire),
            None => u32::from(self.record.started().is_some()),
        }
    }

    /// What a queued job waits for: 'jobs' (that it comes after), 'limit', 'retry' (the time of its next try), 'schedule' (the
    /// time of its next periodic run) or 'worker'; and a running one: 'reader', when it has a value to give and nobody reads
    /// those that wait already. None else. Does not block.
    #[getter]
    fn waiting_for(&self) -> Option<&'static str> {
        match self.state() {
            State::Queued => {
                let stage = self
                    .plan
                    .as_ref()
                    .map_or(Stage::Worker, |plan| plan.stage());
                Some(stage.name())
            }
            State::Running if self.waits_for_a_reader() => Some("reader"),
            _ => None,
        }
    }

    /// When its next try or periodic run is due: an aware datetime, in UTC; None where none is planned, or so far away that it
    /// never comes.
    #[getter]
    fn next_run_at(&self) -> Option<SystemTime> {
        let when = self
            .plan
            .as_ref()?
            .alarm
            .lock()
            .as_ref()
            .map(|alarm| alarm.1)?;
        let in_time = when.saturating_duration_since(Instant::now());
        // Nothing is planned for a time that the calendar does not have.
        SystemTime::now().checked_add(in_time)
    }

    /// Its priority: higher ones are taken from the queue first; 0 is usual.
    #[getter]
    fn priority(&self) -> i32 {
        self.rank()
    }
}
