//! How far a group may go ahead of who takes its results.

use std::time::Duration;

use super::clock::{self, Tick};

/// A consumer takes so many results together at most: they wait as well, for who has them.
pub const TAKEN_AT_ONCE: usize = 16;
/// Results that may wait for a consumer, where nobody said how many: 1,000 with those.
const AHEAD: usize = 1_000 - TAKEN_AT_ONCE;
/// For so long from its beginning a group waits for a consumer to come.
pub const TIME_TO_COME: Duration = Duration::from_secs(1);

/// Counts the items that were begun and the results that were taken.
#[derive(Debug)]
pub struct Window {
    rule: Rule,
    begun_at: Tick,
    begun: usize,
    taken: usize,
    has_consumer: bool,
    /// Somebody waits for the whole group.
    is_lifted: bool,
}

/// What holds a group back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nothing: it is known how many there will be.
    Free,
    /// A consumer that does not keep up; without one, nothing after the first second.
    Consumer,
    /// So many results that nobody took.
    Buffer(usize),
}

impl Window {
    /// Nothing begun and nothing taken.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            begun_at: clock::now(),
            begun: 0,
            taken: 0,
            has_consumer: false,
            is_lifted: false,
        }
    }

    /// How many more items may be begun.
    pub fn room(&self, now: Tick) -> usize {
        let waits = self.begun.saturating_sub(self.taken);
        match self.rule {
            _ if self.is_lifted => usize::MAX,
            Rule::Buffer(most) => most.saturating_sub(waits),
            Rule::Consumer if self.has_consumer || self.is_young(now) => {
                AHEAD.saturating_sub(waits)
            }
            Rule::Free | Rule::Consumer => usize::MAX,
        }
    }

    /// True while a consumer may still come.
    pub fn is_young(&self, now: Tick) -> bool {
        Duration::from_nanos(now.saturating_sub(self.begun_at)) < TIME_TO_COME
    }

    /// True when it is held back for want of a consumer only, and will not be any more when it is older.
    pub fn grows_out(&self) -> bool {
        self.rule == Rule::Consumer && !self.has_consumer && !self.is_lifted
    }

    /// So many items were begun.
    pub const fn begin(&mut self, items: usize) {
        self.begun += items;
    }

    /// So many of these were not there.
    pub const fn give_back(&mut self, items: usize) {
        self.begun -= items;
    }

    /// Items that were begun.
    pub const fn begun(&self) -> usize {
        self.begun
    }

    /// So many more results were taken by a consumer.
    pub const fn take(&mut self, results: usize) {
        self.taken += results;
    }

    /// All results before this one were taken.
    pub fn take_up_to(&mut self, index: usize) {
        self.taken = self.taken.max(index);
    }

    /// Results that were taken.
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// Somebody iterates.
    pub const fn meet_consumer(&mut self) {
        self.has_consumer = true;
    }

    /// Whether somebody has iterated.
    pub const fn has_consumer(&self) -> bool {
        self.has_consumer
    }

    /// Somebody waits for the whole group: nothing holds it back from here on.
    pub const fn lift(&mut self) {
        self.is_lifted = true;
    }
}

#[cfg(test)]
mod test {
    use super::{AHEAD, Rule, Window};
    use crate::core::clock;

    const LATER: u64 = 2_000_000_000;

    #[test]
    fn a_buffer_holds_so_many_and_no_more() {
        let mut window = Window::new(Rule::Buffer(3));
        assert_eq!(window.room(clock::now() + LATER), 3);
        window.begin(3);
        assert_eq!(window.room(clock::now()), 0);
        assert!(!window.grows_out());
        window.take(2);
        assert_eq!(window.room(clock::now()), 2);
        window.lift();
        assert_eq!(window.room(clock::now()), usize::MAX);
    }

    #[test]
    fn without_a_consumer_it_is_free_after_a_second() {
        let mut window = Window::new(Rule::Consumer);
        window.begin(AHEAD);
        assert_eq!(window.room(clock::now()), 0);
        assert!(window.grows_out());
        assert_eq!(window.room(clock::now() + LATER), usize::MAX);
    }

    #[test]
    fn a_consumer_is_never_run_away_from() {
        let mut window = Window::new(Rule::Consumer);
        window.meet_consumer();
        window.begin(AHEAD);
        assert_eq!(window.room(clock::now() + LATER), 0);
        assert!(!window.grows_out());
        window.take_up_to(10);
        window.take_up_to(4);
        assert_eq!(window.room(clock::now() + LATER), 10);
        assert_eq!((window.begun(), window.taken()), (AHEAD, 10));
    }

    #[test]
    fn what_is_counted_beforehand_is_not_held_back() {
        let mut window = Window::new(Rule::Free);
        window.meet_consumer();
        window.begin(AHEAD * AHEAD);
        assert_eq!(window.room(clock::now()), usize::MAX);
    }
}
