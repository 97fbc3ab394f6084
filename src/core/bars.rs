//! The bars of one job: which of them is the job's own progress, and which are inside of it.

use super::clock::Tick;
use super::progress::{Meter, Report};

/// What a job has reported of its progress. The outermost bar is the job's; those that are opened while another is open are inner
/// ones, and are forgotten when they are closed.
#[derive(Debug, Default)]
pub struct Bars {
    /// The job's own.
    meter: Option<Meter>,
    /// The bar that feeds it.
    outermost: Option<u64>,
    /// Reported by the job itself and not by a bar.
    is_by_hand: bool,
    inner: Vec<(u64, Option<Meter>)>,
    next: u64,
}

impl Bars {
    /// A new bar. It is the outermost when no other is, unless `is_inner` says so, or the job itself reports and is not through.
    pub fn open(&mut self, is_inner: bool) -> u64 {
        let bar = self.next;
        self.next += 1;
        let is_inner = is_inner || self.is_by_hand && self.meter.as_ref().is_some_and(is_under_way);
        if self.outermost.is_none() && !is_inner {
            self.outermost = Some(bar);
            self.is_by_hand = false;
        } else {
            self.inner.push((bar, None));
        }
        bar
    }

    /// A bar is gone. What the outermost reported stays.
    pub fn close(&mut self, bar: u64) {
        if self.outermost == Some(bar) {
            self.outermost = None;
        } else {
            self.inner.retain(|(other, _)| *other != bar);
        }
    }

    /// The job itself reports.
    pub fn report(&mut self, report: Report, started: Tick, now: Tick) {
        self.is_by_hand = self.outermost.is_none();
        feed(&mut self.meter, report, started, now);
    }

    /// A bar reports; one that was closed does not.
    pub fn report_of(&mut self, bar: u64, report: Report, started: Tick, now: Tick) {
        if self.outermost == Some(bar) {
            feed(&mut self.meter, report, started, now);
        } else if let Some((_, meter)) = self.inner.iter_mut().find(|(other, _)| *other == bar) {
            // It counts from its own beginning.
            feed(meter, report, now, now);
        }
    }

    /// The job's own progress.
    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// Those inside that are open, outermost first.
    pub fn inner(&self) -> impl Iterator<Item = &Meter> {
        self.inner.iter().filter_map(|(_, meter)| meter.as_ref())
    }
}

fn is_under_way(meter: &Meter) -> bool {
    meter
        .total()
        .is_some_and(|total| meter.done().value() < total.value())
}

fn feed(meter: &mut Option<Meter>, report: Report, started: Tick, now: Tick) {
    match meter {
        Some(meter) => meter.report(report, now),
        None => *meter = Some(Meter::new(report, started, now)),
    }
}

#[cfg(test)]
mod test {
    use super::super::progress::{Meter, Number, Report};
    use super::Bars;

    fn report(done: i64, total: i64) -> Report {
        Report {
            done: Number::Whole(done),
            total: Some(Number::Whole(total)),
            desc: None,
            unit: None,
        }
    }

    fn of(meter: Option<&Meter>) -> Option<(f64, f64)> {
        meter.map(|meter| {
            let total = meter.total().map_or(0.0, Number::value);
            (meter.done().value(), total)
        })
    }

    fn inner(bars: &Bars) -> Vec<Option<(f64, f64)>> {
        bars.inner().map(|meter| of(Some(meter))).collect()
    }

    #[test]
    fn the_outermost_bar_is_the_jobs_and_the_others_are_inside_until_they_are_closed() {
        let mut bars = Bars::default();
        let (outer, middle, deep) = (bars.open(false), bars.open(false), bars.open(false));
        assert!(of(bars.meter()).is_none() && inner(&bars).is_empty());
        for (bar, total) in [(deep, 30), (outer, 10), (middle, 20)] {
            bars.report_of(bar, report(1, total), 1, 2);
        }
        assert_eq!(of(bars.meter()), Some((1.0, 10.0)));
        assert_eq!(inner(&bars), [Some((1.0, 20.0)), Some((1.0, 30.0))]);
        bars.close(middle);
        bars.report_of(middle, report(9, 20), 1, 3);
        assert_eq!(inner(&bars), [Some((1.0, 30.0))]);
        // The job's stays as it was, until the next one takes its place.
        bars.close(outer);
        assert_eq!(of(bars.meter()), Some((1.0, 10.0)));
        let next = bars.open(false);
        bars.report_of(next, report(0, 7), 1, 4);
        assert_eq!(of(bars.meter()), Some((0.0, 7.0)));
    }

    #[test]
    fn a_bar_inside_of_what_the_job_itself_reports_is_an_inner_one() {
        let mut bars = Bars::default();
        bars.report(report(1, 3), 1, 2);
        let bar = bars.open(false);
        bars.report_of(bar, report(5, 50), 1, 3);
        assert_eq!(of(bars.meter()), Some((1.0, 3.0)));
        assert_eq!(inner(&bars), [Some((5.0, 50.0))]);
        bars.close(bar);
        // When that is through, what comes is the job's.
        bars.report(report(3, 3), 1, 4);
        let bar = bars.open(false);
        bars.report_of(bar, report(6, 60), 1, 5);
        assert_eq!(of(bars.meter()), Some((6.0, 60.0)));
    }

    #[test]
    fn one_that_is_inside_of_a_group_is_never_the_jobs() {
        let mut bars = Bars::default();
        let bar = bars.open(true);
        bars.report_of(bar, report(1, 2), 1, 2);
        assert_eq!(of(bars.meter()), None);
        assert_eq!(inner(&bars), [Some((1.0, 2.0))]);
    }
}
