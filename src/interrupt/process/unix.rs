//! A command's process and what it writes, on Unix.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{Failure, Order, Piece, Status};

/// The process that was started: the leader of a session and of a process group of its own, to which all belong that it starts,
/// unless they leave.
///
/// Its id is its own until it is reaped, and so is the id of its group: no signal can hit anybody else before. Who calls
/// `reap` sees to it that nothing else is called from then on.
#[derive(Debug)]
pub(crate) struct Leader(libc::pid_t);

/// The reading end of what the command writes.
#[derive(Debug)]
pub(crate) struct Output(PipeReader);

/// Start a command. Blocks until its program is running, or could not be: a millisecond or so.
pub(crate) fn spawn(order: &Order) -> Result<(Leader, Output), Failure> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(&reader)?;
    let nothing = beyond_standard(File::open("/dev/null")?.into())?;
    let writer = beyond_standard(writer.into())?;
    #[cfg(target_os = "linux")]
    let pid = super::vfork::spawn(order, nothing.as_fd(), writer.as_fd())?;
    #[cfg(not(target_os = "linux"))]
    let pid = super::fork::spawn(order, nothing, writer)?;
    Ok((Leader(pid), Output(reader)))
}

/// How many commands may run at a time: each needs two descriptors, and half of those that this process may have are left to
/// others.
pub(crate) fn most_at_once() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a place for the answer.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0;
    if failed {
        return 64;
    }
    usize::try_from(limit.rlim_cur)
        .unwrap_or(usize::MAX)
        .saturating_div(4)
        .max(1)
}

impl Leader {
    pub(crate) fn pid(&self) -> u32 {
        self.0.unsigned_abs()
    }

    pub(super) fn raw(&self) -> libc::pid_t {
        self.0
    }

    /// Whether it has exited. It is left for `reap`.
    pub(crate) fn has_exited(&self) -> bool {
        wait_for_exit(self.0, libc::WNOHANG)
    }

    /// Ask the group to end, as `stop` does.
    pub(crate) fn ask(&self) {
        self.signal(libc::SIGTERM);
    }

    /// The first step of a kill: those who listen may clean up.
    pub(crate) fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    /// End the group.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    fn signal(&self, signal: c_int) {
        // SAFETY: only sends a signal, to a group that is ours until it is reaped. Nobody left to signal is no error to us.
        unsafe { libc::killpg(self.0, signal) };
    }

    /// How it exited; None when it has not yet. Not to be called again after that.
    pub(crate) fn reap(&self) -> Option<Status> {
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: two places for the answers; zeros are a valid record.
        let (reaped, usage) = unsafe {
            let reaped = libc::wait4(self.0, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
            (reaped, usage.assume_init())
        };
        if reaped == 0 {
            return None;
        }
        if reaped < 0 {
            // Somebody waited for any child, or the program ignores SIGCHLD.
            return Some(Status { code: None, cpu: 0 });
        }
        let code = if libc::WIFSIGNALED(status) {
            -libc::WTERMSIG(status)
        } else {
            libc::WEXITSTATUS(status)
        };
        Some(Status {
            code: Some(code),
            cpu: nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
        })
    }
}

/// Wait until a child has exited, and leave it to be reaped; with `WNOHANG` only look. True when it has, or is nobody's any more.
pub(super) fn wait_for_exit(pid: libc::pid_t, flags: c_int) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: a place for the answer, where zeros are a valid one: they stand for no child.
        let (failed, who) = unsafe {
            let failed = libc::waitid(
                libc::P_PID,
                libc::id_t::from(pid.unsigned_abs()),
                info.as_mut_ptr(),
                flags | libc::WEXITED | libc::WNOWAIT,
            ) != 0;
            (failed, info.assume_init_ref().si_pid())
        };
        if !failed {
            return who != 0;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return true;
        }
    }
}

#[allow(
    clippy::useless_conversion,
    reason = "the microseconds have 32 bits on macOS"
)]
fn nanoseconds(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(i64::from(time.tv_usec)).unwrap_or(0);
    seconds * 1_000_000_000 + micros * 1000
}

impl Output {
    /// What there is, as much as fits. Does not block.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Piece {
        loop {
            match self.0.read(buffer) {
                Ok(0) => return Piece::End,
                Ok(length) => return Piece::Bytes(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Piece::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody closed it behind our back.
                Err(_) => return Piece::End,
            }
        }
    }

    /// The same when the command has exited: here all it wrote is there.
    pub(crate) fn read_last(&mut self, buffer: &mut [u8]) -> Piece {
        self.read(buffer)
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Output {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn set_nonblocking(pipe: &PipeReader) -> io::Result<()> {
    // SAFETY: an open descriptor, and flags that it knows.
    let failed = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The same, with a number beyond those of the standard streams: a program that closed its own may get these anew.
fn beyond_standard(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > 2 {
        return Ok(descriptor);
    }
    // SAFETY: an open descriptor; what comes back is a new one that is nobody's, or negative.
    unsafe {
        let other = libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3);
        if other < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(other))
    }
}

/// The open descriptors but the standard ones, where the system lists them.
pub(super) fn open_descriptors() -> Vec<c_int> {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else {
        return (3..256).collect();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect()
}
