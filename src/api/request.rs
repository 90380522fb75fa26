use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Uri};

use super::error::ApiError;
use crate::promql::CancelToken;
use crate::series::{TimeRange, parse_duration};

/// The earliest and latest times that Prometheus' clients send, as text and as ms.
const TIME_BOUNDS: [(&str, i64); 2] = [
    ("-292273086-05-16T16:47:06Z", -9_223_309_901_257_974_000),
    ("292277025-08-18T07:12:54.999999999Z", 9_223_309_901_257_974_999),
];

/// One request, read whole.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) headers: HeaderMap,
    /// What stands for `*` in the route's path, as sent; empty where there is none.
    pub(super) part: String,
    pub(super) parameters: Parameters,
    /// Set when the client has gone away.
    pub(super) cancel: CancelToken,
    /// How long it waited for its turn.
    pub(super) waited: Duration,
}

impl Call {
    pub(super) fn new(
        method: &Method,
        uri: &Uri,
        headers: HeaderMap,
        part: String,
        body: &[u8],
        cancel: CancelToken,
    ) -> Call {
        let form = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.trim().starts_with("application/x-www-form-urlencoded"));
        let form = form && method != Method::GET;
        let body = if form { body } else { b"" };
        let parameters = Parameters::parse(body, uri.query().unwrap_or("").as_bytes());
        Call { headers, part, parameters, cancel, waited: Duration::ZERO }
    }

    /// Returns a time that has to be given, ms.
    pub(super) fn required_time_ms(&self, name: &'static str) -> Result<i64, ApiError> {
        let message = || "cannot parse \"\" to a valid timestamp".to_owned();
        let time_ms = self.parameters.time_ms(name)?;
        time_ms.ok_or_else(|| ApiError::Parameter { name, message: message() })
    }

    /// Returns the time from `start` to `end`; what is not given has no end.
    pub(super) fn range(&self) -> Result<TimeRange, ApiError> {
        let start_ms = self.parameters.time_ms("start")?.unwrap_or(TIME_BOUNDS[0].1);
        let end_ms = self.parameters.time_ms("end")?.unwrap_or(TIME_BOUNDS[1].1);
        Ok(TimeRange { start_ms, end_ms })
    }
}

/// The parameters of body and URL, in this order: the body wins where one value is wanted.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(body: &[u8], query: &[u8]) -> Parameters {
        let pairs = [body, query].into_iter().flat_map(|text| text.split(|byte| *byte == b'&'));
        let decoded =
            |text: &[u8]| String::from_utf8_lossy(&percent_decode(text, true)).into_owned();
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            (decoded(&pair[..at]), decoded(pair.get(at + 1..).unwrap_or(b"")))
        });
        Parameters(pairs.collect())
    }

    /// Returns the first value, if it is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// Returns every value of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns a time, ms.
    pub(super) fn time_ms(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            parse_time_ms(text).ok_or_else(|| ApiError::Parameter {
                name,
                message: format!("cannot parse {text:?} to a valid timestamp"),
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// Returns a duration, ms; not negative.
    pub(super) fn duration_ms(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            parse_duration_ms(text).ok_or_else(|| ApiError::Parameter {
                name,
                message: format!("cannot parse {text:?} to a valid duration"),
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// Returns how many results are wanted; `None` is all.
    pub(super) fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        match text.parse::<usize>() {
            Ok(0) => Ok(None),
            Ok(limit) => Ok(Some(limit)),
            Err(_) => Err(ApiError::Parameter {
                name: "limit",
                message: format!("limit must be a non-negative integer, not {text:?}"),
            }),
        }
    }
}

/// Reads float seconds or RFC 3339; ms.
pub(super) fn parse_time_ms(text: &str) -> Option<i64> {
    if let Some((_, time_ms)) = TIME_BOUNDS.iter().find(|(bound, _)| *bound == text) {
        return Some(*time_ms);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let (low, high) = (TIME_BOUNDS[0].1 as f64, TIME_BOUNDS[1].1 as f64);
        // Whole and fraction apart: their product with 1000 keeps every ms of far-off times.
        let time_ms = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        return (low..=high).contains(&time_ms).then_some(time_ms as i64);
    }
    // jiff reads more than RFC 3339; a zone in brackets or a missing offset is not for us.
    let timestamp: jiff::Timestamp = text.parse().ok().filter(|_| !text.contains('['))?;
    Some(timestamp.as_nanosecond().div_euclid(1_000_000) as i64)
}

/// Reads float seconds or a Prometheus duration; ms.
fn parse_duration_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return (0.0..9.2e18).contains(&ms).then_some(ms as i64);
    }
    parse_duration(text).ok()
}

/// Decodes `%41`, and `+` as a space where `plus` is set. What is malformed stays as it is.
pub(super) fn percent_decode(text: &[u8], plus: bool) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], hex(text.get(at + 1)), hex(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) if plus => decoded.push(b' '),
            (byte, ..) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_upstream_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1700000000.123", Some(1_700_000_000_123)),
            ("1700000000.1235", Some(1_700_000_000_124)),
            ("-1.5", Some(-1_500)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51+02:00", Some(1_435_781_451_000)),
            ("-292273086-05-16T16:47:06Z", Some(-9_223_309_901_257_974_000)),
            ("292277025-08-18T07:12:54.999999999Z", Some(9_223_309_901_257_974_999)),
            ("", None),
            ("now", None),
            ("NaN", None),
            ("Inf", None),
            ("1e300", None),
            ("2015-07-01", None),
        ] {
            assert_eq!(parse_time_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_read_as_upstream_reads_them() {
        for (text, expected) in [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("0", Some(0)),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("abc", None),
        ] {
            assert_eq!(parse_duration_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn the_body_wins_and_lists_add_up() {
        let parameters =
            Parameters::parse(b"query=a%2Bb+c&match%5B%5D=x", b"query=z&match[]=y&limit=&%zz=%");
        assert_eq!(parameters.get("query"), Some("a+b c"));
        assert_eq!(parameters.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(parameters.get("limit"), None);
        assert_eq!(parameters.get("%zz"), Some("%"));
    }
}
