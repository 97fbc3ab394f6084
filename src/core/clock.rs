//! One monotonic clock for every time stamp, and its place on the calendar.

use std::time::{Duration, Instant, SystemTime};

use super::once::Once;

/// Nanoseconds since the clock was first asked, never 0: so 0 can stand for "not yet" in an atomic.
pub type Tick = u64;

static ANCHOR: Once<(Instant, SystemTime)> = Once::new();

#[inline]
fn anchor() -> &'static (Instant, SystemTime) {
    ANCHOR.get_or_make(|| (Instant::now(), SystemTime::now()))
}

/// The present moment.
pub fn now() -> Tick {
    let since = anchor().0.elapsed().as_nanos();
    // 2^64 ns are 584 years of uptime.
    u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
}

/// The moment on the calendar. A clock that is set back or forth later does not move old stamps.
pub fn on_calendar(tick: Tick) -> SystemTime {
    anchor().1 + Duration::from_nanos(tick)
}

/// Seconds from one tick to a later one; 0.0 when they are in the wrong order.
pub fn seconds_between(from: Tick, to: Tick) -> f64 {
    Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}

#[cfg(test)]
mod test {
    use super::{now, on_calendar, seconds_between};

    #[test]
    fn ticks_never_run_backwards_and_are_never_zero() {
        let (a, b) = (now(), now());
        assert!(0 < a && a <= b);
        assert!(on_calendar(a) <= on_calendar(b));
        assert!(seconds_between(b, a) <= 0.0 || a == b);
    }
}
