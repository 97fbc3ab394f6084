//! The states of a job, and which may follow which.

/// What a job is doing, or how it ended. `README.md` has the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Accepted, not started.
    Queued = 0,
    /// On a worker.
    Running = 1,
    /// Returned a value.
    Done = 2,
    /// Raised an exception of its own.
    Failed = 3,
    /// Ended by `kill`.
    Killed = 4,
    /// Ended because its `timeout` ran out.
    TimedOut = 5,
    /// Taken back before it started.
    Cancelled = 6,
    /// Never ran, since a job that it came after did not succeed.
    Skipped = 7,
    /// Never ran, since it waited in the queue for longer than its `ttl`.
    Expired = 8,
    /// Its worker is gone: a process that died, or the parent of a fork.
    Lost = 9,
}

impl State {
    /// Every state, in the order of the numbers.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Killed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Skipped,
        Self::Expired,
        Self::Lost,
    ];

    /// The word that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Expired => "expired",
            Self::Lost => "lost",
        }
    }

    /// True for the states that a job never leaves.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// The one table of lawful transitions.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(
                next,
                Self::Running
                    | Self::Killed
                    | Self::Cancelled
                    | Self::Skipped
                    | Self::Expired
                    | Self::Lost
            ),
            Self::Running => matches!(
                next,
                // Queued: it is to run once more, by `retry=` or `every`.
                Self::Queued
                    | Self::Done
                    | Self::Failed
                    | Self::Killed
                    | Self::TimedOut
                    | Self::Lost
            ),
            _ => false,
        }
    }

    pub(crate) fn from_u8(number: u8) -> Self {
        Self::ALL[usize::from(number)]
    }
}

#[cfg(test)]
mod test {
    use super::State;

    #[test]
    fn nothing_leaves_a_terminal_state_and_every_state_can_be_reached() {
        for from in State::ALL {
            for to in State::ALL {
                if from.is_terminal() || from == to {
                    assert!(!from.may_become(to), "{from:?} -> {to:?}");
                }
            }
        }
        for to in State::ALL {
            let reachable = State::ALL.iter().any(|from| from.may_become(to));
            assert!(reachable, "{to:?}");
        }
    }

    #[test]
    fn a_job_that_never_ran_has_no_outcome_of_running() {
        for to in [State::Done, State::Failed, State::TimedOut] {
            assert!(!State::Queued.may_become(to), "{to:?}");
        }
        assert!(!State::Running.may_become(State::Cancelled));
    }

    #[test]
    fn numbers_and_names_round_trip() {
        for (number, state) in (0u8..).zip(State::ALL) {
            assert_eq!(state as u8, number);
            assert_eq!(State::from_u8(number), state);
        }
    }
}
