use super::analogues::Analogues;
use super::lines::Trending;
use super::path::Past;
use super::resets::Resets;
use super::season::Season;
use super::table::TREES;
use super::window::{Hull, Line, larger, trailing_max};

/// How many numbers describe a series before its limit.
pub const FEATURES: usize = 65;
/// Which of them says that the present trend goes on, which how much of the past was like now, and
/// which how long the trend has lasted, and the horizon, beside the time that is left.
const GOES_ON: usize = 0;
const ALIKE: usize = 1;
const LASTED: usize = 60;
const HORIZON: usize = 61;
/// Quiet before a trend makes it at most so many times as old as its rise is.
const QUIET_AGES: f64 = 3.0;
const DAY_S: f64 = 86_400.0;

/// What is said of a limit that is out of reach: what came true of such.
pub(super) const P_OUT_OF_REACH: f64 = 0.002;

/// What is asked about a series before its limit.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "lives for one answer")]
pub enum Question {
    /// The limit is much farther than the series ranges, and no line leads there.
    OutOfReach,
    /// What the trees are asked.
    Trees([f64; FEATURES]),
}

impl Question {
    /// Returns the probability of a crossing within the horizon: what the trees say, and, where
    /// nothing in the past was like the present, at least that the present trend goes on. Trees
    /// know most of what series usually do, and doubt what none of theirs did.
    pub fn p(&self, trees: impl FnOnce(&[f64; FEATURES]) -> f64) -> f64 {
        match self {
            Question::OutOfReach => P_OUT_OF_REACH,
            Question::Trees(features) => {
                let unseen = (1.0 - features[ALIKE]).powi(4);
                trees(features).max(unseen * unended(features) * features[GOES_ON])
            }
        }
    }
}

/// Returns how much likelier a trend goes on that has lasted for a while: of p a / (a + t) it makes
/// p a / (a + c t), c = H / (H + a), since what outlasts a horizon is no passing thing.
fn unended(features: &[f64; FEATURES]) -> f64 {
    let [lasted, horizon] = [features[LASTED], features[HORIZON]];
    // a / t and H / t.
    let [age, span] = [lasted, horizon].map(|share| share / (1.0 - share).max(f64::EPSILON));
    let ends = span / (span + age + f64::MIN_POSITIVE);
    1.0 / (lasted + ends * (1.0 - lasted)).max(f64::EPSILON)
}

