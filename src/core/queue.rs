//! The order in which queued work is taken: by rank, and in each rank first come, first served.

use std::cmp::Reverse;
use std::collections::{BTreeMap, TryReserveError, VecDeque};

/// A queue whose items have a rank: those of a higher rank come first. Rank 0 is the usual one, and costs no more than a
/// plain queue.
#[derive(Debug)]
pub struct Queue<T> {
    plain: VecDeque<T>,
    ranked: BTreeMap<(Reverse<i32>, u64), T>,
    next: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Queue<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            plain: VecDeque::new(),
            ranked: BTreeMap::new(),
            next: 0,
        }
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.plain.len() + self.ranked.len()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.ranked.is_empty()
    }

    /// See to it that so many more of the usual rank find room.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn make_room(&mut self, count: usize) -> Result<(), TryReserveError> {
        self.plain.try_reserve(count)
    }

    /// Put an item behind all others of its rank.
    pub fn push(&mut self, item: T, rank: i32) {
        if rank == 0 {
            self.plain.push_back(item);
        } else {
            self.ranked.insert((Reverse(rank), self.next), item);
            self.next += 1;
        }
    }

    /// Take the first.
    pub fn pop(&mut self) -> Option<T> {
        let ranked = self.ranked.first_entry();
        match ranked {
            Some(first) if first.key().0.0 > 0 || self.plain.is_empty() => Some(first.remove()),
            _ => self.plain.pop_front(),
        }
    }

    /// Take the last of those put in for which `is_it` holds, among those of its rank.
    pub fn withdraw(&mut self, mut is_it: impl FnMut(&T) -> bool) -> Option<T> {
        if let Some(index) = self.plain.iter().rposition(&mut is_it) {
            return self.plain.remove(index);
        }
        let key = self.ranked.iter().rev().find(|(_, item)| is_it(item));
        let key = *key?.0;
        self.ranked.remove(&key)
    }

    /// Whether `is_it` holds for any.
    pub fn any(&self, is_it: impl FnMut(&T) -> bool) -> bool {
        self.plain.iter().chain(self.ranked.values()).any(is_it)
    }

    /// Take all, in order, each with its rank.
    pub fn take(&mut self) -> Vec<(T, i32)> {
        let mut all = Vec::new();
        // Without memory for the list they stay where they are: nobody begins them at the end of the process.
        if all.try_reserve_exact(self.len()).is_err() {
            return all;
        }
        while let Some(rank) = self.first_rank()
            && let Some(item) = self.pop()
        {
            all.push((item, rank));
        }
        all
    }

    fn first_rank(&self) -> Option<i32> {
        let ranked = self.ranked.keys().next().map(|key| key.0.0);
        match ranked {
            Some(rank) if rank > 0 || self.plain.is_empty() => Some(rank),
            _ => (!self.plain.is_empty()).then_some(0),
        }
    }
}

#[cfg(test)]
mod test {
    use super::Queue;

    fn filled() -> Queue<&'static str> {
        let mut queue = Queue::new();
        for (item, rank) in [
            ("a", 0),
            ("low", -3),
            ("b", 0),
            ("high", 7),
            ("higher", 9),
            ("high too", 7),
        ] {
            queue.push(item, rank);
        }
        queue
    }

    #[test]
    fn higher_ranks_come_first_and_equals_in_their_order() {
        let mut queue = filled();
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["higher", "high", "high too", "a", "b", "low"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_taken_goes_back_to_where_it_was() {
        let mut queue = filled();
        let all = queue.take();
        assert!(queue.is_empty());
        for (item, rank) in all {
            queue.push(item, rank);
        }
        assert_eq!(queue.len(), 6);
        assert_eq!(queue.pop(), Some("higher"));
    }

    #[test]
    fn one_can_be_withdrawn() {
        let mut queue = filled();
        assert_eq!(queue.withdraw(|item| *item == "high too"), Some("high too"));
        assert_eq!(queue.withdraw(|item| *item == "b"), Some("b"));
        assert_eq!(queue.withdraw(|item| *item == "z"), None);
        assert_eq!(queue.len(), 4);
    }
}
