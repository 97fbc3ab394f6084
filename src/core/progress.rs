//! How far a job has come, as it reports it, and how fast.

use std::sync::Arc;

use super::clock::{Tick, seconds_between};

/// How often the speed is looked at, at most, in seconds: tqdm's `mininterval`.
const INTERVAL: f64 = 0.1;

/// How much the newest look counts: tqdm's `smoothing`.
const SMOOTHING: f64 = 0.3;

/// A count: whole where it was reported so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole.
    Whole(i64),
    /// Any other.
    Real(f64),
}

impl Number {
    /// For calculations.
    #[expect(
        clippy::cast_precision_loss,
        reason = "rates need no more than 53 bits"
    )]
    pub fn value(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// One report: what is None stays as it was.
#[derive(Debug)]
pub struct Report {
    /// What is done.
    pub done: Number,
    /// What there is to do.
    pub total: Option<Number>,
    /// What it is about.
    pub desc: Option<Arc<str>>,
    /// What is counted.
    pub unit: Option<Arc<str>>,
}

/// The reports of one job.
#[derive(Debug, Clone)]
pub struct Meter {
    done: Number,
    total: Option<Number>,
    desc: Option<Arc<str>>,
    unit: Option<Arc<str>>,
    /// Where the speed is measured from, and where it was looked at last: when, and how far it was then.
    base: (Tick, f64),
    look: (Tick, f64),
    /// When the last report came.
    at: Tick,
    steps: Average,
    times: Average,
}

impl Meter {
    /// The first report, of a job that started at `started`.
    pub fn new(report: Report, started: Tick, now: Tick) -> Self {
        // One that begins with something done has done it since it started.
        let base = if report.done.value() > 0.0 {
            started
        } else {
            now
        };
        let mut meter = Self {
            done: report.done,
            total: None,
            desc: None,
            unit: None,
            base: (base, 0.0),
            look: (base, 0.0),
            at: now,
            steps: Average::default(),
            times: Average::default(),
        };
        meter.report(report, now);
        meter
    }

    /// One more. With less done than before something new begins, and what was known of the total and the speed is forgotten.
    pub fn report(&mut self, report: Report, now: Tick) {
        let done = report.done.value();
        if done < self.done.value() {
            self.total = None;
            (self.base, self.look) = ((now, done), (now, done));
            (self.steps, self.times) = (Average::default(), Average::default());
        }
        self.done = report.done;
        self.total = report.total.or(self.total);
        self.desc = report.desc.or_else(|| self.desc.take());
        self.unit = report.unit.or_else(|| self.unit.take());
        self.at = now;
        let (time, step) = (seconds_between(self.look.0, now), done - self.look.1);
        if time >= INTERVAL && step > 0.0 {
            self.times.add(time);
            self.steps.add(step);
            self.look = (now, done);
        }
    }

    /// What is done.
    pub fn done(&self) -> Number {
        self.done
    }

    /// What there is to do.
    pub fn total(&self) -> Option<Number> {
        self.total
    }

    /// What it is about.
    pub fn desc(&self) -> Option<&Arc<str>> {
        self.desc.as_ref()
    }

    /// What is counted.
    pub fn unit(&self) -> Option<&Arc<str>> {
        self.unit.as_ref()
    }

    fn left(&self) -> Option<f64> {
        Some((self.total?.value() - self.done.value()).max(0.0))
    }

    /// How much is done in a second; None where that cannot be said yet. Smoothed as tqdm does it (`tqdm.std.EMA`): the averages of
    /// steps and times, newer ones counting more. When it is done, or the job `is_over`, the plain average over the whole.
    pub fn rate(&self, is_over: bool) -> Option<f64> {
        if !is_over
            && self.left() != Some(0.0)
            && let (Some(steps), Some(times)) = (self.steps.get(), self.times.get())
        {
            return Some(steps / times);
        }
        let time = seconds_between(self.base.0, self.at);
        (time > 0.0).then(|| (self.done.value() - self.base.1) / time)
    }

    /// Seconds until all is done, at this rate; None where that cannot be said, and for a job that `is_over` before.
    pub fn eta(&self, is_over: bool) -> Option<f64> {
        let left = self.left()?;
        if left <= 0.0 {
            return Some(0.0);
        }
        let rate = self.rate(is_over).filter(|rate| *rate > 0.0 && !is_over)?;
        Some(left / rate)
    }
}

/// A moving average in which newer values count more, corrected for its beginning at 0.
#[derive(Debug, Clone, Copy, Default)]
struct Average {
    last: f64,
    /// How much of it the values are: what is missing to 1 is the beginning.
    weight: f64,
}

impl Average {
    fn add(&mut self, value: f64) {
        self.last += SMOOTHING * (value - self.last);
        self.weight += SMOOTHING * (1.0 - self.weight);
    }

    fn get(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.last / self.weight)
    }
}

