use super::sample::start_before;
use super::wire::{DecodeError, Fields, Value, zigzag};
use crate::series::{CUSTOM_BUCKETS_SCHEMA, Histogram, HistogramKind, ResetHint, Span};

/// The finest schema that is stored; finer ones are made coarser.
const SCHEMA_STORED_MAX: i32 = 8;

/// The schemas that are accepted, beside that of custom buckets.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=52;

/// No bucket is further out than this, so that differences of two are still numbers of 32 bits. At
/// schema 8 floats end before 2^19.
const INDEX_MAX: i64 = 1 << 30;

/// Why a native histogram is none. Source: the native histogram specification, "Data model".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HistogramError {
    #[error("histogram schema {schema} is not one of -4 to 8 and -53")]
    Schema { schema: i32 },
    #[error("the histogram's spans name {spans} buckets, and {buckets} were sent")]
    BucketCount { spans: u64, buckets: usize },
    #[error("histogram span {span} begins before the one before it ends")]
    NegativeOffset { span: usize },
    #[error("a bucket of the histogram is out of range")]
    BucketIndex,
    #[error("the histogram has a negative count")]
    NegativeCount,
    #[error("the histogram counts {count} observations, and its buckets {buckets}")]
    Count { count: u64, buckets: u64 },
    #[error("the counts of the histogram's buckets are too large to be added up")]
    TooLarge,
    #[error("a histogram without custom buckets has custom bounds")]
    UnexpectedBounds,
    #[error("the histogram's custom bounds do not ascend, or hold NaN or +Inf")]
    Bounds,
    #[error("a histogram with custom buckets has negative buckets or a zero bucket")]
    CustomNegative,
    #[error("the histogram has more buckets than its custom bounds give")]
    CustomBuckets,
}

/// A native histogram as both protocols send it.
pub(super) struct WireHistogram {
    pub(super) time_ms: i64,
    /// When it began to count; 0 where unset. Remote write 1.0 has no such field.
    pub(super) start_ms: i64,
    is_float: bool,
    count: u64,
    count_float: f64,
    zero_count: u64,
    zero_count_float: f64,
    positive: Side,
    negative: Side,
    rest: Histogram,
}

