use std::borrow::Cow;
use std::fmt;

use crate::series::{Labels, METRIC_NAME};

/// Label names and values as they came.
pub(super) type RawLabels<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Why a label set is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LabelError {
    #[error("there is no metric name; a series needs the label __name__")]
    NoMetricName,
    #[error("a label has an empty name; name it, or leave it out")]
    EmptyName,
    #[error("label {name:?} is there twice; send each name once")]
    Twice { name: String },
    #[error("{text:?} is not valid UTF-8; names and values of labels have to be")]
    NotUtf8 { text: String },
    #[error("label references come in pairs, and one is left over")]
    OddReferences,
    #[error("symbol {index} is referred to, and there are {count}")]
    NoSymbol { index: u32, count: usize },
}

/// Returns the labels of a series: sorted, without empty values, with a metric name.
pub(super) fn series_labels(raw: &mut RawLabels<'_>) -> Result<Labels, LabelError> {
    let labels = checked(raw)?;
    if labels.metric_name().is_none() { Err(LabelError::NoMetricName) } else { Ok(labels) }
}

/// Returns a label set: sorted, without empty values.
pub(super) fn checked(raw: &mut RawLabels<'_>) -> Result<Labels, LabelError> {
    raw.sort_by_key(|(name, _)| *name);
    let mut pairs = Vec::with_capacity(raw.len());
    let mut before: Option<&str> = None;
    for (name, value) in raw.iter() {
        let (name, value) = (text(name)?, text(value)?);
        if name.is_empty() {
            return Err(LabelError::EmptyName);
        }
        if before == Some(name) {
            return Err(LabelError::Twice { name: name.to_owned() });
        }
        before = Some(name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    Ok(Labels::from_sorted(pairs))
}

fn text(bytes: &[u8]) -> Result<&str, LabelError> {
    std::str::from_utf8(bytes)
        .map_err(|_| LabelError::NotUtf8 { text: String::from_utf8_lossy(bytes).into_owned() })
}

/// Prints raw labels for an error message, as near to a selector as they allow.
pub(super) struct Described<'a>(pub(super) &'a RawLabels<'a>);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = |bytes: &'_ [u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = self.0.iter().find(|(name, _)| *name == METRIC_NAME.as_bytes());
        f.write_str(&name.map_or(Cow::Borrowed(""), |(_, value)| String::from_utf8_lossy(value)))?;
        f.write_str("{")?;
        let others = self.0.iter().filter(|(name, _)| *name != METRIC_NAME.as_bytes());
        for (at, (name, value)) in others.enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{}={:?}", lossy(name), lossy(value))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &[(&str, &str)], expected: Result<&str, LabelError>) {
        let mut raw = raw.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let labels = series_labels(&mut raw).map(|labels| labels.to_string());
        assert_eq!(labels, expected.map(str::to_owned));
    }

    #[test]
    fn as_the_contract_says() {
        check(&[("b", "2"), ("__name__", "up"), ("a", "1")], Ok(r#"up{a="1", b="2"}"#));
        check(&[("__name__", "up"), ("a", "")], Ok("up"));
        check(&[("__name__", "a b.c"), ("d", "x\ny")], Ok(r#"{"a b.c", d="x\ny"}"#));
        check(&[], Err(LabelError::NoMetricName));
        check(&[("a", "1")], Err(LabelError::NoMetricName));
        check(&[("__name__", ""), ("a", "1")], Err(LabelError::NoMetricName));
        check(&[("__name__", "up"), ("", "1")], Err(LabelError::EmptyName));
        let twice = LabelError::Twice { name: "a".to_owned() };
        check(&[("a", "1"), ("__name__", "up"), ("a", "1")], Err(twice));
    }

    #[test]
    fn text_that_is_no_utf8_is_named() {
        let mut raw: RawLabels<'_> = vec![(b"__name__", b"up"), (b"a", b"\xff!")];
        assert_eq!(Described(&raw).to_string(), "up{a=\"\u{fffd}!\"}");
        let error = series_labels(&mut raw).unwrap_err();
        assert_eq!(error, LabelError::NotUtf8 { text: "\u{fffd}!".to_owned() });
    }
}
