use super::autoregression::Autoregression;
use super::seasons::Seasons;

/// How many answers there are.
pub(super) const EXPERTS: usize = 7;
/// How much a further pass counts in a seasonal profile.
const PASS_GAIN: f64 = 0.25;
/// Memory of the level that a profile is laid on, in days.
const LEVEL_DAYS: f64 = 0.6;
/// How much of the change since a week ago is taken to last.
const CHANGE_KEPT: f64 = 0.6;

/// Seven ways to go on from a past, of which each knows something that the others do not:
///
/// the same time a day ago; a week ago, moved by 0.6 of the change between the last day's mean and
/// that of a week before; a profile of the day and one of the week, each over the present level; and
/// three autoregressions, of many lags, of few, and of differences from day to day.
///
/// Values are on the scale of [`super::scale::Scale`]. State for hourly values: about 6 KiB.
#[derive(Clone, Debug)]
pub(super) struct Experts {
    seasons: Seasons,
    /// How many values of the past the profiles have learned.
    learned: usize,
    day: SeasonalProfile,
    week: SeasonalProfile,
    many: Autoregression<15>,
    few: Autoregression<6>,
    differences: Autoregression<10>,
}

impl Experts {
    /// No lag is longer than `lag_max`.
    pub(super) fn new(seasons: Seasons, lag_max: usize) -> Experts {
        let (d, w) = (seasons.day, seasons.week);
        let (dd, ddd, ww) = (2 * d, 3 * d, 2 * w);
        let many =
            [1, 2, 3, d, d + 1, d + 2, dd, dd + 1, ddd, ddd + 1, w, w + 1, w + 2, ww, ww + 1];
        let differences = [1, 2, 3, d - 1, d, d + 1, 2 * d, w - d, w, w + 1];
        Experts {
            seasons,
            learned: 0,
            day: SeasonalProfile::new(d),
            week: SeasonalProfile::new(w),
            many: Autoregression::new(many, None, lag_max),
            few: Autoregression::new([1, 2, d, d + 1, w, w + 1], None, lag_max),
            differences: Autoregression::new(differences, Some(d), lag_max),
        }
    }

    /// Learns what the past has in addition to what was learned of it.
    pub(super) fn learn(&mut self, past: &[f64]) {
        let (before, after) = (self.seasons.day / 2, self.seasons.day.div_ceil(2));
        for at in self.learned.max(before)..(past.len() + 1).saturating_sub(after) {
            let over_day = past[at] - mean(&past[at - before..at + after]);
            self.day.learn(at, over_day);
            self.week.learn(at, over_day);
            self.learned = at + 1;
        }
        self.many.learn(past);
        self.few.learn(past);
        self.differences.learn(past);
    }

    /// Returns what each foretells of the values after `past`, which is at least a day.
    pub(super) fn forecast(
        &self,
        past: &[f64],
        horizon: usize,
        bounds: (f64, f64),
    ) -> [Vec<f64>; EXPERTS] {
        let Seasons { day, week } = self.seasons;
        [
            repeat(past, day, horizon, 0.0),
            if past.len() >= week + day {
                let change = mean(last(past, day)) - mean(last(&past[..past.len() - week], day));
                repeat(past, week, horizon, CHANGE_KEPT * change)
            } else {
                repeat(past, day, horizon, 0.0)
            },
            self.day.forecast(past, horizon, day),
            self.week.forecast(past, horizon, day),
            self.many.forecast(past, horizon, bounds),
            self.few.forecast(past, horizon, bounds),
            self.differences.forecast(past, horizon, bounds),
        ]
    }
}

/// Repeats the last season, moved by `change`.
fn repeat(past: &[f64], season: usize, horizon: usize, change: f64) -> Vec<f64> {
    last(past, season).iter().cycle().take(horizon).map(|z| z + change).collect()
}

fn last(past: &[f64], count: usize) -> &[f64] {
    &past[past.len() - count..]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// By how much each time of a season is usually above the mean of the day around it.
#[derive(Clone, Debug)]
struct SeasonalProfile {
    offsets: Vec<f64>,
    passes: Vec<f64>,
}

impl SeasonalProfile {
    fn new(season: usize) -> SeasonalProfile {
        SeasonalProfile { offsets: vec![0.0; season], passes: vec![0.0; season] }
    }

    fn learn(&mut self, at: usize, over_day: f64) {
        let slot = at % self.offsets.len();
        self.passes[slot] += 1.0;
        let gain = PASS_GAIN.max(1.0 / self.passes[slot]);
        self.offsets[slot] += gain * (over_day - self.offsets[slot]);
    }

    /// Lays the profile over the level of late.
    fn forecast(&self, past: &[f64], horizon: usize, day: usize) -> Vec<f64> {
        let offset = |at: usize| self.offsets[at % self.offsets.len()];
        let keep = libm::exp(-1.0 / (LEVEL_DAYS * day as f64));
        let (mut sum, mut weights) = (0.0, 0.0);
        for (at, z) in past.iter().enumerate().skip(past.len().saturating_sub(2 * day)) {
            sum = keep * sum + z - offset(at);
            weights = keep * weights + 1.0;
        }
        let level = sum / weights;
        (past.len()..past.len() + horizon).map(|at| level + offset(at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_on_with_a_clean_week() {
        let seasons = Seasons { day: 24, week: 168 };
        let wave = |at: usize| {
            let weekend = if at / 24 % 7 >= 5 { 0.3 } else { 1.0 };
            weekend * (std::f64::consts::TAU * at as f64 / 24.0).sin()
        };
        let past: Vec<f64> = (0..1_000).map(wave).collect();
        let mut experts = Experts::new(seasons, 600);
        experts.learn(&past);
        let errors = experts.forecast(&past, 48, (-2.0, 2.0)).map(|path| {
            let error = path.iter().enumerate().map(|(ahead, z)| (z - wave(1_000 + ahead)).abs());
            error.sum::<f64>() / 48.0
        });
        // Those that know of days alone are off when the weekend begins, the others are not.
        let knows_weeks = [1, 3, 4, 5, 6];
        assert!(knows_weeks.iter().all(|expert| errors[*expert] < 0.1), "{errors:?}");
        assert!(errors[0] > 0.2 && errors[2] > 0.2, "{errors:?}");
    }

    #[test]
    fn a_short_past_is_enough() {
        for seasons in [(24, 168), (1, 1), (7, 7), (288, 288)] {
            let seasons = Seasons { day: seasons.0, week: seasons.1 };
            let past = vec![1.0; seasons.day];
            let mut experts = Experts::new(seasons, seasons.day);
            experts.learn(&past);
            for path in experts.forecast(&past, 3, (0.0, 2.0)) {
                assert!(path.len() == 3 && path.iter().all(|z| (0.0..=2.0).contains(z)));
            }
        }
    }
}
