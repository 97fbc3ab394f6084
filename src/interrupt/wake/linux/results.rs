//! Which system call may be ended how.

use std::fs::File;
use std::io::Read;

use super::registers::Met;
use crate::interrupt::beat::Beat;

/// Where a thread waits in the kernel.
pub(super) struct Waiting {
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
    pub(super) sp: usize,
    pub(super) pc: usize,
}

/// What the kernel says of a thread: None where it says nothing at all, `Some(None)` where the thread is at work.
#[expect(clippy::option_option)]
pub(super) fn state_of(thread: i32) -> Option<Option<Waiting>> {
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

/// Whether the thread waits for a mutex of native code: on a futex, without a time limit. With one it waits for its turn to have the
/// interpreter.
pub(crate) fn waits_for_a_mutex(beat: &'static Beat) -> bool {
    matches!(state_of(beat.thread()), Some(Some(waiting))
        if waiting.number == libc::SYS_futex && waiting.arguments[3] == 0)
}

/// The least address that is mapped: below it a number is no pointer but a descriptor, a count or a clock.
#[cfg(target_arch = "x86_64")]
const LEAST_ADDRESS: u64 = 65_536;

/// What a system call returns that the handler has met and that nobody has seen before: as `result_for`, of what the registers
/// tell. None where it is to go on.
pub(super) fn result_for_met(met: &Met, waits_for_lock: bool) -> Option<isize> {
    match met.number {
        Some(number) => result_for(number, &met.arguments, waits_for_lock),
        #[cfg(target_arch = "x86_64")]
        None => result_for_unnumbered(&met.arguments, waits_for_lock),
        #[cfg(not(target_arch = "x86_64"))]
        None => None,
    }
}

/// The same where the kernel has put "interrupted" into the register that held the number. It does that in place of restarting
/// the call for these: waits of `poll`, `select` and `epoll`, sleeps, `rt_sigtimedwait`, `pause`, timed waits on a futex,
/// and calls of sockets that have a time limit of their own. The arguments tell them apart.
#[cfg(target_arch = "x86_64")]
fn result_for_unnumbered(arguments: &[u64; 6], waits_for_lock: bool) -> Option<isize> {
    let [first, second, third, fourth, _, sixth] = *arguments;
    // `futex(word, operation, value, limit, ...)`: FUTEX_WAIT (musl) or FUTEX_WAIT_BITSET for any bit (glibc), with flags.
    let (operation, flags) = (second & 0x7f, second & !0x7f);
    let is_wait = match operation {
        0 => waits_for_lock || flags == 0x80,
        9 => sixth & 0xffff_ffff == 0xffff_ffff,
        _ => false,
    };
    let is_futex = is_wait
        && flags & !0x180 == 0
        && first >= LEAST_ADDRESS
        && first.is_multiple_of(4)
        && third <= 0xffff_ffff
        && fourth >= LEAST_ADDRESS;
    if waits_for_lock || is_futex {
        // A mutex in malloc, or the turn to have the interpreter: nothing was ended yet.
        return (waits_for_lock && is_futex).then_some(-(libc::ETIMEDOUT as isize));
    }
    Some(match (first >= LEAST_ADDRESS, second >= LEAST_ADDRESS) {
        // `poll(list, count, ...)`: an error would have some callers (`ssl`) begin again.
        (true, false) => 0,
        // `rt_sigtimedwait(set, info, ...)`.
        (true, true) => -(libc::EAGAIN as isize),
        // `select(count, ...)`, `epoll_wait(descriptor, ...)`, `recv(descriptor, ...)`: 0 might be data, or a descriptor.
        (false, _) => -(libc::ECANCELED as isize),
    })
}

/// What a system call returns when it is ended: an end that C libraries expect of that very call, and that can never pass for
/// success, for data, or for the end of a file. None where there is no such thing.
pub(super) fn result_for(number: i64, arguments: &[u64; 6], waits_for_lock: bool) -> Option<isize> {
    const CANCELLED: isize = -(libc::ECANCELED as isize);
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
            (waits_for_lock && arguments[3] != 0).then_some(-(libc::ETIMEDOUT as isize))
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
