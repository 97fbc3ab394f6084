//! What a thread tells others about the guarded call that it is in, and what they ask of it.
//!
//! Written and read without locks: one side is a signal handler on the thread itself, another the child of a fork.

use std::cell::Cell;
use std::ffi::c_ulong;
use std::ptr::{from_ref, null, null_mut};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

use pyo3::ffi;
use pyo3::prelude::*;

use super::slot::Slot;
use super::{interpreter, thread, wake};
use crate::core::sync::Mutex;

/// One thread. Never freed, since a signal may arrive late: used again for a later one.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    /// The kernel's number of the thread; 0 while no thread has this.
    thread: AtomicI32,
    /// `threading.get_ident()` of a guest; 0 for a worker.
    guest: AtomicU64,
    /// The lock that the guest got last, by its address.
    last_lock: AtomicUsize,
    /// The one that was made before this.
    next: AtomicPtr<Beat>,
    /// How many guarded calls were entered.
    entries: AtomicU64,
    /// The guarded call that the thread is in, by its number; 0 for none.
    current: AtomicU64,
    /// It waits for a lock, with a time limit of ours: such a wait may be ended as if its time were over.
    waits_for_lock: AtomicBool,
    /// What it waits for, a lock or the end of a thread, by its address; 0 for nothing.
    awaited: AtomicUsize,
    /// The guarded call is one that must not be struck.
    is_deaf: AtomicBool,
    /// The guarded call whose system call was ended by us.
    ended: AtomicU64,
    /// A call of the job may have returned early because of us, with a value that means nothing.
    is_nudged: AtomicBool,
    /// The call of a library that the thread is in, which has to be told to end it.
    library: Mutex<LibraryCall>,
    pub(super) request: Request,
}

/// A call of a library's method.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct LibraryCall {
    /// Whose method, by its address: alive as long as this says so, since whoever calls it holds it. 0 for no call.
    own: usize,
    /// The innermost frame when it began.
    frame: usize,
    was_interrupted: bool,
}

/// Which system call is to be ended, and with what result. Written by the one waker before it sends the signal.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// The guarded call that it belongs to.
    pub(super) entry: AtomicU64,
    pub(super) number: AtomicUsize,
    pub(super) pc: AtomicUsize,
    pub(super) sp: AtomicUsize,
    pub(super) result: AtomicUsize,
    /// One of `Answer`.
    pub(super) answer: AtomicU32,
    /// When it was made, by our clock.
    pub(super) time: AtomicU64,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Answer {
    /// None was made, or it was answered and seen.
    Idle = 0,
    /// The signal was sent.
    Asked = 1,
    /// The system call was ended.
    Ended = 2,
    /// The thread was elsewhere by then, or in a call that must not be touched.
    Elsewhere = 3,
}

/// All that were ever made, the last one first. It only grows, to as many as there were threads at the same time.
static ALL: AtomicPtr<Beat> = AtomicPtr::new(null_mut());

fn all() -> impl Iterator<Item = &'static Beat> {
    let deref = |beat: &AtomicPtr<Beat>| {
        let beat = beat.load(Ordering::Acquire).cast_const();
        // SAFETY: NULL or one that was leaked on purpose.
        unsafe { beat.as_ref() }
    };
    std::iter::successors(deref(&ALL), move |beat| deref(&beat.next))
}

impl Beat {
    /// One for the calling thread.
    pub(super) fn of_this_thread() -> &'static Self {
        let claim = |beat: &&Self| {
            // One that still waits for its answer is not used again: the signal may be on its way.
            beat.request.answer.load(Ordering::Acquire) != Answer::Asked as u32
                && beat
                    .thread
                    .compare_exchange(0, thread_number(), Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        };
        all().find(claim).unwrap_or_else(Self::another)
    }