/// A series before its limit.
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
    /// Returns the probability of a crossing within the horizon, and the analogues.
    pub(super) fn p(&self) -> (f64, Analogues) {
        let (features, found) = self.features();
        (Question::Trees(features).p(|features| TREES.p(features)), found)
    }

    /// Returns the features, free of the signal's unit and of the horizon's length, and the
    /// analogues among them.
    ///
    /// With D the distance to the limit, H the horizon, S the range and q(v) = v / (1 + |v|):
    /// q(slope H / D) of lines over several parts of the horizon, of the path itself, of the path
    /// with its resets taken out and of the hulls above and below it; how far such lines end beyond
    /// the limit, in what values stray from them; what [`Analogues`] and [`Season`] add to that; how
    /// often and how lately the limit was reached; how many resets came from as high as here and from
    /// as high as the limit, and whether the next one will; noise, age, straightness; three products;
    /// and what the lines foretell.
    pub(super) fn features(&self) -> ([f64; FEATURES], Analogues) {
        let (distance, range, day) = (self.distance(), self.resets.range(), self.day());
        let highest = trailing_max(self.past.high(), self.horizon);
        let found =
            Analogues::find(self.past, &highest, self.horizon, self.bucket_s, range, distance);
        let season = Season::find(self.past.last(), &highest, self.horizon, day, distance);
        let survival = self.survival();
        let (slopes, ups) = (self.slopes(), self.ups());
        let tops = self.tops();
        let prior = (0.75 * (slopes[1] + slopes[3])).clamp(0.0, 1.0);

        let mut numbers = Numbers { values: [0.0; FEATURES], count: 0 };
        let trend = self.trend();
        let goes_on = trend.map_or(0.0, |trend| trend.goes_on());
        let next_reset = self.next_reset();
        numbers.add([goes_on * survival.min(next_reset[0]), found.by_level.mass()]);
        numbers.add(slopes);
        numbers.add(ups);
        numbers.add(tops);
        numbers.add([slopes[1] * slopes[3], slopes[3] * survival, tops[1] * survival]);
        numbers.add(self.below());
        numbers.add(self.wide());
        numbers.add(of_analogues(&found, prior, distance));
        numbers.add(of_season(&season, prior));
        numbers.add(self.reached());
        numbers.add([survival, (self.resets.count() as f64 / 10.0).min(1.0)]);
        numbers.add(self.size());
        numbers.add(self.foretold(trend));
        numbers.add(next_reset);
        (numbers.values, found)
    }

    fn distance(&self) -> f64 {
        self.limit - self.value
    }

    /// Returns how many buckets make a day.
    fn day(&self) -> f64 {
        DAY_S / self.bucket_s
    }

    /// Returns a part of the horizon, in buckets.
    fn part(&self, times: usize, of: usize) -> usize {
        (times * self.horizon / of).max(3)
    }

    /// Returns how far a slope leads within the horizon, as a share of some distance.
    fn ahead(&self, slope: f64, distance: f64) -> f64 {
        squashed(slope * self.horizon as f64 / distance)
    }

    /// Returns how far a line ends beyond the limit, in what values stray from it.
    fn beyond(&self, line: Line) -> f64 {
        let end = line.end + line.slope * self.horizon as f64;
        let strays = 2.0 * line.scatter + 1e-3 * self.resets.range();
        squashed((end - self.distance()) / strays)
    }

    fn line(&self, times: usize, of: usize) -> Line {
        Line::through_last(self.past.last(), self.part(times, of))
    }

    fn slopes(&self) -> [f64; 5] {
        let parts = [(1, 8), (1, 4), (3, 4), (3, 2), (6, 1)];
        parts.map(|(times, of)| self.ahead(self.line(times, of).slope, self.distance()))
    }

    /// Of the path with its resets taken out.
    fn ups(&self) -> [f64; 3] {
        let raised = self.past.without_resets(self.part(6, 1));
        let line = |width: usize| Line::through_last(raised.as_slice(), width);
        let [short, long] = [line(self.part(3, 2)), line(self.part(6, 1))];
        let [by_short, by_long] = [short, long].map(|line| self.ahead(line.slope, self.distance()));
        [by_short, by_long, self.beyond(long)]
    }

    /// Of the hull above the path, seen from where it is now.
    fn tops(&self) -> [f64; 5] {
        let hull = self.hull(self.part(1, 4), self.part(6, 1));
        let left = (self.distance() - hull.last()).max(0.02 * self.distance());
        let line = |(times, of)| Line::through_last(hull.as_slice(), self.part(times, of));
        let [short, middle, long] = [(3, 4), (3, 2), (6, 1)].map(line);
        let [by_short, by_middle, by_long] =
            [short, middle, long].map(|line| self.ahead(line.slope, left));
        [by_short, by_middle, by_long, self.beyond(middle), self.beyond(long)]
    }

    /// Of the hull below the path: collections of garbage leave what leaks.
    fn below(&self) -> [f64; 3] {
        let (width, back) = (self.part(1, 2), self.part(6, 1));
        let hull = Hull::below(latest(self.past.last(), width + back), width);
        let top = self.hull(self.part(1, 4), 1).last();
        let left = (self.distance() - top).max(0.02 * self.distance());
        let line = |(times, of)| Line::through_last(hull.as_slice(), self.part(times, of));
        let [short, long] = [(3, 2), (6, 1)].map(line);
        let strays = squashed(4.0 * long.scatter / self.distance());
        [self.ahead(short.slope, left), self.ahead(long.slope, left), strays]
    }

    /// Of the hull above whole horizons.
    fn wide(&self) -> [f64; 5] {
        let hull = self.hull(self.horizon, self.part(12, 1));
        let line = |(times, of)| Line::through_last(hull.as_slice(), self.part(times, of));
        let [short, middle, long] = [(3, 1), (6, 1), (12, 1)].map(line);
        let strays = squashed(4.0 * middle.scatter / self.distance());
        let top = squashed(hull.last() / self.distance());
        [self.beyond(short), self.beyond(middle), self.beyond(long), strays, top]
    }

    /// Returns the highest of the `width` buckets up to each of the last `back`.
    fn hull(&self, width: usize, back: usize) -> Hull {
        Hull::above(latest(self.past.high(), width + back), width)
    }

    /// How often and how lately the limit was reached.
    fn reached(&self) -> [f64; 4] {
        let (high, distance) = (self.past.high(), self.distance());
        let is_over = |value: &f64| *value >= distance;
        let day = (self.day().round() as usize).max(1);
        let days_over = high.rchunks(day).filter(|day| day.iter().any(is_over)).count() as f64;
        let share_over = high.iter().filter(|value| is_over(value)).count() as f64;
        let since = high.iter().rev().position(is_over);
        let fading = |buckets: f64| since.map_or(0.0, |since| libm::exp(-(since as f64) / buckets));
        [
            days_over / (high.len() as f64 / day as f64 + 1.0),
            (share_over / high.len().max(1) as f64).sqrt(),
            fading(self.day()),
            fading(self.horizon as f64),
        ]
    }

    /// How the limit, the range and the noise compare; age and straightness.
    fn size(&self) -> [f64; 7] {
        let (distance, range) = (self.distance(), self.resets.range());
        let straight = self.line(3, 2);
        let width = self.part(3, 2).min(self.past.last().len()) as f64;
        let straightness = straight.slope * width / (6.0 * straight.scatter + f64::MIN_POSITIVE);
        let highest = self.past.high().iter().copied().fold(f64::NEG_INFINITY, larger);
        let noise = 3.0 * self.resets.step() * (self.horizon as f64).sqrt();
        [
            squashed(noise / distance),
            libm::exp(-(self.past.count() as f64) / self.day()),
            squashed(distance / range.max(f64::MIN_POSITIVE)),
            (highest / distance).clamp(0.0, 1.5),
            squashed(straightness),
            self.beyond(straight),
            self.beyond(self.line(6, 1)),
        ]
    }

    /// What the lines foretell. How long it has gone on, and the horizon, stand beside the time that
    /// is left: a trend is as likely to last as long again as it has lasted.
    fn foretold(&self, trend: Option<Trending>) -> [f64; 4] {
        let Some(trend) = trend else { return [0.0; 4] };
        let beside_left = |seconds: f64| {
            if trend.eta_s >= 0.0 {
                seconds / (seconds + trend.eta_s + f64::MIN_POSITIVE)
            } else {
                0.0
            }
        };
        let ahead_s = self.horizon as f64 * self.bucket_s;
        [
            trend.p,
            beside_left(trend.rising_s),
            beside_left(ahead_s),
            squashed(trend.slope_per_s * ahead_s / self.distance()),
        ]
    }

    /// Whether the way up to the next reset, if it is like the earlier ones, leads to the limit: the
    /// share of them that do, of those that are as long as the present one; and how far it leads beyond,
    /// in what they differ by.
    fn next_reset(&self) -> [f64; 2] {
        let (here, there) = (self.resets.rises_to(self.value), self.resets.rises_to(self.limit));
        let margin = self.resets.next_peak().map_or(0.0, |(peak, spread)| {
            (peak - self.limit) / (spread + 0.01 * self.resets.range())
        });
        [(there as f64 + 1.0) / (here as f64 + 1.0), squashed(margin)]
    }

    /// Returns the trend, hardly older than it takes to come as far as the path has at its slope: the
    /// quiet weeks before it say that this series seldom changes its course, not that it is on this one
    /// for weeks.
    fn trend(&self) -> Option<Trending> {
        let trend = self.trend?;
        let lowest = self.past.last().iter().copied().fold(0.0, f64::min);
        let risen_s = -lowest / self.distance() * trend.eta_s.max(0.0);
        Some(Trending { rising_s: trend.rising_s.min(QUIET_AGES * risen_s), ..trend })
    }

    /// Returns the share of resets from at least as high as here that came from the limit.
    fn survival(&self) -> f64 {
        let here = self.resets.peaks_from(self.value) as f64;
        let there = self.resets.peaks_from(self.limit) as f64;
        (there + 1.0) / (here + 1.0)
    }
}

