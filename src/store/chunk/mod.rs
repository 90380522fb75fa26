//! Sealed samples of one series, in a few bytes each, to the bit.
//!
//! Entry points: [`Encoder`] and [`decode`]. Layout: `FORMAT.md`. The times stand apart from the
//! rest, since the series of one scrape share them.
//!
//! Invariants: decoding arbitrary bytes yields `None` or some samples, and never asks for memory
//! beyond the chunk's count.

mod encoder;

use std::sync::Arc;

use super::bytes::{Reader, put_varint};
use super::codec;
use crate::series::{HistogramPoint, Points, TimeRange};
pub(super) use codec::Effort;
pub(super) use encoder::Encoder;

/// A sealed chunk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// When its samples are; shared where series have the same times.
    pub(super) times: Arc<Times>,
    /// What they are.
    pub(super) body: Box<[u8]>,
}

/// Times of samples, of which there is one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Times {
    pub(super) range: TimeRange,
    pub(super) count: u32,
    pub(super) bytes: Box<[u8]>,
}

impl Times {
    /// Encodes times. Without any the range is empty.
    pub(super) fn new(times_ms: &[i64], effort: Effort) -> Times {
        let ends = times_ms.first().zip(times_ms.last());
        let (first, last) = ends.map_or((i64::MAX, i64::MIN), |(first, last)| (*first, *last));
        let mut bytes = Vec::new();
        codec::encode_times(times_ms, effort, &mut bytes);
        Times {
            range: TimeRange::new(first, last),
            count: times_ms.len() as u32,
            bytes: bytes.into(),
        }
    }
}

impl Chunk {
    /// Encodes floats at the times that are given encoded.
    pub(super) fn of_floats(
        times: Arc<Times>,
        values: &[f64],
        starts_ms: &[i64],
        effort: Effort,
    ) -> Chunk {
        let mut body = begin(KIND_FLOATS, starts_ms);
        codec::encode_values(values, effort, &mut body);
        Chunk { times, body: body.into() }
    }

    fn of_histograms(times: Arc<Times>, points: &[HistogramPoint], effort: Effort) -> Chunk {
        let starts_ms: Vec<_> = points.iter().map(|point| point.start_ms).collect();
        let mut body = begin(KIND_HISTOGRAMS, &starts_ms);
        codec::encode_histograms(points, effort, &mut body);
        Chunk { times, body: body.into() }
    }
}

const KIND_FLOATS: u8 = 1;
const KIND_HISTOGRAMS: u8 = 2;

/// Set in the kind when start timestamps come first.
const HAS_STARTS: u8 = 0x10;

fn begin(kind: u8, starts_ms: &[i64]) -> Vec<u8> {
    if starts_ms.iter().all(|start| *start == 0) {
        return vec![kind];
    }
    let mut starts = Vec::new();
    codec::encode_integers(starts_ms, &mut starts);
    let mut body = vec![kind | HAS_STARTS];
    put_varint(&mut body, starts.len() as u64);
    body.extend_from_slice(&starts);
    body
}

/// Decodes a chunk of `count` samples, of which it is known that they are not more than a chunk
/// has, and appends them to `into`; `None`, and nothing is appended, when the bytes make no sense.
pub(super) fn decode(count: u32, times: &[u8], body: &[u8], into: &mut Points) -> Option<()> {
    let (floats, histograms) = (into.times_ms.len(), into.histograms.len());
    let decoded = append(count, times, body, into);
    if decoded.is_none() {
        into.times_ms.truncate(floats);
        into.values.truncate(floats);
        into.starts_ms.truncate(floats);
        into.histograms.truncate(histograms);
    }
    decoded
}

