//! How many workers a group has, and whether it asks for one more.

/// Counts the workers of one group: those in it, and those that were asked for.
#[derive(Debug)]
pub struct Muster {
    most: usize,
    inside: usize,
    coming: usize,
    /// Items wait or take long: each worker that comes asks for the next at once.
    spreads: bool,
}

impl Muster {
    /// Nobody yet; `most` at a time.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            inside: 0,
            coming: 0,
            spreads: false,
        }
    }

    /// One more is to come, if there may be more; then the caller sends for it.
    pub const fn ask(&mut self) -> bool {
        let may = self.has_room();
        if may {
            self.coming += 1;
        }
        may
    }

    /// Whether there may be more.
    pub const fn has_room(&self) -> bool {
        self.inside + self.coming < self.most
    }

    /// One that was asked for is here.
    pub const fn arrive(&mut self) {
        self.coming = self.coming.saturating_sub(1);
        self.inside += 1;
    }

    /// One that was asked for does not come.
    pub const fn stay_away(&mut self) {
        self.coming = self.coming.saturating_sub(1);
    }

    /// One that is here goes.
    pub const fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }

    /// One that is here goes to the end of the queue.
    pub const fn step_back(&mut self) {
        self.leave();
        self.coming += 1;
    }

    /// How many were asked for and are not here.
    pub const fn coming(&self) -> usize {
        self.coming
    }

    /// Nobody is here, and nobody was asked for.
    pub const fn is_deserted(&self) -> bool {
        self.inside == 0 && self.coming == 0
    }

    /// Whether from here on each that comes asks for the next.
    pub const fn spread(&mut self, spreads: bool) {
        self.spreads = spreads;
    }

    /// Whether each that comes asks for the next.
    pub const fn spreads(&self) -> bool {
        self.spreads
    }
}

#[cfg(test)]
mod test {
    use super::Muster;

    #[test]
    fn there_are_never_more_than_may_be() {
        let mut muster = Muster::new(2);
        assert!(muster.is_deserted());
        assert!(muster.ask());
        muster.arrive();
        assert!(muster.ask());
        assert!(!muster.ask());
        muster.stay_away();
        assert!(muster.ask());
        muster.arrive();
        assert!(!muster.ask());
        muster.step_back();
        assert_eq!(muster.coming(), 1);
        assert!(!muster.ask());
        muster.arrive();
        muster.leave();
        muster.leave();
        assert!(muster.is_deserted());
    }
}
