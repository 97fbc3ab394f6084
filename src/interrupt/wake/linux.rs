//! The signal, its handler, and which system call may be ended how.

use std::ffi::c_int;
use std::fs::File;
use std::io::Read;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::Wake;
use super::registers::Registers;
use crate::core::clock;
use crate::interrupt::beat::{Answer, Beat};

/// The signal that was chosen; 0 for none so far, or where none is free, or where the kernel does not tell what a thread waits in
/// (gVisor and other sandboxes). Changed and used by one waker at a time.
static SIGNAL: Mutex<c_int> = Mutex::new(0);

/// How long an answer may take before the request is made again: the signal may have been blocked or thrown away.
/// Nanoseconds.
const ANSWER_TICKS: u64 = 100_000_000;

/// Whether system calls can be ended here. Takes no signal yet: the first wake does.
pub(crate) fn is_possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        // SAFETY: takes nothing, cannot fail.
        let thread = unsafe { libc::gettid() };
        state_of(thread).is_some() && free().next().is_some()
    })
}

/// A signal whose handler is ours at this moment. Somebody may have set it back to its default, which would end the process,
/// or taken it: so it is looked at each time.
fn ours(signal: &mut c_int) -> Option<c_int> {
    if *signal != 0 {
        let now = handler_of(*signal)?;
        if now == our_handler() {
            return Some(*signal);
        }
        if (now == libc::SIG_DFL || now == libc::SIG_IGN) && install(*signal) {
            return Some(*signal);
        }
    }
    let taken = free().find(|free| install(*free));
    *signal = taken.unwrap_or(0);
    taken
}

/// The real-time signals that nobody uses, the highest first.
fn free() -> impl Iterator<Item = c_int> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .rev()
        .filter(|signal| handler_of(*signal) == Some(libc::SIG_DFL))
}

fn our_handler() -> libc::sighandler_t {
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
    handler as libc::sighandler_t
}

fn handler_of(signal: c_int) -> Option<libc::sighandler_t> {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks, with a place for the answer, which is initialized as zeros are a valid one.
    unsafe {
        let failed = libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) != 0;
        (!failed).then(|| now.assume_init().sa_sigaction)
    }
}

fn install(signal: c_int) -> bool {
    // SAFETY: a record of zeros is a valid one; the handler fits the flags, and uses what is safe in a handler.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = our_handler();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, null_mut()) == 0
    }
}

/// Give the signal back, if it still is ours. The next waker takes one again.
pub(crate) fn uninstall() {
    let mut signal = SIGNAL.lock();
    if *signal != 0 && handler_of(*signal) == Some(our_handler()) {
        // SAFETY: as in `install`; nobody used it before.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(*signal, &raw const action, null_mut());
        }
    }
    *signal = 0;
}

/// On the thread that was sent the signal, with all signals blocked: only atomics and registers.
extern "C" fn handle(_: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes both; with this code the union holds who sent it and a value.
    let (ours, value) = unsafe {
        let ours = (*info).si_code == libc::SI_QUEUE && (*info).si_pid() == libc::getpid();
        (ours, (*info).si_value().sival_ptr)
    };
    if !ours || value.is_null() {
        return;
    }
    // SAFETY: whoever in this process queues this signal sends a beat, and beats are never freed.
    let beat = unsafe { &*value.cast::<Beat>() };
    let request = &beat.request;
    if request.answer.load(Ordering::Acquire) != Answer::Asked as u32 {
        return;
    }
    let entry = request.entry.load(Ordering::Relaxed);
    // SAFETY: gettid cannot fail, and is safe in a handler.
    if beat.current() == entry && beat.thread() == unsafe { libc::gettid() } {
        // SAFETY: the kernel's own record of the interrupted thread, which it will go on from.
        let mut registers = unsafe { Registers::of(context) };
        let (pc, sp) = (
            request.pc.load(Ordering::Relaxed),
            request.sp.load(Ordering::Relaxed),
        );
        let number = request.number.load(Ordering::Relaxed);
        if registers.were_interrupted_at(pc, sp, number) {
            registers.return_from(pc, request.result.load(Ordering::Relaxed));
            beat.has_ended(entry);
        }
    }
    request
        .answer
        .store(Answer::Answered as u32, Ordering::Release);
}

/// Where a thread waits in the kernel.
struct Waiting {
    number: i64,
    arguments: [u64; 6],
    sp: usize,
    pc: usize,
}

/// What the kernel says of a thread: None where it says nothing at all, `Some(None)` where the thread is at work.
#[expect(clippy::option_option)]
fn state_of(thread: i32) -> Option<Option<Waiting>> {
    let mut file = File::open(format!("/proc/self/task/{thread}/syscall")).ok()?;
    let mut text = [0_u8; 256];
    let length = file.read(&mut text).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    Some(parse(text))
}

fn parse(text: &str) -> Option<Waiting> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut numbers =
        words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0));
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = numbers.next()?;
    }
    let sp = usize::try_from(numbers.next()?).ok()?;
    let pc = usize::try_from(numbers.next()?).ok()?;
    Some(Waiting {
        number,
        arguments,
        sp,
        pc,
    })
}

