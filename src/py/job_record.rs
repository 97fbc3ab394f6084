//! The face of a job: number, state, times, and what `IPython`'s background jobs have.

use std::time::{Duration, SystemTime};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::job::Job;
use super::last_wait;
use super::outcome::Outcome;
use super::{shim, text};
use crate::core::clock;
use crate::core::state::State;
use crate::interrupt::slot::Obstacle;

const CREATED: (&str, i32) = ("Created", 0);
const RUNNING: (&str, i32) = ("Running", 1);
const COMPLETED: (&str, i32) = ("Completed", 2);
const DEAD: (&str, i32) = ("Dead (Exception), call jobs.traceback() for details", -1);

impl Job {
    /// `IPython`'s text and number for the state.
    fn ipython_status(&self) -> (&'static str, i32) {
        match self.state() {
            State::Queued => CREATED,
            State::Running => RUNNING,
            State::Done => COMPLETED,
            _ => DEAD,
        }
    }

    /// What hinders the kill that is pending, as far as was seen.
    fn obstacle(&self) -> Obstacle {
        if !self.kill_pending() {
            return Obstacle::None;
        }
        if let Some(group) = self.group.get() {
            return group.is_struck(&self.record).1;
        }
        // On an event loop it may be another job that is hindered.
        let own = self
            .slot()
            .filter(|slot| slot.job() == Some(self.record.aim()));
        own.map_or(Obstacle::None, |slot| slot.obstacle())
    }
}

/// IPython's constants, by its names.
#[pymethods]
#[allow(non_upper_case_globals, missing_docs)]
impl Job {
    #[classattr]
    const stat_created: &'static str = CREATED.0;
    #[classattr]
    const stat_created_c: i32 = CREATED.1;
    #[classattr]
    const stat_running: &'static str = RUNNING.0;
    #[classattr]
    const stat_running_c: i32 = RUNNING.1;
    #[classattr]
    const stat_completed: &'static str = COMPLETED.0;
    #[classattr]
    const stat_completed_c: i32 = COMPLETED.1;
    #[classattr]
    const stat_dead: &'static str = DEAD.0;
    #[classattr]
    const stat_dead_c: i32 = DEAD.1;
}

#[pymethods]
impl Job {
    /// Its number: counted from 0 by its manager, never reused.
    #[getter]
    fn num(&self) -> u64 {
        self.record.number()
    }

    /// The name it was given, else the function's qualified name or the first line of the code.
    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyString> {
        match &self.given_name {
            Some(name) => PyString::new(py, name).unbind(),
            None => self.label.name.clone_ref(py),
        }
    }

    /// Whether it was given a name.
    #[getter(_is_named)]
    fn is_named(&self) -> bool {
        self.given_name.is_some()
    }

