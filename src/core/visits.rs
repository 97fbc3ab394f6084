//! Who of ours has the interpreter, and must be out of it when it ends.
//!
//! A thread that wants the interpreter back while that ends is stopped where it stands, for good; up to `CPython` 3.13 by
//! `pthread_exit`, which unwinds its stack, and aborts the process where that is ours. What it has of the interpreter's it keeps:
//! without the GIL the right to stop all other threads, without which the interpreter does not come to its end
//! (python/cpython#137433, up to 3.13.7). So our own threads come by a visit, as does who stops all others on any thread, and the exit
//! waits until there are none.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// How many forks lie between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// While it lives the exit waits, for a while. One thread may have several.
#[derive(Debug)]
pub struct Visit {
    generation: u32,
}

/// Come in; None when the interpreter is about to end.
pub fn enter() -> Option<Visit> {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let visit = Visit {
        generation: GENERATION.load(Ordering::Relaxed),
    };
    // Looked at when it is counted: who closes sees this one, or is seen here.
    (!IS_CLOSED.load(Ordering::SeqCst)).then_some(visit)
}

impl Drop for Visit {
    fn drop(&mut self) {
        // One that forked is dropped in the child as well, where it was never counted.
        if self.generation == GENERATION.load(Ordering::Relaxed) {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The interpreter is about to end: nobody comes in any more. True when nobody is left.
pub fn close() -> bool {
    IS_CLOSED.store(true, Ordering::SeqCst);
    INSIDE.load(Ordering::SeqCst) == 0
}

/// How many forks lie between the first process and this one.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// True when `close` was called.
pub fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::SeqCst)
}

/// In the child of a fork, where only the calling thread is.
pub fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    INSIDE.store(0, Ordering::SeqCst);
    IS_CLOSED.store(false, Ordering::SeqCst);
}

#[cfg(test)]
mod test {
    use super::{after_fork_in_child, close, enter};

    #[test]
    fn the_last_one_out_is_seen_and_nobody_comes_in_after_that() {
        let (one, two) = (enter(), enter());
        assert!(one.is_some() && two.is_some());
        assert!(!close());
        assert!(enter().is_none());
        drop(one);
        assert!(!close());
        drop(two);
        assert!(close());
        after_fork_in_child();
        let parents = enter();
        after_fork_in_child();
        let childs = enter();
        drop(parents);
        assert!(!close());
        drop(childs);
        assert!(close());
        after_fork_in_child();
    }
}