/// What became of like moments, over what lines alone say, which is `prior`.
fn of_analogues(found: &Analogues, prior: f64, distance: f64) -> [f64; 8] {
    let rise_max = if found.moments > 0.0 { found.rise_max / distance } else { 0.0 };
    [
        found.by_level.against(prior),
        found.by_rise.against(prior),
        found.by_time.against(prior),
        prior,
        found.by_rise.mass(),
        squashed(rise_max),
        (found.rose + 0.5) / (found.moments + 1.0),
        squashed((distance - found.rise_mean()) / found.rise_spread()),
    ]
}

fn of_season(season: &Season, prior: f64) -> [f64; 12] {
    [
        (season.topped + prior) / (season.days + 1.0),
        (season.rose + prior) / (season.days + 1.0),
        squashed(season.rise_margin),
        squashed(season.top_margin),
        squashed(season.week_rise_margin),
        squashed(season.week_top_margin),
        squashed(season.mean_rise_margin),
        squashed(season.mean_top_margin),
        squashed(season.above),
        season.by_rise.against(prior),
        season.by_top.against(prior),
        season.by_rise.mass(),
    ]
}

/// Features, as they are put together.
struct Numbers {
    values: [f64; FEATURES],
    count: usize,
}

impl Numbers {
    fn add<const N: usize>(&mut self, more: [f64; N]) {
        let free = self.values.iter_mut().skip(self.count);
        free.zip(more).for_each(|(free, value)| *free = value);
        self.count += N;
        debug_assert!(self.count <= FEATURES);
    }
}