fn append(count: u32, times: &[u8], body: &[u8], into: &mut Points) -> Option<()> {
    let count = usize::try_from(count).ok().filter(|count| *count <= codec::COUNT_MAX)?;
    let mut reader = Reader::new(body);
    let kind = reader.u8()?;
    let mut starts = Vec::new();
    if kind & HAS_STARTS != 0 {
        let len = reader.count(1)?;
        codec::decode_integers(reader.take(len)?, count, &mut starts)?;
    }
    let rest = reader.take(reader.remaining())?;
    match kind & !HAS_STARTS {
        KIND_FLOATS => {
            let before = into.times_ms.len();
            codec::decode_times(times, count, &mut into.times_ms)?;
            codec::decode_values(rest, count, &mut into.values)?;
            if !starts.is_empty() || !into.starts_ms.is_empty() {
                starts.resize(count, 0);
                into.starts_ms.resize(before, 0);
                into.starts_ms.extend_from_slice(&starts);
            }
        }
        KIND_HISTOGRAMS => {
            let (mut times_ms, mut histograms) = (Vec::new(), Vec::new());
            codec::decode_times(times, count, &mut times_ms)?;
            codec::decode_histograms(rest, count, &mut histograms)?;
            let points = times_ms.into_iter().zip(histograms).enumerate();
            into.histograms.extend(points.map(|(at, (time_ms, histogram))| HistogramPoint {
                time_ms,
                start_ms: starts.get(at).copied().unwrap_or(0),
                histogram: Arc::new(histogram),
            }));
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Histogram, STALE_NAN};
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-1_000_000i64..1_000_000, 0i32..5).prop_map(|(i, e)| i as f64 / 10f64.powi(e)),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => proptest::sample::select(vec![STALE_NAN, f64::NAN, -0.0, 0.0, f64::INFINITY,
                f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, 9_007_199_254_740_993.0, f64::MAX]),
        ]
    }

    proptest! {
        #[test]
        fn comes_back_to_the_bit(
            rows in proptest::collection::vec((0i64..100_000, value(), any::<bool>()), 1..1200),
            regular in any::<bool>(),
            origin in any::<i64>(),
        ) {
            let mut points = Points::default();
            let mut time_ms = origin;
            for (gap, value, start) in &rows {
                time_ms = time_ms.wrapping_add(if regular { 15_000 } else { gap + 1 });
                points.push(time_ms, *value, if *start { time_ms.wrapping_sub(1) } else { 0 });
                if *start {
                    let histogram = Histogram {
                        sum: *value,
                        positive_buckets: vec![*value; 3],
                        ..Histogram::default()
                    };
                    points.histograms.push(HistogramPoint {
                        time_ms, start_ms: 0, histogram: Arc::new(histogram)
                    });
                }
            }
            let mut back = Points::default();
            for chunk in Encoder::new(Effort::Seal, 480).encode(&points) {
                let times = &chunk.times;
                prop_assert!(times.count <= 480);
                decode(times.count, &times.bytes, &chunk.body, &mut back).unwrap();
            }
            let bits = |points: &Points| points.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(&back.times_ms, &points.times_ms);
            prop_assert_eq!(bits(&back), bits(&points));
            let starts = |points: &Points| {
                (0..points.times_ms.len())
                    .map(|at| points.starts_ms.get(at).copied().unwrap_or(0))
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(starts(&back), starts(&points));
            prop_assert_eq!(back.histograms.len(), points.histograms.len());
            for (a, b) in back.histograms.iter().zip(&points.histograms) {
                prop_assert!(a.histogram.bits_equal(&b.histogram) && a.time_ms == b.time_ms);
            }
        }

        #[test]
        fn nonsense_is_refused_without_harm(
            count in 0u32..10_000,
            times in proptest::collection::vec(any::<u8>(), 0..100),
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = decode(count, &times, &body, &mut Points::default());
        }

        #[test]
        fn a_damaged_chunk_is_refused_or_something_else(at in any::<proptest::sample::Index>(), bit in 0..8) {
            let mut points = Points::default();
            (0..300).for_each(|i| points.push(i * 15_000, (i % 7) as f64 / 10.0, 0));
            let chunk = Encoder::new(Effort::Seal, 480).encode(&points).remove(0);
            let mut body = chunk.body.to_vec();
            let at = at.index(body.len());
            body[at] ^= 1u8 << bit;
            let times = &chunk.times;
            let _ = decode(times.count, &times.bytes, &body, &mut Points::default());
        }
    }
}