    fn another() -> &'static Self {
        let beat: &'static Self = Box::leak(Box::default());
        beat.thread.store(thread_number(), Ordering::Release);
        let mut first = ALL.load(Ordering::Acquire);
        loop {
            beat.next.store(first, Ordering::Release);
            let new = from_ref(beat).cast_mut();
            match ALL.compare_exchange_weak(first, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return beat,
                Err(now) => first = now,
            }
        }
    }

    /// Its thread ends.
    pub(super) fn retire(&self) {
        self.begin();
        self.guest.store(0, Ordering::Release);
        self.thread.store(0, Ordering::Release);
    }

    /// That of a thread that runs no job, if it was ever seen in a guarded call.
    pub(crate) fn of_guest(ident: c_ulong) -> Option<&'static Self> {
        all().find(|beat| beat.guest.load(Ordering::Acquire) == widen(ident))
    }

    pub(super) fn thread(&self) -> i32 {
        self.thread.load(Ordering::Acquire)
    }

    /// A guarded call begins; `leave` needs what this returns.
    pub(super) fn enter(&self, waits_for_lock: bool) -> Entry {
        let number = self.entries.load(Ordering::Relaxed) + 1;
        self.entries.store(number, Ordering::Relaxed);
        let entry = Entry {
            number,
            outer: self.current.load(Ordering::Relaxed),
            outer_waits_for_lock: self.waits_for_lock.load(Ordering::Relaxed),
        };
        self.waits_for_lock.store(waits_for_lock, Ordering::Release);
        self.current.store(number, Ordering::Release);
        entry
    }

    /// A call of a method of `own` begins in this frame; `leave_library` needs what this returns.
    pub(super) fn enter_library(&self, own: *mut ffi::PyObject, frame: usize) -> LibraryCall {
        let call = LibraryCall {
            own: own as usize,
            frame,
            was_interrupted: false,
        };
        std::mem::replace(&mut *self.library.lock(), call)
    }

    /// It has returned; true when it was interrupted.
    pub(super) fn leave_library(&self, outer: LibraryCall) -> bool {
        std::mem::replace(&mut *self.library.lock(), outer).was_interrupted
    }

    /// Whose method runs, in the innermost call of a library.
    pub(super) fn library_object<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let call = self.library.lock();
        // SAFETY: attached; under the lock whoever called the method has not returned from it, and holds the object.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, call.own as *mut ffi::PyObject) }
    }

    pub(super) fn note_interrupted(&self) {
        let mut call = self.library.lock();
        call.was_interrupted = call.own != 0;
    }

    pub(super) fn is_in_library(&self) -> bool {
        self.library.lock().own != 0
    }

    /// The innermost frame when the call of a library began that the thread is in; 0 where it is in none.
    pub(super) fn library_frame(&self) -> usize {
        self.library.lock().frame
    }

    /// The guarded call that was entered last must not be struck (or may be again).
    pub(super) fn set_deaf(&self, is_deaf: bool) {
        self.is_deaf.store(is_deaf, Ordering::Release);
    }

    pub(super) fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::Acquire)
    }

    /// It has returned; true when its system call was ended by us, so that what it returned means nothing.
    pub(super) fn leave(&self, entry: &Entry) -> bool {
        self.current.store(entry.outer, Ordering::Release);
        self.waits_for_lock
            .store(entry.outer_waits_for_lock, Ordering::Release);
        self.ended
            .compare_exchange(entry.number, 0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// A new job, or a new thread: whatever the last one was in is over.
    pub(super) fn begin(&self) {
        self.current.store(0, Ordering::Release);
        self.waits_for_lock.store(false, Ordering::Release);
        self.is_nudged.store(false, Ordering::Release);
        self.awaits(0);
        self.set_deaf(false);
        *self.library.lock() = LibraryCall::default();
    }

    /// Before a signal is sent that may have a call return early.
    pub(super) fn note_nudge(&self) {
        self.is_nudged.store(true, Ordering::Release);
    }

    pub(super) fn is_nudged(&self) -> bool {
        self.is_nudged.load(Ordering::Acquire)
    }

    /// It waits for this from here on; 0: no more.
    pub(super) fn awaits(&self, address: usize) {
        self.awaited.store(address, Ordering::Release);
    }

    pub(super) fn awaited(&self) -> usize {
        self.awaited.load(Ordering::Acquire)
    }

    /// The guest got a lock, or was raised an exception in the place of one (0).
    pub(super) fn note_lock(&self, lock: usize) {
        self.last_lock.store(lock, Ordering::Relaxed);
    }

    pub(super) fn is_last_lock(&self, lock: usize) -> bool {
        self.last_lock.load(Ordering::Relaxed) == lock
    }

    /// The guarded call that the thread is in; 0 for none.
    pub(crate) fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    pub(super) fn waits_for_lock(&self) -> bool {
        self.waits_for_lock.load(Ordering::Acquire)
    }

    /// The system call of the guarded call `entry` was ended. On the thread itself, in the signal handler.
    pub(super) fn has_ended(&self, entry: u64) {
        self.ended.store(entry, Ordering::Release);
    }
}

/// A guarded call, nested in another or not.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    outer: u64,
    outer_waits_for_lock: bool,
}

