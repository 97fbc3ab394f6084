//! Named limits: how many jobs of a name may run at once, and how many may start in a second.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::sync::Mutex;

/// The limits of one manager, and the items that wait for them.
///
/// An item names one limit or more, and goes when all of them let it: it takes a place in each that bounds how many run,
/// and a token of each that bounds the rate. Items that name the same limits go by rank and in their order.
#[derive(Debug)]
pub struct Limits<T> {
    book: Mutex<Book<T>>,
}

#[derive(Debug)]
struct Book<T> {
    rules: HashMap<Arc<str>, Rule>,
    waiting: HashMap<Names, BTreeMap<Turn, T>>,
    next: u64,
}

/// The limits that an item names.
pub type Names = Arc<[Arc<str>]>;

type Turn = (Reverse<i32>, u64);

/// Where an item waits, for its owner to take it out again by. Written and read under the lock of the limits.
#[derive(Debug, Default)]
pub struct Ticket(AtomicU64);

#[derive(Debug)]
struct Rule {
    concurrency: Option<usize>,
    running: usize,
    bucket: Option<Bucket>,
}

/// A token bucket (J. Turner, "New directions in communications", 1986) for one token: starts are spread evenly, and no
/// second sees more than `rate` of them but for the very first.
#[derive(Debug)]
struct Bucket {
    /// Time between two tokens.
    every: Duration,
    /// When the next token is there.
    next: Instant,
}

/// What may go now, and when to look again.
#[derive(Debug)]
pub struct Released<T> {
    /// In their order.
    pub ready: Vec<T>,
    /// When the next token is there that something waits for.
    pub look_again: Option<Instant>,
}

impl<T> Default for Limits<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Limits<T> {
    /// No limits.
    pub fn new() -> Self {
        Self {
            book: Mutex::new(Book {
                rules: HashMap::new(),
                waiting: HashMap::new(),
                next: 1,
            }),
        }
    }

    /// Make a limit, or change it: at most `concurrency` at once, at most `rate` starts a second. What waits may go then.
    pub fn set(
        &self,
        name: &str,
        concurrency: Option<usize>,
        every: Option<Duration>,
        now: Instant,
    ) -> Released<T> {
        let mut book = self.book.lock();
        let rule = book.rules.entry(name.into()).or_insert(Rule {
            concurrency: None,
            running: 0,
            bucket: None,
        });
        rule.concurrency = concurrency;
        // A token that is on its way stays on its way, so that setting a rate again does not let one more pass.
        let next = rule.bucket.as_ref().map_or(now, |bucket| bucket.next);
        rule.bucket = every.map(|every| Bucket {
            every,
            next: next.min(now + every),
        });
        book.release(now)
    }

    /// The names there are, sorted.
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.book.lock().rules.keys().cloned().collect();
        names.sort();
        names
    }

    /// Whether there is a limit of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.book.lock().rules.contains_key(name)
    }

    /// Of a limit: how many run, and how many items wait that name it.
    pub fn count(&self, name: &str) -> Option<(usize, usize)> {
        let book = self.book.lock();
        let running = book.rules.get(name)?.running;
        let waiting = book
            .waiting
            .iter()
            .filter(|(names, _)| names.iter().any(|each| &**each == name))
            .map(|(_, items)| items.len())
            .sum();
        Some((running, waiting))
    }

    /// An item comes. It waits in here until it is among those that some call releases, this one at the earliest.
    pub fn admit(
        &self,
        item: T,
        names: &Names,
        rank: i32,
        ticket: &Ticket,
        now: Instant,
    ) -> Released<T> {
        let mut book = self.book.lock();
        let turn = (Reverse(rank), book.next);
        book.next += 1;
        ticket.0.store(turn.1, Ordering::Relaxed);
        book.waiting
            .entry(Arc::clone(names))
            .or_default()
            .insert(turn, item);
        book.release(now)
    }

    /// One that was released has ended: its places are free.
    pub fn leave(&self, names: &Names, now: Instant) -> Released<T> {
        let mut book = self.book.lock();
        for name in names.iter() {
            if let Some(rule) = book.rules.get_mut(name) {
                rule.running = rule.running.saturating_sub(1);
            }
        }
        book.release(now)
    }

    /// Time has passed.
    pub fn look(&self, now: Instant) -> Released<T> {
        self.book.lock().release(now)
    }

    /// Take out all that wait, in no order, for the end of the process.
    pub fn take_all(&self) -> Vec<T> {
        let all = std::mem::take(&mut self.book.lock().waiting);
        all.into_values().flat_map(BTreeMap::into_values).collect()
    }

    /// Take out the item that was admitted with these last, if it still waits, for the caller to drop.
    pub fn withdraw(&self, names: &Names, rank: i32, ticket: &Ticket) -> Option<T> {
        let mut book = self.book.lock();
        let turn = (Reverse(rank), ticket.0.load(Ordering::Relaxed));
        let items = book.waiting.get_mut(names)?;
        let gone = items.remove(&turn);
        if items.is_empty() {
            book.waiting.remove(names);
        }
        gone
    }
}

impl<T> Book<T> {
    fn release(&mut self, now: Instant) -> Released<T> {
        let mut ready = Vec::new();
        // The first of each set of names, in the order of their turns; a set whose first has to wait is done for this time.
        let mut firsts: BTreeMap<Turn, Names> = self
            .waiting
            .iter()
            .filter_map(|(names, items)| Some((*items.keys().next()?, Arc::clone(names))))
            .collect();
        let mut look_again = None;
        while let Some((turn, names)) = firsts.pop_first() {
            match self.let_go(&names, now) {
                Verdict::Go => {}
                Verdict::Wait => continue,
                Verdict::At(when) => {
                    look_again =
                        Some(look_again.map_or(when, |earliest: Instant| earliest.min(when)));
                    continue;
                }
            }
            let Some(items) = self.waiting.get_mut(&names) else {
                continue;
            };
            ready.extend(items.remove(&turn));
            if let Some(next) = items.keys().next() {
                firsts.insert(*next, names);
            } else {
                self.waiting.remove(&names);
            }
        }
        Released { ready, look_again }
    }

    /// Take a place and a token in each of the limits, or in none.
    fn let_go(&mut self, names: &Names, now: Instant) -> Verdict {
        let mut at = None;
        for name in names.iter() {
            let Some(rule) = self.rules.get(name) else {
                continue;
            };
            if rule.concurrency.is_some_and(|most| rule.running >= most) {
                return Verdict::Wait;
            }
            if let Some(bucket) = &rule.bucket
                && bucket.next > now
            {
                at = Some(at.map_or(bucket.next, |latest: Instant| latest.max(bucket.next)));
            }
        }
        if let Some(at) = at {
            return Verdict::At(at);
        }
        for name in names.iter() {
            if let Some(rule) = self.rules.get_mut(name) {
                rule.running += 1;
                if let Some(bucket) = &mut rule.bucket {
                    // From when the token was there, so that looking late does not slow the rate; but a rest saves nothing up.
                    let next = bucket.next + bucket.every;
                    bucket.next = if next > now { next } else { now + bucket.every };
                }
            }
        }
        Verdict::Go
    }
}

enum Verdict {
    Go,
    /// Until one of those that run ends.
    Wait,
    /// Until then, at the earliest.
    At(Instant),
}

#[cfg(test)]
mod test;
