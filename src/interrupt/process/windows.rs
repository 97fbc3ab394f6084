//! A command on Windows: two threads wait for it, since pipes cannot be waited for together; a job object holds what it starts.

use std::ffi::{OsStr, c_void};
use std::io::{self, PipeReader, Read};
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};

use super::{Failure, Happened, Order, Piece, Status};
use crate::core::sync::Mutex;

const CREATE_NO_WINDOW: u32 = 0x0800_0000;
const INFINITE: u32 = u32::MAX;
/// Bytes that are read at a time, and how many such pieces wait for the loop.
const PIECE: usize = 16 * 1024;
const PIECES: usize = 4;
/// How long what the command wrote last may take through its thread.
const LAST: Duration = Duration::from_millis(50);

unsafe extern "system" {
    fn CreateJobObjectW(attributes: *const c_void, name: *const u16) -> *mut c_void;
    fn AssignProcessToJobObject(job: *mut c_void, process: *mut c_void) -> i32;
    fn TerminateJobObject(job: *mut c_void, code: u32) -> i32;
    fn WaitForSingleObject(handle: *mut c_void, milliseconds: u32) -> u32;
}

/// The process that was started, and the job object with all that it starts.
#[derive(Debug)]
pub(crate) struct Leader {
    child: Mutex<Child>,
    job: OwnedHandle,
    pid: u32,
}

/// What the command writes.
#[derive(Debug)]
pub(crate) struct Output {
    /// Until its thread has them.
    source: Option<(PipeReader, Sender<Vec<u8>>)>,
    pieces: Receiver<Vec<u8>>,
}

pub(crate) fn spawn(order: &Order) -> Result<(Leader, Output), Failure> {
    let (reader, writer) = io::pipe()?;
    let mut command = command(order)?;
    command.env_clear().envs(order.env.iter().cloned());
    if let Some(cwd) = &order.cwd {
        command.current_dir(cwd);
    }
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .creation_flags(CREATE_NO_WINDOW);
    let child = command.spawn().map_err(|error| Failure {
        error,
        path: Some(command.get_program().to_owned()),
    })?;
    // SAFETY: the new handle is ours, or NULL; both handles are open.
    let job = unsafe {
        let job = CreateJobObjectW(std::ptr::null(), std::ptr::null());
        if job.is_null() {
            return Err(io::Error::last_os_error().into());
        }
        // What it has started by now stays outside; there is no earlier moment without a suspended start.
        AssignProcessToJobObject(job, child.as_raw_handle());
        OwnedHandle::from_raw_handle(job)
    };
    let pid = child.id();
    let leader = Leader {
        child: Mutex::new(child),
        job,
        pid,
    };
    let (sender, pieces) = bounded(PIECES);
    let output = Output {
        source: Some((reader, sender)),
        pieces,
    };
    Ok((leader, output))
}

fn command(order: &Order) -> io::Result<Command> {
    let mut argv = order.argv.iter();
    let first = argv.next().ok_or(io::ErrorKind::InvalidInput)?;
    if !order.is_line {
        let mut command = Command::new(first);
        command.args(argv);
        return Ok(command);
    }
    let shell = order.env.iter().find(|(key, _)| {
        key.to_str()
            .is_some_and(|key| key.eq_ignore_ascii_case("COMSPEC"))
    });
    let shell = shell.map_or(OsStr::new("cmd.exe"), |(_, value)| value);
    let mut command = Command::new(shell);
    // As `subprocess` does it: the quotes go when the line is read.
    command.raw_arg("/c \"").raw_arg(first).raw_arg("\"");
    Ok(command)
}

/// How many commands may run at a time: each takes two threads.
pub(crate) fn most_at_once() -> usize {
    512
}

impl Leader {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has exited.
    pub(crate) fn has_exited(&self) -> bool {
        !matches!(self.child.lock().try_wait(), Ok(None))
    }

    /// There is nothing polite that every program understands.
    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn ask(&self) {}