/// End the system call that the guarded call `entry` waits in, if the thread still is in that (0: in none). Does not wait for
/// it: the answer is looked for by the next call.
pub(crate) fn wake(beat: &'static Beat, entry: u64) -> Wake {
    if !is_possible() {
        return Wake::Elsewhere;
    }
    // One waker at a time: a request is written by one.
    let mut signal = SIGNAL.lock();
    let request = &beat.request;
    if request.answer.load(Ordering::Acquire) == Answer::Asked as u32
        && clock::now().saturating_sub(request.time.load(Ordering::Relaxed)) < ANSWER_TICKS
    {
        return Wake::Elsewhere;
    }
    let thread = beat.thread();
    if beat.current() != entry || thread == 0 {
        return Wake::Elsewhere;
    }
    if entry == 0 {
        return match state_of(thread) {
            Some(Some(waiting)) if waiting.number != libc::SYS_futex => Wake::Untouchable,
            _ => Wake::Elsewhere,
        };
    }
    let Some(Some(waiting)) = state_of(thread) else {
        return Wake::Elsewhere;
    };
    let Some(result) = result_for(&waiting, beat.waits_for_lock()) else {
        return Wake::Untouchable;
    };
    let Some(signal) = ours(&mut signal) else {
        return Wake::Elsewhere;
    };
    let number = usize::try_from(waiting.number).unwrap_or(0);
    // Not one that is half old and half new, should the signal for the last one come now.
    request.answer.store(Answer::Idle as u32, Ordering::Release);
    request.time.store(clock::now(), Ordering::Relaxed);
    request.entry.store(entry, Ordering::Relaxed);
    request.number.store(number, Ordering::Relaxed);
    request.pc.store(waiting.pc, Ordering::Relaxed);
    request.sp.store(waiting.sp, Ordering::Relaxed);
    request
        .result
        .store(result.cast_unsigned(), Ordering::Relaxed);
    request
        .answer
        .store(Answer::Asked as u32, Ordering::Release);
    if send(signal, thread, beat) {
        Wake::Asked
    } else {
        request.answer.store(Answer::Idle as u32, Ordering::Release);
        Wake::Elsewhere
    }
}

/// The kernel's `siginfo_t` for a queued signal, on 64 bits.
#[repr(C)]
struct Queued {
    signal: c_int,
    error: c_int,
    code: c_int,
    padding: c_int,
    process: libc::pid_t,
    user: libc::uid_t,
    value: usize,
    rest: [u8; 96],
}

fn send(signal: c_int, thread: i32, beat: &'static Beat) -> bool {
    // SAFETY: a record of 128 bytes as the kernel reads it, and numbers; a thread that is gone makes the call fail.
    unsafe {
        let info = Queued {
            signal,
            error: 0,
            code: libc::SI_QUEUE,
            padding: 0,
            process: libc::getpid(),
            user: libc::getuid(),
            value: std::ptr::from_ref(beat) as usize,
            rest: [0; 96],
        };
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            libc::getpid(),
            thread,
            signal,
            &raw const info,
        ) == 0
    }
}

/// What a system call returns when it is ended: an end that C libraries expect of that very call, and that can never pass for
/// success, for data, or for the end of a file. None where there is no such thing.
fn result_for(waiting: &Waiting, waits_for_lock: bool) -> Option<isize> {
    const CANCELLED: isize = -(libc::ECANCELED as isize);
    let number = waiting.number;
    #[cfg(target_arch = "x86_64")]
    match number {
        libc::SYS_poll | libc::SYS_select | libc::SYS_epoll_wait => return Some(0),
        libc::SYS_open => return Some(CANCELLED),
        libc::SYS_pause => return Some(-(libc::EINTR as isize)),
        _ => {}
    }
    match number {
        // As if its time were over.
        libc::SYS_clock_nanosleep
        | libc::SYS_nanosleep
        | libc::SYS_ppoll
        | libc::SYS_pselect6
        | libc::SYS_epoll_pwait
        // As if no child had ended: it stays to be waited for.
        | libc::SYS_wait4
        | libc::SYS_waitid => Some(0),
        // The C library aborts the process for a result that the very call could not have, so only a wait with a time limit,
        // and only one that is a guard's own: a mutex inside of malloc is not.
        libc::SYS_futex => {
            (waits_for_lock && waiting.arguments[3] != 0).then_some(-(libc::ETIMEDOUT as isize))
        }
        libc::SYS_rt_sigtimedwait => Some(-(libc::EAGAIN as isize)),
        // Interrupted before anything was transferred, or the kernel would have returned how much.
        libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_pread64
        | libc::SYS_preadv
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_recvmmsg
        | libc::SYS_write
        | libc::SYS_writev
        | libc::SYS_pwrite64
        | libc::SYS_pwritev
        | libc::SYS_sendto
        | libc::SYS_sendmsg
        | libc::SYS_sendmmsg
        | libc::SYS_accept
        | libc::SYS_accept4
        | libc::SYS_connect
        | libc::SYS_openat
        | libc::SYS_flock
        | libc::SYS_fcntl
        | libc::SYS_ioctl
        | libc::SYS_getrandom
        | libc::SYS_splice
        | libc::SYS_sendfile
        | libc::SYS_copy_file_range => Some(CANCELLED),
        _ => None,
    }
}
