/// The schema that marks custom bucket bounds (native histograms with custom buckets).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// A native histogram with absolute bucket counts.
///
/// Source: the native histogram specification (https://prometheus.io/docs/specs/native_histograms).
/// Integer histograms are kept as floats, as upstream does once they are queried; `kind` remembers
/// what was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// What the sender counted with.
    pub kind: HistogramKind,
    /// Resolution, -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Half width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of the observations; the staleness marker ends the series.
    pub sum: f64,
    /// Which positive buckets there are.
    pub positive_spans: Vec<Span>,
    /// Their counts, one per bucket of the spans.
    pub positive_buckets: Vec<f64>,
    /// Which negative buckets there are.
    pub negative_spans: Vec<Span>,
    /// Their counts, one per bucket of the spans.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of the custom buckets, without +Inf, ascending.
    pub custom_bounds: Vec<f64>,
    /// What is known of a counter reset before this histogram.
    pub reset_hint: ResetHint,
}

/// Integer or float counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramKind {
    /// Whole observations.
    Integer,
    /// Weighted or computed observations.
    #[default]
    Float,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Gap to the end of the span before; in the first span the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub len: u32,
}

/// What the sender says of a counter reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    /// Nothing: compare to find out.
    #[default]
    Unknown,
    /// This histogram starts anew.
    Reset,
    /// This histogram goes on from the one before.
    NotReset,
    /// A gauge histogram: it may go up and down.
    Gauge,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            kind: HistogramKind::Float,
            schema: 0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_spans: Vec::new(),
            positive_buckets: Vec::new(),
            negative_spans: Vec::new(),
            negative_buckets: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: ResetHint::Unknown,
        }
    }
}

impl Histogram {
    /// Returns whether this is a staleness marker.
    pub fn is_stale(&self) -> bool {
        super::is_stale(self.sum)
    }

    /// Returns the histogram that marks a series as stale.
    pub fn stale() -> Histogram {
        Histogram { sum: super::STALE_NAN, ..Histogram::default() }
    }

    /// Returns whether the bounds are custom.
    pub fn has_custom_bounds(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Returns the upper bound, inclusive, of the positive bucket with this index; its lower bound is
    /// the upper one of the index before. Negative buckets mirror the positive ones.
    pub fn upper_bound(&self, index: i32) -> f64 {
        if !self.has_custom_bounds() {
            return super::bounds::exponential_upper_bound(self.schema, index);
        }
        match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(index) => self.custom_bounds.get(index).copied().unwrap_or(f64::INFINITY),
        }
    }

    /// Returns whether both are the same to the bit, NaN included.
    pub fn bits_equal(&self, other: &Histogram) -> bool {
        let bits = |values: &[f64], others: &[f64]| {
            values.len() == others.len()
                && values.iter().zip(others).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        self.kind == other.kind
            && self.schema == other.schema
            && self.reset_hint == other.reset_hint
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && bits(
                &[self.zero_threshold, self.zero_count, self.count, self.sum],
                &[other.zero_threshold, other.zero_count, other.count, other.sum],
            )
            && bits(&self.positive_buckets, &other.positive_buckets)
            && bits(&self.negative_buckets, &other.negative_buckets)
            && bits(&self.custom_bounds, &other.custom_bounds)
    }
}
