//! The samples of one chunk, of each encoding that Prometheus has.
//!
//! Source: Prometheus, tsdb/docs/format/chunks.md and what tsdb/chunkenc does where that is silent.

use std::sync::Arc;

use super::bits::{Bits, Xor};
use crate::series::{
    CUSTOM_BUCKETS_SCHEMA, Histogram, HistogramKind, HistogramPoint, Points, ResetHint, Span,
    is_stale,
};

const XOR: u8 = 1;
const HISTOGRAM: u8 = 2;
const FLOAT_HISTOGRAM: u8 = 3;

/// More buckets than this no sound histogram has; a damaged one must not ask for them.
const BUCKETS_MAX: usize = 1 << 16;

/// Decodes a chunk and appends its samples; `None` when the bytes do not hold them.
pub(super) fn decode(encoding: u8, bytes: &[u8], into: &mut Points) -> Option<()> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    let count = u16::from_be_bytes(*count);
    match encoding {
        XOR => floats(count, rest, into),
        HISTOGRAM | FLOAT_HISTOGRAM => {
            let (flags, rest) = rest.split_first()?;
            if count == 0 {
                return Some(());
            }
            let mut bits = Bits::new(rest);
            let layout = layout(&mut bits, encoding == FLOAT_HISTOGRAM)?;
            let hints = Hints { header: flags & 0xc0 };
            if encoding == HISTOGRAM {
                histograms(count, &mut bits, &layout, hints, into)
            } else {
                float_histograms(count, &mut bits, &layout, hints, into)
            }
        }
        _ => None,
    }
}

