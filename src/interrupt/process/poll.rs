//! Waiting for many commands at once, on Unix: epoll with a pidfd for each, or kqueue.

use std::io;
use std::num::NonZeroUsize;
#[cfg(target_os = "linux")]
use std::os::fd::{FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::Happened;
use super::unix::{Leader, Output, wait_for_exit};
use crate::core::sync::Mutex;

/// Tells what happened to commands. It is waited on by one thread; the rest may be called by any.
#[derive(Debug)]
pub(crate) struct Watch {
    poller: Poller,
    events: Mutex<Events>,
    /// Told by threads, where the system has no means to wait for a process and others at once.
    exited: Mutex<Vec<u64>>,
}

/// What a process is watched by.
#[derive(Debug)]
pub(crate) enum Exit {
    #[cfg(target_os = "linux")]
    Descriptor(OwnedFd),
    /// Something that ends by itself.
    Other,
}

/// The poller's number for what belongs to the command `key`.
fn number(key: u64, is_exit: bool) -> usize {
    usize::try_from(key).unwrap_or(0) * 2 + usize::from(is_exit)
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        let many = const { NonZeroUsize::new(256).unwrap() };
        Ok(Self {
            poller: Poller::new()?,
            events: Mutex::new(Events::with_capacity(many)),
            exited: Mutex::default(),
        })
    }

    /// End the wait of the moment, or the next one.
    pub(crate) fn notify(&self) {
        // Cannot fail, as long as nobody closes our descriptors; then the wait fails too, and says so.
        let _ = self.poller.notify();
    }

    /// Tell when there is something to read, until `forget_output`.
    pub(crate) fn watch_output(&self, key: u64, output: &mut Output) -> io::Result<()> {
        let event = Event::readable(number(key, false));
        // SAFETY: it is forgotten before it is closed.
        unsafe { self.poller.add_with_mode(&*output, event, PollMode::Level) }
    }

    pub(crate) fn forget_output(&self, output: Output) {
        let _ = self.poller.delete(&output);
    }

    /// Tell once when the process has exited.
    pub(crate) fn watch_exit(&'static self, key: u64, leader: &Leader) -> io::Result<Exit> {
        self.watch_process(number(key, true), leader)
            .or_else(|_| self.watch_by_thread(key, leader))
    }

    #[cfg(target_os = "linux")]
    fn watch_process(&self, number: usize, leader: &Leader) -> io::Result<Exit> {
        // SAFETY: takes numbers; what comes back is a descriptor that is nobody's, closed at exec, or negative.
        let descriptor = unsafe {
            let descriptor = libc::syscall(libc::SYS_pidfd_open, leader.raw(), 0);
            let descriptor = i32::try_from(descriptor).unwrap_or(-1);
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(descriptor)
        };
        let event = Event::readable(number);
        // SAFETY: it is forgotten before it is closed.
        unsafe {
            self.poller
                .add_with_mode(&descriptor, event, PollMode::Oneshot)?;
        }
        Ok(Exit::Descriptor(descriptor))
    }

    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    fn watch_process(&self, number: usize, leader: &Leader) -> io::Result<Exit> {
        use polling::os::kqueue::{PollerKqueueExt, Process, ProcessOps};
        let pid = std::num::NonZeroI32::new(leader.raw()).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: our child, which nobody has reaped.
        let filter = unsafe { Process::from_pid(pid, ProcessOps::Exit) };
        self.poller
            .add_filter(filter, number, PollMode::Oneshot)
            .map(|()| Exit::Other)
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple", target_os = "freebsd")))]
    fn watch_process(&self, _: usize, _: &Leader) -> io::Result<Exit> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// By a thread that waits for this one process: on Linux before 5.3, or where there is no descriptor left.
    fn watch_by_thread(&'static self, key: u64, leader: &Leader) -> io::Result<Exit> {
        let pid = leader.raw();
        let wait = move || {
            wait_for_exit(pid, 0);
            self.exited.lock().push(key);
            self.notify();
        };
        let thread = thread::Builder::new()
            .name("rjobs-wait".into())
            .stack_size(64 * 1024);
        thread.spawn(wait).map(|_| Exit::Other)
    }

    #[cfg_attr(not(target_os = "linux"), expect(clippy::unused_self))]
    pub(crate) fn forget_exit(&self, exit: Exit) {
        match exit {
            #[cfg(target_os = "linux")]
            Exit::Descriptor(descriptor) => {
                let _ = self.poller.delete(&descriptor);
            }
            Exit::Other => {}
        }
    }

    /// Block until something happens, `notify` is called, or the time is over.
    pub(crate) fn wait(
        &self,
        happened: &mut Vec<Happened>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let mut events = self.events.lock();
        events.clear();
        self.poller.wait(&mut events, timeout)?;
        happened.extend(events.iter().map(|event| {
            let key = (event.key / 2) as u64;
            if event.key % 2 == 0 {
                Happened::Output(key)
            } else {
                Happened::Exit(key)
            }
        }));
        let exited = std::mem::take(&mut *self.exited.lock());
        happened.extend(exited.into_iter().map(Happened::Exit));
        Ok(())
    }
}
