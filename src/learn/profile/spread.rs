/// What lies below and above the interval, each.
const TAIL: f64 = 0.025;
/// An interval is wider than the backtest's by this, over the number of its origins: each has its
/// weights from the same backtest, and few origins have not seen everything.
const CAUTION: f64 = 1.6;
/// No error is typically smaller than this, in standard deviations.
const TYPICAL_MIN: f64 = 1e-6;

/// By how much a forecast, so many steps ahead (0: the next value), was too low.
#[derive(Clone, Copy, Debug)]
pub(super) struct Residual {
    pub(super) ahead: usize,
    pub(super) error: f64,
}

/// How far from the median 95 % of what comes will lie.
///
/// typical(h) = mean |residual| over the steps within a quarter of a day of h. Residuals over
/// typical(h) are pooled; their 2.5 and 97.5 % points, each moved half way to the further one, times
/// 1 + 1.6 / origins, times typical(h), are the distances.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    typical: Vec<f64>,
    below: f64,
    above: f64,
}

impl Spread {
    /// Returns the spread for each step of the horizon; there is a residual of the first step.
    pub(super) fn of(residuals: &[Residual], origins: usize, horizon: usize, day: usize) -> Spread {
        let typical = typical(residuals, horizon, (day / 4).max(1));
        let mut relative: Vec<f64> =
            residuals.iter().map(|residual| residual.error / typical[residual.ahead]).collect();
        relative.sort_unstable_by(f64::total_cmp);
        let (below, above) = (-quantile(&relative, TAIL), quantile(&relative, 1.0 - TAIL));
        let further = below.max(above);
        let wider = 1.0 + CAUTION / origins as f64;
        let side = |distance: f64| wider * f64::midpoint(distance, further);
        Spread { typical, below: side(below), above: side(above) }
    }

    /// Returns how far the interval reaches below and above the median, so many steps ahead.
    pub(super) fn at(&self, ahead: usize) -> (f64, f64) {
        let typical = self.typical[ahead];
        (self.below * typical, self.above * typical)
    }
}

/// Returns the mean |error| by step ahead, each over so many steps before and after it. Steps that
/// the backtest did not reach are as wrong as the last it did, times the root of time.
fn typical(residuals: &[Residual], horizon: usize, around: usize) -> Vec<f64> {
    let (mut errors, mut counts) = (vec![0.0; horizon], vec![0.0; horizon]);
    for residual in residuals {
        errors[residual.ahead] += residual.error.abs();
        counts[residual.ahead] += 1.0;
    }
    let mut reached = (0, 0.0);
    let mean = |ahead: usize| {
        let near = ahead.saturating_sub(around)..horizon.min(ahead + around + 1);
        let count: f64 = counts[near.clone()].iter().sum();
        if count > 0.0 {
            reached = (ahead, errors[near].iter().sum::<f64>() / count);
            return reached.1.max(TYPICAL_MIN);
        }
        let further = (ahead + 1) as f64 / (reached.0 + 1) as f64;
        (reached.1 * further.sqrt()).max(TYPICAL_MIN)
    };
    (0..horizon).map(mean).collect()
}

/// Returns a point of sorted values, between two where it falls there; 0 of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let (at, beyond) = (place as usize, place.fract());
    sorted[at] + beyond * (sorted[last.min(at + 1)] - sorted[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_between_two_values_is_between_them() {
        let sorted = [0.0, 1.0, 2.0, 6.0];
        assert_eq!(quantile(&sorted, 0.0), 0.0);
        assert_eq!(quantile(&sorted, 0.5), 1.5);
        assert_eq!(quantile(&sorted, 1.0), 6.0);
        assert_eq!((quantile(&[], 0.5), quantile(&[3.0], 0.9)), (0.0, 3.0));
    }

    #[test]
    fn errors_that_grow_widen_the_interval_and_go_on_growing() {
        let residual =
            |ahead: usize, sign: f64| Residual { ahead, error: sign * (1 + ahead) as f64 };
        let residuals: Vec<_> =
            (0..20).flat_map(|ahead| [residual(ahead, 1.0), residual(ahead, -0.5)]).collect();
        let spread = Spread::of(&residuals, 8, 80, 4);
        let (below, above) = spread.at(10);
        assert!(above > below && above > 11.0 && below > 5.5, "{below} {above}");
        assert!(spread.at(19).1 > above);
        let growth = (spread.at(79).1 / spread.at(20).1 - 2.0).abs();
        assert!(growth < 0.1, "{growth}");
        // From fewer origins, less is known.
        assert!(Spread::of(&residuals, 1, 80, 4).at(10).1 > 2.0 * above);
    }
}
