//! The way into a manager: whether it is open, and how many jobs are inside that the pool does not know of.

use std::time::Instant;

use super::sync::{Condvar, Mutex};

/// Counts the jobs that were accepted and are not in the pool: they wait for others or for a limit, run on something else than a
/// worker, or may come to the pool more than once.
#[derive(Debug, Default)]
pub struct Entrance {
    inside: Mutex<Inside>,
    all_gone: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    is_closed: bool,
    beside_the_pool: usize,
}

impl Entrance {
    /// An open one, with nobody inside.
    pub const fn new() -> Self {
        let inside = Inside {
            is_closed: false,
            beside_the_pool: 0,
        };
        Self {
            inside: Mutex::new(inside),
            all_gone: Condvar::new(),
        }
    }

    /// One more that the pool does not know of; false when it is closed.
    pub fn enter(&self) -> bool {
        let mut inside = self.inside.lock();
        if !inside.is_closed {
            inside.beside_the_pool += 1;
        }
        !inside.is_closed
    }

    /// One of them has ended, or is in the pool now. True when nothing more will come to the pool.
    pub fn leave(&self) -> bool {
        let mut inside = self.inside.lock();
        inside.beside_the_pool -= 1;
        if inside.beside_the_pool == 0 {
            self.all_gone.notify_all();
        }
        inside.beside_the_pool == 0 && inside.is_closed
    }

    /// Let nobody in any more. True when nothing more will come to the pool.
    pub fn close(&self) -> bool {
        let mut inside = self.inside.lock();
        inside.is_closed = true;
        inside.beside_the_pool == 0
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.inside.lock().is_closed
    }

    /// Block until all are gone that the pool does not know of, or until the deadline; true when they are.
    pub fn wait_until_gone(&self, deadline: Option<Instant>) -> bool {
        let mut inside = self.inside.lock();
        while inside.beside_the_pool > 0 {
            let (back, is_over) = self.all_gone.wait_until(&self.inside, inside, deadline);
            inside = back;
            if is_over {
                break;
            }
        }
        inside.beside_the_pool == 0
    }
}

#[cfg(test)]
mod test {
    use super::Entrance;

    #[test]
    fn the_pool_may_close_when_the_last_one_beside_it_has_left() {
        let entrance = Entrance::new();
        assert!(entrance.enter());
        assert!(entrance.enter());
        assert!(!entrance.close());
        assert!(!entrance.enter());
        assert!(!entrance.leave());
        assert!(!entrance.wait_until_gone(Some(std::time::Instant::now())));
        assert!(entrance.leave());
        assert!(entrance.wait_until_gone(None));
    }
}