#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl WireHistogram {
    pub(super) fn decode(message: &[u8]) -> Result<WireHistogram, DecodeError> {
        let mut wire = WireHistogram {
            time_ms: 0,
            start_ms: 0,
            is_float: false,
            count: 0,
            count_float: 0.0,
            zero_count: 0,
            zero_count_float: 0.0,
            positive: Side::default(),
            negative: Side::default(),
            rest: Histogram::default(),
        };
        let (positive, negative, rest) = (&mut wire.positive, &mut wire.negative, &mut wire.rest);
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => (wire.is_float, wire.count) = (false, value.varint()?),
                2 => (wire.is_float, wire.count_float) = (true, value.double()?),
                3 => rest.sum = value.double()?,
                4 => rest.schema = value.sint32()?,
                5 => rest.zero_threshold = value.double()?,
                6 => wire.zero_count = value.varint()?,
                7 => wire.zero_count_float = value.double()?,
                8 => negative.spans.push(span(value)?),
                9 => value.varints(|delta| negative.deltas.push(zigzag(delta)))?,
                10 => value.doubles(|count| negative.counts.push(count))?,
                11 => positive.spans.push(span(value)?),
                12 => value.varints(|delta| positive.deltas.push(zigzag(delta)))?,
                13 => value.doubles(|count| positive.counts.push(count))?,
                14 => {
                    rest.reset_hint = match value.varint()? {
                        1 => ResetHint::Reset,
                        2 => ResetHint::NotReset,
                        3 => ResetHint::Gauge,
                        _ => ResetHint::Unknown,
                    }
                }
                15 => wire.time_ms = value.int64()?,
                16 => value.doubles(|bound| rest.custom_bounds.push(bound))?,
                17 => wire.start_ms = value.int64()?,
                _ => {}
            }
        }
        wire.start_ms = start_before(wire.start_ms, wire.time_ms);
        Ok(wire)
    }

    /// Returns the histogram with absolute counts, if it is valid, at a schema that is stored.
    pub(super) fn checked(self) -> Result<Histogram, HistogramError> {
        let schema = self.rest.schema;
        if schema != CUSTOM_BUCKETS_SCHEMA && !SCHEMAS.contains(&schema) {
            return Err(HistogramError::Schema { schema });
        }
        let mut histogram = if self.is_float { self.float()? } else { self.integer()? };
        if schema == CUSTOM_BUCKETS_SCHEMA {
            check_custom(&histogram)?;
        } else if !histogram.custom_bounds.is_empty() {
            return Err(HistogramError::UnexpectedBounds);
        } else if schema > SCHEMA_STORED_MAX {
            histogram = histogram.coarsened(SCHEMA_STORED_MAX);
        }
        Ok(histogram)
    }

    fn integer(self) -> Result<Histogram, HistogramError> {
        let (positive_buckets, positive_sum) = absolute(&self.positive.deltas)?;
        let (negative_buckets, negative_sum) = absolute(&self.negative.deltas)?;
        let buckets = positive_sum
            .checked_add(negative_sum)
            .and_then(|sum| sum.checked_add(self.zero_count))
            .ok_or(HistogramError::TooLarge)?;
        // Observations of NaN are in no bucket, and make the sum NaN.
        let fits =
            if self.rest.sum.is_nan() { self.count >= buckets } else { self.count == buckets };
        if !fits {
            return Err(HistogramError::Count { count: self.count, buckets });
        }
        with_checked_spans(Histogram {
            kind: HistogramKind::Integer,
            count: self.count as f64,
            zero_count: self.zero_count as f64,
            positive_buckets,
            negative_buckets,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            ..self.rest
        })
    }

    fn float(self) -> Result<Histogram, HistogramError> {
        let counts = [self.count_float, self.zero_count_float];
        let mut all = counts.iter().chain(&self.positive.counts).chain(&self.negative.counts);
        if all.any(|count| *count < 0.0) {
            return Err(HistogramError::NegativeCount);
        }
        with_checked_spans(Histogram {
            kind: HistogramKind::Float,
            count: self.count_float,
            zero_count: self.zero_count_float,
            positive_buckets: self.positive.counts,
            negative_buckets: self.negative.counts,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            ..self.rest
        })
    }
}

fn with_checked_spans(histogram: Histogram) -> Result<Histogram, HistogramError> {
    check_spans(&histogram.positive_spans, histogram.positive_buckets.len())?;
    check_spans(&histogram.negative_spans, histogram.negative_buckets.len())?;
    Ok(histogram)
}

fn span(value: Value<'_>) -> Result<Span, DecodeError> {
    let mut span = Span::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => span.offset = value.sint32()?,
            2 => span.len = value.uint32()?,
            _ => {}
        }
    }
    Ok(span)
}

/// Returns the counts whose differences these are, and their sum.
fn absolute(deltas: &[i64]) -> Result<(Vec<f64>, u64), HistogramError> {
    let (mut count, mut sum) = (0i64, 0u64);
    let mut counts = Vec::with_capacity(deltas.len());
    for delta in deltas {
        count = count.checked_add(*delta).ok_or(HistogramError::TooLarge)?;
        let whole = u64::try_from(count).map_err(|_| HistogramError::NegativeCount)?;
        sum = sum.checked_add(whole).ok_or(HistogramError::TooLarge)?;
        counts.push(count as f64);
    }
    Ok((counts, sum))
}

