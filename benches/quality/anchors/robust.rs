//! The "robust" bands of Grafana's PromQL anomaly detection framework
//! (github.com/grafana/promql-anomaly-detection, rules/robust.yml at 9031acf), its constants as
//! published. In our words, over the samples above 0 alone, which are all it looks at:
//!
//! - the middle is the median of the last day; what is judged is the median of the last hour;
//! - short-term: twice the median, over a day, of the samples' distances from the middle of their time;
//! - margin: half of the middle, a floor of the width;
//! - seasonal, every five minutes: median of the hour that ended 23.75 hours ago, and of the one that
//!   ended 167.75 hours ago, each and twice the median of that hour's distances from it;
//! - the band is the widest of these on either side, not below 0; an alert fires when the hour's
//!   median has been outside for five minutes.
//!
//! Rules are taken to run at each sample, the seasonal ones at the last full five minutes.

use super::window::Median;
use super::{Band, Judged, Labelled, judge as judge_rows};

const HOUR_S: f64 = 3600.0;
const DAY_S: f64 = 86_400.0;
const WIDTH: f64 = 2.0;
const MARGIN: f64 = 0.5;
const HOLD_S: f64 = 300.0;
const SEASONAL_EVERY_S: f64 = 300.0;
const LOOKBACK_S: f64 = 300.0;
const OFFSETS_S: [f64; 2] = [23.75 * HOUR_S, 167.75 * HOUR_S];

pub(super) fn judge(series: &Labelled) -> Judged {
    let (mut hour, mut day) = (Median::new(HOUR_S), Median::new(DAY_S));
    let mut distances = Median::new(DAY_S);
    let mut earlier = OFFSETS_S.map(|offset_s| Earlier::new(series, offset_s));
    judge_rows(series, HOLD_S, |row| {
        let (time, value) = (series.times[row], series.values[row]);
        if value > 0.0 {
            hour.push(time, value);
            day.push(time, value);
        }
        let middle = day.until(time)?;
        if value > 0.0 {
            distances.push(time, (value - middle).abs());
        }
        let distance = distances.until(time)?;
        let reach = (WIDTH * distance).max(MARGIN * middle);
        let mut band = Band { lower: middle - reach, middle, upper: middle + reach };
        let full = (time / SEASONAL_EVERY_S).floor() * SEASONAL_EVERY_S;
        for (median, distance) in earlier.iter_mut().filter_map(|earlier| earlier.until(full)) {
            band.lower = band.lower.min(median - WIDTH * distance);
            band.upper = band.upper.max(median + WIDTH * distance);
        }
        band.lower = band.lower.max(0.0);
        Some((band, hour.until(time)?))
    })
}

/// The hour that ended some time ago, looked at every five minutes.
struct Earlier<'a> {
    series: &'a Labelled,
    offset_s: f64,
    next_row: usize,
    hour: Median,
    distances: Median,
    looked_at: f64,
    known: Option<(f64, f64)>,
}

impl Earlier<'_> {
    fn new(series: &Labelled, offset_s: f64) -> Earlier<'_> {
        let (hour, distances) = (Median::new(HOUR_S), Median::new(HOUR_S));
        let looked_at = f64::NEG_INFINITY;
        Earlier { series, offset_s, next_row: 0, hour, distances, looked_at, known: None }
    }

    fn until(&mut self, time: f64) -> Option<(f64, f64)> {
        if time > self.looked_at {
            self.looked_at = time;
            self.known = self.look(time - self.offset_s);
        }
        self.known
    }

    /// Returns the median of the hour, and that of the distances that were found in it.
    fn look(&mut self, end: f64) -> Option<(f64, f64)> {
        while let Some(row_time) = self.series.times.get(self.next_row).filter(|row| **row <= end) {
            let value = self.series.values[self.next_row];
            if value > 0.0 {
                self.hour.push(*row_time, value);
            }
            self.next_row += 1;
        }
        let median = self.hour.until(end)?;
        let newest = self.next_row.checked_sub(1)?;
        let (row_time, value) = (self.series.times[newest], self.series.values[newest]);
        if value > 0.0 && row_time > end - LOOKBACK_S {
            self.distances.push(end, (value - median).abs());
        }
        Some((median, self.distances.until(end)?))
    }
}
