//! Sealed samples of one series, in a few bytes each, to the bit.
//!
//! Entry points: [`encode`] and [`decode`]. Layout: `FORMAT.md`. A chunk is a row of columns, each
//! with the number of its codec, so that better ones can be added and old chunks still read.
//!
//! Invariants: what is encoded was decoded again and compared before it is handed out; decoding
//! arbitrary bytes yields `None` or some samples, and never asks for memory beyond the chunk's
//! count.

mod floats;
mod integers;

use std::sync::Arc;

use super::bytes::{Reader, put_signed, put_u64, put_varint};
use super::log::{get_histogram, put_histogram};
use crate::series::{HistogramPoint, Points, TimeRange};

/// The most samples a chunk has.
pub(super) const COUNT_MAX: usize = 480;

/// A sealed chunk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) range: TimeRange,
    pub(super) count: u32,
    pub(super) bytes: Arc<[u8]>,
}

const KIND_FLOATS: u8 = 1;
const KIND_HISTOGRAMS: u8 = 2;

const COLUMN_TIMES: u8 = 1;
const COLUMN_VALUES: u8 = 2;
const COLUMN_STARTS: u8 = 3;
const COLUMN_HISTOGRAMS: u8 = 4;

const CODEC_RAW: u8 = 0;
const CODEC_INTEGERS: u8 = 1;
const CODEC_DECIMAL: u8 = 2;
const CODEC_XOR: u8 = 3;
const CODEC_LZ4: u8 = 4;

/// LZ4 cannot make more than this many bytes of one.
const LZ4_RATIO_MAX: usize = 256;

/// Encodes samples as chunks of at most [`COUNT_MAX`], floats and histograms apart.
pub(super) fn encode(points: &Points) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let count = points.times_ms.len();
    for from in (0..count).step_by(COUNT_MAX) {
        let to = (from + COUNT_MAX).min(count);
        let starts = points.starts_ms.get(from..to).unwrap_or_default();
        chunks.push(encode_floats(&points.times_ms[from..to], &points.values[from..to], starts));
    }
    chunks.extend(points.histograms.chunks(COUNT_MAX).map(encode_histograms));
    chunks
}

fn encode_floats(times_ms: &[i64], values: &[f64], starts_ms: &[i64]) -> Chunk {
    let mut bytes = begin(KIND_FLOATS, times_ms.len());
    put_integers(&mut bytes, COLUMN_TIMES, times_ms);
    let (codec, encoded) = if let Some(encoded) = floats::encode_decimal(values) {
        (CODEC_DECIMAL, encoded)
    } else {
        (CODEC_XOR, floats::encode_xor(values))
    };
    let decoded = match codec {
        CODEC_DECIMAL => floats::decode_decimal(&encoded, values.len()),
        _ => floats::decode_xor(&encoded, values.len()),
    };
    let same = decoded
        .is_some_and(|decoded| decoded.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits()));
    if same && encoded.len() < values.len() * 8 {
        put_column(&mut bytes, COLUMN_VALUES, codec, &encoded);
    } else {
        let mut raw = Vec::with_capacity(values.len() * 8);
        for value in values {
            put_u64(&mut raw, value.to_bits());
        }
        put_column(&mut bytes, COLUMN_VALUES, CODEC_RAW, &raw);
    }
    if starts_ms.iter().any(|start| *start != 0) {
        put_integers(&mut bytes, COLUMN_STARTS, starts_ms);
    }
    finish(bytes, times_ms)
}

fn encode_histograms(points: &[HistogramPoint]) -> Chunk {
    let times_ms: Vec<_> = points.iter().map(|point| point.time_ms).collect();
    let starts_ms: Vec<_> = points.iter().map(|point| point.start_ms).collect();
    let mut bytes = begin(KIND_HISTOGRAMS, points.len());
    put_integers(&mut bytes, COLUMN_TIMES, &times_ms);
    let mut raw = Vec::new();
    for point in points {
        put_histogram(&mut raw, &point.histogram);
    }
    let mut encoded = Vec::new();
    put_varint(&mut encoded, raw.len() as u64);
    encoded.extend_from_slice(&lz4_flex::block::compress(&raw));
    put_column(&mut bytes, COLUMN_HISTOGRAMS, CODEC_LZ4, &encoded);
    if starts_ms.iter().any(|start| *start != 0) {
        put_integers(&mut bytes, COLUMN_STARTS, &starts_ms);
    }
    finish(bytes, &times_ms)
}

fn begin(kind: u8, count: usize) -> Vec<u8> {
    let mut bytes = vec![kind];
    put_varint(&mut bytes, count as u64);
    bytes
}

fn put_column(bytes: &mut Vec<u8>, column: u8, codec: u8, encoded: &[u8]) {
    bytes.extend_from_slice(&[column, codec]);
    put_varint(bytes, encoded.len() as u64);
    bytes.extend_from_slice(encoded);
}

