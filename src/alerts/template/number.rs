//! Numbers, times and durations as Go prints them, and Prometheus' humanize family.

use std::fmt::Write;

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Formats like Go's `%g` (no precision: the shortest that reads back) and `%.Ng`.
pub(super) fn format_general(value: f64, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let precision = precision.map(|digits| digits.max(1));
    let scientific = match precision {
        Some(digits) => format!("{value:.*e}", digits - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust prints an exponent");
    let exponent: i32 = exponent.parse().expect("Rust prints a whole exponent");
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    // Without a precision Go decides as if it were 6.
    let digits_max = precision.map_or(6, |digits| i32::try_from(digits).unwrap_or(i32::MAX));
    if exponent < -4 || exponent >= digits_max {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let digits = digits.replace('.', "");
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole_len = exponent.unsigned_abs() as usize + 1;
    if digits.len() <= whole_len {
        return format!("{sign}{digits:0<whole_len$}");
    }
    format!("{sign}{}.{}", &digits[..whole_len], &digits[whole_len..])
}

/// Divides or multiplies by 1000 until the value is readable: `1.2M`, `35m`.
pub(super) fn humanize(mut value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format_general(value, Some(4));
    }
    let mut prefix = "";
    if value.abs() >= 1.0 {
        for larger in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if value.abs() < 1000.0 {
                break;
            }
            prefix = larger;
            value /= 1000.0;
        }
    } else {
        (value, prefix) = small(value);
    }
    format_general(value, Some(4)) + prefix
}

/// Multiplies a value below 1 by 1000 until it is not, and says with which prefix.
fn small(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for smaller in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = smaller;
        value *= 1000.0;
    }
    (value, prefix)
}

/// As [`humanize`], by 1024, for sizes.
pub(super) fn humanize_1024(mut value: f64) -> String {
    let mut prefix = "";
    if value.is_finite() {
        for larger in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
            if value.abs() < 1024.0 {
                break;
            }
            prefix = larger;
            value /= 1024.0;
        }
    }
    format_general(value, Some(4)) + prefix
}

/// Prints seconds as days to seconds; below a minute with four digits, below a second with a
/// prefix.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return format_general(value, Some(4));
    }
    if value == 0.0 {
        return format_general(value, Some(4)) + "s";
    }
    if value.abs() < 1.0 {
        let (value, prefix) = small(value);
        return format!("{}{prefix}s", format_general(value, Some(4)));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as i64;
    let (days, hours, minutes, seconds) =
        (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", format_general(value.abs(), Some(4)))
    }
}

/// Prints a ratio as a percentage with four digits.
pub(super) fn humanize_percentage(value: f64) -> String {
    format_general(value * 100.0, Some(4)) + "%"
}

/// Returns unix seconds as ms, refused where Go's nanoseconds would overflow.
pub(super) fn time_of_seconds(seconds: f64) -> Result<i64, String> {
    Ok(nanoseconds(seconds)? / 1_000_000)
}

/// Returns seconds as ns, refused where they overflow.
pub(super) fn nanoseconds(seconds: f64) -> Result<i64, String> {
    let ns = seconds * 1e9;
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    if ns.abs() >= i64::MAX as f64 {
        return Err(format!("{} s does not fit into 64 bits of ns", format_general(seconds, None)));
    }
    Ok(ns as i64)
}

/// Returns the civil time in UTC, held at the ends of what can be printed.
pub(super) fn utc(time_ms: i64) -> DateTime {
    let clamped = time_ms.clamp(-377_705_023_201_000, 253_402_207_200_000);
    let timestamp = jiff::Timestamp::from_millisecond(clamped)
        .expect("the clamped time is within jiff's range");
    Offset::UTC.to_datetime(timestamp)
}

/// Prints a time in UTC as Go does: `2022-01-25 12:36:43.5 +0000 UTC`.
pub(super) fn go_time(time_ms: i64) -> String {
    let fraction = match time_ms.rem_euclid(1000) {
        0 => String::new(),
        ms => format!(".{ms:03}").trim_end_matches('0').to_owned(),
    };
    format!("{}{fraction} +0000 UTC", utc(time_ms).strftime("%Y-%m-%d %H:%M:%S"))
}

/// Go's layout tokens and the conversions of strftime that print the same; longer tokens first.
const LAYOUT: [(&str, &str); 27] = [
    ("January", "%B"),
    ("Monday", "%A"),
    ("Z07:00", "Z"),
    ("-07:00", "+00:00"),
    ("Z0700", "Z"),
    ("-0700", "+0000"),
    ("2006", "%Y"),
    (".000", ".%3f"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("002", "%j"),
    ("-07", "+00"),
    ("06", "%y"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("15", "%H"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("PM", "%p"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// Prints a time in UTC by a layout of Go: `2006-01-02 15:04`.
pub(super) fn format_time(time_ms: i64, layout: &str) -> String {
    let time = utc(time_ms);
    let (mut text, mut rest) = (String::new(), layout);
    while let Some(c) = rest.chars().next() {
        if let Some((token, conversion)) = LAYOUT.iter().find(|(token, _)| rest.starts_with(token))
        {
            text.push_str(&time.strftime(conversion).to_string());
            rest = &rest[token.len()..];
        } else {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    text
}

/// Prints a duration as Go does: `1h0m0s`, `1.5s`, `250ms`.
pub(super) fn go_duration(ns: i64) -> String {
    let mut text = if ns < 0 { "-" } else { "" }.to_owned();
    let total = ns.unsigned_abs();
    let fraction = |whole: u64, unit: u64, name: &str| {
        let digits = format!("{:0width$}", whole % unit, width = unit.ilog10() as usize);
        match digits.trim_end_matches('0') {
            "" => format!("{}{name}", whole / unit),
            digits => format!("{}.{digits}{name}", whole / unit),
        }
    };
    match total {
        0 => text.push_str("0s"),
        1..1_000 => write!(text, "{total}ns").expect("a String takes everything"),
        1_000..1_000_000 => text.push_str(&fraction(total, 1_000, "µs")),
        1_000_000..1_000_000_000 => text.push_str(&fraction(total, 1_000_000, "ms")),
        _ => {
            let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
            if minutes >= 60 {
                write!(text, "{}h", minutes / 60).expect("a String takes everything");
            }
            if minutes > 0 {
                write!(text, "{}m", minutes % 60).expect("a String takes everything");
            }
            text.push_str(&fraction(rest, 1_000_000_000, "s"));
        }
    }
    text
}
