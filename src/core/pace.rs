//! How many items of a group a worker takes at a time, and when another worker is worth its while.

use std::time::Duration;

/// What a batch is to take: long enough that what is done once for each does not count, short enough that others wait
/// for its results no longer than they notice.
const GOAL: Duration = Duration::from_millis(1);
/// No more than so much at once, since a guess from few items may be far off.
const GROWTH: usize = 8;
/// More than this is never needed: the fastest function there is takes 30 ns.
const LARGEST: usize = 1 << 15;
/// Items that take this long are worth another worker each.
const LONG: Duration = Duration::from_micros(30);
/// Items that take this long and do not compute for most of it wait for something.
const WAITING: Duration = Duration::from_micros(5);
/// So many such batches in a row are believed.
const ENOUGH: usize = 2;

/// The size of the next batch.
#[derive(Debug)]
pub struct Pace {
    fixed: Option<usize>,
    next: usize,
    /// Batches in a row whose items took long. One alone means nothing: the system may have had its thread wait.
    long: usize,
}

impl Pace {
    /// Batches that grow from 1, or of a fixed size.
    pub const fn new(fixed: Option<usize>) -> Self {
        Self {
            fixed,
            next: 1,
            long: 0,
        }
    }

    /// How many items to take.
    pub fn batch(&self) -> usize {
        self.fixed.unwrap_or(self.next)
    }

    /// One at a time again: an item that is much slower than those before it was seen.
    pub const fn start_over(&mut self) {
        self.next = 1;
    }

    /// A batch of `items` has ended that took `wall`, and computed for `cpu` of it. True when items take so long that more
    /// workers help.
    pub fn note(&mut self, items: usize, wall: Duration, cpu: Duration) -> bool {
        if items == 0 {
            return false;
        }
        let each = (wall / u32::try_from(items).unwrap_or(u32::MAX)).max(Duration::from_nanos(1));
        let fitting = usize::try_from(GOAL.as_nanos() / each.as_nanos()).unwrap_or(LARGEST);
        self.next = fitting.clamp(1, items.saturating_mul(GROWTH).min(LARGEST));
        let is_long = each >= LONG || (each >= WAITING && cpu < wall / 2);
        self.long = if is_long { self.long + 1 } else { 0 };
        self.long >= ENOUGH
    }
}

#[cfg(test)]
mod test {
    use std::time::Duration;

    use super::{GOAL, LARGEST, Pace};

    /// Run a million items that take `each` and compute all the time; how many batches, and the largest.
    fn run(mut pace: Pace, each: Duration) -> (usize, usize) {
        let (mut left, mut batches, mut largest) = (1_000_000_usize, 0, 0);
        while left > 0 {
            let batch = pace.batch().min(left);
            let time = each * u32::try_from(batch).unwrap();
            pace.note(batch, time, time);
            left -= batch;
            batches += 1;
            largest = largest.max(batch);
        }
        (batches, largest)
    }

    #[test]
    fn fast_items_soon_go_by_the_thousand_and_a_batch_never_takes_long() {
        let (batches, largest) = run(Pace::new(None), Duration::from_nanos(60));
        assert!(batches < 100, "{batches}");
        assert!(largest <= LARGEST);
        let (_, largest) = run(Pace::new(None), Duration::from_micros(3));
        assert!(GOAL / 2 < Duration::from_micros(3) * u32::try_from(largest).unwrap());
        assert!(Duration::from_micros(3) * u32::try_from(largest).unwrap() <= GOAL);
        let (batches, largest) = run(Pace::new(None), Duration::from_millis(5));
        assert_eq!((batches, largest), (1_000_000, 1));
    }

    #[test]
    fn a_fixed_size_stays() {
        let (batches, largest) = run(Pace::new(Some(300)), Duration::from_nanos(1));
        assert_eq!((batches, largest), (3334, 300));
    }

    #[test]
    fn one_slow_item_makes_batches_small_again() {
        let mut pace = Pace::new(None);
        for _ in 0..10 {
            let batch = pace.batch();
            let time = Duration::from_nanos(60) * u32::try_from(batch).unwrap();
            pace.note(batch, time, time);
        }
        assert!(pace.batch() > 1_000);
        pace.start_over();
        assert_eq!(pace.batch(), 1);
    }

    #[test]
    fn who_waits_or_takes_long_wants_company_and_who_computes_a_little_does_not() {
        let us = Duration::from_micros;
        let wants = |items, wall, cpu| {
            let mut pace = Pace::new(None);
            let first = pace.note(items, us(wall), us(cpu));
            assert!(!first, "one batch means nothing");
            pace.note(items, us(wall), us(cpu))
        };
        assert!(wants(1, 50_000, 20), "a sleep");
        assert!(wants(1, 400, 400), "numpy");
        assert!(wants(10, 100, 20), "a fast answer from elsewhere");
        assert!(!wants(10_000, 1_000, 1_000), "a no-op");
        assert!(
            !wants(10_000, 9_000, 1_000),
            "a no-op while others computed"
        );
        assert!(!wants(0, 0, 0));
    }
}