fn check_spans(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    let (mut end, mut len) = (0i64, 0u64);
    for (at, span) in spans.iter().enumerate() {
        if at > 0 && span.offset < 0 {
            return Err(HistogramError::NegativeOffset { span: at });
        }
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.len);
        len += u64::from(span.len);
        if start.abs() > INDEX_MAX || end > INDEX_MAX {
            return Err(HistogramError::BucketIndex);
        }
    }
    if len != buckets as u64 {
        return Err(HistogramError::BucketCount { spans: len, buckets });
    }
    Ok(())
}

fn check_custom(histogram: &Histogram) -> Result<(), HistogramError> {
    let bounds = &histogram.custom_bounds;
    let ascend = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascend || bounds.iter().any(|bound| bound.is_nan() || *bound == f64::INFINITY) {
        return Err(HistogramError::Bounds);
    }
    let has_negative =
        !histogram.negative_spans.is_empty() || !histogram.negative_buckets.is_empty();
    if has_negative || histogram.zero_count != 0.0 || histogram.zero_threshold != 0.0 {
        return Err(HistogramError::CustomNegative);
    }
    let ends = |spans: &[Span]| {
        spans.iter().map(|span| i64::from(span.offset) + i64::from(span.len)).sum::<i64>()
    };
    let begins_below = histogram.positive_spans.first().is_some_and(|span| span.offset < 0);
    if begins_below || ends(&histogram.positive_spans) > bounds.len() as i64 + 1 {
        return Err(HistogramError::CustomBuckets);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::proto::v2::histogram::{Count, ZeroCount};
    use super::super::proto::v2::{BucketSpan, Histogram as Sent};
    use super::*;

    fn integer() -> Sent {
        Sent {
            count: Some(Count::CountInt(12)),
            zero_count: Some(ZeroCount::ZeroCountInt(2)),
            sum: 18.4,
            schema: 1,
            zero_threshold: 0.001,
            positive_spans: vec![
                BucketSpan { offset: 0, length: 2 },
                BucketSpan { offset: 1, length: 2 },
            ],
            positive_deltas: vec![1, 1, -1, 0],
            negative_spans: vec![BucketSpan { offset: -3, length: 2 }],
            negative_deltas: vec![2, 1],
            reset_hint: 2,
            timestamp: 7,
            start_timestamp: 5,
            ..Sent::default()
        }
    }

    fn float() -> Sent {
        Sent {
            count: Some(Count::CountFloat(3.5)),
            zero_count: Some(ZeroCount::ZeroCountFloat(0.5)),
            positive_spans: vec![BucketSpan { offset: 4, length: 2 }],
            positive_counts: vec![1.0, 2.0],
            ..Sent::default()
        }
    }

    fn custom() -> Sent {
        Sent {
            count: Some(Count::CountInt(3)),
            schema: -53,
            positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
            positive_deltas: vec![1, 0, 0],
            custom_values: vec![0.5, 1.0],
            ..Sent::default()
        }
    }

    fn decode(sent: &Sent) -> Result<Histogram, HistogramError> {
        WireHistogram::decode(&sent.encode_to_vec()).unwrap().checked()
    }

    #[track_caller]
    fn refused(base: fn() -> Sent, change: impl Fn(&mut Sent), expected: HistogramError) {
        let mut sent = base();
        change(&mut sent);
        assert_eq!(decode(&sent), Err(expected));
    }

    #[test]
    fn counts_become_absolute() {
        let wire = WireHistogram::decode(&integer().encode_to_vec()).unwrap();
        assert_eq!((wire.time_ms, wire.start_ms), (7, 5));
        let expected = Histogram {
            kind: HistogramKind::Integer,
            schema: 1,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 12.0,
            sum: 18.4,
            positive_spans: vec![Span { offset: 0, len: 2 }, Span { offset: 1, len: 2 }],
            positive_buckets: vec![1.0, 2.0, 1.0, 1.0],
            negative_spans: vec![Span { offset: -3, len: 2 }],
            negative_buckets: vec![2.0, 3.0],
            custom_bounds: vec![],
            reset_hint: ResetHint::NotReset,
        };
        assert_eq!(wire.checked(), Ok(expected));
        let floats = decode(&float()).unwrap();
        assert_eq!((floats.kind, floats.count), (HistogramKind::Float, 3.5));
        assert_eq!(floats.positive_buckets, [1.0, 2.0]);
        assert_eq!(decode(&custom()).unwrap().custom_bounds, [0.5, 1.0]);
    }

    #[test]
    fn a_marker_of_staleness_is_valid() {
        let sent = Sent { sum: crate::series::STALE_NAN, ..Sent::default() };
        assert!(decode(&sent).unwrap().is_stale());
    }

    #[test]
    fn a_schema_too_fine_is_made_coarser() {
        let sent = Sent {
            schema: 9,
            positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
            positive_deltas: vec![1, 0],
            count: Some(Count::CountInt(2)),
            ..Sent::default()
        };
        let stored = decode(&sent).unwrap();
        assert_eq!((stored.schema, stored.positive_buckets), (8, vec![2.0]));
        let finest = Sent { schema: 52, ..sent };
        assert_eq!(decode(&finest).unwrap().positive_buckets, [2.0]);
    }

    #[test]
    fn nan_observations_are_in_no_bucket() {
        let mut sent = integer();
        (sent.sum, sent.count) = (f64::NAN, Some(Count::CountInt(13)));
        assert_eq!(decode(&sent).unwrap().count, 13.0);
        sent.count = Some(Count::CountInt(11));
        assert_eq!(decode(&sent), Err(HistogramError::Count { count: 11, buckets: 12 }));
    }

    #[test]
    fn invalid_ones_are_refused() {
        use HistogramError as E;
        let schema = |schema| move |sent: &mut Sent| sent.schema = schema;
        refused(integer, schema(-5), E::Schema { schema: -5 });
        refused(integer, schema(53), E::Schema { schema: 53 });
        refused(integer, |s| s.positive_deltas[0] = -1, E::NegativeCount);
        refused(
            integer,
            |s| s.count = Some(Count::CountInt(13)),
            E::Count { count: 13, buckets: 12 },
        );
        refused(integer, |s| s.positive_deltas.truncate(1), E::Count { count: 12, buckets: 8 });
        refused(
            integer,
            |s| s.positive_spans[1].length = 3,
            E::BucketCount { spans: 5, buckets: 4 },
        );
        refused(integer, |s| s.positive_spans[1].offset = -1, E::NegativeOffset { span: 1 });
        refused(integer, |s| s.positive_spans[0].offset = i32::MAX, E::BucketIndex);
        refused(integer, |s| s.negative_spans[0].offset = i32::MIN, E::BucketIndex);
        refused(integer, |s| s.positive_deltas = vec![i64::MAX, 1], E::TooLarge);
        refused(integer, |s| s.positive_deltas = vec![i64::MAX, 0, 0], E::TooLarge);
        refused(integer, |s| s.custom_values = vec![1.0], E::UnexpectedBounds);
        refused(float, |s| s.positive_counts[0] = -1.0, E::NegativeCount);
        refused(float, |s| s.count = Some(Count::CountFloat(-1.0)), E::NegativeCount);
        refused(float, |s| s.positive_counts.push(1.0), E::BucketCount { spans: 2, buckets: 3 });
        refused(custom, |s| s.custom_values = vec![1.0, 1.0], E::Bounds);
        refused(custom, |s| s.custom_values = vec![1.0, f64::INFINITY], E::Bounds);
        refused(custom, |s| s.custom_values = vec![f64::NAN], E::Bounds);
        refused(custom, |s| s.zero_threshold = 1.0, E::CustomNegative);
        refused(custom, |s| s.custom_values = vec![1.0], E::CustomBuckets);
        refused(custom, |s| s.positive_spans[0].offset = -1, E::CustomBuckets);
    }
}
