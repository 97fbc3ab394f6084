//! What holds a job back and what comes after its run, for the jobs that have such a thing: a plan.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::keep_frames::KeepFrames;
use super::options::More;
use super::seconds::{FOR_EVER, moment};
use crate::core::limits::{Names, Ticket};
use crate::core::sync::Mutex;
use crate::core::timers::Key;

/// The plan of one job: what its options say of it, and how far it is.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rank: i32,
    /// Of the wait for its first run.
    pub(crate) ttl: Option<Duration>,
    /// How long its record is kept after its end.
    pub(crate) result_ttl: Option<Duration>,
    /// How often a failed run is tried again; a policy that was given instead is in the extras.
    pub(crate) retries: u32,
    /// It may run more than once: then it is counted as beside the pool from its beginning to its end, since a pool that knew of
    /// no other work would be closed while it runs.
    pub(crate) may_run_again: bool,
    pub(crate) limits: Option<Names>,
    /// Where it waits for them.
    pub(crate) ticket: Ticket,
    /// The time between two runs of a periodic job.
    pub(crate) every: Option<Duration>,
    /// Of what it raised; None: as the manager has it.
    pub(crate) keep_frames: Option<KeepFrames>,
    /// When it was accepted; periodic runs are counted from here.
    pub(crate) since: Instant,
    /// How many jobs it still comes after, and one more while they are being counted.
    pub(crate) missing: AtomicUsize,
    /// It has its places in its limits.
    pub(crate) has_places: AtomicBool,
    /// Runs of its that failed since one that did not.
    pub(crate) failures: AtomicU32,
    /// How often it was started.
    pub(crate) starts: AtomicU32,
    stage: AtomicU8,
    /// Until when it may wait, or what it waits for: to be taken back when it ends.
    pub(crate) alarm: Mutex<Option<(Key, Instant)>>,
    pub(crate) expiry: Mutex<Option<Key>>,
}

/// What a queued job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// The jobs it comes after.
    Jobs = 0,
    /// Its limits.
    Limit = 1,
    /// The time of its next try.
    Retry = 2,
    /// The time of its next run.
    Schedule = 3,
    /// A worker.
    Worker = 4,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Jobs,
        Self::Limit,
        Self::Retry,
        Self::Schedule,
        Self::Worker,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Limit => "limit",
            Self::Retry => "retry",
            Self::Schedule => "schedule",
            Self::Worker => "worker",
        }
    }
}

impl Plan {
    pub(crate) fn new(more: &More) -> Self {
        Self {
            rank: more.rank,
            ttl: more.ttl,
            result_ttl: more.result_ttl,
            retries: more.retries,
            may_run_again: more.retries > 0 || more.policy.is_some() || more.every.is_some(),
            limits: more.limits.clone(),
            ticket: Ticket::default(),
            every: more.every,
            keep_frames: more.keep_frames,
            since: Instant::now(),
            missing: AtomicUsize::new(1),
            has_places: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            starts: AtomicU32::new(0),
            stage: AtomicU8::new(Stage::Jobs as u8),
            alarm: Mutex::new(None),
            expiry: Mutex::new(None),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.stage.load(Ordering::Acquire))]
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    /// When the next periodic run is due: the next whole number of periods after the start, so that nothing drifts; what was
    /// missed meanwhile is not made up for.
    /// None: never.
    pub(crate) fn next_run(&self, every: Duration, now: Instant) -> Option<Instant> {
        let passed = now.saturating_duration_since(self.since);
        let into = Duration::from_nanos(
            u64::try_from(passed.as_nanos() % every.as_nanos().max(1)).unwrap_or(u64::MAX),
        );
        moment(now, every.saturating_sub(into)).filter(|_| every < FOR_EVER)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn periodic_runs_stay_on_their_grid() {
        let plan = Plan::new(&More::default());
        let every = Duration::from_millis(100);
        for (late, next) in [(1, 100), (99, 100), (100, 200), (101, 200), (950, 1000)] {
            let now = plan.since + Duration::from_millis(late);
            assert_eq!(
                plan.next_run(every, now),
                Some(plan.since + Duration::from_millis(next))
            );
        }
    }

    #[test]
    fn what_is_beyond_the_calendar_never_comes() {
        let plan = Plan::new(&More::default());
        for every in [FOR_EVER, Duration::from_secs(u64::MAX), Duration::MAX] {
            assert_eq!(plan.next_run(every, Instant::now()), None);
        }
    }
}
