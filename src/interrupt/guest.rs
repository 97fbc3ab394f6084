//! Striking a thread that runs no job.

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyTypeInfo, ffi};

use super::beat::Beat;
use super::call;
use super::strike::long;
use super::wake::{Looks, wake};

/// How long the waking of a thread that runs no job is tried.
const WAKING: Duration = Duration::from_millis(100);

/// How many are about to send something. Without the GIL nothing else orders them and the beginnings of calls: see `Who::begin`.
static STRIKERS: AtomicUsize = AtomicUsize::new(0);

/// Without the GIL, at the beginning of a guest's guarded call: who strikes has not seen this call, or has sent what it sends.
pub(super) fn let_strikers_send() {
    // The call is told before this is read, as this is told before the call is read by who strikes.
    fence(Ordering::SeqCst);
    while STRIKERS.load(Ordering::SeqCst) != 0 {
        // Detached: who strikes may have to wait until all threads stand still for somebody.
        call::detached(std::thread::yield_now);
    }
}

/// In the child of a fork nobody is left who would strike.
pub(super) fn after_fork_in_child() {
    STRIKERS.store(0, Ordering::SeqCst);
}

/// Have `exc` raised in a thread that is no worker of ours: bound to the thread, since there is no job to bind it to. A guarded
/// call that it waits in is ended. False when there is no such thread.
pub(crate) fn strike_thread(exc: &Bound<'_, PyType>, ident: c_ulong) -> bool {
    debug_assert!(PyType::is_type_of(exc));
    // Before the strike: a call that begins after it sees it, and needs no waking.
    STRIKERS.fetch_add(1, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    let beat = Beat::of_guest(ident);
    let entry = beat.map_or(0, Beat::current);
    // SAFETY: attached, as `exc` shows; an ident that is no thread's makes the call return 0.
    let hit = unsafe { ffi::PyThreadState_SetAsyncExc(long(ident), exc.as_ptr()) > 0 };
    STRIKERS.fetch_sub(1, Ordering::SeqCst);
    if let Some(beat) = beat.filter(|_| hit && entry != 0) {
        end_call(exc.py(), beat, entry);
    }
    hit
}

/// Until the thread has left the call `entry`, or the time for that is over. The thread may be on its way into the system call,
/// and wait for something else there that must not be touched: its turn to give the interpreter up.
fn end_call(py: Python<'_>, beat: &'static Beat, entry: u64) {
    let deadline = Instant::now() + WAKING;
    let mut pause = Duration::from_micros(20);
    let mut looks = Looks::default();
    while beat.current() == entry && Instant::now() < deadline {
        beat.end_library_call(py);
        py.detach(|| {
            wake(beat, entry, &mut looks);
            std::thread::sleep(pause);
        });
        pause *= 2;
    }
}