#[cfg(target_os = "linux")]
fn thread_number() -> i32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::gettid() }
}

/// Where nothing can be woken nobody needs it.
#[cfg(not(target_os = "linux"))]
fn thread_number() -> i32 {
    1
}

#[allow(clippy::useless_conversion, reason = "32 bits on Windows")]
fn widen(ident: c_ulong) -> u64 {
    ident.into()
}

thread_local! {
    // Without a destructor, and set before any signal is sent to the thread.
    static HERE: Cell<*const Slot> = const { Cell::new(null()) };
    static SEAT: Seat = const { Seat(Cell::new(Guest::Unknown)) };
}

/// What a thread that is no worker has.
struct Seat(Cell<Guest>);

#[derive(Clone, Copy)]
enum Guest {
    /// It has not been asked.
    Unknown,
    /// Nothing: the main thread, and where calls cannot be ended from outside.
    Nobody,
    Somebody(&'static Beat),
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Guest::Somebody(beat) = self.0.get() {
            beat.retire();
        }
    }
}

/// The calling thread's beat, if it is a guest: a thread that is neither a worker nor the main thread, where `kill_thread` can
/// end calls.
#[inline]
pub(super) fn guest() -> Option<&'static Beat> {
    if !HERE.get().is_null() {
        return None;
    }
    // Not in a thread that ends, and has no such thing any more.
    SEAT.try_with(|seat| match seat.0.get() {
        Guest::Unknown => sit_down(seat),
        Guest::Nobody => None,
        Guest::Somebody(beat) => Some(beat),
    })
    .ok()
    .flatten()
}

#[cold]
fn sit_down(seat: &Seat) -> Option<&'static Beat> {
    if thread::is_main() || !wake::is_possible() {
        seat.0.set(Guest::Nobody);
        return None;
    }
    let beat = Beat::of_this_thread();
    beat.guest.store(widen(thread::ident()), Ordering::Release);
    seat.0.set(Guest::Somebody(beat));
    Some(beat)
}

/// In the child of a fork: of all threads only the calling one is here, which nobody can strike, and which has another number.
pub(crate) fn after_fork_in_child() {
    set_here(None);
    let _ = SEAT.try_with(|seat| seat.0.set(Guest::Unknown));
    for beat in all() {
        beat.retire();
    }
    super::guest::after_fork_in_child();
}

/// The calling thread is a worker with this slot (None: no more). The caller keeps the slot alive until it takes it back.
pub(crate) fn set_here(slot: Option<&Slot>) {
    HERE.set(slot.map_or(null(), std::ptr::from_ref));
}

/// The slot of the calling thread, attached, while it runs a job; None anywhere else, and in code that the job runs in another
/// interpreter: what is sent is of the main one, and must not be raised there.
#[inline]
pub(super) fn here<'a>() -> Option<&'a Slot> {
    let slot = HERE.get();
    if slot.is_null() {
        return None;
    }
    // SAFETY: set by this very thread, whose worker keeps the slot alive and takes it back before it goes.
    let slot = unsafe { &*slot };
    (slot.is_open() && interpreter::is_main()).then_some(slot)
}

/// Python has swallowed this: what was sent to the job of the calling thread is sent once more, now or where it may be. False where
/// that was something else, or there is no job.
pub(crate) fn was_swallowed(class: &Bound<'_, PyAny>) -> bool {
    let py = class.py();
    here().is_some_and(|slot| {
        let is_it = slot.sent(py).is_some_and(|sent| sent.is(class));
        is_it && slot.job().is_some_and(|job| slot.was_swallowed(py, job))
    })
}
