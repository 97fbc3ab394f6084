//! Memory that is thrown overboard when there is no other: what handles the lack of memory needs some itself.
//!
//! The C library ends the process where a thread finds none for its thread-local data or for the destructors of that, and
//! `PyO3` where it finds none to tell of a panic with. So a piece of address space is kept that nobody uses, and is given
//! back to the system where such a thing is about to happen; it is taken again when that is over, or as soon as there is
//! memory. `reserve.rs` is for what rjobs itself allocates; this is for what others do on our threads.

use std::panic;

#[cfg(unix)]
mod kept {
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicPtr, Ordering};

    /// Bytes: one arena of Python's objects (1 MiB), and some for the C library. A guess, ample.
    const SIZE: usize = 4 << 20;

    static HELD: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());

    pub(super) fn hold() -> bool {
        if !HELD.load(Ordering::Relaxed).is_null() {
            return true;
        }
        // SAFETY: new memory, at a place that the system chooses, which nobody reads or writes.
        let block = unsafe {
            let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(null_mut(), SIZE, libc::PROT_NONE, how, -1, 0)
        };
        if block == libc::MAP_FAILED {
            return false;
        }
        let put = HELD.compare_exchange(null_mut(), block, Ordering::AcqRel, Ordering::Relaxed);
        if put.is_err() {
            release(block);
        }
        true
    }

    pub(super) fn let_go() -> bool {
        let block = HELD.swap(null_mut(), Ordering::AcqRel);
        if !block.is_null() {
            release(block);
        }
        !block.is_null()
    }

    fn release(block: *mut libc::c_void) {
        // SAFETY: it is what `hold` got from the system, of this size, and nobody else has it.
        unsafe { libc::munmap(block, SIZE) };
    }
}

#[cfg(not(unix))]
mod kept {
    pub(super) fn hold() -> bool {
        true
    }
    pub(super) fn let_go() -> bool {
        false
    }
}

/// Keep it, and throw it overboard when something panics. Once in a process.
pub(crate) fn load() {
    hold();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        kept::let_go();
        before(what);
    }));
}

/// Keep it again, if it is gone and there is memory; whether it is kept.
#[inline]
pub(super) fn hold() -> bool {
    kept::hold()
}

/// Give it to the system; false when that was done before. Allocates nothing.
pub(super) fn let_go() -> bool {
    kept::let_go()
}

/// While it lives there is some memory more.
pub(crate) struct Overboard(());

impl Overboard {
    pub(crate) fn throw() -> Self {
        kept::let_go();
        Self(())
    }
}

impl Drop for Overboard {
    fn drop(&mut self) {
        kept::hold();
    }
}
