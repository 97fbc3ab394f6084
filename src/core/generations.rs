//! One value for each process on the way down a chain of forks, made by the first who asks there.

use std::sync::OnceLock;

/// Values by generation. What belongs to the parent stays where it is in the child, untouched and never dropped: its threads
/// are not there, and any of its locks may be taken for ever.
#[derive(Debug)]
pub struct Generations<T: 'static> {
    here: OnceLock<T>,
    next: OnceLock<&'static Generations<T>>,
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
            here: OnceLock::new(),
            next: OnceLock::new(),
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
            place = place.next.get_or_init(|| Box::leak(Box::default()));
        }
        if let Some(here) = place.here.get() {
            return Ok(here);
        }
        // Made outside of the cell's lock: a child that is forked meanwhile would wait for it for ever.
        let value = make()?;
        Ok(place.here.get_or_init(|| value))
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