fn floats(count: u16, bytes: &[u8], into: &mut Points) -> Option<()> {
    let mut bits = Bits::new(bytes);
    let (mut time_ms, mut delta, mut value) = (0i64, 0i64, Xor::default());
    for number in 0..count {
        match number {
            0 => {
                time_ms = zigzag(bits.varint()?);
                value = Xor::first(bits.take(64)?);
            }
            1 => delta = bits.varint()? as i64,
            _ => {
                let change = match bits.ones(4)? {
                    0 => 0,
                    1 => bits.signed(14)?,
                    2 => bits.signed(17)?,
                    3 => bits.signed(20)?,
                    _ => bits.take(64)? as i64,
                };
                delta = delta.wrapping_add(change);
            }
        }
        if number > 0 {
            time_ms = time_ms.wrapping_add(delta);
            value.next(&mut bits)?;
        }
        into.push(time_ms, f64::from_bits(value.bits), 0);
    }
    Some(())
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// What a chunk says of resets.
#[derive(Clone, Copy)]
struct Hints {
    header: u8,
}

impl Hints {
    /// A chunk begins where there was a reset, if at all; within one there is none.
    fn of(self, number: u16) -> ResetHint {
        match (self.header, number) {
            (0xc0, _) => ResetHint::Gauge,
            (_, 1..) => ResetHint::NotReset,
            (0x80, _) => ResetHint::Reset,
            _ => ResetHint::Unknown,
        }
    }
}

/// A histogram whose counts are 0, and for how many buckets there are counts.
struct Layout {
    empty: Histogram,
    positive: usize,
    negative: usize,
}

fn layout(bits: &mut Bits<'_>, is_float: bool) -> Option<Layout> {
    let zero_threshold = match bits.take(8)? {
        0 => 0.0,
        255 => bits.float()?,
        exponent => 0.5 * 2f64.powi(exponent as i32 - 243),
    };
    let schema = i32::try_from(bits.varbit_signed()?).ok()?;
    let (positive_spans, positive) = spans(bits)?;
    let (negative_spans, negative) = spans(bits)?;
    let custom_bounds =
        if schema == CUSTOM_BUCKETS_SCHEMA { custom_bounds(bits)? } else { Vec::new() };
    let kind = if is_float { HistogramKind::Float } else { HistogramKind::Integer };
    let empty = Histogram {
        kind,
        schema,
        zero_threshold,
        positive_spans,
        positive_buckets: vec![0.0; positive],
        negative_spans,
        negative_buckets: vec![0.0; negative],
        custom_bounds,
        ..Histogram::default()
    };
    Some(Layout { empty, positive, negative })
}

/// Returns spans and how many buckets they have together.
fn spans(bits: &mut Bits<'_>) -> Option<(Vec<Span>, usize)> {
    let count = bits.varbit_unsigned()?;
    let (mut spans, mut buckets) = (Vec::new(), 0usize);
    for _ in 0..count {
        let len = u32::try_from(bits.varbit_unsigned()?).ok()?;
        let offset = i32::try_from(bits.varbit_signed()?).ok()?;
        buckets = buckets.checked_add(len as usize).filter(|buckets| *buckets <= BUCKETS_MAX)?;
        spans.push(Span { offset, len });
    }
    Some((spans, buckets))
}

fn custom_bounds(bits: &mut Bits<'_>) -> Option<Vec<f64>> {
    let count = bits.varbit_unsigned()?;
    let mut bounds = Vec::new();
    for _ in 0..count {
        bounds.push(match bits.varbit_unsigned()? {
            0 => bits.float()?,
            thousandths => (thousandths - 1) as f64 / 1000.0,
        });
    }
    Some(bounds)
}

/// A number that is given as the change of its change.
#[derive(Clone, Copy, Default)]
struct Count {
    value: i64,
    delta: i64,
}

impl Count {
    fn first(value: i64) -> Count {
        Count { value, delta: 0 }
    }

    fn next(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.delta = self.delta.wrapping_add(bits.varbit_signed()?);
        self.value = self.value.wrapping_add(self.delta);
        Some(())
    }
}

fn histograms(
    count: u16,
    bits: &mut Bits<'_>,
    layout: &Layout,
    hints: Hints,
    into: &mut Points,
) -> Option<()> {
    let [mut time, mut observations, mut zeros] = [Count::default(); 3];
    let mut sum = Xor::default();
    // Each bucket's count as the difference to that of the bucket before.
    let mut buckets = vec![Count::default(); layout.positive + layout.negative];
    for number in 0..count {
        if number == 0 {
            time = Count::first(bits.varbit_signed()?);
            observations = Count::first(bits.varbit_unsigned()? as i64);
            zeros = Count::first(bits.varbit_unsigned()? as i64);
            sum = Xor::first(bits.take(64)?);
            for bucket in &mut buckets {
                *bucket = Count::first(bits.varbit_signed()?);
            }
        } else {
            time.next(bits)?;
            observations.next(bits)?;
            zeros.next(bits)?;
            sum.next(bits)?;
            // A staleness marker has no buckets.
            if !is_stale(f64::from_bits(sum.bits)) {
                for bucket in &mut buckets {
                    bucket.next(bits)?;
                }
            }
        }
        let mut histogram = layout.empty.clone();
        if is_stale(f64::from_bits(sum.bits)) {
            histogram = Histogram { kind: HistogramKind::Integer, ..Histogram::default() };
        } else {
            histogram.count = observations.value as u64 as f64;
            histogram.zero_count = zeros.value as u64 as f64;
            histogram.reset_hint = hints.of(number);
            let (positive, negative) = buckets.split_at(layout.positive);
            for (places, deltas) in [
                (&mut histogram.positive_buckets, positive),
                (&mut histogram.negative_buckets, negative),
            ] {
                let mut absolute = 0i64;
                for (place, delta) in places.iter_mut().zip(deltas) {
                    absolute = absolute.wrapping_add(delta.value);
                    *place = absolute as f64;
                }
            }
        }
        push(time.value, f64::from_bits(sum.bits), histogram, into);
    }
    Some(())
}

fn float_histograms(
    count: u16,
    bits: &mut Bits<'_>,
    layout: &Layout,
    hints: Hints,
    into: &mut Points,
) -> Option<()> {
    let mut time = Count::default();
    // Count, zero count, sum, and each bucket.
    let mut values = vec![Xor::default(); 3 + layout.positive + layout.negative];
    for number in 0..count {
        if number == 0 {
            time = Count::first(bits.varbit_signed()?);
            for value in &mut values {
                *value = Xor::first(bits.take(64)?);
            }
        } else {
            time.next(bits)?;
            for at in 0..values.len() {
                if at == 3 && is_stale(f64::from_bits(values[2].bits)) {
                    break;
                }
                values[at].next(bits)?;
            }
        }
        let float = |at: usize| f64::from_bits(values[at].bits);
        let mut histogram = layout.empty.clone();
        if is_stale(float(2)) {
            histogram = Histogram { kind: HistogramKind::Float, ..Histogram::default() };
        } else {
            histogram.count = float(0);
            histogram.zero_count = float(1);
            histogram.reset_hint = hints.of(number);
            let buckets = histogram.positive_buckets.iter_mut();
            for (at, place) in buckets.chain(&mut histogram.negative_buckets).enumerate() {
                *place = float(3 + at);
            }
        }
        push(time.value, float(2), histogram, into);
    }
    Some(())
}

fn push(time_ms: i64, sum: f64, mut histogram: Histogram, into: &mut Points) {
    histogram.sum = sum;
    let histogram = Arc::new(histogram);
    into.histograms.push(HistogramPoint { time_ms, start_ms: 0, histogram });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nonsense_is_refused_without_harm(
            encoding in 0u8..5, bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = decode(encoding, &bytes, &mut Points::default());
        }
    }

    #[test]
    fn custom_bounds_and_thresholds_as_the_format_says() {
        // Threshold 2^-128 (116), schema -53, one span of two buckets, none, bounds 0.5 and 1e9.
        let mut bits = Vec::new();
        let mut put = |value: u64, count: u32| {
            (0..count).rev().for_each(|at| bits.push(value >> at & 1 == 1));
        };
        put(116, 8);
        put(0b1110, 4);
        put(512 - 53, 9);
        put(0b10, 2);
        put(1, 3); // one span
        put(0b10, 2);
        put(2, 3); // of two
        put(0, 1); // from 0
        put(0, 1); // no negative ones
        put(0b10, 2);
        put(2, 3); // two bounds
        put(0b1110, 4);
        put(501, 9);
        put(0, 1);
        put(1e9f64.to_bits(), 64);
        let bytes: Vec<u8> = bits
            .chunks(8)
            .map(|byte| byte.iter().enumerate().map(|(at, bit)| u8::from(*bit) << (7 - at)).sum())
            .collect();
        let layout = layout(&mut Bits::new(&bytes), false).unwrap();
        assert_eq!(layout.empty.zero_threshold, 2f64.powi(-128));
        assert_eq!(layout.empty.custom_bounds, [0.5, 1e9]);
        assert_eq!((layout.positive, layout.negative), (2, 0));
    }
}
