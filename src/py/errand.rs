//! A job that is an external command: how it is handed over, and what becomes of it in the end.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use pyo3::exceptions::{PyBaseException, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};

use super::desk::{self, Desk};
use super::errors::{self, JobError, JobKilled, JobTimeout};
use super::job::Job;
use super::outcome::Outcome;
use super::runner::Runner;
use super::{ending, exit};
use crate::command::{Command, Ending, Owner, Task, Wish};
use crate::core::clock::{self, Tick};
use crate::core::ring::Ring;
use crate::core::state::State;
use crate::interrupt::call;
use crate::interrupt::process::{Failure, Order, Status};
use crate::interrupt::steps::Struck;

/// Who works for a job while its command runs.
#[derive(Debug)]
pub(super) struct Errand {
    desk: &'static Desk,
    /// Until it is dropped.
    job: Option<Py<Job>>,
    /// Where in the job's output this run began.
    began_at: AtomicU64,
}

impl Errand {
    pub(super) fn job<'py>(&self, py: Python<'py>) -> Bound<'py, Job> {
        let job = self.job.as_ref().map(|job| job.bind(py).clone());
        job.unwrap_or_else(|| unreachable!("it is there until the drop"))
    }
}

impl Owner for Errand {
    fn begins(&self) -> bool {
        let Some(job) = &self.job else { return false };
        let written = job.get().output.get().map_or(0, |o| o.with(Ring::written));
        self.began_at.store(written, Ordering::Release);
        let begins = !exit::is_ending() && job.get().begin(clock::now());
        if !begins {
            self.desk.forget(job);
        }
        begins
    }

    fn wrote(&self, bytes: &[u8]) {
        if let Some(job) = &self.job {
            // Nobody could be told that there is no memory for it: the command goes on.
            job.get().printed().write_what_fits(bytes);
        }
    }

    fn ended(self: Arc<Self>, ending: Ending) {
        self.desk.ended(self, ending, clock::now());
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        // The last one who lets go may be the thread that never has the interpreter.
        if let Some(job) = self.job.take() {
            self.desk.let_go(job);
        }
    }
}

/// What a job runs, if that is a command and it has not let go of it.
fn order_of(job: &Job) -> Option<Arc<Order>> {
    job.held.lock().work.as_ref()?.order.clone()
}

/// Hand a job over. One that was not held back before and cannot be started is an error here; else the job fails.
pub(super) fn launch(bound: &Bound<'_, Job>) -> PyResult<Option<PyErr>> {
    let (py, job) = (bound.py(), bound.get());
    let Some(order) = order_of(job) else {
        // It has ended.
        job.come_back();
        return Ok(None);
    };
    let is_direct = !job.is_aside();
    if is_direct {
        if !job.house.entrance.enter() {
            return Err(errors::closed());
        }
        job.went_aside();
        // Who ends it at this moment either sees that it is aside, or is seen here.
        fence(Ordering::SeqCst);
        if job.is_over() {
            job.come_back();
            return Ok(None);
        }
    }
    job.house.has_commands.store(true, Ordering::Release);
    let handed = desk::here()
        .map_err(Failure::from)
        .and_then(|desk| hand_over(bound, desk, order));
    let Err(failure) = handed else {
        return Ok(None);
    };
    let error = error_of(failure);
    let outcome = Outcome::raised(error.value(py));
    let now = clock::now();
    job.begin(now);
    Job::end_running(bound, State::Failed, outcome, now);
    if is_direct { Err(error) } else { Ok(None) }
}

fn hand_over(
    bound: &Bound<'_, Job>,
    desk: &'static Desk,
    order: Arc<Order>,
) -> Result<(), Failure> {
    let job = bound.get();
    let command = desk.room().command();
    let before = (job.held.lock().runner).replace(Runner::Process(Arc::clone(&command)));
    drop(before);
    let owner = Arc::new(Errand {
        desk,
        job: Some(bound.clone().unbind()),
        began_at: AtomicU64::new(0),
    });
    let task = Task {
        command,
        owner,
        order,
        timeout: job.timeout,
    };
    desk.note(bound);
    // It blocks until the program runs.
    let admitted = bound.py().detach(|| desk.room().admit(task));
    if admitted.is_err() {
        desk.forget(&bound.clone().unbind());
    }
    admitted
}

/// What Python calls this error: `FileNotFoundError` and the like, with the file.
fn error_of(failure: Failure) -> PyErr {
    let Failure { error, path } = failure;
    match (error.raw_os_error(), path) {
        // There the fourth is the system's number, and the first is made of it.
        (Some(number), Some(path)) if cfg!(windows) => {
            PyOSError::new_err((0, text_of(number), path, number))
        }
        (Some(number), Some(path)) => PyOSError::new_err((number, text_of(number), path)),
        _ => PyErr::from(error),
    }
}