    /// Where it is: 'queued', 'running', 'done', 'failed', 'killed', '`timed_out`', 'cancelled', 'skipped', 'expired' or
    /// 'lost'. The first two change; the others are for good.
    #[getter(state)]
    fn state_name(&self) -> &'static str {
        self.state().name()
    }

    /// The same in `IPython`'s four texts: 'Created', 'Running', 'Completed', or 'Dead (Exception), call
    /// `jobs.traceback()` for details'.
    #[getter]
    fn status(&self) -> &'static str {
        self.ipython_status().0
    }

    /// The same as `IPython`'s number: 0 created, 1 running, 2 completed, -1 dead.
    #[getter]
    fn stat_code(&self) -> i32 {
        self.ipython_status().1
    }

    /// False until it has ended, then True when completed and None when dead (as in `IPython`).
    #[getter]
    fn finished(&self) -> Option<bool> {
        match self.state() {
            State::Queued | State::Running => Some(false),
            State::Done => Some(true),
            _ => None,
        }
    }

    /// The value, once it is done; before that, and for a dead job, `IPython`'s placeholder text, which can be shown and compared
    /// and raises `TypeError` or `AttributeError` when it is used in any other way. Does not block and does not raise: `get()`
    /// does both.
    #[getter]
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let state = self.state();
        let (text, way_out) = match state {
            State::Queued | State::Running => (
                "<BackgroundJob has not completed>",
                "job.get() waits for it and returns it; job.result, without (), is the value once the job is done",
            ),
            State::Done => {
                let value = match &self.held.lock().outcome {
                    Outcome::Value(value) => Some(value.clone_ref(py)),
                    _ => None,
                };
                return Ok(value.unwrap_or_else(|| py.None()).into_bound(py));
            }
            _ => (
                "<BackgroundJob died, call jobs.traceback() for details>",
                "job.get() raises the reason",
            ),
        };
        let why = format!(
            "{} is {}, and has no result",
            self.title(py),
            state.name().replace('_', " ")
        );
        shim::NO_RESULT.call(py, (text, why, way_out))
    }

    /// The function's `repr` (as in `IPython`; `str(job)` gives its name), or the code.
    #[getter]
    fn strform<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.label.strform(py)
    }

    /// The function; None for code, and once the job is done: it releases what it ran then (one that
    /// ended otherwise keeps it, for `retry()`).
    #[getter]
    fn func(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        if self.source.is_some() {
            return None;
        }
        let held = self.held.lock();
        let work = held.work.as_ref().filter(|work| work.order.is_none())?;
        Some(work.callable.clone_ref(py))
    }

    /// The positional arguments; empty once the job is done.
    #[getter]
    fn args<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        let args = self
            .held
            .lock()
            .work
            .as_ref()
            .map(|work| work.args.clone_ref(py));
        args.map_or_else(|| PyTuple::empty(py), |args| args.into_bound(py))
    }

    /// The keyword arguments; empty once the job is done.
    #[getter]
    fn kwargs<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        let kwargs = self
            .held
            .lock()
            .work
            .as_ref()
            .and_then(|work| Some(work.kwargs.as_ref()?.clone_ref(py)));
        kwargs.map_or_else(|| PyDict::new(py), |kwargs| kwargs.into_bound(py))
    }

    /// The code as it was given; None for a function.
    #[getter]
    fn expression(&self, py: Python<'_>) -> Option<Py<PyString>> {
        self.source
            .as_ref()
            .map(|source| source.expression.clone_ref(py))
    }

    /// The compiled code; None for a function.
    #[getter]
    fn code(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.source
            .as_ref()
            .and_then(|source| Some(source.code.as_ref()?.clone_ref(py)))
    }

    /// The globals that its code runs in; None for a function, and once the job is done.
    #[getter]
    fn glob(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.held
            .lock()
            .work
            .as_ref()
            .and_then(|work| Some(work.namespaces.as_ref()?.0.clone_ref(py)))
    }

    /// The locals that its code runs in; None for a function, and once the job is done.
    #[getter]
    fn loc(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.held
            .lock()
            .work
            .as_ref()
            .and_then(|work| Some(work.namespaces.as_ref()?.1.clone_ref(py)))
    }

    /// `threading.get_ident()` of the worker that runs or ran it; None before it starts, and for an external command.
    #[getter]
    fn ident(&self) -> Option<std::ffi::c_ulong> {
        self.slot().map(|slot| slot.thread().ident)
    }

    /// `threading.get_native_id()` of that worker; None before it starts.
    #[getter]
    fn native_id(&self) -> Option<u64> {
        self.slot().map(|slot| slot.thread().native_id)
    }

    /// False: the end of the program waits for it. True: it is ended then. As `daemon=` of the job or else of the manager has
    /// it; without these True where one works interactively (IPython, a kernel, `python -i`), False in a script.
    #[getter(daemon)]
    fn is_daemon(&self, py: Python<'_>) -> PyResult<bool> {
        match self.daemon.or(self.house.daemon) {
            Some(daemon) => Ok(daemon),
            None => last_wait::is_interactive(py),
        }
    }

    /// True: what it prints goes where it would go without a job, as well.
    #[getter(echo)]
    fn echoes(&self) -> bool {
        self.echo
    }

    /// Seconds that its run may take, from its start; None for no limit.
    #[getter(timeout)]
    fn timeout_seconds(&self) -> Option<f64> {
        self.timeout.map(|timeout| timeout.as_secs_f64())
    }

    /// Seconds it has run: 0.0 while it is queued, growing while it runs, then the length of the run.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.record.elapsed()
    }

    /// Seconds of processor time that its thread used for it; while it runs, as far as the system tells (Linux does).
    ///
    /// Other threads that the job starts are not counted. To keep small jobs cheap the clock is read at most once in a
    /// millisecond, so a value can be off by that much; it never exceeds `elapsed`. For an external command it is the time of
    /// its process and those that it waited for, and 0.0 until it has ended; a coroutine job's are its own steps, and those of
    /// its tasks, that have ended.
    #[getter]
    fn cpu_time(&self) -> f64 {
        let nanoseconds = if self.state() == State::Running
            && self.errand().is_none()
            && self.group.get().is_none()
        {
            let used = self.slot().and_then(|slot| slot.thread().clock.elsewhere());
            // While it runs, what is noted is the reading at its start.
            used.map_or(0, |used| used.saturating_sub(self.record.cpu()))
        } else {
            self.record.cpu()
        };
        let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
        // The processes of a command may use several processors.
        if self.command().is_some() {
            return seconds;
        }
        seconds.min(self.record.elapsed())
    }

    /// When it was accepted: an aware datetime, in UTC.
    #[getter]
    fn created_at(&self) -> SystemTime {
        clock::on_calendar(self.record.created())
    }

    /// When it began to run: an aware datetime, in UTC; None before, and for a job that never ran.
    #[getter]
    fn started_at(&self) -> Option<SystemTime> {
        self.record.started().map(clock::on_calendar)
    }

    /// When it ended: an aware datetime, in UTC; None before.
    #[getter]
    fn ended_at(&self) -> Option<SystemTime> {
        self.record.ended().map(clock::on_calendar)
    }

    /// True while a kill or a time-out was sent that has not ended the job yet: it is in native code, in a blocked call,
    /// or it caught the exception and went on.
    #[getter]
    fn kill_pending(&self) -> bool {
        let is_struck = || {
            if let Some(group) = self.group.get() {
                return group.is_struck(&self.record).0;
            }
            if let Some(errand) = self.errand() {
                return errand.is_struck();
            }
            self.slot()
                .is_some_and(|slot| slot.is_struck(self.record.aim()))
                || self.command().is_some_and(|command| command.is_to_end())
        };
        self.state() == State::Running && is_struck()
    }

    /// True while a pending kill cannot land, as far as was seen: the job is in native code that neither returns nor waits in
    /// a way that could be ended. The kill lands when that code returns.
    #[getter]
    fn in_native_code(&self) -> bool {
        self.obstacle() == Obstacle::Native
    }

    /// The native call that the job's thread is in, by name as far as that can be told: `"numpy matmul"`, `"json.loads"`, else
    /// `"native code at file.py:12"`. For a job that a kill does not end. None where it runs on no thread.
    #[getter]
    fn native_call<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::NATIVE_CALL.call(me.py(), (me,))
    }

    /// For how long, in seconds, a pending kill has not landed; None where nothing is known to hinder it.
    #[getter]
    fn _stuck_for(&self) -> Option<f64> {
        let slot = self.slot().filter(|_| self.obstacle() != Obstacle::None);
        slot?.stuck_for().map(|time| time.as_secs_f64())
    }

    /// Why a pending kill cannot land, as far as was seen: `"in native code"` (see `in_native_code`), or `"in a call that cannot be
    /// ended"`: the job blocks the signal that would wake it, it waits in a call that must not be touched, or the platform can wake
    /// nobody. Or `"waiting for threads that it started"`: these were struck, and have not ended; a second `kill()` cuts the wait. None while no kill is pending, or nothing hinders it.
    #[getter]
    fn kill_obstacle(&self) -> Option<&'static str> {
        match self.obstacle() {
            Obstacle::None => None,
            Obstacle::Native => Some("in native code"),
            Obstacle::Call => Some("in a call that cannot be ended"),
            Obstacle::Threads => Some("waiting for threads that it started"),
        }
    }

    /// A plain dict of what is known of the job, with nothing in it that JSON cannot hold: times as ISO texts, a result
    /// that is no plain data as its `repr`, the last lines of the output.
    fn to_dict<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::TO_DICT.call(me.py(), (me,))
    }

    /// The name of the function, or the code; `strform` is `IPython`'s text.
    fn __str__<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.label.text(py)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "<BackgroundJob #{}: {}>",
            self.record.number(),
            text::lossy(&self.label.text(py))
        )
    }

    fn _repr_pretty_(
        me: &Bound<'_, Self>,
        printer: &Bound<'_, PyAny>,
        cycle: bool,
    ) -> PyResult<()> {
        let _ = cycle;
        let text = shim::JOB_TEXT.call(me.py(), (me,))?;
        printer.call_method1("text", (text,)).map(drop)
    }

    fn _repr_html_<'py>(me: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        shim::JOB_HTML.call(me.py(), (me,))
    }
}
