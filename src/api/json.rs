//! Query results as JSON, written directly: a result may hold millions of points, and a tree of
//! values would hold each of them once more.

use super::response::Pieces;
use crate::promql::{Matrix, QueryValue, Series, Value, VectorElement};
use crate::series::{self, Histogram, Labels, Span, push_time_s};

/// Most points take no more bytes.
const POINT_LEN: usize = 32;

/// A piece of an answer is sent when it has so many bytes.
const PIECE_LEN: usize = 64 << 10;

/// Returns `{"resultType":…,"result":…}` between `before` and `after`, in pieces, each of which is
/// made when it is asked for; `stats` is JSON for the key of that name.
pub(super) fn value_pieces(
    before: Vec<u8>,
    value: QueryValue,
    stats: Option<&str>,
    after: &[u8],
) -> Pieces {
    let mut out = before;
    match value {
        QueryValue::Scalar { time_ms, value } => {
            push_kind(&mut out, "scalar");
            push_sample(&mut out, time_ms, value);
        }
        QueryValue::String { time_ms, value } => {
            push_kind(&mut out, "string");
            push_pair(&mut out, time_ms, |out| push_text(out, &value));
        }
        QueryValue::Vector(elements) => {
            push_kind(&mut out, "vector");
            push_list(&mut out, &elements, push_element);
        }
        QueryValue::Matrix(matrix) => {
            push_kind(&mut out, "matrix");
            let mut last = Vec::new();
            push_stats(&mut last, stats);
            last.extend_from_slice(after);
            return Box::new(matrix_pieces(out, matrix, last));
        }
    }
    push_stats(&mut out, stats);
    out.extend_from_slice(after);
    Box::new(std::iter::once(out))
}

fn push_kind(out: &mut Vec<u8>, kind: &str) {
    push(out, r#"{"resultType":""#);
    push(out, kind);
    push(out, r#"","result":"#);
}

fn push_stats(out: &mut Vec<u8>, stats: Option<&str>) {
    if let Some(stats) = stats {
        push(out, r#","stats":"#);
        push(out, stats);
    }
    push(out, "}");
}

fn matrix_pieces(
    mut first: Vec<u8>,
    matrix: Matrix,
    last: Vec<u8>,
) -> impl Iterator<Item = Vec<u8>> + Send {
    first.push(b'[');
    let (mut ends, mut next, mut times) = (Some((first, last)), 0, TimeTexts::default());
    std::iter::from_fn(move || {
        let mut piece = std::mem::take(&mut ends.as_mut()?.0);
        piece.reserve(if matrix.values_max() < PIECE_LEN / POINT_LEN { 0 } else { 2 * PIECE_LEN });
        while piece.len() < PIECE_LEN {
            let Some(series) = matrix.get(next) else {
                piece.push(b']');
                piece.extend_from_slice(&ends.take()?.1);
                break;
            };
            if next > 0 {
                piece.push(b',');
            }
            push_series(&mut piece, &series, &mut times);
            next += 1;
        }
        Some(piece)
    })
}

/// Appends `[…]`.
pub(super) fn push_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    item: impl Fn(&mut Vec<u8>, T),
) {
    push(out, "[");
    for (index, one) in items.into_iter().enumerate() {
        if index > 0 {
            push(out, ",");
        }
        item(out, one);
    }
    push(out, "]");
}

/// Appends a label set as an object.
pub(super) fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    push(out, "{");
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            push(out, ",");
        }
        push_text(out, name);
        push(out, ":");
        push_text(out, value);
    }
    push(out, "}");
}

/// Appends a quoted text.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    out.push(b'"');
    // Counted, not searched, so that many bytes are looked at together.
    if text.bytes().filter(|byte| !is_plain(*byte)).count() == 0 {
        push(out, text);
        out.push(b'"');
        return;
    }
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if is_plain(byte) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => push(out, "\\\""),
            b'\\' => push(out, "\\\\"),
            b'\n' => push(out, "\\n"),
            b'\r' => push(out, "\\r"),
            b'\t' => push(out, "\\t"),
            control => push(out, &format!("\\u{control:04x}")),
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}

