//! Guards around calls of a library that computes or waits by itself, and has a way of its own to be ended: `sqlite3`.
//!
//! A guard notes whose method runs on the thread. A striker has that connection interrupted, again and again until the call has ended;
//! of its system calls only sleeps are ended (between two tries to get a lock of the database), since whatever else it does it may be
//! in the midst of. What the library makes of that is an error, which is thrown away: the kill is raised. A result is a result:
//! the call had done its work, and the kill is raised right behind it.
//!
//! Within such a call Python code may run: a function that the statement calls, a progress handler. There a job is struck as
//! anywhere (`is_in_callback`), and an error that came of it is the kill as well, since the library has made another one of it.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::Object;
use super::who::Who;
use crate::core::once::Once;
use crate::interrupt::beat::Beat;
use crate::interrupt::frame::Frame;
use crate::interrupt::slot::Slot;
use crate::interrupt::wake;

/// What is guarded so: by type and its methods.
pub(super) const METHODS: [(&str, &str); 2] = [
    (
        "_sqlite3.Connection",
        "execute executemany executescript commit rollback backup __exit__",
    ),
    (
        "_sqlite3.Cursor",
        "execute executemany executescript fetchone fetchmany fetchall",
    ),
];

/// How the connection behind one of these is found, and interrupted.
struct Sqlite {
    interrupt: Py<PyAny>,
    cursor: Py<PyAny>,
    connection_of: Py<PyAny>,
}

static SQLITE: Once<Option<Sqlite>> = Once::new();

/// Look up what a striker needs; once, when the guards are put in.
pub(super) fn prepare(module: &Bound<'_, PyAny>) {
    SQLITE.get_or_make(|| {
        let cursor = module.getattr("Cursor").ok()?;
        Some(Sqlite {
            interrupt: module
                .getattr("Connection")
                .ok()?
                .getattr("interrupt")
                .ok()?
                .unbind(),
            connection_of: cursor
                .getattr("connection")
                .ok()?
                .getattr("__get__")
                .ok()?
                .unbind(),
            cursor: cursor.unbind(),
        })
    });
}

/// Call the original, a method of `own`. As `super::guarded`, nothing here has a destructor while it runs.
pub(super) fn guarded(own: Object, original: impl FnOnce() -> Object) -> Object {
    let Some(who) = Who::of_this_thread() else {
        return original();
    };
    let sends = who.sends();
    let Some(entry) = who.begin(false, sends) else {
        return who.raise(null_mut());
    };
    let frame = {
        // SAFETY: a guard is called attached.
        let py = unsafe { Python::assume_attached() };
        Frame::here(py).map_or(0, |frame| frame.mark())
    };
    let outer = who.beat().enter_library(own, frame);
    let result = original();
    let was_interrupted = who.beat().leave_library(outer);
    let was_ended = who.beat().leave(&entry);
    let came_of_it = was_interrupted || was_ended || who.sends() != sends;
    if result.is_null() && came_of_it && !is_the_kill(who) {
        return who.raise(result);
    }
    result
}

/// Whether the exception that is set is what was sent: it was raised in Python code that the call has called, and passed on.
fn is_the_kill(who: Who<'_>) -> bool {
    let Who::Job(slot) = who else { return false };
    // SAFETY: a guard is called attached.
    let py = unsafe { Python::assume_attached() };
    slot.sent(py)
        // SAFETY: attached; an exception is set, and a class.
        .is_some_and(|sent| unsafe { ffi::PyErr_ExceptionMatches(sent.as_ptr()) != 0 })
}

/// The step of an iteration over a cursor.
type Next = unsafe extern "C-unwind" fn(Object) -> Object;

static NEXT: AtomicPtr<()> = AtomicPtr::new(null_mut());

unsafe extern "C-unwind" fn next(own: Object) -> Object {
    // SAFETY: loaded from where `guard_next` put it: a function of this convention.
    guarded(own, || unsafe {
        std::mem::transmute::<*mut (), Next>(NEXT.load(Ordering::Acquire))(own)
    })
}

/// What steps through an iterator of this type, as a place that can be changed.
pub(super) fn next_of(class: &Bound<'_, PyType>) -> Option<&'static AtomicPtr<()>> {
    let class = class.as_type_ptr();
    // SAFETY: attached; a type of a module that is never unloaded. The field is a function pointer or NULL, as the atomic pointer
    // is, and nobody else writes it.
    unsafe {
        (*class).tp_iternext?;
        Some(AtomicPtr::from_ptr((&raw mut (*class).tp_iternext).cast()))
    }
}

pub(super) fn guard_next(original: *mut ()) -> *mut () {
    NEXT.store(original, Ordering::Release);
    next as Next as *mut ()
}

/// What was done about a thread in a call of a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interrupt) enum Told {
    /// It is in none.
    Nobody,
    /// It was told to end.
    ToEnd,
    /// Another thread uses the connection just now, and would be interrupted in its place: to be tried again later.
    NotNow,
}

impl Beat {
    /// Have the library call end that the thread is in. Attached; does not wait for it.
    pub(in crate::interrupt) fn end_library_call(&'static self, py: Python<'_>) -> Told {
        let Some(own) = self.library_object(py) else {
            return Told::Nobody;
        };
        let Ok(connection) = connection_of(&own) else {
            return Told::NotNow;
        };
        // Behind it another statement of the connection runs.
        if wake::waits_for_a_mutex(self) {
            return Told::NotNow;
        }
        self.note_interrupted();
        // A connection that was closed meanwhile says so.
        let _ = interrupt(&connection);
        Told::ToEnd
    }
}

/// By the library's own types, whatever a class of the user's makes of these names.
fn connection_of<'py>(own: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = own.py();
    match SQLITE.get() {
        Some(Some(sqlite)) if own.is_instance(sqlite.cursor.bind(py))? => {
            sqlite.connection_of.bind(py).call1((own,))
        }
        _ => Ok(own.clone()),
    }
}

fn interrupt(connection: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Some(Some(sqlite)) = SQLITE.get() {
        sqlite
            .interrupt
            .bind(connection.py())
            .call1((connection,))?;
    }
    Ok(())
}

impl Slot {
    /// Whether the guarded call that the job is in has called Python code, which runs now.
    pub(in crate::interrupt) fn is_in_callback(&self, py: Python<'_>) -> bool {
        let frame = self.beat().library_frame();
        frame != 0 && self.position(py).is_some_and(|(now, _)| now != frame)
    }
}
