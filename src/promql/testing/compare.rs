//! When an answer counts as the expected one.

use super::series::SequenceValue;
use crate::promql::engine::Value;
use crate::series::{Histogram, format_float, is_stale};

/// How far floats may be apart, relative to their size.
const TOLERANCE: f64 = 1e-6;

/// Returns whether two floats are equal but for rounding.
pub(super) fn floats_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (difference, size) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < TOLERANCE
}

/// Returns whether a value is the expected one.
pub(super) fn values_equal(expected: &SequenceValue, value: &Value) -> bool {
    match (expected, value) {
        (SequenceValue::Float(expected), Value::Float(value)) => floats_equal(*expected, *value),
        (SequenceValue::Histogram(expected, hint), Value::Histogram(histogram)) => {
            histograms_equal(expected, histogram, *hint)
        }
        _ => false,
    }
}

fn histograms_equal(expected: &Histogram, found: &Histogram, hint: bool) -> bool {
    let (a, b) = (expected.clone().compacted(), found.clone().compacted());
    let floats = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| floats_equal(*a, *b))
    };
    a.schema == b.schema
        && floats(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
        && a.zero_threshold == b.zero_threshold
        && (!a.has_custom_bounds() || a.custom_bounds == b.custom_bounds)
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && floats(&a.positive_buckets, &b.positive_buckets)
        && floats(&a.negative_buckets, &b.negative_buckets)
        && (!hint || a.reset_hint == b.reset_hint)
}

/// Writes a value for the report.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Float(value) => format_float(*value),
        Value::Histogram(histogram) => show_histogram(histogram),
    }
}

/// Writes an expected value for the report.
pub(super) fn show_expected(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Blank => "_".to_owned(),
        SequenceValue::Float(value) => format_float(*value),
        SequenceValue::Histogram(histogram, _) => show_histogram(histogram),
    }
}

fn show_histogram(histogram: &Histogram) -> String {
    let bounds = if histogram.has_custom_bounds() {
        format!(" bounds {:?}", histogram.custom_bounds)
    } else {
        String::new()
    };
    format!(
        "{histogram} schema {}{bounds} zero width {} hint {:?}",
        histogram.schema, histogram.zero_threshold, histogram.reset_hint
    )
}