/// Appends a float as a quoted text.
pub(super) fn push_float(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    series::push_float(out, value);
    out.push(b'"');
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn push_pair(out: &mut Vec<u8>, time_ms: i64, value: impl FnOnce(&mut Vec<u8>)) {
    push(out, "[");
    push_time_s(out, time_ms);
    push(out, ",");
    value(out);
    push(out, "]");
}

fn push_sample(out: &mut Vec<u8>, time_ms: i64, value: f64) {
    push_pair(out, time_ms, |out| push_float(out, value));
}

fn push_element(out: &mut Vec<u8>, element: &VectorElement) {
    push(out, r#"{"metric":"#);
    push_labels(out, &element.labels);
    match &element.value {
        Value::Float(value) => {
            push(out, r#","value":"#);
            push_sample(out, element.time_ms, *value);
        }
        Value::Histogram(histogram) => {
            push(out, r#","histogram":"#);
            push_pair(out, element.time_ms, |out| push_histogram(out, histogram));
        }
    }
    push(out, "}");
}

fn push_series(out: &mut Vec<u8>, series: &Series, times: &mut TimeTexts) {
    let Series { labels, points } = series;
    push(out, r#"{"metric":"#);
    push_labels(out, labels);
    if !points.times_ms.is_empty() {
        push(out, r#","values":["#);
        times.begin();
        for (at, (time_ms, value)) in points.times_ms.iter().zip(&points.values).enumerate() {
            out.extend_from_slice(if at > 0 { b",[" } else { b"[" });
            out.extend_from_slice(times.get(*time_ms));
            out.extend_from_slice(b",\"");
            series::push_float(out, *value);
            out.extend_from_slice(b"\"]");
        }
        push(out, "]");
    }
    if !points.histograms.is_empty() {
        push(out, r#","histograms":"#);
        push_list(out, &points.histograms, |out, point| {
            push_pair(out, point.time_ms, |out| push_histogram(out, &point.histogram));
        });
    }
    push(out, "}");
}

/// The texts of times that came already: all series of an answer have their points at the same ones.
#[derive(Default)]
struct TimeTexts {
    /// Ascending, each with the end of its text.
    times: Vec<(i64, usize)>,
    texts: Vec<u8>,
    /// Where the next one is expected.
    next: usize,
    /// One that is not among them.
    other: Vec<u8>,
}

impl TimeTexts {
    /// Begins a series.
    fn begin(&mut self) {
        self.next = 0;
    }

    fn get(&mut self, time_ms: i64) -> &[u8] {
        while self.times.get(self.next).is_some_and(|(known_ms, _)| *known_ms < time_ms) {
            self.next += 1;
        }
        match self.times.get(self.next) {
            None => {
                push_time_s(&mut self.texts, time_ms);
                self.times.push((time_ms, self.texts.len()));
            }
            Some((known_ms, _)) if *known_ms == time_ms => {}
            Some(_) => {
                self.other.clear();
                push_time_s(&mut self.other, time_ms);
                return &self.other;
            }
        }
        let start = self.next.checked_sub(1).map_or(0, |before| self.times[before].1);
        let end = self.times[self.next].1;
        self.next += 1;
        &self.texts[start..end]
    }
}

/// Which ends of a bucket belong to it, as the API numbers it.
#[derive(Clone, Copy)]
enum Bounds {
    OpenLeft = 0,
    OpenRight = 1,
    Closed = 3,
}

fn push_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    push(out, r#"{"count":"#);
    push_float(out, histogram.count);
    push(out, r#","sum":"#);
    push_float(out, histogram.sum);
    let buckets = buckets(histogram);
    if !buckets.is_empty() {
        push(out, r#","buckets":"#);
        push_list(out, buckets, |out, (bounds, low, high, count)| {
            push(out, "[");
            push(out, &(bounds as u8).to_string());
            for number in [low, high, count] {
                push(out, ",");
                push_float(out, number);
            }
            push(out, "]");
        });
    }
    push(out, "}");
}

/// Returns the buckets that hold something, ascending.
fn buckets(histogram: &Histogram) -> Vec<(Bounds, f64, f64, f64)> {
    let mut buckets = Vec::new();
    let negative = indexed(&histogram.negative_spans, &histogram.negative_buckets);
    for (index, count) in negative.into_iter().rev() {
        let high = -histogram.upper_bound(index - 1);
        buckets.push((Bounds::OpenRight, -histogram.upper_bound(index), high, count));
    }
    let zero = histogram.zero_threshold;
    buckets.push((Bounds::Closed, -zero, zero, histogram.zero_count));
    for (index, count) in indexed(&histogram.positive_spans, &histogram.positive_buckets) {
        let lowest = histogram.has_custom_bounds() && index == 0;
        let bounds = if lowest { Bounds::Closed } else { Bounds::OpenLeft };
        let low = histogram.upper_bound(index - 1);
        buckets.push((bounds, low, histogram.upper_bound(index), count));
    }
    buckets.retain(|(.., count)| *count != 0.0);
    buckets
}

/// Pairs each bucket's count with its index.
fn indexed(spans: &[Span], counts: &[f64]) -> Vec<(i32, f64)> {
    let mut next = 0i32;
    let mut indexes = Vec::with_capacity(counts.len());
    for span in spans {
        next = next.saturating_add(span.offset);
        for _ in 0..span.len {
            indexes.push(next);
            next = next.saturating_add(1);
        }
    }
    indexes.into_iter().zip(counts.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_whichever_series_have_them() {
        let mut times = TimeTexts::default();
        let mut check = |series: &[i64]| {
            times.begin();
            for time_ms in series {
                let text = String::from_utf8(times.get(*time_ms).to_vec()).unwrap();
                assert_eq!(text, series::format_time_s(*time_ms));
            }
        };
        check(&[2000, 3500, 5000]);
        check(&[2000, 5000, 6500, 8000]);
        check(&[1000, 2000, 4000, 8000, 9500]);
        check(&[9500]);
    }
}
