//! One value for each process on the way down a chain of forks, made by the first who asks there.

use std::sync::atomic::{AtomicU32, Ordering};

use super::once::Once;

/// How often this process was forked on the way from the first import.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The generation of this process.
pub fn current() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

/// In the child of a fork, where only the calling thread is.
pub fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// Values by generation. What belongs to the parent stays where it is in the child, untouched and never dropped: its threads
/// are not there, and any of its locks may be taken for ever.
#[derive(Debug)]
pub struct Generations<T: 'static> {
    here: Once<T>,
    next: Once<&'static Generations<T>>,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Generations<T> {
    /// No values yet.
    pub const fn new() -> Self {
        Self {
            here: Once::new(),
            next: Once::new(),
        }
    }

    /// The value of a generation, if it was made.
    pub fn get(&'static self, generation: u32) -> Option<&'static T> {
        let mut place = self;
        for _ in 0..generation {
            place = place.next.get()?;
        }
        place.here.get()
    }

    /// The same; made now if it is not there. Of several that are made at once, one is kept.
    ///
    /// # Errors
    /// What `make` gives.
    pub fn get_or_make<E>(
        &'static self,
        generation: u32,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<&'static T, E> {
        let mut place = self;
        for _ in 0..generation {
            place = place.next.get_or_make(|| Box::leak(Box::default()));
        }
        place.here.get_or_try_make(make)
    }
}

#[cfg(test)]
mod test {
    use super::Generations;

    #[test]
    fn each_generation_makes_its_own_value_once() {
        static VALUES: Generations<String> = Generations::new();
        let make = |text: &str| VALUES.get_or_make(2, || Ok::<_, ()>(text.to_owned()));
        assert_eq!(VALUES.get(2), None);
        assert_eq!(make("first"), Ok(&"first".to_owned()));
        assert_eq!(make("second"), Ok(&"first".to_owned()));
        assert_eq!(VALUES.get_or_make(0, || Err("no")), Err("no"));
        assert_eq!((VALUES.get(0), VALUES.get(7)), (None, None));
    }
}
