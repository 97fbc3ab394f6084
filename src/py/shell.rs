//! `shell`: external commands as jobs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::entrance::Blueprint;
use super::errand;
use super::job::Job;
use super::manager::JobManager;
use super::options::Options;
use super::shim;
use super::view::ManagerView;
use super::work::Label;
use crate::interrupt::process::Order;

/// How a command is run, as it was given.
struct Given<'a, 'py> {
    cwd: Option<&'a Bound<'py, PyAny>>,
    env: Option<&'a Bound<'py, PyAny>>,
    check: bool,
    encoding: Option<&'a str>,
    /// Called with the result before the job is done.
    finish: Option<&'a Bound<'py, PyAny>>,
}

/// What `rjobs._shell.prepare` makes of it.
#[derive(FromPyObject)]
struct Prepared<'py>(
    Vec<OsString>,
    bool,
    Option<PathBuf>,
    Option<Vec<(OsString, OsString)>>,
    Bound<'py, PyString>,
    Bound<'py, PyAny>,
);

impl JobManager {
    fn command_job<'py>(
        &self,
        command: &Bound<'py, PyAny>,
        given: &Given<'_, 'py>,
        options: &Options,
    ) -> PyResult<Bound<'py, Job>> {
        let py = command.py();
        let Given {
            cwd,
            env,
            check,
            encoding,
            finish,
        } = given;
        let prepared =
            shim::PREPARE_SHELL.call(py, (command, (cwd, env), (check, encoding, finish)))?;
        let Prepared(argv, is_line, cwd, env, shown, make) = prepared.extract()?;
        let order = Order {
            argv,
            is_line,
            cwd,
            env: env.unwrap_or_else(errand::environment),
        };
        let blueprint = Blueprint {
            label: Label::of_code(&shown),
            source: None,
            callable: make,
            args: PyTuple::new(py, [command])?,
            kwargs: None,
            namespaces: None,
            order: Some(Arc::new(order)),
        };
        self.add(py, blueprint, options)
    }
}

#[pymethods]
impl JobManager {
    /// Run an external command as a job, and return the `Job` at once.
    ///
    /// A str goes to the system's shell (`/bin/sh -c`; `cmd /c` on Windows); a list or tuple of str and paths is a program and
    /// its arguments, without a shell. No thread of Python's waits for it, and `max_workers` does not count it: thousands may
    /// run at a time. As many as a quarter of the file descriptors that the process may have (`ulimit -n`) do; what is beyond
    /// that is queued. Its standard input is empty; what it writes to stdout and stderr is the job's output, in order and as it
    /// comes.
    ///
    /// `cwd` is the directory it runs in (default: the current one), `env` a mapping that is its whole environment (default: a
    /// copy of this process's). It inherits no open files, and gets signals as a fresh process has them. It is a session of its
    /// own: Ctrl-C does not reach it, and it has no terminal to ask for a password.
    ///
    /// The result is a `subprocess.CompletedProcess`: `args`, `returncode` (minus the signal that ended it), `stdout` (the
    /// output that was kept, at most the manager's `output_limit`) and `stderr` (None). `encoding` is how `stdout` is decoded,
    /// wrong bytes replaced; None leaves it bytes. The job's own `output` is always read as UTF-8. An exit code other than 0 is
    /// 'done' as well, and shown as `exit 2` or `signal 9` in the colour of a failure; with `check=True` the job has 'failed', with
    /// `subprocess.CalledProcessError`.
    ///
    /// The job ends when its process exits. What that left behind in the background goes on, and what those processes write is
    /// still added to the output. `kill()` and `timeout` end all of them together: SIGTERM to the process group, then SIGKILL
    /// half a second later. A process that leaves the group is not ended.
    ///
    /// Options are those of `new`. Raises `FileNotFoundError`, `NotADirectoryError`, `PermissionError` or another `OSError`
    /// where it cannot be started; a job that was queued first fails with it. `TypeError` and `ValueError` for arguments that
    /// make no command, `LookupError` for an unknown encoding, `ManagerClosed` after `shutdown()`. Blocks for the milliseconds
    /// that starting a program takes.
    #[pyo3(
        signature = (command, *, cwd = None, env = None, check = false, encoding = Some("utf-8".to_owned()), **options),
        text_signature = "($self, command, *, cwd=None, env=None, check=False, encoding='utf-8', **options)"
    )]
    fn shell<'py>(
        &self,
        command: &Bound<'py, PyAny>,
        cwd: Option<&Bound<'py, PyAny>>,
        env: Option<&Bound<'py, PyAny>>,
        check: bool,
        encoding: Option<String>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        let given = Given {
            cwd,
            env,
            check,
            encoding: encoding.as_deref(),
            finish: None,
        };
        let options = self.options_of(options)?;
        self.command_job(command, &given, &options)
    }

    /// For `%job !command`: `finish(result)` is called before the job has ended.
    #[pyo3(signature = (command, finish, check, options = None))]
    fn _shell_line<'py>(
        &self,
        command: &Bound<'py, PyString>,
        finish: &Bound<'py, PyAny>,
        check: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        let given = Given {
            cwd: None,
            env: None,
            check,
            encoding: Some("utf-8"),
            finish: Some(finish),
        };
        let options = self.options_of(options)?;
        self.command_job(command, &given, &options)
    }
}

#[pymethods]
impl ManagerView {
    /// As `JobManager.shell`, under the options of this view; those given here come on top.
    #[pyo3(
        signature = (command, *, cwd = None, env = None, check = false, encoding = Some("utf-8".to_owned()), **options),
        text_signature = "($self, command, *, cwd=None, env=None, check=False, encoding='utf-8', **options)"
    )]
    fn shell<'py>(
        &self,
        command: &Bound<'py, PyAny>,
        cwd: Option<&Bound<'py, PyAny>>,
        env: Option<&Bound<'py, PyAny>>,
        check: bool,
        encoding: Option<String>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Job>> {
        let given = Given {
            cwd,
            env,
            check,
            encoding: encoding.as_deref(),
            finish: None,
        };
        let options = self.with(command.py(), options)?;
        self.manager.get().command_job(command, &given, &options)
    }
}
