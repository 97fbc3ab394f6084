//! How many jobs have not ended, by what the end of the program does with them.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// What the end of the program does with a job that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stake {
    /// It waits for it: so somebody asked.
    Kept = 0,
    /// It waits for it in a script, and ends it where one works interactively.
    ByPlace = 1,
    /// The same, for a periodic job: a script waits for the run that it is at.
    Periodic = 2,
    /// It ends it.
    Daemon = 3,
}

impl Stake {
    const ALL: [Self; 4] = [Self::Kept, Self::ByPlace, Self::Periodic, Self::Daemon];

    /// Of a job, or a manager, with this `daemon=`.
    pub const fn of(daemon: Option<bool>, is_periodic: bool) -> Self {
        match daemon {
            Some(false) => Self::Kept,
            Some(true) => Self::Daemon,
            None if is_periodic => Self::Periodic,
            None => Self::ByPlace,
        }
    }
}

/// The counts of one house. Every job changes them twice, so they are no more than that.
#[derive(Debug, Default)]
pub struct Census([AtomicUsize; 4]);

impl Census {
    /// How many there are of a kind.
    pub fn count(&self, stake: Stake) -> usize {
        self.0[stake as usize].load(Ordering::SeqCst)
    }
}

/// Whether a job is counted, and as what.
#[derive(Debug)]
pub struct Entry(AtomicU8);

/// It is counted nowhere.
const NOWHERE: u8 = u8::MAX;

impl Entry {
    /// One that is not counted.
    pub const fn new() -> Self {
        Self(AtomicU8::new(NOWHERE))
    }

    /// What it is counted as; None before its beginning and after its end.
    pub fn stake(&self) -> Option<Stake> {
        Stake::ALL
            .get(usize::from(self.0.load(Ordering::Acquire)))
            .copied()
    }

    /// Count it. Once, by who made it.
    pub fn enter(&self, census: &Census, stake: Stake) {
        census.0[stake as usize].fetch_add(1, Ordering::SeqCst);
        self.0.store(stake as u8, Ordering::Release);
    }

    /// It has ended. True when it was the last one of its kind.
    pub fn leave(&self, census: &Census) -> bool {
        let stake = self.0.swap(NOWHERE, Ordering::AcqRel);
        (census.0.get(usize::from(stake)))
            .is_some_and(|count| count.fetch_sub(1, Ordering::SeqCst) == 1)
    }

    /// Count it as something else, if it has not ended. True when it was the last one of its kind.
    pub fn change(&self, census: &Census, to: Stake) -> bool {
        let Some(before) = self.stake().filter(|before| *before != to) else {
            return false;
        };
        // The new place first, so that who leaves meanwhile finds one to leave.
        census.0[to as usize].fetch_add(1, Ordering::SeqCst);
        let changed =
            self.0
                .compare_exchange(before as u8, to as u8, Ordering::AcqRel, Ordering::Acquire);
        let left = if changed.is_ok() { before } else { to };
        census.0[left as usize].fetch_sub(1, Ordering::SeqCst) == 1
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod test {
    use super::{Census, Entry, Stake};

    fn counts(census: &Census) -> [usize; 4] {
        Stake::ALL.map(|stake| census.count(stake))
    }

    #[test]
    fn each_is_counted_once_whatever_it_becomes() {
        let census = Census::default();
        let entries = [None, Some(false), Some(true)].map(|daemon| {
            let entry = Entry::new();
            entry.enter(&census, Stake::of(daemon, false));
            entry
        });
        let periodic = Entry::new();
        periodic.enter(&census, Stake::of(None, true));
        assert_eq!(counts(&census), [1, 1, 1, 1]);
        assert!(entries[0].change(&census, Stake::Daemon));
        assert!(!entries[0].change(&census, Stake::Daemon));
        assert_eq!(counts(&census), [1, 0, 1, 2]);
        assert!(entries[1].leave(&census));
        assert!(!entries[1].leave(&census));
        assert!(!entries[1].change(&census, Stake::Daemon));
        assert_eq!(entries[1].stake(), None);
        assert!(!entries[0].leave(&census));
        assert!(entries[2].leave(&census));
        assert!(periodic.leave(&census));
        assert_eq!(counts(&census), [0, 0, 0, 0]);
    }
}
