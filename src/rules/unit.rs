/// How a signal's values are shown and its amounts read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Nothing was said: plain numbers.
    #[default]
    None,
    /// Bytes, shown by 1024.
    Bytes,
    /// Seconds.
    Seconds,
    /// A share, 1 is all; shown as a percentage.
    Ratio,
    /// A share, 100 is all.
    Percent,
    /// Things, shown by 1000.
    Count,
    /// Things per second, shown by 1000.
    PerSecond,
}

/// The units by their word in a rule.
pub(super) const UNITS: [(&str, Unit); 6] = [
    ("bytes", Unit::Bytes),
    ("seconds", Unit::Seconds),
    ("ratio", Unit::Ratio),
    ("percent", Unit::Percent),
    ("count", Unit::Count),
    ("per-second", Unit::PerSecond),
];

impl Unit {
    /// Returns the word of the rule language; empty where no unit was said.
    pub fn word(self) -> &'static str {
        UNITS.iter().find(|(_, unit)| *unit == self).map_or("", |(word, _)| word)
    }

    /// Formats a value for people, at most three digits: `2.1 GiB`, `412 ms`, `8.3 %`, `1.2 k/s`.
    pub fn format(self, value: f64) -> String {
        match self {
            Unit::None | Unit::Count => by_thousands(value, ""),
            Unit::PerSecond => by_thousands(value, "/s"),
            Unit::Bytes => by_1024(value),
            Unit::Seconds => seconds(value),
            Unit::Ratio => format!("{} %", digits(value * 100.0)),
            Unit::Percent => format!("{} %", digits(value)),
        }
    }
}

const THOUSANDS: [&str; 6] = ["", "k", "M", "G", "T", "P"];
const KIBI: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

fn by_thousands(value: f64, suffix: &str) -> String {
    let (scaled, step) = scale(value, 1000.0);
    let space = if step > 0 { " " } else { "" };
    format!("{}{space}{}{suffix}", digits(scaled), THOUSANDS[step])
}

fn by_1024(value: f64) -> String {
    let (scaled, step) = scale(value, 1024.0);
    format!("{} {}", digits(scaled), KIBI[step])
}

fn scale(value: f64, base: f64) -> (f64, usize) {
    let (mut scaled, mut step) = (value, 0);
    // 999.5 would print as 1000.
    while scaled.is_finite() && scaled.abs() >= base.min(999.5) && step < THOUSANDS.len() - 1 {
        scaled /= base;
        step += 1;
    }
    (scaled, step)
}

fn seconds(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 60.0 && value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        format!("{sign}{}", format_seconds(magnitude))
    } else if magnitude >= 1.0 || value == 0.0 || !value.is_finite() {
        format!("{} s", digits(value))
    } else if magnitude >= 1e-3 {
        format!("{} ms", digits(value * 1e3))
    } else if magnitude >= 1e-6 {
        format!("{} us", digits(value * 1e6))
    } else {
        format!("{} ns", digits(value * 1e9))
    }
}

/// Formats a span of seconds in its two largest units: `2h 50m`, `45s`, `3d 4h`.
pub(super) fn format_seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return digits(seconds);
    }
    let total = seconds.round() as u64;
    let (days, hours) = (total / 86_400, total / 3_600 % 24);
    let (minutes, rest) = (total / 60 % 60, total % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit} {small}{small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => two(minutes, "m", rest, "s"),
        (0, _, _) => two(hours, "h", minutes, "m"),
        _ => two(days, "d", hours, "h"),
    }
}

/// At most three significant digits before the point's end, without trailing zeros.
fn digits(value: f64) -> String {
    if !value.is_finite() {
        return crate::series::format_float(value);
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let mut decimals = 0;
    let mut bound = 99.95;
    while magnitude != 0.0 && magnitude < bound && decimals < 6 {
        decimals += 1;
        bound /= 10.0;
    }
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_say_them() {
        for (unit, value, expected) in [
            (Unit::None, 0.0, "0"),
            (Unit::None, 3.0, "3"),
            (Unit::None, 0.125, "0.125"),
            (Unit::None, 12345.0, "12.3 k"),
            (Unit::None, -999.9, "-1 k"),
            (Unit::None, f64::NAN, "NaN"),
            (Unit::None, 1e-9, "1.00e-9"),
            (Unit::Bytes, 2.1 * 1024f64.powi(3), "2.1 GiB"),
            (Unit::Bytes, 0.0, "0 B"),
            (Unit::Bytes, 1023.0, "0.999 KiB"),
            (Unit::Seconds, 0.412, "412 ms"),
            (Unit::Seconds, 2.5, "2.5 s"),
            (Unit::Seconds, 3725.0, "1h 2m"),
            (Unit::Ratio, 0.0834, "8.34 %"),
            (Unit::Percent, 80.0, "80 %"),
            (Unit::PerSecond, 1234.0, "1.23 k/s"),
        ] {
            assert_eq!(unit.format(value), expected, "{unit:?} {value}");
        }
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, expected) in
            [(45.0, "45s"), (60.0, "1m"), (10_200.0, "2h 50m"), (273_600.0, "3d 4h"), (0.2, "0s")]
        {
            assert_eq!(format_seconds(seconds), expected);
        }
    }
}