fn put_integers(bytes: &mut Vec<u8>, column: u8, values: &[i64]) {
    let encoded = integers::encode(values);
    if integers::decode(&encoded, values.len()).as_deref() == Some(values) {
        return put_column(bytes, column, CODEC_INTEGERS, &encoded);
    }
    let mut raw = Vec::new();
    for value in values {
        put_signed(&mut raw, *value);
    }
    put_column(bytes, column, CODEC_RAW, &raw);
}

fn finish(bytes: Vec<u8>, times_ms: &[i64]) -> Chunk {
    let (first, last) = times_ms.first().zip(times_ms.last()).expect("a chunk has samples");
    let range = TimeRange::new(*first, *last);
    Chunk { range, count: times_ms.len() as u32, bytes: bytes.into() }
}

/// Decodes a chunk and appends its samples to `into`; `None` when the bytes make no sense.
pub(super) fn decode(bytes: &[u8], into: &mut Points) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let count = usize::try_from(reader.varint()?).ok().filter(|count| *count <= COUNT_MAX)?;
    let (mut times, mut values, mut starts, mut histograms) = (None, None, None, None);
    while !reader.is_empty() {
        let (column, codec) = (reader.u8()?, reader.u8()?);
        let len = reader.count(1)?;
        let encoded = reader.take(len)?;
        match column {
            COLUMN_TIMES => times = Some(decode_integers(codec, encoded, count)?),
            COLUMN_STARTS => starts = Some(decode_integers(codec, encoded, count)?),
            COLUMN_VALUES => values = Some(decode_values(codec, encoded, count)?),
            COLUMN_HISTOGRAMS if codec == CODEC_LZ4 => {
                histograms = Some(decode_histograms(encoded, count)?);
            }
            _ => return None,
        }
    }
    let times = times?;
    let start_at = |at: usize| starts.as_ref().map_or(0, |starts: &Vec<i64>| starts[at]);
    match kind {
        KIND_FLOATS if starts.is_none() && into.starts_ms.is_empty() => {
            into.times_ms.extend_from_slice(&times);
            into.values.extend_from_slice(&values?);
        }
        KIND_FLOATS => {
            for (at, (time_ms, value)) in times.iter().zip(values?).enumerate() {
                into.push(*time_ms, value, start_at(at));
            }
        }
        KIND_HISTOGRAMS => {
            let points = times.iter().zip(histograms?).enumerate();
            into.histograms.extend(points.map(|(at, (time_ms, histogram))| HistogramPoint {
                time_ms: *time_ms,
                start_ms: start_at(at),
                histogram: Arc::new(histogram),
            }));
        }
        _ => return None,
    }
    Some(())
}

fn decode_integers(codec: u8, encoded: &[u8], count: usize) -> Option<Vec<i64>> {
    match codec {
        CODEC_INTEGERS => integers::decode(encoded, count),
        CODEC_RAW => {
            let mut reader = Reader::new(encoded);
            (0..count).map(|_| reader.signed()).collect()
        }
        _ => None,
    }
}

fn decode_values(codec: u8, encoded: &[u8], count: usize) -> Option<Vec<f64>> {
    match codec {
        CODEC_DECIMAL => floats::decode_decimal(encoded, count),
        CODEC_XOR => floats::decode_xor(encoded, count),
        CODEC_RAW => {
            let mut reader = Reader::new(encoded);
            (0..count).map(|_| reader.u64().map(f64::from_bits)).collect()
        }
        _ => None,
    }
}

fn decode_histograms(encoded: &[u8], count: usize) -> Option<Vec<crate::series::Histogram>> {
    let mut reader = Reader::new(encoded);
    let raw_len = usize::try_from(reader.varint()?).ok()?;
    let compressed = reader.take(reader.remaining())?;
    if raw_len / LZ4_RATIO_MAX > compressed.len() {
        return None;
    }
    let raw = lz4_flex::block::decompress(compressed, raw_len).ok()?;
    let mut reader = Reader::new(&raw);
    (0..count).map(|_| get_histogram(&mut reader)).collect()
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
            for chunk in encode(&points) {
                prop_assert!(chunk.count as usize <= COUNT_MAX);
                decode(&chunk.bytes, &mut back).unwrap();
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
        fn nonsense_is_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes, &mut Points::default());
        }

        #[test]
        fn a_damaged_chunk_is_refused_or_something_else(at in any::<proptest::sample::Index>(), bit in 0..8) {
            let mut points = Points::default();
            (0..300).for_each(|i| points.push(i * 15_000, (i % 7) as f64 / 10.0, 0));
            let mut bytes = encode(&points)[0].bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            let _ = decode(&bytes, &mut Points::default());
        }
    }

    #[test]
    fn usual_series_take_few_bytes() {
        let check = |bytes_max: usize, value: &dyn Fn(i64) -> f64| {
            let mut points = Points::default();
            (0..480).for_each(|i| points.push(1_700_000_000_000 + i * 15_000, value(i), 0));
            let len = encode(&points)[0].bytes.len();
            assert!(len <= bytes_max, "{len} bytes");
        };
        check(40, &|_| 1.0);
        check(40, &|i| (i * 15) as f64);
        check(480, &|i| (i * i % 97) as f64 / 10.0);
    }
}
