//! What the same hours of earlier days say: [`Season`].

use super::analogues::{Similar, weight};
use super::path::BUCKETS;

/// Days that are looked back.
const DAYS: usize = 14;
/// Times of the day that are two hours apart are about alike; those up to twice as far count.
const ALIKE_PER_DAY: f64 = 12.0;
const NEAR: f64 = 2.0;
/// A day has at least so many buckets, or else its hours are not told apart.
const DAY_BUCKETS_MIN: usize = 4;
/// Errors are looked at this often within the time that counts.
const ERRORS: usize = 24;
const WEEK: usize = 7;
/// Mean absolute error to standard deviation, where errors are about normal.
const SPREAD: f64 = 1.25;

/// What became of the same time of earlier days, within the horizon after it.
///
/// A day's rise counts from its own value at this time, its top is where that day really came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Season {
    /// Days with a known outcome; on how many of them the limit lies below the top, and below the
    /// rise of that day added to the present value.
    pub(super) days: f64,
    pub(super) topped: f64,
    pub(super) rose: f64,
    /// How far yesterday's rise and top lead beyond the limit, in the errors that the day before
    /// usually makes at this time of the day.
    pub(super) rise_margin: f64,
    pub(super) top_margin: f64,
    /// The same of the day a week ago.
    pub(super) week_rise_margin: f64,
    pub(super) week_top_margin: f64,
    /// The same of the mean of all days.
    pub(super) mean_rise_margin: f64,
    pub(super) mean_top_margin: f64,
    /// How far the present value lies above the mean of the days at this time, in the same errors.
    pub(super) above: f64,
    /// Shares that cross, if the day before errs as it did on earlier days at about this time.
    pub(super) by_rise: Similar,
    pub(super) by_top: Similar,
}

impl Season {
    /// Looks back from the newest of the values `last`, which count from it. `highest` holds the
    /// highest of the `horizon` buckets up to each, a day has `day` buckets, the limit is `distance`
    /// above.
    pub(super) fn find(
        last: &[f64],
        highest: &[f64; BUCKETS],
        horizon: usize,
        day: f64,
        distance: f64,
    ) -> Season {
        let mut season = Season::default();
        let alike = day / ALIKE_PER_DAY;
        let day = day.round() as usize;
        let Some(newest) = last.len().checked_sub(1) else { return season };
        if day < DAY_BUCKETS_MIN || newest < day {
            return season;
        }
        let top = |at: usize| highest[at + horizon];
        let rise = |at: usize| top(at) - last[at];
        // Days whose outcome is not yet known do not count.
        let first = horizon.div_ceil(day).max(1);
        let at_day = |days: usize| newest.checked_sub(days * day);
        let known: Vec<usize> = (first..=DAYS).map_while(at_day).collect();
        let Some(yesterday) = known.first().copied() else { return season };
        let mean = |of: &dyn Fn(usize) -> f64| {
            known.iter().map(|at| of(*at)).sum::<f64>() / known.len() as f64
        };
        season.days = known.len() as f64;
        season.topped = known.iter().filter(|at| top(**at) >= distance).count() as f64;
        season.rose = known.iter().filter(|at| rise(**at) >= distance).count() as f64;

        let (yesterdays_rise, yesterdays_top) = (rise(yesterday), top(yesterday));
        let back = first * day;
        let reach = (NEAR * alike) as usize;
        let stride = (reach / ERRORS).max(1);
        let (mut rise_errors, mut top_errors, mut errors) = (0.0, 0.0, 0.0);
        for at_day in &known {
            let from = at_day.saturating_sub(reach / stride * stride);
            for at in (from..=(at_day + reach).min(newest - horizon)).step_by(stride) {
                let Some(before) = at.checked_sub(back) else { continue };
                let time = at.abs_diff(*at_day) as f64 / alike;
                let weight = weight(time * time);
                let rise_error = rise(at) - rise(before);
                let top_error = top(at) - top(before);
                season.by_rise.add(weight, yesterdays_rise + rise_error >= distance);
                season.by_top.add(weight, yesterdays_top + top_error >= distance);
                rise_errors += weight * rise_error.abs();
                top_errors += weight * top_error.abs();
                errors += weight;
            }
        }
        let rise_error = SPREAD * rise_errors / errors;
        let top_error = SPREAD * top_errors / errors;
        season.rise_margin = (yesterdays_rise - distance) / rise_error;
        season.top_margin = (yesterdays_top - distance) / top_error;
        if let Some(at) = at_day(WEEK).filter(|at| at + horizon <= newest) {
            season.week_rise_margin = (rise(at) - distance) / rise_error;
            season.week_top_margin = (top(at) - distance) / top_error;
        }
        season.mean_rise_margin = (mean(&rise) - distance) / rise_error;
        season.mean_top_margin = (mean(&top) - distance) / top_error;
        season.above = -mean(&|at: usize| last[at]) / top_error;
        season
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::crossing::window::trailing_max;

    const HOURS_AHEAD: usize = 4;

    /// What is found at two in the afternoon of the sixth day, four hours ahead, counted from now.
    fn found(value: impl Fn(usize) -> f64, distance: f64) -> Season {
        let now = 5 * 24 + 14;
        let last: Vec<f64> = (0..=now).map(|hour| value(hour) - value(now)).collect();
        Season::find(&last, &trailing_max(&last, HOURS_AHEAD), HOURS_AHEAD, 24.0, distance)
    }

    fn evening(hour: usize) -> f64 {
        if (16..20).contains(&(hour % 24)) { 10.0 } else { 0.0 }
    }

    #[test]
    fn days_that_repeat_tell_what_comes() {
        let (below, above) = (found(evening, 9.0), found(evening, 11.0));
        assert_eq!((below.days, below.topped, below.rose), (5.0, 5.0, 5.0));
        assert_eq!((above.topped, above.rose), (0.0, 0.0));
        assert!(below.rise_margin > 1.0 && above.rise_margin < -1.0);
        assert!(below.by_top.against(0.5) > 0.4 && above.by_top.against(0.5) < -0.4);
    }

    #[test]
    fn a_day_that_runs_higher_rises_from_there() {
        // Today lies 3 above the days before, which rose by 10 to 10.
        let season = found(|hour| evening(hour) + if hour >= 5 * 24 { 3.0 } else { 0.0 }, 9.0);
        assert_eq!((season.topped, season.rose), (0.0, 5.0));
        assert!(season.above > 1.0, "{season:?}");
    }

    #[test]
    fn the_first_day_has_none_before_it() {
        let none = Season::find(&[0.0; 20], &[0.0; BUCKETS], HOURS_AHEAD, 24.0, 1.0);
        assert_eq!((none.days, none.rise_margin), (0.0, 0.0));
    }
}