#[cfg(test)]
mod test {
    use super::{Meter, Number, Report};

    const SECOND: u64 = 1_000_000_000;

    fn report(done: i64, total: Option<i64>) -> Report {
        Report {
            done: Number::Whole(done),
            total: total.map(Number::Whole),
            desc: None,
            unit: None,
        }
    }

    fn is_about(got: Option<f64>, wanted: f64) -> bool {
        got.is_some_and(|got| (got - wanted).abs() < 1e-9)
    }

    #[test]
    fn a_steady_job_has_its_rate_and_its_time_left() {
        let mut meter = Meter::new(report(0, Some(100)), 1, SECOND);
        assert_eq!((meter.rate(false), meter.eta(false)), (None, None));
        for second in 1..=10 {
            meter.report(
                report(second * 2, None),
                SECOND * (1 + second.unsigned_abs()),
            );
        }
        assert!(is_about(meter.rate(false), 2.0));
        assert!(is_about(meter.eta(false), 40.0));
        assert_eq!(meter.total(), Some(Number::Whole(100)));
        // Ended there: what is left is left for good.
        assert!(is_about(meter.rate(true), 2.0));
        assert_eq!(meter.eta(true), None);
    }

    #[test]
    fn the_rate_follows_a_change_and_is_the_average_when_all_is_done() {
        let mut meter = Meter::new(report(0, Some(130)), 1, SECOND);
        for second in 1..=10 {
            meter.report(report(second, None), SECOND * (1 + second.unsigned_abs()));
        }
        let mut expected = 1.0;
        for second in 1..=10 {
            let done = 10 + second * 10;
            meter.report(report(done, None), SECOND * (11 + second.unsigned_abs()));
            assert!(meter.rate(false) > Some(expected));
            expected = meter.rate(false).unwrap();
        }
        assert!(expected > 9.0);
        assert!(is_about(meter.rate(true), 110.0 / 20.0));
        meter.report(report(130, None), SECOND * 22);
        assert!(is_about(meter.rate(false), 130.0 / 21.0));
        assert_eq!(meter.eta(false), Some(0.0));
    }

    #[test]
    fn a_first_report_with_something_done_counts_from_the_start_of_the_job() {
        let meter = Meter::new(report(5, None), SECOND, 2 * SECOND);
        assert!(is_about(meter.rate(false), 5.0));
        assert_eq!(meter.eta(false), None);
    }

    #[test]
    fn less_done_than_before_is_a_new_beginning() {
        let mut meter = Meter::new(report(0, Some(10)), 1, SECOND);
        meter.report(report(10, None), 2 * SECOND);
        meter.report(report(0, None), 3 * SECOND);
        assert_eq!((meter.total(), meter.rate(false)), (None, None));
        meter.report(report(3, Some(4)), 4 * SECOND);
        assert!(is_about(meter.rate(false), 3.0));
        assert!(is_about(meter.eta(false), 1.0 / 3.0));
    }
}
