//! External commands, as far as the system has to be asked: how one is started, what it writes, when it exits, and how it and
//! all that it started are ended.
//!
//! In this room since starting a process without copying this one's memory, closing what it must not inherit, and handing
//! descriptors to a poller all are unsafe. What is decided about a command is decided in the room `command`.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

#[cfg(not(any(unix, windows)))]
compile_error!("external commands need a Unix or Windows");

#[cfg(all(unix, not(target_os = "linux")))]
mod fork;
#[cfg(unix)]
mod poll;
#[cfg(unix)]
mod unix;
#[cfg(target_os = "linux")]
mod vfork;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use poll::{Exit, Watch};
#[cfg(unix)]
pub(crate) use unix::{Leader, Output, most_at_once, spawn};
#[cfg(windows)]
pub(crate) use windows::{Exit, Leader, Output, Watch, most_at_once, spawn};

/// What is to be started, and where.
#[derive(Debug)]
pub(crate) struct Order {
    /// The program and its arguments; or one line for the system's shell.
    pub(crate) argv: Vec<OsString>,
    pub(crate) is_line: bool,
    /// None: where this process is just then.
    pub(crate) cwd: Option<PathBuf>,
    /// The whole environment.
    pub(crate) env: Vec<(OsString, OsString)>,
}

/// Why it could not be started, and the file that the error is about.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: io::Error,
    pub(crate) path: Option<OsString>,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { error, path: None }
    }
}

/// How a process exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    /// The exit code, or minus the signal that ended it; None where somebody else in this process took it.
    pub(crate) code: Option<i32>,
    /// Processor time of it and of those that it waited for, nanoseconds; 0 where the system does not say.
    pub(crate) cpu: u64,
}

impl Status {
    /// Whether it was ended by the signal that asks for that (SIGTERM, which is 15 everywhere), and did not handle it.
    pub(crate) fn is_by_request(self) -> bool {
        self.code == Some(-15)
    }
}

/// What reading a command's output gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many bytes.
    Bytes(usize),
    /// There is nothing just now.
    Nothing,
    /// Nobody can write any more.
    End,
}

/// What happened to the command of some number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// There may be output to read.
    Output(u64),
    /// Its process may have exited.
    Exit(u64),
}
