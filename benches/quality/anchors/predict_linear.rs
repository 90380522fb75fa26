//! `predict_linear(x[range], 4 * 3600)` against the limit, the rule that Prometheus' users write for
//! disks: least squares through the samples of the last `range_s`, and an alert whenever the line,
//! drawn on to the horizon, is at the limit or beyond it. As upstream's function
//! (prometheus.io/docs/prometheus/latest/querying/functions) the line needs two samples and is drawn
//! from its own value at the time of evaluation, not from the last sample. No `for`, no hysteresis.

use crate::scores::alerts::{Limited, Said};

/// Evaluates at each multiple of `every_s` that has a sample since the one before.
pub(crate) fn follow(series: &Limited, range_s: f64, every_s: f64, horizon_s: f64) -> Vec<Said> {
    let mut said = Vec::new();
    let (mut begin, mut end) = (0, 0);
    let mut time = (series.start / every_s).ceil() * every_s;
    while time <= series.time(series.values.len() - 1) {
        let seen = end;
        while end < series.values.len() && series.time(end) <= time {
            end += 1;
        }
        while begin < end && series.time(begin) <= time - range_s {
            begin += 1;
        }
        if series.values[seen..end].iter().any(|value| !value.is_nan()) {
            let firing = foretell(series, begin..end, time, horizon_s)
                .is_some_and(|foretold| series.is_at_limit(foretold));
            said.push(Said { time, firing, p: None });
        }
        time += every_s;
    }
    said
}

/// Returns where the line through the samples of these rows is at `time + horizon_s`.
fn foretell(
    series: &Limited,
    rows: std::ops::Range<usize>,
    time: f64,
    horizon_s: f64,
) -> Option<f64> {
    let samples = || {
        let rows = rows.clone().map(|row| (series.time(row) - time, series.values[row]));
        rows.filter(|(_, value)| !value.is_nan())
    };
    let first = samples().next()?.1;
    let (mut count, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (x, y) in samples() {
        count += 1.0;
        sum_x += x;
        sum_y += y - first;
    }
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (x, y) in samples() {
        covariance += (x - mean_x) * (y - first - mean_y);
        variance += (x - mean_x) * (x - mean_x);
    }
    let slope = (count >= 2.0).then_some(covariance / variance)?;
    Some(first + mean_y + slope * (horizon_s - mean_x))
}
