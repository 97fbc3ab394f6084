//! Facts about a thread that only the system knows: its idents, its processor time, its name.

use super::slot::Identity;

/// Who the calling thread is.
pub(crate) fn this_thread() -> Identity {
    // SAFETY: takes nothing, cannot fail.
    let ident = unsafe { PyThread_get_thread_ident() };
    Identity {
        ident,
        native_id: native_id(),
        clock: CpuClock::of_this_thread(),
    }
}

unsafe extern "C" {
    // In CPython's pythread.h; PyO3 does not declare them.
    fn PyThread_get_thread_ident() -> std::ffi::c_ulong;
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    fn PyThread_get_thread_native_id() -> std::ffi::c_ulong;
}

/// Whether the calling thread is the one that the process began with, where the system tells.
pub(crate) fn is_main() -> bool {
    // SAFETY: take nothing, cannot fail.
    #[cfg(target_os = "linux")]
    return unsafe { libc::gettid() == libc::getpid() };
    #[cfg(not(target_os = "linux"))]
    false
}

/// `threading.get_ident()` of the calling thread.
pub(crate) fn ident() -> std::ffi::c_ulong {
    // SAFETY: takes nothing, cannot fail.
    unsafe { PyThread_get_thread_ident() }
}

#[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
#[allow(
    clippy::useless_conversion,
    reason = "an unsigned long has 32 bits on Windows"
)]
pub(crate) fn native_id() -> u64 {
    // SAFETY: takes nothing, cannot fail on the systems named above.
    u64::from(unsafe { PyThread_get_thread_native_id() })
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
pub(crate) fn native_id() -> u64 {
    0
}

/// Whether the system still has a thread of this process with this number, where it tells.
pub(crate) fn is_there(native_id: u64) -> bool {
    #[cfg(target_os = "linux")]
    {
        let Ok(tid) = libc::pid_t::try_from(native_id) else {
            return false;
        };
        // SAFETY: signal 0 is sent to nobody; a thread that is gone makes the call fail.
        tid > 0 && unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) } == 0
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = native_id;
        false
    }
}

/// Tells how much processor time one thread has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuClock {
    #[cfg(target_os = "linux")]
    id: libc::clockid_t,
}

#[cfg(unix)]
fn read(id: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a place for the answer; a clock that is gone makes the call fail.
    let failed = unsafe { libc::clock_gettime(id, &raw mut time) } != 0;
    let nanoseconds =
        u64::try_from(time.tv_sec).ok()? * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?;
    (!failed).then_some(nanoseconds)
}

#[cfg(target_os = "linux")]
impl CpuClock {
    fn of_this_thread() -> Self {
        let mut id = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: this thread's own handle, and a place for the answer.
        let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut id) } != 0;
        if failed {
            id = libc::CLOCK_THREAD_CPUTIME_ID;
        }
        Self { id }
    }

    /// Nanoseconds used by that thread, from any thread; None when the thread is gone.
    pub(crate) fn elsewhere(self) -> Option<u64> {
        read(self.id)
    }
}

#[cfg(not(target_os = "linux"))]
impl CpuClock {
    const fn of_this_thread() -> Self {
        Self {}
    }

    /// Only Linux tells it from another thread.
    pub(crate) const fn elsewhere(self) -> Option<u64> {
        let _ = self;
        None
    }
}

/// Nanoseconds of processor time that the calling thread has used; 0 where the system does not say.
#[cfg(unix)]
pub(crate) fn cpu_time() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

#[cfg(windows)]
pub(crate) fn cpu_time() -> u64 {
    #[repr(C)]
    #[derive(Default)]
    struct FileTime {
        low: u32,
        high: u32,
    }
    unsafe extern "system" {
        fn GetCurrentThread() -> isize;
        fn GetThreadTimes(
            thread: isize,
            creation: *mut FileTime,
            exit: *mut FileTime,
            kernel: *mut FileTime,
            user: *mut FileTime,
        ) -> i32;
    }
    let (mut creation, mut exit) = (FileTime::default(), FileTime::default());
    let (mut kernel, mut user) = (FileTime::default(), FileTime::default());
    // SAFETY: the pseudo-handle of this thread, and four places for the answer.
    let ok = unsafe {
        GetThreadTimes(
            GetCurrentThread(),
            &raw mut creation,
            &raw mut exit,
            &raw mut kernel,
            &raw mut user,
        )
    };
    if ok == 0 {
        return 0;
    }
    // In units of 100 ns.
    [kernel, user]
        .iter()
        .map(|t| (u64::from(t.high) << 32 | u64::from(t.low)) * 100)
        .sum()
}

/// Name the calling thread for `top`, `gdb` and the like: 15 bytes on Linux, nothing elsewhere. `CPython` does so itself
/// from 3.14 on.
pub(crate) fn set_name(name: &str) {
    #[cfg(target_os = "linux")]
    {
        let mut bytes = [0_u8; 16];
        let length = name.len().min(15);
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        // SAFETY: 16 bytes that end with NUL, as PR_SET_NAME reads.
        unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}