/// Returns the last values, `count` of them or as many as there are.
fn latest(values: &[f64], count: usize) -> &[f64] {
    &values[values.len().saturating_sub(count)..]
}

/// Brings any number between -1 and 1, small ones unchanged; what is none becomes 0.
fn squashed(value: f64) -> f64 {
    if value.is_infinite() {
        return value.signum();
    }
    let squashed = value / (1.0 + value.abs());
    if squashed.is_nan() { 0.0 } else { squashed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::crossing::path::Path;

    #[test]
    fn a_trend_unlike_all_before_goes_on_whatever_the_trees_say() {
        let p = |alike: f64, trees: f64| {
            let mut features = [0.0; FEATURES];
            // A horizon and a half, with half a horizon to go.
            (features[GOES_ON], features[ALIKE]) = (0.75, alike);
            (features[LASTED], features[HORIZON]) = (1.5 / 2.0, 1.0 / 1.5);
            Question::Trees(features).p(|_| trees)
        };
        assert!((p(0.0, 0.1) - 1.5 / (1.5 + 0.4 * 0.5)).abs() < 1e-12);
        assert!(p(0.5, 0.1) == 0.1 && p(0.0, 0.9) == 0.9);
        assert!(Question::OutOfReach.p(|_| 1.0) < 0.01);
    }

    #[test]
    fn how_long_a_trend_has_lasted_is_where_it_is_looked_for() {
        let mut path = Path::new();
        let mut resets = Resets::new();
        for bucket in 0..48 {
            path.push(f64::from(bucket), f64::from(bucket), false);
            resets.learn(f64::from(bucket));
        }
        let past = path.past(47.0);
        let trend = Trending { p: 0.9, eta_s: 1_000.0, rising_s: 3_000.0, slope_per_s: 0.1 };
        let (value, limit, trend) = (47.0, 60.0, Some(trend));
        let (horizon, bucket_s) = (48, 300.0);
        let (past, resets) = (&past, &resets);
        let scene = Scene { past, resets, horizon, bucket_s, value, limit, trend };
        let (features, found) = scene.features();
        assert!((features[LASTED] - 0.75).abs() < 1e-12);
        assert!((features[HORIZON] - 14_400.0 / 15_400.0).abs() < 1e-12);
        assert!((features[GOES_ON] - 0.9 * 0.75).abs() < 1e-12);
        assert_eq!(features[ALIKE].to_bits(), found.by_level.mass().to_bits());
    }
    #[test]
    fn quiet_before_a_trend_makes_it_three_times_as_old_at_most() {
        let mut path = Path::new();
        let mut resets = Resets::new();
        // A day about 20, then two hours up by one in each bucket of five minutes.
        for bucket in 0..312 {
            let value = f64::from(20 + (bucket - 287).max(0));
            path.push(value, value, false);
            resets.learn(value);
        }
        let past = path.past(44.0);
        let lasted = |rising_s: f64| {
            let trend = Trending { p: 0.9, eta_s: 4_800.0, rising_s, slope_per_s: 1.0 / 300.0 };
            let (horizon, bucket_s, value, limit) = (48, 300.0, 44.0, 60.0);
            let (past, resets, trend) = (&past, &resets, Some(trend));
            Scene { past, resets, horizon, bucket_s, value, limit, trend }.trend().unwrap().rising_s
        };
        assert!((lasted(93_600.0) / (3.0 * 7_200.0) - 1.0).abs() < 1e-6);
        assert_eq!(lasted(7_200.0), 7_200.0);
    }
}
