//! Starting a process on Linux as `posix_spawn` does it: the child borrows this process's memory until its program runs.
//!
//! A fork copies the page tables, which takes 100 ms where a notebook holds 20 GB, and slows everybody down afterwards. The C
//! library's own `posix_spawn` cannot close what is open in every version that we run on, nor begin a session.

use std::cell::UnsafeCell;
use std::ffi::{CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{null, null_mut};

use super::unix::open_descriptors;
use super::{Failure, Order};
use crate::core::once::Once;

/// Bytes of stack that the child runs on until its program does: it makes some system calls.
const STACK: usize = 64 * 1024;

/// All that the child needs, made before it is: it must not allocate, since a thread that holds the allocator's lock does not
/// run in it.
struct Plan<'a> {
    /// Where the program may be, in the order to try.
    candidates: Vec<*const c_char>,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    cwd: *const c_char,
    stdin: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    /// To be closed one by one, where the kernel cannot close them all (before 5.9).
    open: Vec<c_int>,
    signals: c_int,
    /// What went wrong, and whether it was the directory: written by the child.
    error: UnsafeCell<c_int>,
    is_cwd: UnsafeCell<bool>,
}

pub(super) fn spawn(
    order: &Order,
    stdin: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
) -> Result<libc::pid_t, Failure> {
    let shell = [OsStr::new("/bin/sh"), OsStr::new("-c")];
    let given = order.argv.iter().map(std::ffi::OsString::as_os_str);
    let argv: Vec<&OsStr> = if order.is_line {
        shell.into_iter().chain(given).collect()
    } else {
        given.collect()
    };
    let Some(program) = argv.first().copied() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    };
    let candidates = texts(candidates(order, program).iter())?;
    let cwd = order.cwd.as_ref().map(|cwd| text(cwd.as_os_str()));
    let cwd = cwd.transpose()?;
    let arguments = texts(argv.iter().copied())?;
    let env = order.env.iter().map(|(key, value)| {
        let pair = [key.as_bytes(), b"=", value.as_bytes()].concat();
        text(OsStr::from_bytes(&pair))
    });
    let env = env.collect::<io::Result<Vec<_>>>()?;
    let plan = Plan {
        candidates: candidates.iter().map(|text| text.as_ptr()).collect(),
        argv: pointers(&arguments),
        env: pointers(&env),
        cwd: cwd.as_ref().map_or(null(), |cwd| cwd.as_ptr()),
        stdin,
        output,
        open: if can_close_all() {
            Vec::new()
        } else {
            open_descriptors()
        },
        signals: libc::SIGRTMAX(),
        error: UnsafeCell::new(0),
        is_cwd: UnsafeCell::new(false),
    };
    let pid = start(&plan)?;
    // SAFETY: the child has another program, or is gone: nobody else knows of the plan.
    let (error, is_cwd) = unsafe { (*plan.error.get(), *plan.is_cwd.get()) };
    if error == 0 {
        return Ok(pid);
    }
    // SAFETY: our child, which exited; nobody wants to know how.
    unsafe { libc::waitpid(pid, null_mut(), 0) };
    let path = order.cwd.as_ref().filter(|_| is_cwd);
    Err(Failure {
        error: io::Error::from_raw_os_error(error),
        path: Some(path.map_or_else(|| program.to_owned(), |cwd| cwd.clone().into_os_string())),
    })
}

fn text(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

fn texts<'a>(from: impl Iterator<Item = impl AsRef<OsStr> + 'a>) -> io::Result<Vec<CString>> {
    from.map(|each| text(each.as_ref())).collect()
}

/// The texts as the kernel takes them: with a NULL at the end.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let texts = texts.iter().map(|text| text.as_ptr());
    texts.chain([null()]).collect()
}

/// As Python's `subprocess` looks for a program: in the `PATH` that the command gets, unless its name has a slash.
fn candidates(order: &Order, program: &OsStr) -> Vec<std::ffi::OsString> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = variable(order, "PATH").unwrap_or(OsStr::new("/bin:/usr/bin"));
    let folders = path.as_bytes().split(|byte| *byte == b':');
    folders
        .map(|folder| {
            Path::new(OsStr::from_bytes(folder))
                .join(program)
                .into_os_string()
        })
        .collect()
}

