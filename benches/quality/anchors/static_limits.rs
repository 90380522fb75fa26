//! Static thresholds, as an operator sets them once: the first 15 % of each series' values give the
//! 0.1 % and the 99.9 % quantile, and what is outside of these is an alert at once, for good. Nothing
//! is said in that first part.

use super::{Band, Judged, Labelled, judge as judge_rows};
use crate::scores::statistics::quantile;

pub(super) fn judge(series: &Labelled) -> Judged {
    let seen = series.row_from(0.15);
    let first = &series.values[..seen];
    let limits = quantile(first, 0.001).zip(quantile(first, 0.999));
    let band =
        limits.map(|(lower, upper)| Band { lower, middle: f64::midpoint(lower, upper), upper });
    judge_rows(series, 0.0, |row| Some((band.filter(|_| row >= seen)?, series.values[row])))
}
