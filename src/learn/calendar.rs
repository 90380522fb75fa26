use jiff::Timestamp;
use jiff::tz::TimeZone;

const WEEK_MS: i64 = 7 * 86_400_000;
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

/// Says which hour it is on the wall. Configuration: never part of a learner's saved state.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    zone: Option<TimeZone>,
}

impl Calendar {
    /// Returns the calendar of UTC.
    pub fn utc() -> Calendar {
        Calendar::default()
    }

    /// Returns the calendar of a zone (`Europe/Berlin`); nothing where the name is not known.
    pub fn zone(name: &str) -> Option<Calendar> {
        TimeZone::get(name).ok().map(|zone| Calendar { zone: Some(zone) })
    }

    /// Returns the time since Monday 00:00 on the wall, ms, 0 to a week. With daylight saving the
    /// skipped hour never comes and the doubled one comes twice.
    pub fn week_ms(&self, time_ms: i64) -> i64 {
        let wall_ms = time_ms.rem_euclid(WEEK_MS) + self.offset_ms(time_ms);
        wall_ms.saturating_add(MONDAY_SHIFT_MS).rem_euclid(WEEK_MS)
    }

    /// Returns how far the clock on the wall is ahead of UTC, ms.
    pub(super) fn offset_ms(&self, time_ms: i64) -> i64 {
        self.zone.as_ref().map_or(0, |zone| {
            Timestamp::from_millisecond(time_ms)
                .map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1000)
        })
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
        for extreme in [i64::MIN, i64::MAX] {
            assert!((0..WEEK_MS).contains(&berlin.week_ms(extreme)));
        }
    }
}
