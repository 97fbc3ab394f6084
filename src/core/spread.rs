//! How a number of times are spread: for `stats`.

/// Of some times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many times there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Half of them are not longer.
    pub p50: f64,
    /// 99 of 100 are not longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// None of no times. A percentile is a time of those given (nearest rank).
    pub fn of(mut times: Vec<f64>) -> Option<Self> {
        times.sort_unstable_by(f64::total_cmp);
        let max = *times.last()?;
        let count = times.len();
        let at = |percent: usize| times[(count * percent).div_ceil(100).saturating_sub(1)];
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 jobs in memory")]
        let mean = times.iter().sum::<f64>() / count as f64;
        Some(Self {
            count,
            mean,
            p50: at(50),
            p99: at(99),
            max,
        })
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn nothing_has_no_spread() {
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times = (1..=200).rev().map(f64::from).collect();
        let spread = Spread::of(times).expect("there are some");
        assert_eq!((spread.count, spread.max), (200, 200.0));
        assert_eq!((spread.p50, spread.p99), (100.0, 198.0));
        assert!((spread.mean - 100.5).abs() < 1e-9);
    }

    #[test]
    fn one_time_is_all_of_them() {
        let spread = Spread::of(vec![0.5]).expect("there is one");
        assert_eq!(
            (spread.mean, spread.p50, spread.p99, spread.max),
            (0.5, 0.5, 0.5, 0.5)
        );
    }
}
