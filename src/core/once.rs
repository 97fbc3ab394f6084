//! Values that are made once in a process.

use std::sync::OnceLock;

/// A value that the first who needs it makes; as many may make one at a time as come, and one is kept. So nobody ever waits for
/// another to have made it.
///
/// The standard library's cell, and `PyO3`'s (`PyOnceLock`, `intern!`), let the others wait while one makes the value, and the
/// latter gives the interpreter up before. A fork in that moment leaves a child in which the value is being made for ever, by a
/// thread that is not there: the first who needs it hangs. Here the cell is closed while the value is moved in, and no longer;
/// nobody who is attached to the interpreter is interrupted by a fork there.
#[derive(Debug)]
pub struct Once<T>(OnceLock<T>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Once<T> {
    /// Not made yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The value, if it was made.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// The value, made now if it is not there.
    #[inline]
    pub fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        self.0.get().unwrap_or_else(|| self.keep(make()))
    }

    /// The same.
    ///
    /// # Errors
    /// What `make` gives.
    #[inline]
    pub fn get_or_try_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.0.get() {
            Some(value) => Ok(value),
            None => make().map(|value| self.keep(value)),
        }
    }

    /// Keep this value, unless there is one: the one that is kept.
    #[cold]
    pub fn keep(&self, value: T) -> &T {
        let mut value = Some(value);
        let kept = self
            .0
            .get_or_init(|| value.take().unwrap_or_else(|| unreachable!()));
        // One too many is dropped here, where the cell is not closed: that may run anything.
        drop(value);
        kept
    }
}

#[cfg(test)]
mod test {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, mpsc};
    use std::thread;

    use super::Once;

    #[test]
    fn who_needs_it_does_not_wait_for_one_who_makes_it() {
        static VALUE: Once<&str> = Once::new();
        let (begun, is_begun) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let slow = thread::spawn(move || {
            *VALUE.get_or_make(|| {
                begun.send(()).unwrap();
                goes.recv().unwrap();
                "late"
            })
        });
        is_begun.recv().unwrap();
        assert_eq!(VALUE.get(), None);
        assert_eq!(*VALUE.get_or_make(|| "early"), "early");
        go.send(()).unwrap();
        assert_eq!(slow.join().unwrap(), "early");
    }

    #[test]
    fn of_many_that_are_made_at_a_time_one_is_kept() {
        for _ in 0..200 {
            let (once, count, barrier) = (Once::new(), AtomicUsize::new(0), Barrier::new(4));
            let make = || count.fetch_add(1, Ordering::Relaxed);
            let race = || {
                barrier.wait();
                *once.get_or_make(make)
            };
            let seen: Vec<_> = thread::scope(|scope| {
                let racers: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
                let seen = racers.into_iter().map(|racer| racer.join().unwrap());
                seen.collect()
            });
            assert!(seen.iter().all(|value| Some(value) == once.get()));
        }
    }

    #[test]
    fn one_that_could_not_be_made_is_made_by_the_next() {
        let once = Once::new();
        assert_eq!(once.get_or_try_make(|| Err(5)), Err(5));
        assert_eq!(once.get_or_try_make(|| Ok::<_, ()>(2)), Ok(&2));
        assert_eq!(once.get_or_try_make(|| Err(5)), Ok(&2));
    }
}