/// The system's words for an error number, without the number that Rust adds.
fn text_of(number: i32) -> String {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}

impl Errand {
    /// End the job: its command has ended in this way.
    pub(super) fn end(&self, py: Python<'_>, ending: Ending, at: Tick) {
        let bound = &self.job(py);
        let (state, outcome) = match ending {
            Ending::Failed(failure) => {
                let error = error_of(failure);
                (State::Failed, Outcome::raised(error.value(py)))
            }
            Ending::Exited(status, wish) => {
                bound.get().record.set_cpu(status.cpu);
                match self.result(bound, status, wish) {
                    Ok(value) => (State::Done, Outcome::Value(value.unbind())),
                    Err((exception, at_all)) => {
                        let struck = Struck {
                            at_all,
                            ..Struck::default()
                        };
                        ending::judge(bound, &exception, &struck)
                    }
                }
            }
        };
        Job::end_running(bound, state, outcome, at);
    }

    /// The job's value; or an exception, and whether somebody ended it.
    fn result<'py>(
        &self,
        bound: &Bound<'py, Job>,
        status: Status,
        wish: Wish,
    ) -> Result<Bound<'py, PyAny>, (Bound<'py, PyBaseException>, bool)> {
        let (py, job) = (bound.py(), bound.get());
        let raised = |error: PyErr, is_struck| (error.into_value(py).into_bound(py), is_struck);
        match wish {
            Wish::Kill => return Err((killed(job, py), true)),
            Wish::TimeOut => return Err(raised(JobTimeout::new_err(()), true)),
            Wish::Stop if status.is_by_request() => {
                let message = format!("{} was asked to stop", job.title(py));
                return Err(raised(JobKilled::new_err(message), true));
            }
            Wish::Stop | Wish::None => {}
        }
        let Some(code) = status.code else {
            let message = format!(
                "{} has ended, and its exit code is lost: other code in this process waited for any child, or ignores SIGCHLD",
                job.title(py)
            );
            return Err(raised(JobError::new_err(message), false));
        };
        let maker = (job.held.lock().work.as_ref()).map(|work| work.callable.clone_ref(py));
        let Some(maker) = maker else {
            return Ok(py.None().into_bound(py));
        };
        let began_at = self.began_at.load(Ordering::Acquire);
        let output = job.output.get();
        let bytes = output.map_or_else(|| Ok(Vec::new()), |o| o.with(|ring| ring.bytes(began_at)));
        let args = bytes
            .map_err(|_| errors::no_memory())
            .and_then(|bytes| {
                PyBytes::new_with(py, bytes.len(), |copy| {
                    copy.copy_from_slice(&bytes);
                    Ok(())
                })
            })
            .and_then(|bytes| (code, bytes).into_pyobject(py))
            .map_err(|error| raised(error, false))?;
        let made =
            call::call(maker.bind(py), &args, None).map_err(|exception| (exception, false))?;
        // An exception that was made and not raised has no traceback through our own code.
        match made.cast_into::<PyBaseException>() {
            Ok(exception) => Err((exception, false)),
            Err(value) => Ok(value.into_inner()),
        }
    }
}

/// What the first kill asked for. It could be made when it was asked for; if not any more, it is `JobKilled`.
fn killed<'py>(job: &Job, py: Python<'py>) -> Bound<'py, PyBaseException> {
    let class = job.with_extras(|extras| extras.kills.first().map(|class| class.clone_ref(py)));
    let made = class.and_then(|class: Py<PyType>| {
        let made = class.bind(py).call0().ok()?;
        made.cast_into::<PyBaseException>().ok()
    });
    made.unwrap_or_else(|| JobKilled::new_err(()).into_value(py).into_bound(py))
}

impl Job {
    /// The command that runs or ran, if it is one.
    pub(crate) fn command(&self) -> Option<Arc<Command>> {
        match &self.held.lock().runner {
            Some(Runner::Process(command)) => Some(Arc::clone(command)),
            _ => None,
        }
    }
}

#[pymethods]
impl Job {
    /// The id of the process of an external command (`shell`), from its start on; it may belong to another process once the
    /// job has ended. None for any other job.
    #[getter]
    fn pid(&self) -> Option<u32> {
        self.command()?.pid()
    }
}

/// The environment of this process, as the C library has it: what a command inherits.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}
