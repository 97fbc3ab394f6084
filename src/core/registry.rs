//! Jobs by number.

use std::collections::{TryReserveError, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use super::news::News;
use super::sync::Mutex;

/// Keeps `T` by numbers that count from 0 and are never reused.
///
/// Nothing is dropped in here: what leaves is handed to the caller, who may need the interpreter for it.
#[derive(Debug)]
pub struct Registry<T> {
    next: AtomicU64,
    kept: Mutex<Kept<T>>,
    /// Told when what is kept is not what it was.
    pub news: News,
}

#[derive(Debug)]
struct Kept<T> {
    /// The number of `slots[0]`.
    first: u64,
    /// Numbers given out and not removed; the front is never empty, so a flush gives the memory back.
    slots: VecDeque<Option<T>>,
    /// What surveys noted of the first of the slots; 0 where nothing was.
    notes: VecDeque<u8>,
    len: usize,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Registry<T> {
    /// An empty registry.
    pub const fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            kept: Mutex::new(Kept {
                first: 0,
                slots: VecDeque::new(),
                notes: VecDeque::new(),
                len: 0,
            }),
            news: News::new(),
        }
    }

    /// The next number. It is used up even when nothing is inserted under it.
    pub fn reserve(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// See to it that so many more find room.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn make_room(&self, count: usize) -> Result<(), TryReserveError> {
        let mut kept = self.kept.lock();
        kept.slots.try_reserve(count)?;
        kept.notes.try_reserve(count)
    }

    /// The number that is next.
    pub fn next_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Keep `item` under a number that was reserved.
    pub fn insert(&self, number: u64, item: T) {
        let mut kept = self.kept.lock();
        if kept.slots.is_empty() {
            kept.first = number;
        }
        // Reserved numbers may come in out of order, from several threads.
        while number < kept.first {
            kept.slots.push_front(None);
            kept.notes.push_front(0);
            kept.first -= 1;
        }
        let index = index(number - kept.first);
        while kept.slots.len() <= index {
            kept.slots.push_back(None);
        }
        debug_assert!(kept.slots[index].is_none(), "number {number} is in use");
        kept.slots[index] = Some(item);
        kept.len += 1;
        drop(kept);
        self.news.tell();
    }

    /// What `read` makes of the item under `number`; None for an unknown one. `read` runs under the lock: no Python.
    pub fn with<R>(&self, number: u64, read: impl FnOnce(&T) -> R) -> Option<R> {
        let kept = self.kept.lock();
        let index = index(number.checked_sub(kept.first)?);
        kept.slots.get(index)?.as_ref().map(read)
    }

    /// Forget the item under `number` and hand it over.
    pub fn remove(&self, number: u64) -> Option<T> {
        let mut kept = self.kept.lock();
        let index = index(number.checked_sub(kept.first)?);
        let item = kept.slots.get_mut(index)?.take()?;
        kept.len -= 1;
        kept.trim();
        drop(kept);
        self.news.tell();
        Some(item)
    }

    /// Forget every item for which `leaves` holds, and hand them over in the order of their numbers.
    /// `leaves` runs under the lock: no Python.
    pub fn remove_where(&self, mut leaves: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut kept = self.kept.lock();
        let mut gone = Vec::new();
        for slot in &mut kept.slots {
            if slot.as_ref().is_some_and(&mut leaves) {
                gone.extend(slot.take());
            }
        }
        kept.len -= gone.len();
        kept.trim();
        drop(kept);
        self.news.tell();
        gone
    }

    /// What `pick` makes of each item, in the order of their numbers. `pick` runs under the lock: no Python.
    pub fn collect<R>(&self, pick: impl FnMut(&T) -> Option<R>) -> Vec<R> {
        self.kept
            .lock()
            .slots
            .iter()
            .flatten()
            .filter_map(pick)
            .collect()
    }

    /// Show each item to `visit`, in the order of their numbers, with a note that is kept for the next survey: 0 at first. So what
    /// never changes again need not be looked at twice. `visit` runs under the lock: no Python.
    pub fn survey(&self, mut visit: impl FnMut(u64, &T, &mut u8)) {
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        kept.notes.resize(kept.slots.len(), 0);
        let noted = kept.slots.iter().zip(&mut kept.notes);
        for (number, (slot, note)) in (kept.first..).zip(noted) {
            if let Some(item) = slot {
                visit(number, item, note);
            }
        }
    }

    /// The same as `collect` from the newest down, until `pick` has given `limit` of them.
    pub fn collect_newest<R>(&self, limit: usize, pick: impl FnMut(&T) -> Option<R>) -> Vec<R> {
        let kept = self.kept.lock();
        kept.slots
            .iter()
            .rev()
            .flatten()
            .filter_map(pick)
            .take(limit)
            .collect()
    }

    /// What `read` makes of the newest item (`back` 0), the one before it (1), and so on; None where there are not so many. `read`
    /// runs under the lock: no Python.
    pub fn nth_newest<R>(&self, back: usize, read: impl FnOnce(&T) -> R) -> Option<R> {
        let kept = self.kept.lock();
        if back >= kept.len {
            return None;
        }
        kept.slots.iter().rev().flatten().nth(back).map(read)
    }

    /// Call `visit` on each item, unless another thread holds the registry just now; false then.
    ///
    /// # Errors
    /// The first that `visit` gives.
    pub fn try_each<E>(&self, mut visit: impl FnMut(&T) -> Result<(), E>) -> Result<bool, E> {
        let Some(kept) = self.kept.try_lock() else {
            return Ok(false);
        };
        for item in kept.slots.iter().flatten() {
            visit(item)?;
        }
        Ok(true)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.lock().len
    }

    /// True when none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Kept<T> {
    fn trim(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.notes.pop_front();
            self.first += 1;
        }
        if self.slots.is_empty() {
            self.slots.shrink_to_fit();
            self.notes = VecDeque::new();
        }
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod test {
    use super::Registry;

    #[test]
    fn numbers_count_from_zero_and_are_never_reused() {
        let registry = Registry::new();
        let numbers: Vec<u64> = (0..3).map(|_| registry.reserve()).collect();
        assert_eq!(numbers, [0, 1, 2]);
        for number in numbers {
            registry.insert(number, number);
        }
        assert_eq!(registry.remove_where(|_| true), [0, 1, 2]);
        assert!(registry.is_empty());
        assert_eq!(registry.reserve(), 3);
    }

    #[test]
    fn reserved_numbers_may_come_in_any_order() {
        let registry = Registry::new();
        for number in [4, 2, 7, 3] {
            registry.insert(number, number * 10);
        }
        assert_eq!(registry.collect(|item| Some(*item)), [20, 30, 40, 70]);
        assert_eq!(registry.collect_newest(2, |item| Some(*item)), [70, 40]);
        let newest: Vec<_> = (0..5)
            .map(|back| registry.nth_newest(back, |item| *item))
            .collect();
        assert_eq!(newest, [Some(70), Some(40), Some(30), Some(20), None]);
        assert_eq!(registry.nth_newest(usize::MAX, |item| *item), None);
        assert_eq!(registry.with(5, |item| *item), None);
        assert_eq!(registry.with(0, |item| *item), None);
        assert_eq!(registry.with(7, |item| *item), Some(70));
        assert_eq!(registry.len(), 4);
    }

    #[test]
    fn notes_stay_with_their_items() {
        let registry = Registry::new();
        let survey = |mark: bool| {
            let mut seen = Vec::new();
            registry.survey(|number, item, note| {
                assert_eq!(number, *item);
                seen.push((number, *note));
                if mark {
                    *note = u8::try_from(number).unwrap();
                }
            });
            seen
        };
        for number in [5, 6] {
            registry.insert(number, number);
        }
        assert_eq!(survey(true), [(5, 0), (6, 0)]);
        // In front of them, behind them, and where the first one was.
        for number in [9, 3] {
            registry.insert(number, number);
        }
        assert_eq!(survey(false), [(3, 0), (5, 5), (6, 6), (9, 0)]);
        assert_eq!(registry.remove(3), Some(3));
        assert_eq!(registry.remove(6), Some(6));
        registry.insert(7, 7);
        assert_eq!(survey(true), [(5, 5), (7, 0), (9, 0)]);
        assert_eq!(registry.remove_where(|_| true), [5, 7, 9]);
        registry.insert(10, 10);
        assert_eq!(survey(false), [(10, 0)]);
    }

    #[test]
    fn every_change_is_news() {
        let registry = Registry::new();
        registry.insert(registry.reserve(), 'a');
        assert_eq!(registry.news.wait_past(0, None), 1);
        registry.insert(registry.reserve(), 'b');
        assert_eq!(registry.remove(0), Some('a'));
        drop(registry.remove_where(|_| true));
        assert_eq!(registry.news.wait_past(1, None), 4);
    }

    #[test]
    fn what_is_removed_is_handed_over_once_and_its_memory_is_given_back() {
        let registry = Registry::new();
        for number in 0..1000 {
            registry.insert(number, number);
        }
        assert_eq!(registry.remove(500), Some(500));
        assert_eq!(registry.remove(500), None);
        assert_eq!(registry.remove_where(|item| *item < 900).len(), 899);
        assert_eq!(registry.kept.lock().slots.len(), 100);
        assert_eq!(registry.with(899, |item| *item), None);
        assert_eq!(registry.with(900, |item| *item), Some(900));
        assert_eq!(registry.remove(u64::MAX), None);
    }
}
