//! Native histograms, in columns: one for each bucket.
//!
//! Histograms of one series have the same buckets for long; those of a run are said once, and each
//! bucket's counts are a column of floats like any other.

use super::{COUNT_MAX, Effort, decode_values, encode_values};
use crate::series::{Histogram, HistogramPoint};
use crate::store::bytes::{Reader, put_varint};
use crate::store::log::{get_histogram, put_histogram};

/// Appends the encoding of histograms, of which there must be one and at most [`COUNT_MAX`].
///
/// Where these would not come back, 0 and the histograms as the log has them. Else runs of
/// `count varint | layout: a histogram whose counts are 0 | columns: length varint, values`:
/// zero count, count, sum, positive buckets, negative buckets.
pub(in crate::store) fn encode_histograms(
    points: &[HistogramPoint],
    effort: Effort,
    into: &mut Vec<u8>,
) {
    let at = into.len();
    put_runs(points, effort, into);
    let mut back = Vec::with_capacity(points.len());
    let is_same = decode_histograms(&into[at..], points.len(), &mut back).is_some()
        && back.iter().zip(points).all(|(a, b)| a.bits_equal(&b.histogram));
    if !is_same {
        into.truncate(at);
        put_varint(into, 0);
        for point in points {
            put_histogram(into, &point.histogram);
        }
    }
}

fn put_runs(points: &[HistogramPoint], effort: Effort, into: &mut Vec<u8>) {
    let same_layout =
        |a: &HistogramPoint, b: &HistogramPoint| has_layout_of(&a.histogram, &b.histogram);
    for run in points.chunk_by(same_layout) {
        put_varint(into, run.len() as u64);
        let mut layout = (*run[0].histogram).clone();
        let columns = columns_of(&mut layout).len();
        for value in columns_of(&mut layout) {
            *value = 0.0;
        }
        put_histogram(into, &layout);
        let rows: Vec<Vec<f64>> = run
            .iter()
            .map(|point| {
                let mut histogram = (*point.histogram).clone();
                columns_of(&mut histogram).into_iter().map(|value| *value).collect()
            })
            .collect();
        let mut encoded = Vec::new();
        for column in 0..columns {
            let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
            encoded.clear();
            encode_values(&values, effort, &mut encoded);
            put_varint(into, encoded.len() as u64);
            into.extend_from_slice(&encoded);
        }
    }
}

/// The numbers that differ among histograms of one layout, in order.
fn columns_of(histogram: &mut Histogram) -> Vec<&mut f64> {
    let Histogram { zero_count, count, sum, positive_buckets, negative_buckets, .. } = histogram;
    let mut columns = vec![zero_count, count, sum];
    columns.extend(positive_buckets.iter_mut());
    columns.extend(negative_buckets.iter_mut());
    columns
}

fn has_layout_of(a: &Histogram, b: &Histogram) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    a.kind == b.kind
        && a.schema == b.schema
        && a.reset_hint == b.reset_hint
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
        && bits(&a.custom_bounds) == bits(&b.custom_bounds)
}

/// Decodes what [`encode_histograms`] made and appends it; `None` when the bytes do not hold it.
pub(in crate::store) fn decode_histograms(
    bytes: &[u8],
    count: usize,
    into: &mut Vec<Histogram>,
) -> Option<()> {
    if count > COUNT_MAX {
        return None;
    }
    let mut reader = Reader::new(bytes);
    let mut left = count;
    while left > 0 {
        let run = usize::try_from(reader.varint()?).ok().filter(|run| *run <= left)?;
        if run == 0 {
            for _ in 0..left {
                into.push(get_histogram(&mut reader)?);
            }
            break;
        }
        left -= run;
        let mut layout = get_histogram(&mut reader)?;
        // Each column takes bytes, so there are not more of them than there is input.
        let mut columns = Vec::new();
        for _ in 0..columns_of(&mut layout).len() {
            let len = reader.count(1)?;
            let mut values = Vec::with_capacity(run);
            decode_values(reader.take(len)?, run, &mut values)?;
            columns.push(values);
        }
        for at in 0..run {
            for (place, values) in columns_of(&mut layout).into_iter().zip(&columns) {
                *place = values[at];
            }
            into.push(layout.clone());
        }
    }
    reader.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::series::{HistogramKind, STALE_NAN, Span};
    use proptest::prelude::*;

    fn points(rows: &[(u8, u16, u64)]) -> Vec<HistogramPoint> {
        let histogram = |(layout, count, bits): &(u8, u16, u64)| Histogram {
            kind: if layout & 1 == 0 { HistogramKind::Integer } else { HistogramKind::Float },
            schema: i32::from(layout & 3),
            positive_spans: vec![Span { offset: 1, len: u32::from(layout & 7) }],
            positive_buckets: (0..layout & 7).map(|i| f64::from(*count) + f64::from(i)).collect(),
            custom_bounds: vec![f64::from(layout >> 5)],
            sum: f64::from_bits(*bits),
            count: f64::from(*count),
            ..Histogram::default()
        };
        let point =
            |row| HistogramPoint { time_ms: 0, start_ms: 0, histogram: Arc::new(histogram(row)) };
        rows.iter().map(point).collect()
    }

    proptest! {
        #[test]
        fn comes_back_to_the_bit(
            rows in proptest::collection::vec((any::<u8>(), 0u16..1000,
                prop_oneof![any::<u64>(), Just(STALE_NAN.to_bits())]), 1..60),
            steady in any::<bool>(),
        ) {
            let rows: Vec<_> =
                rows.into_iter().map(|(l, c, b)| (if steady { 5 } else { l }, c, b)).collect();
            let points = points(&rows);
            let mut bytes = Vec::new();
            encode_histograms(&points, Effort::Seal, &mut bytes);
            let mut back = Vec::new();
            decode_histograms(&bytes, points.len(), &mut back).unwrap();
            prop_assert_eq!(back.len(), points.len());
            for (a, b) in back.iter().zip(&points) {
                prop_assert!(a.bits_equal(&b.histogram));
            }
        }

        #[test]
        fn nonsense_is_refused_without_harm(
            rows in proptest::collection::vec((0u8..9, 0u16..9, any::<u64>()), 1..9),
            at in any::<proptest::sample::Index>(), byte in any::<u8>(), count in 0usize..20,
        ) {
            let mut bytes = Vec::new();
            encode_histograms(&points(&rows), Effort::Seal, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode_histograms(&bytes, count, &mut Vec::new());
        }
    }
}