/// The value of an environment variable that the command gets.
fn variable<'a>(order: &'a Order, name: &str) -> Option<&'a OsStr> {
    let found = order.env.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_os_str())
}

/// Whether the kernel closes a range of descriptors at once.
fn can_close_all() -> bool {
    static CAN: Once<bool> = Once::new();
    // SAFETY: closes nothing: there is no descriptor of this number.
    *CAN.get_or_make(|| unsafe { close_from(libc::c_uint::MAX) })
}

unsafe fn close_from(first: libc::c_uint) -> bool {
    // SAFETY: takes numbers only; the caller knows what it closes.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) == 0 }
}

/// Make the child, and wait until it runs its program or has exited.
fn start(plan: &Plan<'_>) -> io::Result<libc::pid_t> {
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: the stack is large enough, ends at a multiple of 16, and outlives the child's use of it, as the plan does: the
    // call returns when that has another program or is gone. No signal handler of this process runs in the child: all signals
    // are blocked in this thread, and the child sets the handlers back before it lets them come.
    unsafe {
        let (mut all, mut before) = (
            MaybeUninit::<libc::sigset_t>::zeroed(),
            MaybeUninit::<libc::sigset_t>::zeroed(),
        );
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        let plan: *const Plan<'_> = plan;
        let pid = libc::clone(
            begin,
            top.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            plan.cast_mut().cast(),
        );
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
        if pid < 0 { Err(error) } else { Ok(pid) }
    }
}

/// The child's life until its program runs: system calls and nothing else.
extern "C" fn begin(plan: *mut c_void) -> c_int {
    // SAFETY: the plan that `start` gave, whose thread waits meanwhile; nobody else has it.
    unsafe {
        let plan = &*plan.cast::<Plan<'_>>();
        set_signals_back(plan.signals);
        libc::setsid();
        if !plan.cwd.is_null() && libc::chdir(plan.cwd) != 0 {
            *plan.is_cwd.get() = true;
            return give_up(plan, errno());
        }
        for (from, to) in [(plan.stdin, 0), (plan.output, 1), (plan.output, 2)] {
            if libc::dup2(from.as_raw_fd(), to) < 0 {
                return give_up(plan, errno());
            }
        }
        if plan.open.is_empty() {
            close_from(3);
        }
        for number in &plan.open {
            libc::close(*number);
        }
        let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), null_mut());
        let (mut last, mut worst) = (libc::ENOENT, 0);
        for candidate in &plan.candidates {
            libc::execve(*candidate, plan.argv.as_ptr(), plan.env.as_ptr());
            last = errno();
            if worst == 0 && last != libc::ENOENT && last != libc::ENOTDIR {
                worst = last;
            }
        }
        give_up(plan, if worst == 0 { last } else { worst })
    }
}

fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

unsafe fn give_up(plan: &Plan<'_>, error: c_int) -> c_int {
    // SAFETY: called by the child alone, whose plan it is; `_exit` runs nothing of this process's.
    unsafe {
        *plan.error.get() = error;
        libc::_exit(127)
    }
}

/// Every signal to its default: those with a handler, since it would run on this process's memory, and those that Python
/// ignores and programs expect to end by. What else is ignored stays so (`nohup`), as from Python's `subprocess`.
unsafe fn set_signals_back(last: c_int) {
    for signal in 1..=last {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a place for the answer, where zeros are a valid one; then the same with the default in it. The table of
        // handlers is the child's own. Signals that cannot be asked or set are refused.
        unsafe {
            if libc::sigaction(signal, null(), action.as_mut_ptr()) != 0 {
                continue;
            }
            let action = action.assume_init_mut();
            let is_pythons = signal == libc::SIGPIPE || signal == libc::SIGXFSZ;
            if action.sa_sigaction == libc::SIG_DFL
                || action.sa_sigaction == libc::SIG_IGN && !is_pythons
            {
                continue;
            }
            action.sa_sigaction = libc::SIG_DFL;
            action.sa_flags = 0;
            libc::sigaction(signal, action, null_mut());
        }
    }
}
