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

use pyo3::exceptions::{PyBaseException, PyInterruptedError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::call;
use crate::core::once::Once;

/// The first so many words of the state are looked at. It has more in all versions.
const WORDS: usize = 36;

/// How often what was sent is made to arrive, where something else does in its place. More than there are signals at a time.
const ARRIVALS: usize = 100;

/// Where things are in a thread's state, in words.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// What was sent.
    exception: usize,
    /// The word that says there is something to do, and the bit in it that stands for an exception; where that could be told.
    bell: Option<(usize, usize)>,
}

static LAYOUT: Once<Option<Layout>> = Once::new();
static NOTHING: Once<Py<PyAny>> = Once::new();

#[inline]
fn layout(_py: Python<'_>) -> Option<Layout> {
    *LAYOUT.get()?
}

/// Look for the place, if nobody has. While rjobs is imported, and where a thread may be interrupted by nobody else, since that would
/// be lost. Raises what a signal's handler raised meanwhile (Ctrl-C).
pub(crate) fn find(py: Python<'_>) -> PyResult<()> {
    if LAYOUT.get().is_some() {
        return Ok(());
    }
    // Before anything is sent, or that would arrive in the import.
    let nothing = py.import("rjobs._near")?.getattr("nothing")?;
    NOTHING.keep(nothing.unbind());
    let (layout, raised) = probe(py);
    LAYOUT.keep(layout);
    raised.map_or(Ok(()), |error| Err(PyErr::from_value(error.into_any())))
}

fn probe(py: Python<'_>) -> (Option<Layout>, Option<Bound<'_, PyBaseException>>) {
    let ident = super::strike::long(super::thread::ident());
    let mut raised = None;
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
        if cfg!(Py_3_13) {
            ffi::PyThreadState_SetAsyncExc(ident, std::ptr::null_mut());
        } else {
            // What the handler of a signal raises comes first, and what was sent has not arrived then.
            for _ in 0..ARRIVALS {
                match arrive(py) {
                    Some(error) if !error.is_instance_of::<PyInterruptedError>() => {
                        raised = Some(error);
                    }
                    _ => break,
                }
            }
        }
        let layout = place
            .filter(|place| read(*place) == 0)
            .map(|exception| Layout { exception, bell });
        (layout, raised)
    }
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

/// Let what is pending for the calling thread arrive, in a function that does nothing.
///
/// No tracer or profiler is told: up to 3.11 it would see the function's end without its beginning, and take the end for that of the
/// function which it believes to be in.
pub(super) fn arrive(py: Python<'_>) -> Option<Bound<'_, PyBaseException>> {
    let nothing = nothing(py)?;
    let _untraced = Untraced::new(py);
    call::call(nothing, &PyTuple::empty(py), None).err()
}

/// While it lives nobody is told what the calling thread does: `sys.settrace`, `sys.setprofile` and `sys.monitoring`.
struct Untraced(*mut ffi::PyThreadState);

impl Untraced {
    fn new(_py: Python<'_>) -> Self {
        // SAFETY: attached, as the token shows, so there is a state.
        unsafe {
            let state = ffi::PyThreadState_Get();
            ffi::PyThreadState_EnterTracing(state);
            Self(state)
        }
    }
}

impl Drop for Untraced {
    fn drop(&mut self) {
        // SAFETY: on the same thread, attached: what ran in between has come back.
        unsafe { ffi::PyThreadState_LeaveTracing(self.0) };
    }
}

/// The same, raised here.
pub(crate) fn land(py: Python<'_>) -> PyResult<()> {
    arrive(py).map_or(Ok(()), |error| Err(PyErr::from_value(error.into_any())))
}

/// The function, which is kept for as long as the process. So it is one of the package: what is evaluated without a namespace is in that of
/// `__main__`, and would keep the program's variables from ever being finalized, and its files from being flushed.
pub(super) fn nothing(py: Python<'_>) -> Option<&Bound<'_, PyAny>> {
    Some(NOTHING.get()?.bind(py))
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
