//! Where a job stands with its locks: right behind an `acquire`, or in library code that holds one.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::core::sync::Mutex;

/// Written by the worker's thread, in the guards of locks; read by strikers.
#[derive(Debug, Default)]
pub(super) struct Footing {
    /// The lock that was got last, the frame that got it, and the instruction in it. Only compared.
    lock: AtomicUsize,
    frame: AtomicUsize,
    instruction: AtomicI32,
    /// Locks that code of the standard library got and has not given back, by address; one that can be taken several times
    /// is here as often.
    held: Mutex<Vec<usize>>,
    count: AtomicUsize,
}

/// More than this are not counted: whoever takes so many gives none back.
const MOST: usize = 64;

impl Footing {
    /// A new job.
    pub(super) fn begin(&self) {
        self.lock.store(0, Ordering::Release);
        self.frame.store(0, Ordering::Release);
        if self.count.load(Ordering::Relaxed) > 0 {
            self.held.lock().clear();
            self.count.store(0, Ordering::Release);
        }
    }

    pub(super) fn got_a_lock(&self, lock: usize, frame: usize, instruction: i32) {
        self.lock.store(lock, Ordering::Release);
        self.frame.store(frame, Ordering::Release);
        self.instruction.store(instruction, Ordering::Release);
    }

    /// Whether the job got this lock last, and has not given it back since.
    pub(super) fn is_last(&self, lock: usize) -> bool {
        self.lock.load(Ordering::Acquire) == lock
    }

    /// Whether the job stands where it got its last lock.
    pub(super) fn is_behind_acquire(&self, frame: usize, instruction: i32) -> bool {
        self.frame.load(Ordering::Acquire) == frame
            && self.instruction.load(Ordering::Acquire) == instruction
    }

    pub(super) fn library_got(&self, lock: usize) {
        let mut held = self.held.lock();
        if held.len() == MOST {
            held.remove(0);
        }
        held.push(lock);
        self.count.store(held.len(), Ordering::Release);
    }

    pub(super) fn gave_back(&self, lock: usize) {
        if self.is_last(lock) {
            self.lock.store(0, Ordering::Release);
        }
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut held = self.held.lock();
        if let Some(place) = held.iter().rposition(|held| *held == lock) {
            held.remove(place);
        }
        self.count.store(held.len(), Ordering::Release);
    }

    /// Whether library code holds a lock.
    pub(super) fn library_holds(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }
}
