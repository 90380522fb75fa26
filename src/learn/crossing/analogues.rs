use super::path::{BUCKETS, Past};
use super::window::Sums;

/// Analogues farther than this (squared) count for nothing.
const FAR: f64 = 16.0;
/// Weight of what the lines alone say, in analogues.
const PRIOR: f64 = 4.0;
/// Hours of the day that are this near count as alike, s.
const ALIKE_S: f64 = 7_200.0;
const DAY_S: f64 = 86_400.0;

/// What became of earlier moments of the same series that were like the present one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Analogues {
    /// Share that crossed, of moments with the like level and slopes.
    pub(super) by_level: Similar,
    /// The same, of moments at the like time of day with the like slopes, their rise taken over
    /// what the line alone foretold.
    pub(super) by_rise: Similar,
    /// The same, of moments at the like time of day.
    pub(super) by_time: Similar,
    /// The largest rise within a horizon, in the signal's unit.
    pub(super) rise_max: f64,
    /// Moments with a known outcome, and how many of them rose as far as the limit is.
    pub(super) moments: f64,
    pub(super) rose: f64,
    rises: f64,
    squared_rises: f64,
}

/// A weighted share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Similar {
    weight: f64,
    crossed: f64,
}

impl Similar {
    pub(super) fn add(&mut self, weight: f64, crossed: bool) {
        self.weight += weight;
        self.crossed += if crossed { weight } else { 0.0 };
    }

    /// Returns by how much the share differs from a prior that weighs as four analogues.
    pub(super) fn against(&self, prior: f64) -> f64 {
        (self.crossed + PRIOR * prior) / (self.weight + PRIOR) - prior
    }

    /// Returns how much there is to go by, 0 to 1.
    pub(super) fn mass(&self) -> f64 {
        self.weight / (self.weight + 20.0)
    }

    /// Returns the weight and the share that crossed.
    pub(super) fn share(&self) -> (f64, f64) {
        (self.weight, if self.weight > 0.0 { self.crossed / self.weight } else { 0.0 })
    }
}

impl Analogues {
    /// Returns the mean of the rises within a horizon.
    pub(super) fn rise_mean(&self) -> f64 {
        self.rises / self.moments
    }

    /// Returns their standard deviation.
    pub(super) fn rise_spread(&self) -> f64 {
        (self.squared_rises / self.moments - self.rise_mean().powi(2)).max(0.0).sqrt()
    }

    /// Looks at every second bucket of the past whose outcome within `horizon` buckets is known;
    /// `highest` holds the highest of the `horizon` buckets up to each.
    ///
    /// With S the `range`, D the `distance` to the limit, and slopes of a quarter and three halves
    /// of the horizon: dl = 8 (x_t - x) / S, d1 = 3 H (slope_t - slope) / S over a quarter, d6 = 4 H
    /// of the same over three halves, dt = the distance of the times of day / 2 h. Weights are
    /// exp(-(sum of squares) / 2), which is [`weight`] within 3 %.
    pub(super) fn find(
        past: &Past,
        highest: &[f64; BUCKETS],
        horizon: usize,
        bucket_s: f64,
        range: f64,
        distance: f64,
    ) -> Analogues {
        let mut found = Analogues { rise_max: f64::NEG_INFINITY, ..Analogues::default() };
        let last = past.last();
        let Some(newest) = last.len().checked_sub(1) else { return found };
        let sums = Sums::new(last);
        let span = horizon as f64;
        let (short, long) = ((horizon / 4).max(3), (3 * horizon / 2).max(3));
        let (short_now, long_now) = (sums.slope(newest, short), sums.slope(newest, long));
        let rise_now = span * long_now;
        let scale = if range > 0.0 { 1.0 / range } else { 0.0 };
        // Every second bucket, the same ones whenever it is asked.
        let first = usize::from(past.before() % 2 != 0);
        let mut since_s = (newest.saturating_sub(first) as f64 * bucket_s) % DAY_S;
        for at in (first..(newest + 1).saturating_sub(horizon)).step_by(2) {
            let off_s = since_s;
            since_s -= 2.0 * bucket_s;
            while since_s < 0.0 {
                since_s += DAY_S;
            }
            let rise = highest[at + horizon] - last[at];
            found.rise_max = found.rise_max.max(rise);
            found.moments += 1.0;
            let crossed = rise >= distance;
            found.rose += if crossed { 1.0 } else { 0.0 };
            found.rises += rise;
            found.squared_rises += rise * rise;

            let time = off_s.min(DAY_S - off_s) / ALIKE_S;
            let near_in_time = time < 2.0;
            let level = 8.0 * (last[at] - last[newest]) * scale;
            if !near_in_time && level * level > FAR {
                continue;
            }
            let long_at = sums.slope(at, long);
            let slow = 4.0 * span * (long_at - long_now) * scale;
            let quick = 3.0 * span * (sums.slope(at, short) - short_now) * scale;
            let slopes = quick * quick + slow * slow;
            let by_level = level * level + slopes;
            if by_level <= FAR {
                found.by_level.add(weight(by_level), crossed);
            }
            let by_rise = time * time + slopes;
            if by_rise <= FAR {
                let risen = rise_now + rise - span * long_at;
                found.by_rise.add(weight(by_rise), risen >= distance);
            }
            if near_in_time {
                found.by_time.add(weight(time * time), crossed);
            }
        }
        found
    }
}

/// Returns about exp(-squares / 2), for what is not [`FAR`]: ten squarings, a tenth of the time.
pub(super) fn weight(squares: f64) -> f64 {
    let mut weight = 1.0 - squares / 2_048.0;
    for _ in 0..10 {
        weight *= weight;
    }
    weight
}

const _: () = assert!(BUCKETS.is_multiple_of(2), "every second bucket stays the same one");
