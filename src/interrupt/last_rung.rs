//! The process that does not come to its end because a job is stuck in native code.
//!
//! What such a job holds is never given back: the threads of a BLAS, which are joined as the library is unloaded, and locks,
//! which finalizers of the same library wait for. So where a job is stuck when the end of the program has come, and only there,
//!
//! - what libraries do as the process exits is left out: ours is called first, with the exit code where the system tells it
//!   (glibc), flushes what C has buffered (Python has done so before), and ends the process. That is after the interpreter's end:
//!   all that the program does at its end has been done. A library must not be taken down while a thread is in it anyway;
//! - a thread that needs no interpreter watches the main thread from when the interpreter is finalized. One that waits for a lock
//!   without limit, and for `LONGEST` has not stirred, waits for what no thread of Python's will ever give: no other has the
//!   interpreter any more. A finalizer that takes its time (computes, sleeps, reads, waits with a limit) is not touched.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::exit_code;
use super::slot::Slot;
use crate::core::once::Once;

/// Stands for the end by Ctrl-C, as in `subprocess`.
const BY_INTERRUPT: c_int = -2;

struct Armed {
    stuck: Vec<Arc<Slot>>,
    /// The exit code where none was said.
    code: c_int,
    process: u32,
}

static ARMED: Once<Armed> = Once::new();

/// The code that the process exits with, from when it does.
static EXITS_WITH: AtomicI32 = AtomicI32::new(0);
static EXITS: AtomicU32 = AtomicU32::new(0);

/// These are stuck, and the program has come to its end; it ends with `code` where it was not by `SystemExit`. To be called on
/// the thread that ends it, once.
pub(crate) fn arm(stuck: Vec<Arc<Slot>>, code: c_int) {
    if ARMED.get().is_some() {
        return;
    }
    ARMED.keep(Armed {
        stuck,
        code,
        process: std::process::id(),
    });
    at_exit::register();
    #[cfg(target_os = "linux")]
    watch::start();
}

/// Whether this is the process that was armed, and one of them has not come out of it. None comes out any more when the
/// interpreter is finalized.
fn is_stuck() -> bool {
    ARMED.get().is_some_and(|armed| {
        armed.process == std::process::id() && armed.stuck.iter().any(|slot| slot.is_at_work())
    })
}

/// The exit code, as far as it is known before the process exits.
fn expected() -> c_int {
    exit_code::said().unwrap_or_else(|| ARMED.get().map_or(0, |armed| armed.code))
}

#[cfg(unix)]
mod at_exit {
    use std::ffi::{c_int, c_void};

    use super::{BY_INTERRUPT, EXITS, EXITS_WITH, Ordering, is_stuck};

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub(super) fn register() {
        unsafe extern "C" {
            fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void)
            -> c_int;
        }
        extern "C" fn leave(code: c_int, _: *mut c_void) {
            leave_with(code);
        }
        // SAFETY: a function that lives as long as the process, and an argument that it does not look at.
        unsafe { on_exit(leave, std::ptr::null_mut()) };
    }

    /// The system calls it without the code.
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    pub(super) fn register() {
        extern "C" fn leave() {
            leave_with(super::expected());
        }
        // SAFETY: a function that lives as long as the process.
        unsafe { libc::atexit(leave) };
    }

    fn leave_with(code: c_int) {
        if is_stuck() {
            EXITS_WITH.store(code, Ordering::Relaxed);
            EXITS.store(1, Ordering::Release);
            flush();
            end(code);
        }
    }

    /// Write what the buffers of C's streams hold. Blocks where another thread has one of them.
    pub(super) fn flush() {
        // SAFETY: NULL is all streams; it may be called at any time, by any thread.
        unsafe { libc::fflush(std::ptr::null_mut()) };
    }

    pub(super) fn end(code: c_int) -> ! {
        // SAFETY: may be called at any time; nothing of this process is needed after it.
        unsafe {
            if code == BY_INTERRUPT {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                libc::kill(libc::getpid(), libc::SIGINT);
            }
            libc::_exit(if code == BY_INTERRUPT { 130 } else { code })
        }
    }
}

