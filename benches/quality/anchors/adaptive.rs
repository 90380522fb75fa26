//! The "adaptive" bands of Grafana's PromQL anomaly detection framework
//! (github.com/grafana/promql-anomaly-detection, rules/adaptive.yml at 7ed6390), its constants as
//! published. In our words, over the samples above 0 alone, which are all it looks at:
//!
//! - the middle is the mean of the last hour, the sample itself in it;
//! - short-term: twice the mean, over 26 hours, of the last hour's standard deviation, taken only at
//!   times when that exceeded half of the mean;
//! - margin: half of the mean, a floor of the width;
//! - long-term, every five minutes: mean and twice the standard deviation of the hour that ended 23.5
//!   hours ago, and of the one that ended 167.5 hours ago;
//! - the band is the widest of these on either side, not below 0; an alert fires when the sample has
//!   been outside for five minutes.
//!
//! Rules are taken to run at each sample, the long-term ones at the last full five minutes. On an
//! hourly series an hour holds one sample, so that nothing ever leaves the margin: as published it
//! cannot judge them.

use super::window::Moments;
use super::{Band, Judged, Labelled, judge as judge_rows};

const HOUR_S: f64 = 3600.0;
const WIDTH: f64 = 2.0;
const MARGIN: f64 = 0.5;
const VARIABLE_FROM: f64 = 0.5;
const HOLD_S: f64 = 300.0;
const LONG_TERM_EVERY_S: f64 = 300.0;
const OFFSETS_S: [f64; 2] = [23.5 * HOUR_S, 167.5 * HOUR_S];

pub(super) fn judge(series: &Labelled) -> Judged {
    let mut hour = Moments::new(HOUR_S);
    let mut variable = Moments::new(26.0 * HOUR_S);
    let mut earlier = OFFSETS_S.map(|offset_s| Earlier::new(series, offset_s));
    judge_rows(series, HOLD_S, |row| {
        let (time, value) = (series.times[row], series.values[row]);
        if value > 0.0 {
            hour.push(time, value);
        }
        let (mean, deviation) = hour.until(time)?;
        if deviation > VARIABLE_FROM * mean {
            variable.push(time, deviation);
        }
        let short_term = variable.until(time).map(|(usual, _)| WIDTH * usual);
        let reach = short_term.map_or(MARGIN * mean, |short_term| short_term.max(MARGIN * mean));
        let mut band = Band { lower: mean - reach, middle: mean, upper: mean + reach };
        let full = (time / LONG_TERM_EVERY_S).floor() * LONG_TERM_EVERY_S;
        for (mean, deviation) in earlier.iter_mut().filter_map(|earlier| earlier.until(full)) {
            band.lower = band.lower.min(mean - WIDTH * deviation);
            band.upper = band.upper.max(mean + WIDTH * deviation);
        }
        band.lower = band.lower.max(0.0);
        (value > 0.0).then_some((band, value))
    })
}

/// The hour that ended some time ago.
struct Earlier<'a> {
    series: &'a Labelled,
    offset_s: f64,
    next_row: usize,
    hour: Moments,
}

impl Earlier<'_> {
    fn new(series: &Labelled, offset_s: f64) -> Earlier<'_> {
        Earlier { series, offset_s, next_row: 0, hour: Moments::new(HOUR_S) }
    }

    fn until(&mut self, time: f64) -> Option<(f64, f64)> {
        let end = time - self.offset_s;
        while let Some(row_time) = self.series.times.get(self.next_row).filter(|row| **row <= end) {
            let value = self.series.values[self.next_row];
            if value > 0.0 {
                self.hour.push(*row_time, value);
            }
            self.next_row += 1;
        }
        self.hour.until(end)
    }
}
