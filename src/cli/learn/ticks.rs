//! Round places on an axis, and what is written there.

use crate::api::Extent;
use crate::series::{TimeRange, format_duration, format_rfc3339};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const TIME_STEPS_MS: [i64; 20] = [
    SECOND_MS,
    5 * SECOND_MS,
    15 * SECOND_MS,
    MINUTE_MS,
    5 * MINUTE_MS,
    15 * MINUTE_MS,
    HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
    14 * DAY_MS,
    28 * DAY_MS,
    91 * DAY_MS,
    364 * DAY_MS,
    3_640 * DAY_MS,
    36_400 * DAY_MS,
    364_000 * DAY_MS,
];
const TIMES_MAX: i64 = 9;
const VALUES_ABOUT: f64 = 5.0;
/// 1970-01-05: whole weeks are counted from a Monday.
const MONDAY_MS: i64 = 4 * DAY_MS;

/// How times are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Times {
    /// The date and the time in UTC.
    Utc,
    /// How long before or after this one.
    Since(i64),
}

/// Returns at most ten round times of a range.
pub(super) fn of_times(range: TimeRange, times: Times) -> Vec<(i64, String)> {
    let span_ms = range.end_ms.saturating_sub(range.start_ms);
    let Some(step_ms) = TIME_STEPS_MS.into_iter().find(|step_ms| span_ms / step_ms < TIMES_MAX)
    else {
        return Vec::new();
    };
    let origin_ms = match times {
        Times::Utc => MONDAY_MS,
        Times::Since(origin_ms) => origin_ms,
    };
    let late_ms = (range.start_ms.saturating_sub(origin_ms)).rem_euclid(step_ms);
    let first_ms = range.start_ms.saturating_add((step_ms - late_ms) % step_ms);
    let at_ms = (0..=TIMES_MAX).map(|k| first_ms.saturating_add(k * step_ms));
    let text = |at_ms| match times {
        Times::Utc => utc(at_ms, step_ms),
        Times::Since(origin_ms) => since(at_ms.saturating_sub(origin_ms)),
    };
    at_ms.filter(|at_ms| range.contains(*at_ms)).map(|at_ms| (at_ms, text(at_ms))).collect()
}

/// `2024-07-01`, `07-01 06:00` or `06:00:05`: no finer than the step.
fn utc(at_ms: i64, step_ms: i64) -> String {
    let text = format_rfc3339(at_ms);
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    if step_ms >= DAY_MS {
        date.to_owned()
    } else if step_ms >= MINUTE_MS {
        let day = date.get(date.len().saturating_sub(5)..).unwrap_or(date);
        format!("{day} {}", time.get(..5).unwrap_or(time))
    } else {
        time.get(..8).unwrap_or(time).to_owned()
    }
}

fn since(after_ms: i64) -> String {
    match after_ms {
        0 => "now".to_owned(),
        1.. => format!("+{}", format_duration(after_ms)),
        _ => format_duration(after_ms),
    }
}

/// Returns some round values of an extent, and about so many.
pub(super) fn of_values(extent: Extent) -> Vec<(f64, String)> {
    let Extent { low, high } = extent;
    let about = (high / 2.0 - low / 2.0) / (VALUES_ABOUT / 2.0);
    let power = libm::exp10(libm::log10(about).floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|s| *s >= about);
    let Some(step) = step.filter(|step| step.is_normal()) else { return Vec::new() };
    let first = (low / step).ceil();
    // Adding 0 makes a plain 0 of -0.
    let values = (0..10).map(|k| (first + f64::from(k)) * step + 0.0);
    let inside = values.filter(|value| (low..=high).contains(value));
    let largest = low.abs().max(high.abs());
    let mut ticks: Vec<_> = inside.map(|value| (value, number(value, step, largest))).collect();
    ticks.dedup_by(|a, b| a.0 == b.0);
    ticks
}

/// Writes a multiple of a step with the digits that tell it from the next one: `1.5M`, `20`, `3e-7`.
fn number(value: f64, step: f64, largest: f64) -> String {
    let digits = |unit: f64| (-libm::log10(step / unit) - 1e-9).ceil().clamp(0.0, 15.0) as usize;
    let (unit, suffix) = match largest {
        1e15.. => (0.0, ""),
        1e12.. => (1e12, "T"),
        1e9.. => (1e9, "G"),
        1e6.. => (1e6, "M"),
        1e4.. => (1e3, "k"),
        1e-3.. => (1.0, ""),
        _ => (0.0, ""),
    };
    if value == 0.0 {
        "0".to_owned()
    } else if unit > 0.0 {
        format!("{:.*}{suffix}", digits(unit), value / unit)
    } else {
        let power = libm::exp10(libm::log10(value.abs()).floor());
        format!("{value:.*e}", digits(power))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_values(low: f64, high: f64, expected: &str) {
        let ticks = of_values(Extent { low, high });
        let texts: Vec<_> = ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts.join(" "), expected);
    }

    #[test]
    fn values_are_round_and_told_apart() {
        check_values(0.0, 1.0, "0 0.2 0.4 0.6 0.8 1.0");
        check_values(-3.0, 17.0, "0 5 10 15");
        check_values(12_000.0, 95_000.0, "20k 40k 60k 80k");
        check_values(0.0, 2.3e9, "0 0.5G 1.0G 1.5G 2.0G");
        check_values(
            1e9 - 1.0,
            1e9 + 21.0,
            "1.000000000G 1.000000005G 1.000000010G 1.000000015G 1.000000020G",
        );
        check_values(-2.1e-7, 2.5e-7, "-2e-7 -1e-7 0 1e-7 2e-7");
        check_values(f64::MIN, f64::MAX, "-1e308 0 1e308");
        check_values(0.0, 5e-324, "");
    }

    #[track_caller]
    fn check_times(start_ms: i64, end_ms: i64, times: Times, expected: &[&str]) {
        let ticks = of_times(TimeRange::new(start_ms, end_ms), times);
        assert_eq!(ticks.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn times_are_round_and_few() {
        // 2024-07-01 was a Monday.
        let monday_ms = 1_719_792_000_000;
        let weeks = ["2024-07-01", "2024-07-08", "2024-07-15"];
        check_times(monday_ms - DAY_MS, monday_ms + 20 * DAY_MS, Times::Utc, &weeks);
        let hours = ["07-01 00:00", "07-01 01:00", "07-01 02:00"];
        check_times(monday_ms - 1, monday_ms + 3 * HOUR_MS - 1, Times::Utc, &hours);
        check_times(
            monday_ms,
            monday_ms + 2 * SECOND_MS,
            Times::Utc,
            &["00:00:00", "00:00:01", "00:00:02"],
        );
        let around = ["-2d", "-1d", "now", "+1d"];
        check_times(-3 * DAY_MS + 1, 2 * DAY_MS - 1, Times::Since(0), &around);
        check_times(i64::MIN, i64::MAX, Times::Utc, &[]);
    }
}
