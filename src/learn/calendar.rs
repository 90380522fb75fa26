use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;
/// 1970-01-01 was a Thursday; weeks here begin on Monday.
const MONDAY_SHIFT_MS: i64 = 3 * 86_400_000;

/// The finest season that a baseline may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Season {
    /// None: a level only.
    Flat,
    /// The time of day.
    HourOfDay,
    /// The time of day and the hour of the week.
    #[default]
    HourOfWeek,
}

/// Says which hour it is on the wall, and which days are holidays. Configuration: never part of a
/// learner's saved state. Clones share one copy.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    zone: Option<TimeZone>,
    /// Days since 1970-01-01 on the wall, sorted.
    holidays: Option<Arc<[i32]>>,
}

impl Calendar {
    /// Returns the calendar of UTC.
    pub fn utc() -> Calendar {
        Calendar::default()
    }

    /// Returns the calendar of a zone (`Europe/Berlin`); nothing where the name is not known.
    pub fn zone(name: &str) -> Option<Calendar> {
        TimeZone::get(name).ok().map(|zone| Calendar { zone: Some(zone), holidays: None })
    }

    /// Returns the same calendar with these holidays, as days since 1970-01-01 on the wall.
    #[must_use]
    pub fn with_holidays(self, days: impl IntoIterator<Item = i32>) -> Calendar {
        let mut days: Vec<i32> = days.into_iter().collect();
        days.sort_unstable();
        Calendar { holidays: (!days.is_empty()).then(|| days.into()), ..self }
    }

    /// Returns the time since Monday 00:00 on the wall, ms, 0 to a week. With daylight saving the
    /// skipped hour never comes and the doubled one comes twice.
    pub fn week_ms(&self, time_ms: i64) -> i64 {
        self.wall_ms(time_ms).saturating_add(MONDAY_SHIFT_MS).rem_euclid(WEEK_MS)
    }

    /// Returns the place in the week whose habits hold: a holiday has Sunday's; and whether it is
    /// one.
    pub(super) fn place(&self, time_ms: i64) -> (i64, bool) {
        let week_ms = self.week_ms(time_ms);
        let Some(holidays) = &self.holidays else { return (week_ms, false) };
        let day = self.wall_ms(time_ms).div_euclid(DAY_MS);
        let is_holiday = i32::try_from(day).is_ok_and(|day| holidays.binary_search(&day).is_ok());
        let place_ms = if is_holiday { 6 * DAY_MS + week_ms % DAY_MS } else { week_ms };
        (place_ms, is_holiday)
    }

    /// Returns how far the clock on the wall is ahead of UTC, ms.
    pub(super) fn offset_ms(&self, time_ms: i64) -> i64 {
        self.zone.as_ref().map_or(0, |zone| {
            Timestamp::from_millisecond(time_ms)
                .map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1000)
        })
    }

    /// Returns the time that a clock on the wall shows, as if it were UTC.
    fn wall_ms(&self, time_ms: i64) -> i64 {
        time_ms.saturating_add(self.offset_ms(time_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday_in_the_zone() {
        // 2024-07-01 was a Monday.
        let monday_ms = 1_719_792_000_000;
        assert_eq!(Calendar::utc().week_ms(monday_ms), 0);
        assert_eq!(Calendar::utc().week_ms(monday_ms - 1), WEEK_MS - 1);
        let berlin = Calendar::zone("Europe/Berlin").unwrap();
        assert_eq!(berlin.week_ms(monday_ms), 2 * 3_600_000);
        assert!(Calendar::zone("Mars/Olympus").is_none());
        let holiday = berlin.clone().with_holidays([19_905]);
        // Monday 2024-07-01 begins at 22:00 UTC of the day before.
        assert_eq!(holiday.place(monday_ms - 2 * 3_600_000), (6 * DAY_MS, true));
        assert_eq!(holiday.place(monday_ms - 2 * 3_600_000 - 1), (WEEK_MS - 1, false));
        assert_eq!(holiday.place(monday_ms + DAY_MS), (DAY_MS + 2 * 3_600_000, false));
        for extreme in [i64::MIN, i64::MAX] {
            assert!((0..WEEK_MS).contains(&berlin.week_ms(extreme)));
        }
    }
}
