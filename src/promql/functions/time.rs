//! Functions of the calendar, and the times of samples.

use super::{Evaluated, Evaluator, QueryError, math};
use crate::promql::ast::{Call, Expr};
use crate::promql::eval::{Aspect, Column, Row};
use crate::series::Labels;

type Answer = Result<Evaluated, QueryError>;

/// A day and time, UTC.
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) day_of_year: u32,
    pub(super) weekday: u32,
    pub(super) second_of_day: u32,
}

/// The first second of the year -292277022399, s since the epoch.
const FIRST_S: i64 = -9_223_372_028_715_321_600;

/// Returns the whole seconds of a value; of what has none, the least number, as amd64 converts.
fn whole(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

impl Civil {
    /// The proleptic Gregorian calendar, by the method of days since 0000-03-01 (H. Hinnant,
    /// chrono-compatible low-level date algorithms). Any 64-bit second has an answer; those before
    /// the year -292277022399 wrap around, as they do in Go.
    fn of_seconds(seconds: i64) -> Civil {
        let wrapped = if seconds < FIRST_S { 1i128 << 64 } else { 0 };
        let seconds = i128::from(seconds) + wrapped;
        let days = seconds.div_euclid(86_400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * from_march + 2) / 153;
        let day = (from_march - (153 * month_from_march + 2) / 5 + 1) as u32;
        let month =
            (if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 })
                as u32;
        let year = (year_of_era + era * 400 + i128::from(month <= 2)) as i64;
        let before: u32 = (1..month).map(|month| days_in_month(year, month)).sum();
        Civil {
            year,
            month,
            day,
            day_of_year: before + day,
            weekday: (days + 4).rem_euclid(7) as u32,
            second_of_day: seconds.rem_euclid(86_400) as u32,
        }
    }
}

/// Returns how many days a month has.
pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Applies a function of the calendar to each value, taken as seconds; without an argument, to
/// the time of evaluation.
pub(super) fn civil(ev: &Evaluator<'_>, call: &Call, part: fn(&Civil) -> f64) -> Answer {
    if call.args.is_empty() {
        let of_step = |time_ms: i64| part(&Civil::of_seconds(time_ms / 1000));
        let column = Column::of_floats(ev.steps.times_ms().map(of_step).collect());
        return Ok(Evaluated::Vector(vec![Row {
            labels: Labels::empty(),
            drop_name: false,
            column,
        }]));
    }
    math::each_at(ev, call, |_, value| part(&Civil::of_seconds(whole(value))))
}

/// The time, or the start timestamp, of the sample that each step sees; of anything but a
/// selector the time of evaluation, and no start timestamp.
pub(super) fn of_samples(ev: &Evaluator<'_>, call: &Call, aspect: Aspect) -> Answer {
    let mut rows = match call.args[0].without_parens() {
        Expr::Vector(selector) => match aspect {
            Aspect::Start if !ev.features().start_timestamps => Vec::new(),
            aspect => ev.select_aspect(selector, aspect)?,
        },
        _ if matches!(aspect, Aspect::Start) => Vec::new(),
        other => {
            let mut rows = ev.vector(other)?;
            for row in &mut rows {
                for step in 0..ev.steps.count {
                    if row.column.is_present(step) {
                        row.column.clear(step);
                        row.column.floats[step] = ev.steps.time_ms(step) as f64 / 1000.0;
                    }
                }
            }
            rows
        }
    };
    for row in &mut rows {
        ev.drop_name(row);
    }
    Ok(Evaluated::Vector(ev.renamed(rows)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_agrees_with_jiff() {
        for seconds in (-70_000_000_000i64..70_000_000_000).step_by(12_345_677) {
            let time =
                jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let civil = Civil::of_seconds(seconds);
            assert_eq!(
                (civil.year, civil.month, civil.day, civil.day_of_year),
                (
                    time.year().into(),
                    time.month() as u32,
                    time.day() as u32,
                    time.day_of_year() as u32
                )
            );
            assert_eq!(civil.weekday, time.weekday().to_sunday_zero_offset() as u32);
        }
        for (seconds, expected) in [
            (i64::MAX, (292_277_026_596, 12, 4, 55_807)),
            (whole(f64::NAN), (292_277_026_596, 12, 4, 55_808)),
            (whole(1e300), (292_277_026_596, 12, 4, 55_808)),
            (FIRST_S, (-292_277_022_399, 1, 1, 0)),
        ] {
            let civil = Civil::of_seconds(seconds);
            let found = (civil.year, civil.month, civil.day, civil.second_of_day);
            assert_eq!(found, expected, "{seconds}");
        }
    }
}
