//! Whether an exception that was sent to a thread has arrived there.
//!
//! `CPython` keeps it in a field of the thread's state that it does not show: `async_exc`. Where the field is differs from
//! version to version, so it is looked for once: an exception is sent to the calling thread itself and taken back at once,
//! and the place is the one that held it in between. Where it is not found, what is asked has no answer.
//!
//! Taking one back is more than to set NULL: up to `CPython` 3.12 the interpreter goes on looking for it until one arrives,
//! each time it looks for anything, and on 3.11 a traced function then never gets past its first instruction. So it is made
//! to arrive, in a function that does nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::call;

/// The first so many words of the state are looked at. It has more in all versions.
const WORDS: usize = 36;

/// Where things are in a thread's state, in words.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// What was sent.
    exception: usize,
    /// The word that says there is something to do, and the bit in it that stands for an exception; where that could be told.
    bell: Option<(usize, usize)>,
}

#[inline]
fn layout(py: Python<'_>) -> Option<Layout> {
    static LAYOUT: PyOnceLock<Option<Layout>> = PyOnceLock::new();
    *LAYOUT.get_or_init(py, || {
        nothing(py)?;
        let ident = super::strike::long(super::thread::ident());
        // SAFETY: attached, so the calling thread has a state, which is larger than what is read of it. No bytecode runs
        // between sending the exception and taking it back. An exception that somebody else sent would be lost, but this
        // runs once, while rjobs is imported.
        unsafe {
            let state = ffi::PyThreadState_Get().cast::<usize>();
            let marker = ffi::PyExc_InterruptedError;
            let read = |word: usize| state.add(word).read_volatile();
            let before: [usize; WORDS] = std::array::from_fn(read);
            ffi::PyThreadState_SetAsyncExc(ident, marker);
            let mut found = (0..WORDS)
                .filter(|word| read(*word) == marker as usize && before[*word] != marker as usize);
            let place = found.next().filter(|_| found.next().is_none());
            let mut rung = (0..WORDS).filter_map(|word| {
                let bits = read(word) ^ before[word];
                (Some(word) != place && bits != 0).then_some((word, bits))
            });
            let bell = rung
                .next()
                .filter(|(_, bits)| bits.is_power_of_two() && rung.next().is_none());
            drop(arrive(py));
            let exception = place.filter(|place| read(*place) == 0)?;
            Some(Layout { exception, bell })
        }
    })
}

/// Whether `set` can do its work.
#[cfg(Py_GIL_DISABLED)]
pub(super) fn can_set(py: Python<'_>) -> bool {
    layout(py).is_some_and(|layout| layout.bell.is_some())
}

/// What `PyThreadState_SetAsyncExc` does, without the lock of the list of threads. False where it cannot be done.
///
/// # Safety
/// The thread of this state is alive.
pub(super) unsafe fn set(state: *mut ffi::PyThreadState, class: &Bound<'_, PyType>) -> bool {
    let Some(layout) = layout(class.py()) else {
        return false;
    };
    let Some((bell, bit)) = layout.bell else {
        return false;
    };
    // SAFETY: both words are in the state, and written by atomic operations elsewhere; the reference is the state's from now on,
    // and what it had is ours to give back.
    unsafe {
        let word = |index: usize| AtomicUsize::from_ptr(state.cast::<usize>().add(index));
        let before =
            word(layout.exception).swap(class.clone().into_ptr() as usize, Ordering::AcqRel);
        word(bell).fetch_or(bit, Ordering::AcqRel);
        ffi::Py_XDECREF(before as *mut ffi::PyObject);
    }
    true
}

/// Look for the place, if nobody has. Where a thread may be interrupted by nobody else, since that would be lost.
pub(crate) fn find(py: Python<'_>) {
    layout(py);
}

/// Let what is pending for the calling thread arrive, in a function that does nothing.
pub(super) fn arrive(py: Python<'_>) -> Option<Bound<'_, PyBaseException>> {
    call::call(nothing(py)?, &PyTuple::empty(py), None).err()
}

/// The function; None where it could not be made. It is before anything is sent, or that would arrive in the making.
pub(super) fn nothing(py: Python<'_>) -> Option<&Bound<'_, PyAny>> {
    static NOTHING: PyOnceLock<Option<Py<PyAny>>> = PyOnceLock::new();
    let made = || Some(py.eval(c"lambda: None", None, None).ok()?.unbind());
    let nothing = NOTHING.get_or_init(py, made);
    nothing.as_ref().map(|nothing| nothing.bind(py))
}

/// Whether one is pending for the thread of this state; None where that cannot be told.
///
/// # Safety
/// The thread is alive.
pub(super) unsafe fn is_pending(py: Python<'_>, state: *mut ffi::PyThreadState) -> Option<bool> {
    let offset = layout(py)?.exception;
    // SAFETY: as asked of the caller; a word that other threads write, read in one piece.
    let word = unsafe { state.cast::<usize>().add(offset).read_volatile() };
    Some(word != 0)
}
