use std::fmt;

use super::{Histogram, Span};

/// One bucket of a native histogram with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// The lower bound belongs to it.
    pub lower_inclusive: bool,
    /// The upper bound belongs to it.
    pub upper_inclusive: bool,
    /// Observations in it.
    pub count: f64,
}

impl Bucket {
    /// Returns the share of the bucket's width below a value inside it: of a linear scale, or of a
    /// logarithmic one.
    pub(super) fn share_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let log = |bound: f64| bound.abs().log2();
        let (lower, upper, value_log) = (log(self.lower), log(self.upper), log(value));
        if value > 0.0 {
            (value_log - lower) / (upper - lower)
        } else {
            1.0 - (value_log - upper) / (lower - upper)
        }
    }
}

/// Iterates over the buckets of spans: index and count.
pub(super) fn indexed<'a>(
    spans: &'a [Span],
    counts: &'a [f64],
) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0i32;
    let indices = spans.iter().flat_map(move |span| {
        let start = next.wrapping_add(span.offset);
        next = start.wrapping_add(span.len as i32);
        start..next
    });
    indices.zip(counts.iter().copied())
}

/// Makes spans of buckets that are sorted by index.
pub(super) fn spans_of(buckets: impl IntoIterator<Item = (i32, f64)>) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next = 0;
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if index == next => span.len += 1,
            _ => spans.push(Span { offset: index - next, len: 1 }),
        }
        counts.push(count);
        next = index + 1;
    }
    (spans, counts)
}

/// Returns the bucket of a coarser schema that holds a bucket.
pub(super) fn coarser_index(index: i32, from: i32, to: i32) -> i32 {
    (((i64::from(index) - 1) >> (from - to).min(63)) + 1) as i32
}

impl Histogram {
    /// Returns the positive buckets, ascending; those of custom bounds are among them.
    pub fn positive(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        let buckets: Vec<Bucket> = indexed(&self.positive_spans, &self.positive_buckets)
            .map(|(index, count)| self.positive_bucket(index, count))
            .collect();
        buckets.into_iter()
    }

    /// Returns the negative buckets, from the one next to zero on.
    pub fn negative(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        let buckets: Vec<Bucket> = indexed(&self.negative_spans, &self.negative_buckets)
            .map(|(index, count)| Bucket {
                lower: -self.upper_bound(index),
                upper: -self.upper_bound(index - 1),
                lower_inclusive: true,
                upper_inclusive: false,
                count,
            })
            .collect();
        buckets.into_iter()
    }

    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        Bucket {
            lower: self.upper_bound(index - 1),
            upper: self.upper_bound(index),
            lower_inclusive: self.has_custom_bounds() && index == 0,
            upper_inclusive: true,
            count,
        }
    }

    /// Returns the zero bucket.
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// Returns all buckets in ascending order, the zero bucket if there is anything in it. Those
    /// that the zero bucket overlaps end at its bounds.
    pub fn buckets(&self) -> Vec<Bucket> {
        let threshold = self.zero_threshold;
        let cut = |mut bucket: Bucket| {
            if bucket.upper < 0.0 && bucket.upper > -threshold {
                bucket.upper = -threshold;
            } else if bucket.lower > 0.0 && bucket.lower < threshold {
                bucket.lower = threshold;
            }
            bucket
        };
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        self.negative().rev().map(cut).chain(zero).chain(self.positive().map(cut)).collect()
    }

    /// Returns the histogram without empty buckets.
    #[must_use]
    pub fn compacted(mut self) -> Histogram {
        let compact = |spans: &mut Vec<Span>, counts: &mut Vec<f64>| {
            let kept = indexed(spans, counts).filter(|(_, count)| *count != 0.0);
            (*spans, *counts) = spans_of(kept.collect::<Vec<_>>());
        };
        compact(&mut self.positive_spans, &mut self.positive_buckets);
        compact(&mut self.negative_spans, &mut self.negative_buckets);
        self
    }

    /// Returns whether both count the same, to the bit; where empty spans stand does not matter,
    /// nor what is said of resets.
    pub fn equals(&self, other: &Histogram) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let same_buckets =
            |spans: &[Span], counts: &[f64], others: &[Span], other_counts: &[f64]| {
                counts.len() == other_counts.len()
                    && indexed(spans, counts)
                        .zip(indexed(others, other_counts))
                        .all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
            };
        self.schema == other.schema
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && (!self.has_custom_bounds() || self.custom_bounds == other.custom_bounds)
            && self.zero_threshold == other.zero_threshold
            && same(self.zero_count, other.zero_count)
            && same_buckets(
                &self.negative_spans,
                &self.negative_buckets,
                &other.negative_spans,
                &other.negative_buckets,
            )
            && same_buckets(
                &self.positive_spans,
                &self.positive_buckets,
                &other.positive_spans,
                &other.positive_buckets,
            )
    }
}

/// As PromQL writes it in labels: `{count:2, sum:3, (0.5,1]:2}`.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", Short(self.count), Short(self.sum))?;
        let zero = (self.zero_count != 0.0).then(|| self.zero_bucket());
        for bucket in self.negative().rev().chain(zero).chain(self.positive()) {
            if bucket.count != 0.0 {
                let open = if bucket.lower_inclusive { '[' } else { '(' };
                let close = if bucket.upper_inclusive { ']' } else { ')' };
                let (lower, upper) = (Short(bucket.lower), Short(bucket.upper));
                write!(f, ", {open}{lower},{upper}{close}:{}", Short(bucket.count))?;
            }
        }
        f.write_str("}")
    }
}

/// A number as Go's `%g` writes it.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Short(value) = *self;
        let magnitude = value.abs();
        if value == 0.0 || !value.is_finite() || (1e-4..1e21).contains(&magnitude) {
            return f.write_str(&super::format_float(value));
        }
        let scientific = format!("{value:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        write!(f, "{mantissa}e{sign}{digits:0>2}")
    }
}
