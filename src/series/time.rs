/// A span of time, both ends included, ms since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First instant.
    pub start_ms: i64,
    /// Last instant.
    pub end_ms: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: TimeRange = TimeRange { start_ms: i64::MIN, end_ms: i64::MAX };

    /// Returns the range from `start_ms` to `end_ms`, both included.
    pub fn new(start_ms: i64, end_ms: i64) -> TimeRange {
        TimeRange { start_ms, end_ms }
    }

    /// Returns whether the range holds no instant.
    pub fn is_empty(&self) -> bool {
        self.start_ms > self.end_ms
    }

    /// Returns whether an instant is inside.
    #[inline]
    pub fn contains(&self, time_ms: i64) -> bool {
        self.start_ms <= time_ms && time_ms <= self.end_ms
    }

    /// Returns whether both share an instant.
    pub fn overlaps(&self, other: TimeRange) -> bool {
        self.start_ms <= other.end_ms && other.start_ms <= self.end_ms
    }
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a duration: {text:?}; write one like 30s, 5m or 1h30m (units y w d h m s ms, largest first)"
)]
pub struct DurationError {
    text: String,
}

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a Prometheus duration (`1h30m`, `0`) to ms: each unit at most once, largest first.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let error = || DurationError { text: text.to_owned() };
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(error());
    }
    let (mut rest, mut next_unit, mut total_ms) = (text, 0, 0i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().map_err(|_| error())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit =
            UNITS.iter().position(|(name, _)| *name == &rest[..letters]).ok_or_else(error)?;
        if unit < next_unit {
            return Err(error());
        }
        next_unit = unit + 1;
        rest = &rest[letters..];
        let part = number.checked_mul(UNITS[unit].1).ok_or_else(error)?;
        total_ms = total_ms.checked_add(part).ok_or_else(error)?;
    }
    Ok(total_ms)
}

/// Formats ms as a Prometheus duration: `1h30m`, `1d`, `250ms`, `0s`.
pub fn format_duration(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = duration_ms.unsigned_abs();
    if duration_ms < 0 {
        text.push('-');
    }
    for (unit, unit_ms) in UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        // Upstream prints years and weeks only where nothing is left over.
        let exact_only = matches!(unit, "y" | "w");
        if rest >= unit_ms && (!exact_only || rest.is_multiple_of(unit_ms)) {
            text.push_str(&(rest / unit_ms).to_string());
            text.push_str(unit);
            rest %= unit_ms;
        }
    }
    text
}

/// Formats ms as the query API writes a time: seconds, `123` or exactly three decimals (`123.400`).
pub fn format_time_s(time_ms: i64) -> String {
    let mut text = Vec::with_capacity(16);
    push_time_s(&mut text, time_ms);
    String::from_utf8_lossy(&text).into_owned()
}

/// As [`format_time_s`], appended to a text.
pub fn push_time_s(text: &mut Vec<u8>, time_ms: i64) {
    let time = time_ms.unsigned_abs();
    if time_ms < 0 {
        text.push(b'-');
    }
    text.extend_from_slice(itoa::Buffer::new().format(time / 1000).as_bytes());
    let ms = time % 1000;
    if ms > 0 {
        let digit = |power: u64| b'0' + (ms / power % 10) as u8;
        text.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

/// Formats ms as RFC 3339 in UTC with ms: `2024-01-02T03:04:05.678Z`. Times outside years -9999 to
/// 9999 are held at the ends.
pub fn format_rfc3339(time_ms: i64) -> String {
    let clamped = time_ms.clamp(-377_705_023_201_000, 253_402_207_200_000);
    let timestamp = jiff::Timestamp::from_millisecond(clamped).unwrap_or_default();
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, ms) in [
            ("1h30m", 5_400_000),
            ("1w", 604_800_000),
            ("1d", 86_400_000),
            ("250ms", 250),
            ("1m5s", 65_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), ms);
            assert_eq!(format_duration(ms), text);
        }
        assert_eq!(parse_duration("0").unwrap(), 0);
        for bad in [
            "",
            "1",
            "m",
            "1m1h",
            "1m1m",
            "-1m",
            "1.5m",
            "1x",
            "99999999999999999999d",
            "99999999999999y",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_print_as_the_api_writes_them() {
        assert_eq!(format_time_s(123_000), "123");
        assert_eq!(format_time_s(123_400), "123.400");
        assert_eq!(format_time_s(-1_500), "-1.500");
        assert_eq!(format_rfc3339(1_704_164_645_678), "2024-01-02T03:04:05.678Z");
        assert_eq!(format_rfc3339(0), "1970-01-01T00:00:00.000Z");
        format_rfc3339(i64::MIN);
        format_rfc3339(i64::MAX);
    }
}
