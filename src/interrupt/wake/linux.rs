//! The signal, its handler, and which system call may be ended how.

mod nudge;
mod owner;
mod registers;
mod results;
mod trial;

use std::convert::Infallible;
use std::ffi::c_int;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use self::registers::Registers;
use self::results::{Waiting, result_for, result_for_met, state_of};
use super::Wake;
use crate::core::clock;
use crate::core::generations::{self, Generations};
use crate::core::once::Once;
use crate::core::sync::Mutex;
use crate::interrupt::beat::{Answer, Beat};

pub(crate) use nudge::{Looks, is_at_work};
pub(crate) use results::waits_for_a_mutex;

/// The signal that was chosen; 0 for none so far, or where none is free. Changed and used by one waker at a time.
static SIGNAL: Generations<Mutex<c_int>> = Generations::new();

/// Of this process: that of its parent may have been in use at the fork, by a waker that is not here.
fn chosen() -> &'static Mutex<c_int> {
    let make = || Ok::<_, Infallible>(Mutex::new(0));
    let Ok(chosen) = SIGNAL.get_or_make(generations::current(), make);
    chosen
}

/// The same, for who only looks.
static CHOSEN: AtomicI32 = AtomicI32::new(0);

/// The system does not let signals be sent like that.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Nobody is woken in this process: `RJOBS_GUARDS=off`.
static IS_OFF: AtomicBool = AtomicBool::new(false);

/// From here on nobody is woken.
pub(crate) fn turn_off() {
    IS_OFF.store(true, Ordering::Relaxed);
}

/// In the place of a program counter: the call to be ended was not seen.
const UNSEEN: usize = 0;

/// How long an answer may take before the request is made again: the signal may have been blocked or thrown away.
/// Nanoseconds.
const ANSWER_TICKS: u64 = 100_000_000;

/// Whether system calls can be ended here. Takes no signal yet: the first wake does; but for a trial, where the kernel does not
/// tell what a thread waits in.
pub(crate) fn is_possible() -> bool {
    static POSSIBLE: Once<bool> = Once::new();
    if IS_OFF.load(Ordering::Relaxed) {
        return false;
    }
    *POSSIBLE.get_or_make(|| {
        // SAFETY: takes nothing, cannot fail.
        let thread = unsafe { libc::gettid() };
        free().next().is_some() && (state_of(thread).is_some() || trial::succeeds())
    })
}

/// Whether the signal would come to the calling thread, as far as can be told now: the system lets it be sent, nobody else has
/// all of them, and the thread does not block it.
pub(crate) fn reaches_this_thread() -> bool {
    if !is_possible() || IS_REFUSED.load(Ordering::Relaxed) {
        return false;
    }
    let is_usable = |signal: &c_int| {
        *signal != 0
            && handler_of(*signal).is_some_and(|now| {
                now == our_handler() || now == libc::SIG_DFL || now == libc::SIG_IGN
            })
    };
    let chosen = Some(CHOSEN.load(Ordering::Relaxed)).filter(is_usable);
    chosen.or_else(|| free().next()).is_some_and(|signal| {
        let mut mask = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: only asks, with a place for the answer, which is initialized as zeros are a valid one.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()) == 0
                && libc::sigismember(mask.as_ptr(), signal) == 0
        }
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
    CHOSEN.store(*signal, Ordering::Relaxed);
    taken
}

/// Let our signal come to the calling thread, which is new and has the mask of whoever started it: a program that blocks all
/// signals in its main thread, or a job that does. Should another signal be taken later, that may be blocked.
pub(crate) fn let_come() {
    let taken = *chosen().lock();
    let next = Some(taken)
        .filter(|taken| *taken != 0)
        .or_else(|| free().next());
    if let Some(signal) = next {
        let mut only = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: a set that is made empty first, and a signal that there is.
        unsafe {
            libc::sigemptyset(only.as_mut_ptr());
            libc::sigaddset(only.as_mut_ptr(), signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, only.as_ptr(), null_mut());
        }
    }
}

/// The real-time signals that nobody uses, the highest first; or that we do, as the child of a fork finds it.
fn free() -> impl Iterator<Item = c_int> {
    let is_free = |now| now == libc::SIG_DFL || now == our_handler();
    (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .rev()
        .filter(move |signal| handler_of(*signal).is_some_and(is_free))
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
    let mut signal = chosen().lock();
    if *signal != 0 && handler_of(*signal) == Some(our_handler()) {
        // SAFETY: as in `install`; nobody used it before.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(*signal, &raw const action, null_mut());
        }
    }
    *signal = 0;
    CHOSEN.store(0, Ordering::Relaxed);
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
    let mut answer = Answer::Elsewhere;
    // SAFETY: gettid cannot fail, and is safe in a handler.
    if beat.current() == entry && beat.thread() == unsafe { libc::gettid() } {
        // SAFETY: the kernel's own record of the interrupted thread, which it will go on from.
        let mut registers = unsafe { Registers::of(context) };
        let (pc, sp) = (
            request.pc.load(Ordering::Relaxed),
            request.sp.load(Ordering::Relaxed),
        );
        let number = request.number.load(Ordering::Relaxed);
        let end = if pc == UNSEEN {
            registers.met().and_then(|met| {
                let result = result_for_met(&met, beat.waits_for_lock())?;
                Some((met.pc, result.cast_unsigned()))
            })
        } else {
            let is_it = registers.were_interrupted_at(pc, sp, number);
            is_it.then(|| (pc, request.result.load(Ordering::Relaxed)))
        };
        if let Some((pc, result)) = end {
            registers.return_from(pc, result);
            beat.has_ended(entry);
            answer = Answer::Ended;
        }
    }
    request.answer.store(answer as u32, Ordering::Release);
}

