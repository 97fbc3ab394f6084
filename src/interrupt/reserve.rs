//! A reserve of memory for what rjobs itself needs a little of, where the system gives none.
//!
//! Rust ends the process when an allocation fails, and CPython raises `MemoryError` and goes on. What users choose the size of
//! (output, values, texts of them) is asked for in a way that may fail, and becomes that error in the job that asked. All the
//! rest is a few hundred bytes for each job, waiter or alarm: under a memory limit (`RLIMIT_AS`) that comes from here, until
//! the program has let go of something.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ballast;

/// Bytes, of address space until they are used. The numbers are arbitrary.
const SIZE: usize = 1 << 20;
/// What is larger is refused, so that one list that grows cannot use it up.
const LARGEST: usize = 32 * 1024;
/// Of each block.
const ALIGN: usize = 16;

#[repr(C, align(16))]
struct Reserve {
    bytes: UnsafeCell<[u8; SIZE]>,
    /// How many blocks are in use, in the upper half, and how many bytes were given out since that was 0, in the lower one.
    state: AtomicU64,
}

// SAFETY: the bytes are given out in blocks that do not overlap, by one atomic change each; nobody else reads or writes them.
unsafe impl Sync for Reserve {}

const ONE: u64 = 1 << 32;

impl Reserve {
    #[allow(clippy::large_stack_arrays)] // evaluated by the compiler, for a static
    const fn new() -> Self {
        Self {
            bytes: UnsafeCell::new([0; SIZE]),
            state: AtomicU64::new(0),
        }
    }

    /// A block, or NULL.
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST || layout.align() > ALIGN {
            return std::ptr::null_mut();
        }
        let size = layout.size().next_multiple_of(ALIGN) as u64;
        let taken = self
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                let used = state % ONE;
                (used + size <= SIZE as u64).then_some(state + ONE + size)
            });
        match taken {
            // SAFETY: within the bytes, as was just seen.
            Ok(state) => unsafe {
                let used = usize::try_from(state % ONE).unwrap_or(0);
                self.bytes.get().cast::<u8>().add(used)
            },
            Err(_) => std::ptr::null_mut(),
        }
    }

    fn has(&self, block: *mut u8) -> bool {
        (block as usize).wrapping_sub(self.bytes.get() as usize) < SIZE
    }

    /// Give a block back. When it was the last one, all of it is there again.
    fn give_back(&self) {
        let _ = self
            .state
            .fetch_update(Ordering::Release, Ordering::Relaxed, |state| {
                let left = state - ONE;
                Some(if left < ONE { 0 } else { left })
            });
    }
}

static RESERVE: Reserve = Reserve::new();

/// Whether much of the reserve is used, and the system still gives nothing, or half of it, whatever the system gives this thread,
/// or the ballast is overboard and cannot be had again: then nothing is begun that would need more.
pub(crate) fn is_low() -> bool {
    if !ballast::hold() {
        return true;
    }
    let used = RESERVE.state.load(Ordering::Relaxed) % ONE;
    used > SIZE as u64 / 2 || (used > SIZE as u64 / 4 && is_last())
}

/// Whether the system has no more than a few bytes for this thread.
pub(crate) fn is_last() -> bool {
    !gives(LARGEST)
}

/// Whether the system gives so many bytes just now.
fn gives(size: usize) -> bool {
    let Ok(layout) = Layout::from_size_align(size.max(1), ALIGN) else {
        return false;
    };
    // SAFETY: of a size that is not 0; what is given is given back at once.
    unsafe {
        let block = System.alloc(layout);
        if !block.is_null() {
            System.dealloc(block, layout);
        }
        !block.is_null()
    }
}

/// The system's memory, and the reserve behind it.
#[derive(Debug)]
pub(crate) struct WithReserve;

// SAFETY: each block is the system's or the reserve's, told apart by its address, and is given back to where it came from; those
// of the reserve are as large and aligned as was asked.
unsafe impl GlobalAlloc for WithReserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's own promise.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            return block;
        }
        let block = RESERVE.take(layout);
        if !block.is_null() || !ballast::let_go() {
            return block;
        }
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's own promise.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            return block;
        }
        // SAFETY: the caller's own promise.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: it has this size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if RESERVE.has(block) {
            RESERVE.give_back();
        } else {
            // SAFETY: it is the system's, with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !RESERVE.has(block) {
            // SAFETY: it is the system's, with this layout.
            let moved = unsafe { System.realloc(block, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the alignment is a lawful one, and the caller promises that the size is.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: of a size that is not 0, as the caller promises.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: two blocks of at least so many bytes; the old one is given back with its layout.
            unsafe {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}

#[cfg(test)]
mod test {
    use std::alloc::Layout;

    use super::{LARGEST, Reserve, SIZE};

    #[test]
    fn blocks_do_not_overlap_and_all_of_it_comes_back() {
        // Larger than the stack of a test.
        static RESERVE: Reserve = Reserve::new();
        let reserve = &RESERVE;
        for _ in 0..3 {
            let layout = Layout::from_size_align(100, 8).unwrap();
            let mut blocks = Vec::new();
            loop {
                let block = reserve.take(layout);
                if block.is_null() {
                    break;
                }
                assert!(reserve.has(block));
                assert_eq!(block as usize % 16, 0);
                blocks.push(block as usize);
            }
            assert_eq!(blocks.len(), SIZE / 112);
            assert!(blocks.windows(2).all(|two| two[0] + 112 == two[1]));
            for _ in blocks {
                reserve.give_back();
            }
        }
        let too_large = Layout::from_size_align(LARGEST + 1, 8).unwrap();
        assert!(reserve.take(too_large).is_null());
        let too_aligned = Layout::from_size_align(8, 4096).unwrap();
        assert!(reserve.take(too_aligned).is_null());
        assert!(!reserve.has(std::ptr::null_mut()));
    }
}
