use super::VALUES_KEPT;

const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;

/// The lengths of a day and a week, in periods.
///
/// A season of fewer than two periods is none, and so is one of which two are more than is kept. A
/// week takes a missing day's place, and a day a missing week's; 1 where there is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seasons {
    pub(super) day: usize,
    pub(super) week: usize,
}

impl Seasons {
    pub(super) fn of(period_ms: i64) -> Seasons {
        let usable = |season_ms: i64| {
            let periods = (season_ms / period_ms) as usize;
            (2..=VALUES_KEPT / 2).contains(&periods).then_some(periods)
        };
        let (day, week) = (usable(DAY_MS), usable(WEEK_MS));
        let shortest = day.or(week).unwrap_or(1);
        Seasons { day: shortest, week: week.unwrap_or(shortest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_are_those_that_fit_twice() {
        let of = |period_ms| {
            let seasons = Seasons::of(period_ms);
            (seasons.day, seasons.week)
        };
        assert_eq!(of(3_600_000), (24, 168));
        assert_eq!(of(300_000), (288, 288));
        assert_eq!(of(DAY_MS), (7, 7));
        assert_eq!(
            (of(60_000), of(1), of(WEEK_MS), of(i64::MAX)),
            ((1, 1), (1, 1), (1, 1), (1, 1))
        );
    }
}