/// End the system call that the guarded call `entry` waits in, if the thread still is in that (0: in none). Does not wait for
/// it: the answer is looked for by the next call. What cannot be ended may be nudged, depending on what was seen at the last look.
pub(crate) fn wake(beat: &'static Beat, entry: u64, looks: &mut Looks) -> Wake {
    if !is_possible() {
        return Wake::Elsewhere;
    }
    // One waker at a time: a request is written by one.
    let mut signal = chosen().lock();
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
            Some(Some(waiting)) if waiting.number != libc::SYS_futex => {
                if looks.nudges_foreign(&waiting) {
                    nudge(&mut signal, beat);
                }
                Wake::Untouchable
            }
            _ => Wake::Elsewhere,
        };
    }
    // A library may be in the midst of whatever else it does.
    let only_sleeps = beat.is_in_library();
    let end = match state_of(thread) {
        Some(None) => {
            if !only_sleeps && looks.nudges_at_work(entry) {
                nudge(&mut signal, beat);
            }
            return Wake::Elsewhere;
        }
        Some(Some(waiting))
            if only_sleeps
                && !matches!(
                    waiting.number,
                    libc::SYS_nanosleep | libc::SYS_clock_nanosleep
                ) =>
        {
            return Wake::Untouchable;
        }
        None if only_sleeps => return Wake::Untouchable,
        Some(Some(waiting)) => {
            match result_for(waiting.number, &waiting.arguments, beat.waits_for_lock()) {
                Some(result) => Some((waiting, result)),
                None => return Wake::Untouchable,
            }
        }
        // No descriptor is free, or the program has given up the right to look (`setuid`), or there is no such file: the
        // handler sees for itself.
        None => None,
    };
    let Some(signal) = ours(&mut signal) else {
        return Wake::Elsewhere;
    };
    // The last request met something that must not be touched, or the signal does not come.
    let was_in_vain = request.entry.load(Ordering::Relaxed) == entry
        && match request.answer.load(Ordering::Acquire) {
            answer if answer == Answer::Elsewhere as u32 => end.is_none(),
            answer => answer == Answer::Asked as u32,
        };
    match ask(signal, beat, entry, end) {
        false => Wake::Elsewhere,
        true if was_in_vain => Wake::Untouchable,
        true => Wake::Asked,
    }
}

/// Send the signal without a request. By the one waker.
fn nudge(signal: &mut c_int, beat: &'static Beat) {
    if let Some(signal) = ours(signal) {
        // The last one was answered, or its time is over: its call is not ended any more.
        beat.request
            .answer
            .store(Answer::Idle as u32, Ordering::Release);
        beat.note_nudge();
        send(signal, beat.thread(), beat);
    }
}

/// End calls of a thread of our own, the way that needs no look at what it waits in. For a trial, before anything else.
pub(super) fn wake_unseen(beat: &'static Beat, entry: u64) {
    if let Some(signal) = ours(&mut chosen().lock()) {
        ask(signal, beat, entry, None);
    }
}

/// Send the request, for the call that was seen and its result, or for whatever call the handler meets. By the one waker.
fn ask(signal: c_int, beat: &'static Beat, entry: u64, end: Option<(Waiting, isize)>) -> bool {
    let request = &beat.request;
    // Not one that is half old and half new, should the signal for the last one come now.
    request.answer.store(Answer::Idle as u32, Ordering::Release);
    request.time.store(clock::now(), Ordering::Relaxed);
    request.entry.store(entry, Ordering::Relaxed);
    if let Some((waiting, result)) = end {
        let number = usize::try_from(waiting.number).unwrap_or(0);
        request.number.store(number, Ordering::Relaxed);
        request.pc.store(waiting.pc, Ordering::Relaxed);
        request.sp.store(waiting.sp, Ordering::Relaxed);
        request
            .result
            .store(result.cast_unsigned(), Ordering::Relaxed);
    } else {
        request.pc.store(UNSEEN, Ordering::Relaxed);
    }
    request
        .answer
        .store(Answer::Asked as u32, Ordering::Release);
    let is_sent = send(signal, beat.thread(), beat);
    if !is_sent {
        request.answer.store(Answer::Idle as u32, Ordering::Release);
    }
    is_sent
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
    let is_sent = unsafe {
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
    };
    if !is_sent {
        let error = std::io::Error::last_os_error().raw_os_error();
        IS_REFUSED.store(
            matches!(error, Some(libc::EPERM | libc::ENOSYS | libc::EACCES)),
            Ordering::Relaxed,
        );
    }
    is_sent
}
