//! Ending the system call that a guarded call of a job waits in. Linux on x86-64 and aarch64; elsewhere nothing is ended.
//!
//! A signal to the one thread interrupts its system call. The handler, on that thread, puts another result in the place of the
//! interrupted call's, if the thread is in the very guarded call and the very system call that were seen before: then the C
//! code returns as if the call had failed or timed out, and the guard throws away what it made of that. Everything else goes
//! on as if nothing had happened: the signal is installed with `SA_RESTART`, so a system call that was not to be ended begins
//! again by itself.
//!
//! Code that is no guarded call, or that is at work, may be sent the signal with nothing to end (`nudge.rs`).
//!
//! What the thread waits in is seen before (`/proc/self/task/N/syscall`). Where that cannot be read (no descriptor is free, the
//! program has given up the right to, a sandbox does not have it), the handler looks at the registers that it has interrupted.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux;

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod linux {
    use super::Wake;
    use crate::interrupt::beat::Beat;

    pub(crate) fn is_possible() -> bool {
        false
    }

    pub(crate) fn reaches_this_thread() -> bool {
        false
    }

    /// What was seen at the last look: nothing.
    #[derive(Debug, Default)]
    pub(crate) struct Looks;

    impl Looks {
        pub(crate) fn begin(&mut self) {}
    }

    pub(crate) fn wake(_beat: &'static Beat, _entry: u64, _looks: &mut Looks) -> Wake {
        Wake::Elsewhere
    }

    pub(crate) fn waits_for_a_mutex(_beat: &'static Beat) -> bool {
        false
    }

    pub(crate) fn let_come() {}

    pub(crate) fn turn_off() {}

    pub(crate) fn is_at_work(_thread: u64) -> bool {
        false
    }

    pub(crate) fn uninstall() {}
}

pub(crate) use linux::{
    Looks, is_at_work, is_possible, let_come, reaches_this_thread, turn_off, uninstall,
    waits_for_a_mutex, wake,
};

/// What was found, and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The thread waits in a guarded call, which was asked to end.
    Asked,
    /// It waits in a system call that must not be ended; it may have been nudged.
    Untouchable,
    /// It is at work, or not in a guarded call, or the last request is not answered yet.
    Elsewhere,
}