    /// End the process and what it started.
    pub(crate) fn terminate(&self) {
        self.kill();
    }

    /// The same.
    pub(crate) fn kill(&self) {
        // SAFETY: a handle that is open as long as this lives.
        unsafe { TerminateJobObject(self.job.as_raw_handle(), 1) };
        // Should it not be in there.
        let _ = self.child.lock().kill();
    }

    /// How it exited; None when it has not yet.
    pub(crate) fn reap(&self) -> Option<Status> {
        match self.child.lock().try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(Status {
                code: status.code(),
                cpu: 0,
            }),
            Err(_) => Some(Status { code: None, cpu: 0 }),
        }
    }
}

impl Output {
    /// What there is; `buffer` has room for a piece.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Piece {
        match self.pieces.try_recv() {
            Ok(piece) => put(&piece, buffer),
            Err(TryRecvError::Empty) => Piece::Nothing,
            Err(TryRecvError::Disconnected) => Piece::End,
        }
    }

    /// The same when the command has exited: what it wrote last may be on its way.
    pub(crate) fn read_last(&mut self, buffer: &mut [u8]) -> Piece {
        match self.pieces.recv_timeout(LAST) {
            Ok(piece) => put(&piece, buffer),
            Err(RecvTimeoutError::Timeout) => Piece::Nothing,
            Err(RecvTimeoutError::Disconnected) => Piece::End,
        }
    }
}

fn put(piece: &[u8], buffer: &mut [u8]) -> Piece {
    let length = piece.len().min(buffer.len());
    buffer[..length].copy_from_slice(&piece[..length]);
    Piece::Bytes(length)
}

/// Tells what happened to commands. It is waited on by one thread; the rest may be called by any.
#[derive(Debug)]
pub(crate) struct Watch {
    told: (Sender<Option<Happened>>, Receiver<Option<Happened>>),
}

/// What a process is watched by: a thread that ends by itself.
#[derive(Debug)]
pub(crate) struct Exit;

impl Watch {
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { told: unbounded() })
    }

    /// End the wait of the moment, or the next one.
    pub(crate) fn notify(&self) {
        let _ = self.told.0.send(None);
    }

    /// Tell when there is something to read.
    pub(crate) fn watch_output(&self, key: u64, output: &mut Output) -> io::Result<()> {
        // The thread has the only sender: its end is the end of the output.
        let Some((mut pipe, sender)) = output.source.take() else {
            return Ok(());
        };
        let told = self.told.0.clone();
        let read = move || {
            let mut buffer = vec![0; PIECE];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
                let _ = told.send(Some(Happened::Output(key)));
            }
            drop(sender);
            let _ = told.send(Some(Happened::Output(key)));
        };
        let thread = thread::Builder::new().name("rjobs-read".into());
        thread.spawn(read).map(drop)
    }

    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn forget_output(&self, output: Output) {
        drop(output);
    }

    /// Tell once when the process has exited.
    pub(crate) fn watch_exit(&self, key: u64, leader: &Leader) -> io::Result<Exit> {
        let process = leader.child.lock().as_handle().try_clone_to_owned()?;
        let told = self.told.0.clone();
        let wait = move || {
            // SAFETY: an open handle of our own.
            unsafe { WaitForSingleObject(process.as_raw_handle(), INFINITE) };
            let _ = told.send(Some(Happened::Exit(key)));
        };
        let thread = thread::Builder::new().name("rjobs-wait".into());
        thread.spawn(wait).map(|_| Exit)
    }

    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn forget_exit(&self, exit: Exit) {
        let Exit = exit;
    }

    /// Block until something happens, `notify` is called, or the time is over.
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn wait(
        &self,
        happened: &mut Vec<Happened>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let first = match timeout {
            None => self.told.1.recv().ok(),
            Some(timeout) => self.told.1.recv_timeout(timeout).ok(),
        };
        happened.extend(first.into_iter().chain(self.told.1.try_iter()).flatten());
        Ok(())
    }
}
