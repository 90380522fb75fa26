//! The rule of three or four sigma over a sliding window, as PromQL's `avg_over_time` and
//! `stddev_over_time` make it: a value is an alert at once when it is further than `sigmas` standard
//! deviations from the mean of the 24 hours before it. At least 12 samples must be in the window; the
//! value itself is not, so that it does not widen its own band.

use super::window::Moments;
use super::{Band, Judged, Labelled, judge as judge_rows};

const DAY_S: f64 = 86_400.0;
const SAMPLES_LEAST: usize = 12;

pub(super) fn judge(series: &Labelled, sigmas: f64) -> Judged {
    let mut before = Moments::new(DAY_S);
    judge_rows(series, 0.0, |row| {
        let (time, value) = (series.times[row], series.values[row]);
        let known = before.until(time).filter(|_| before.len() >= SAMPLES_LEAST);
        before.push(time, value);
        let (mean, deviation) = known?;
        let reach = sigmas * deviation;
        Some((Band { lower: mean - reach, middle: mean, upper: mean + reach }, value))
    })
}