#[cfg(not(unix))]
mod at_exit {
    /// Windows ends the other threads before it takes libraries down.
    pub(super) fn register() {
        let _ = (super::is_stuck, super::expected, super::BY_INTERRUPT);
        let _ = (&super::EXITS, &super::EXITS_WITH);
    }
}

#[cfg(target_os = "linux")]
mod watch {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::{EXITS, EXITS_WITH, Ordering, at_exit, expected, is_stuck};
    use crate::interrupt::finalizing;

    /// How often it looks.
    const LOOK: Duration = Duration::from_millis(20);

    /// For how long the main thread must not have stirred. The exit is promised within two seconds.
    const LONGEST: Duration = Duration::from_millis(800);

    /// How long buffers are given to be flushed that somebody may hold.
    const FLUSH: Duration = Duration::from_millis(200);

    pub(super) fn start() {
        // SAFETY: takes nothing, cannot fail.
        let main = unsafe { libc::gettid() };
        // Opened now: later there may be no descriptor free.
        let open = |what: &str| File::open(format!("/proc/self/task/{main}/{what}"));
        let (Ok(call), Ok(status)) = (open("syscall"), open("status")) else {
            return;
        };
        let watch = move || watch(&call, &status);
        without_signals(|| {
            // Where the system gives no thread there is none.
            let started = std::thread::Builder::new()
                .name("rjobs-exit".into())
                .stack_size(128 << 10)
                .spawn(watch);
            drop(started);
        });
    }

    /// Signals are for the program's own threads: one that is started meanwhile blocks them.
    fn without_signals(act: impl FnOnce()) {
        let mut before = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: two places for sets, of which zeros are a valid one; the thread's own mask, put back below.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        }
        act();
        // SAFETY: what was the mask before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }

    fn watch(call: &File, status: &File) {
        let mut since: Option<(String, Instant)> = None;
        while is_stuck() {
            std::thread::sleep(LOOK);
            let exits = EXITS.load(Ordering::Acquire) != 0;
            let wait = if exits || finalizing::is_on() {
                wait_of(call, status)
            } else {
                None
            };
            match (wait, &since) {
                (None, _) => since = None,
                (Some(wait), Some((before, began))) if wait == *before => {
                    if began.elapsed() >= LONGEST && is_stuck() {
                        let code = if exits {
                            EXITS_WITH.load(Ordering::Relaxed)
                        } else {
                            expected()
                        };
                        flush_a_while();
                        at_exit::end(code);
                    }
                }
                (Some(wait), _) => since = Some((wait, Instant::now())),
            }
        }
    }

    /// The wait without limit for a lock that the thread is in, and how often it has waited for anything; else None.
    fn wait_of(call: &File, status: &File) -> Option<String> {
        let call = read(call)?;
        let mut words = call.split_ascii_whitespace();
        let number: libc::c_long = words.next()?.parse().ok()?;
        let mut words = words.map(|word| usize::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let (_address, operation) = (words.next()??, words.next()??);
        let (_value, limit) = (words.next()??, words.next()??);
        let is_wait = match i32::try_from(operation).ok()? & libc::FUTEX_CMD_MASK {
            libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => limit == 0,
            _ => false,
        };
        if number != libc::SYS_futex || !is_wait {
            return None;
        }
        let status = read(status)?;
        let waits = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        Some(call + waits)
    }

    fn read(file: &File) -> Option<String> {
        let mut text = vec![0; 4096];
        let length = file.read_at(&mut text, 0).ok()?;
        text.truncate(length);
        String::from_utf8(text).ok()
    }

    /// Flush what C has buffered, unless somebody holds it who does not let go.
    fn flush_a_while() {
        let (done, is_done) = mpsc::channel();
        let flush = move || {
            at_exit::flush();
            let _ = done.send(());
        };
        if std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(flush)
            .is_ok()
        {
            let _ = is_done.recv_timeout(FLUSH);
        }
    }
}
