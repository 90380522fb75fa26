use super::analogues::Analogues;
use super::lines::Trending;
use super::path::Past;
use super::resets::Resets;
use super::table::TREES;
use super::window::{Line, larger, trailing_max};

/// How many numbers describe a series before its limit.
pub const FEATURES: usize = 31;
const DAY_S: f64 = 86_400.0;

/// What the trees are asked about: a series before its limit.
pub(super) struct Scene<'a> {
    pub(super) past: &'a Past,
    pub(super) resets: &'a Resets,
    /// Buckets ahead.
    pub(super) horizon: usize,
    pub(super) bucket_s: f64,
    /// The present value and the limit, oriented: the limit is above.
    pub(super) value: f64,
    pub(super) limit: f64,
    /// What the lines foretell for the horizon.
    pub(super) trend: Option<Trending>,
}

impl Scene<'_> {
    /// Returns the probability of a crossing within the horizon: what the trees say, and at least
    /// that the present trend goes on. Trees know most of what series usually do, and doubt what
    /// none of theirs did.
    pub(super) fn p(&self) -> (f64, Analogues) {
        let (features, found) = self.features();
        let goes_on = self.trend.map_or(0.0, |trend| trend.goes_on()) * self.survival();
        (TREES.p(&features).max(goes_on), found)
    }

    /// Returns the share of resets from at least as high as here that came from the limit.
    fn survival(&self) -> f64 {
        let here = self.resets.peaks_from(self.value) as f64;
        let there = self.resets.peaks_from(self.limit) as f64;
        (there + 1.0) / (here + 1.0)
    }

    /// Returns the features, free of the signal's unit and of the horizon's length, and the
    /// analogues among them.
    ///
    /// With D the distance to the limit, H the horizon, S the range and q(v) = v / (1 + |v|):
    /// q(slope H / D) of lines over several parts of the horizon, of the path itself, of the path
    /// with its resets taken out and of its upper envelope; what [`Analogues`] add to that; the
    /// largest rise and how often one was as large as D; how many resets came from as high as here
    /// and from as high as the limit; noise, age, straightness; three products; and what the lines foretell.
    pub(super) fn features(&self) -> ([f64; FEATURES], Analogues) {
        let (past, horizon) = (self.past, self.horizon);
        let distance = self.limit - self.value;
        let span = horizon as f64;
        let ahead = |slope: f64, distance: f64| squashed(slope * span / distance);
        let part = |times: usize, of: usize| (times * horizon / of).max(3);

        let last = past.last();
        let line = |times: usize, of: usize| Line::through_last(last, part(times, of));
        let straight = line(3, 2);
        let slopes = [line(1, 8), line(1, 4), line(3, 4), straight, line(6, 1)]
            .map(|line| ahead(line.slope, distance));
        let raised = past.without_resets(part(6, 1));
        let raised = raised.as_slice();
        let ups = [part(3, 2), part(6, 1)]
            .map(|width| ahead(Line::through_last(raised, width).slope, distance));
        let recent = &past.high()[last.len().saturating_sub(part(6, 1) + part(1, 4))..];
        let envelope = trailing_max(recent, part(1, 4));
        let envelope = &envelope[..recent.len()];
        let top = envelope.last().copied().unwrap_or(0.0);
        let below = (distance - top).max(0.02 * distance);
        let tops = [part(3, 4), part(3, 2), part(6, 1)]
            .map(|width| ahead(Line::through_last(envelope, width).slope, below));

        let prior = (0.75 * (slopes[1] + slopes[3])).clamp(0.0, 1.0);
        let found = Analogues::find(past, horizon, self.bucket_s, self.resets.range(), distance);
        let survival = self.survival();
        let rise_max = if found.moments > 0.0 { found.rise_max / distance } else { 0.0 };
        let age_days = past.count() as f64 * self.bucket_s / DAY_S;
        let highest = past.high().iter().copied().fold(f64::NEG_INFINITY, larger);
        let noise = 3.0 * self.resets.step() * span.sqrt();
        let width = part(3, 2).min(last.len()) as f64;
        let straightness = straight.slope * width / (6.0 * straight.scatter + f64::MIN_POSITIVE);
        let trend = self.trend;
        // How long it has gone on, and the horizon, beside the time that is left: a trend is as
        // likely to last as long again as it has lasted.
        let beside_left = |seconds: f64| {
            let left_s = trend.map_or(f64::INFINITY, |trend| trend.eta_s);
            if left_s >= 0.0 { seconds / (seconds + left_s + f64::MIN_POSITIVE) } else { 0.0 }
        };
        let features = [
            slopes[0],
            slopes[1],
            slopes[2],
            slopes[3],
            slopes[4],
            ups[0],
            ups[1],
            tops[0],
            tops[1],
            tops[2],
            found.by_level.against(prior),
            found.by_rise.against(prior),
            found.by_time.against(prior),
            prior,
            found.by_level.mass(),
            found.by_rise.mass(),
            squashed(rise_max),
            (found.rose + 0.5) / (found.moments + 1.0),
            survival,
            (self.resets.count() as f64 / 10.0).min(1.0),
            squashed(noise / distance),
            libm::exp(-age_days),
            squashed(distance / self.resets.range().max(f64::MIN_POSITIVE)),
            (highest / distance).clamp(0.0, 1.5),
            squashed(straightness),
            slopes[1] * slopes[3],
            slopes[3] * survival,
            tops[1] * survival,
            trend.map_or(0.0, |trend| trend.p),
            beside_left(trend.map_or(0.0, |trend| trend.rising_s)),
            beside_left(span * self.bucket_s),
        ];
        (features, found)
    }
}

/// Brings any number between -1 and 1, small ones unchanged; what is none becomes 0.
fn squashed(value: f64) -> f64 {
    if value.is_infinite() {
        return value.signum();
    }
    let squashed = value / (1.0 + value.abs());
    if squashed.is_nan() { 0.0 } else { squashed }
}
