//! Striking a thread that runs no job.

use std::ffi::c_ulong;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyTypeInfo, ffi};

use super::beat::Beat;
use super::strike::long;
use super::wake::{Wake, wake};

/// How long the waking of a thread that runs no job is tried.
const WAKING: Duration = Duration::from_millis(100);

/// Have `exc` raised in a thread that is no worker of ours: bound to the thread, since there is no job to bind it to. A guarded
/// call that it waits in is ended. False when there is no such thread.
pub(crate) fn strike_thread(exc: &Bound<'_, PyType>, ident: c_ulong) -> bool {
    debug_assert!(PyType::is_type_of(exc));
    // Before the strike: a call that begins after it sees it, and needs no waking.
    let beat = Beat::of_guest(ident);
    let entry = beat.map_or(0, Beat::current);
    // SAFETY: attached, as `exc` shows; an ident that is no thread's makes the call return 0.
    let hit = unsafe { ffi::PyThreadState_SetAsyncExc(long(ident), exc.as_ptr()) > 0 };
    if let Some(beat) = beat.filter(|_| hit && entry != 0) {
        exc.py().detach(|| end_call(beat, entry));
    }
    hit
}

/// Until the thread has left the call `entry`, or cannot be made to. The thread may be on its way into the system call.
fn end_call(beat: &'static Beat, entry: u64) {
    let deadline = Instant::now() + WAKING;
    let mut pause = Duration::from_micros(20);
    while beat.current() == entry
        && wake(beat, entry) != Wake::Untouchable
        && Instant::now() < deadline
    {
        std::thread::sleep(pause);
        pause *= 2;
    }
}
