//! Who is in a guarded call, and what a strike means there.
//!
//! A job has a slot, with the whole of the protocol. A guest is any other thread but the main one: `kill_thread` sends it an
//! exception that is bound to nothing, and has its call ended. The main thread, and a worker between two jobs, are nobody: for
//! them a guard is a look at two thread-locals.

use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;

use super::Object;
use super::places::{RESTORE, stands_in};
use crate::interrupt::beat::{self, Beat, Entry};
use crate::interrupt::guest;
use crate::interrupt::interpreter;
use crate::interrupt::pending;
use crate::interrupt::slot::Slot;

/// How often what was sent is let arrive: from `CPython` 3.13 on it may do so one look late.
const LATE: usize = 3;

#[derive(Clone, Copy)]
pub(super) enum Who<'a> {
    Job(&'a Slot),
    Guest(&'static Beat),
}

impl Who<'_> {
    /// None for nobody, whose calls are not guarded.
    #[inline]
    pub(super) fn of_this_thread() -> Option<Self> {
        match beat::here() {
            Some(slot) => Some(Self::Job(slot)),
            None => beat::guest()
                .filter(|_| interpreter::is_main())
                .map(Self::Guest),
        }
    }

    pub(super) fn beat(self) -> &'static Beat {
        match self {
            Self::Job(slot) => slot.beat(),
            Self::Guest(beat) => beat,
        }
    }

    /// How many strikes were sent so far, for `is_due`.
    pub(super) fn sends(self) -> u64 {
        match self {
            Self::Job(slot) => slot.sends(),
            Self::Guest(_) => 0,
        }
    }

    /// A strike that was sent before the call began, and that the interpreter has not raised yet: from `CPython` 3.13 on it may
    /// do so one call late, and this is that call.
    pub(super) fn is_due(self, sends: u64) -> bool {
        // SAFETY: a guard is called attached.
        let py = unsafe { Python::assume_attached() };
        match self {
            Self::Job(slot) => slot.is_due(py, sends),
            // SAFETY: attached, so the calling thread has a state.
            Self::Guest(_) => unsafe {
                pending::is_pending(py, ffi::PyThreadState_Get()).unwrap_or(false)
            },
        }
    }

    /// A guarded call begins; None where what was sent before is to be raised in its place.
    ///
    /// With the GIL nothing is sent between the look and the first wait, and without it nothing to a job, which stands still for
    /// that. A guest does not: who strikes it looks which call it is in and then sends (`guest.rs`), so it looks when it
    /// is in the call, and when nobody is between the two.
    #[inline]
    pub(super) fn begin(self, waits_for_lock: bool, sends: u64) -> Option<Entry> {
        if cfg!(not(Py_GIL_DISABLED)) || matches!(self, Self::Job(_)) {
            return (!self.is_due(sends)).then(|| self.beat().enter(waits_for_lock));
        }
        let entry = self.beat().enter(waits_for_lock);
        guest::let_strikers_send();
        if self.is_due(sends) {
            self.beat().leave(&entry);
            return None;
        }
        Some(entry)
    }

    /// Whether the caller must get this lock whatever comes: a condition, which would return from `wait` without it, or a
    /// semaphore that is given a permit back.
    pub(super) fn must_get(self) -> bool {
        stands_in(&RESTORE)
            || match self {
                // SAFETY: a guard is called attached.
                Self::Job(slot) => slot.gives_back(unsafe { Python::assume_attached() }),
                Self::Guest(_) => false,
            }
    }

    /// Whether this lock was the last that was got.
    pub(super) fn has_got(self, lock: usize) -> bool {
        match self {
            Self::Job(slot) => slot.footing().is_last(lock),
            Self::Guest(beat) => beat.is_last_lock(lock),
        }
    }

    /// Raise what was sent last in the place of `result`.
    #[cold]
    pub(super) fn raise(self, result: Object) -> Object {
        // SAFETY: attached, as after every call that returned to the interpreter; `result` is a new reference or NULL, and what
        // is set is thrown away with it.
        let py = unsafe {
            ffi::Py_XDECREF(result);
            ffi::PyErr_Clear();
            Python::assume_attached()
        };
        match self {
            Self::Job(slot) if slot.has_sent() => {
                slot.take_back(py);
                if slot.storm().gathers() {
                    slot.storm().begin(py);
                }
                slot.set_sent(py);
            }
            Self::Job(_) => raise_what_arrives(py),
            Self::Guest(beat) => {
                beat.note_lock(0);
                raise_what_arrives(py);
            }
        }
        null_mut()
    }
}

/// What was sent to the thread by whomever.
fn raise_what_arrives(py: Python<'_>) {
    match (0..LATE).find_map(|_| pending::arrive(py)) {
        Some(error) => PyErr::from_value(error.into_any()).restore(py),
        // SAFETY: attached; a class of exceptions. The call was ended, and somebody has taken back why.
        None => unsafe { ffi::PyErr_SetNone(ffi::PyExc_InterruptedError) },
    }
}
