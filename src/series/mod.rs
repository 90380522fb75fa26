//! Plain values that every room speaks: label sets, matchers, samples, native histograms, time ranges.
//!
//! Entry points: [`Labels`], [`Matcher`], [`Points`], [`Histogram`], [`TimeRange`].
//!
//! Invariants: a [`Labels`] is sorted by name, has no empty value and no name twice; times are
//! integer milliseconds since the Unix epoch, ranges are closed on both ends.
//!
//! Absent on purpose: I/O, clocks, wire formats and on-disk formats.

mod bounds;
mod histogram;
mod histogram_buckets;
#[cfg(test)]
mod histogram_properties;
mod histogram_shape;
mod histogram_sum;
mod labels;
mod matcher;
mod number;
mod points;
mod sums;
mod time;

pub use histogram::{CUSTOM_BUCKETS_SCHEMA, Histogram, HistogramKind, ResetHint, Span};
pub use histogram_buckets::Bucket;
pub use histogram_shape::NanObservations;
pub use histogram_sum::{HistogramNotice, HistogramSum, MixedSchemas};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use number::{format_float, parse_float, push_float};
pub use points::{HistogramPoint, Points};
pub use sums::{Kahan, Mean};
pub use time::{
    DurationError, TimeRange, format_duration, format_rfc3339, format_time_s, parse_duration,
    push_time_s,
};

/// Identifies one series within one open store.
///
/// Stable while the store is open, never given to another series, and not stored anywhere that
/// outlives the process except in the store's own files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u64);

/// The bits of the staleness marker, a NaN that ends a series (remote-write specification 1.0).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker as a float.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// Returns whether `value` is the staleness marker, and not some other NaN.
#[inline]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}
