//! Whether an exception that was sent to a thread has arrived there.
//!
//! `CPython` keeps it in a field of the thread's state that it does not show: `async_exc`. Where the field is differs from
//! version to version, so it is looked for once: an exception is sent to the calling thread itself and taken back at once,
//! and the place is the one that held it in between. Where it is not found, what is asked has no answer.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The first so many words of the state are looked at. It has more in all versions.
const WORDS: usize = 36;

/// Where the field is, in words.
#[inline]
fn offset(py: Python<'_>) -> Option<usize> {
    static OFFSET: PyOnceLock<Option<usize>> = PyOnceLock::new();
    *OFFSET.get_or_init(py, || {
        let ident = super::strike::long(super::thread::ident());
        // SAFETY: attached, so the calling thread has a state, which is larger than what is read of it. No bytecode runs
        // between sending the exception and taking it back. An exception that somebody else sent would be lost, but this
        // runs once, on a worker that has run no job.
        unsafe {
            let state = ffi::PyThreadState_Get().cast::<usize>();
            let marker = ffi::PyExc_InterruptedError;
            let read = |word: usize| state.add(word).read_volatile();
            let before: [usize; WORDS] = std::array::from_fn(read);
            ffi::PyThreadState_SetAsyncExc(ident, marker);
            let mut found = (0..WORDS)
                .filter(|word| read(*word) == marker as usize && before[*word] != marker as usize);
            let place = found.next().filter(|_| found.next().is_none());
            ffi::PyThreadState_SetAsyncExc(ident, std::ptr::null_mut());
            place.filter(|place| read(*place) == 0)
        }
    })
}

/// Whether one is pending for the thread of this state; None where that cannot be told.
///
/// # Safety
/// The thread is alive.
pub(super) unsafe fn is_pending(py: Python<'_>, state: *mut ffi::PyThreadState) -> Option<bool> {
    let offset = offset(py)?;
    // SAFETY: as asked of the caller; a word that other threads write, read in one piece.
    let word = unsafe { state.cast::<usize>().add(offset).read_volatile() };
    Some(word != 0)
}
