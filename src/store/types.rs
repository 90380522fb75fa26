use std::fmt;

use crate::series::Labels;

/// What is known of a metric, besides its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricMetadata {
    /// Its type.
    pub kind: MetricType,
    /// What it says.
    pub help: String,
    /// Its unit.
    pub unit: String,
}

/// The type of a metric (remote write 2.0, `Metadata.MetricType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricType {
    /// Not said.
    #[default]
    Unknown,
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets of a distribution.
    Histogram,
    /// A histogram whose buckets go up and down.
    GaugeHistogram,
    /// Quantiles of a distribution.
    Summary,
    /// Labels with the constant value 1.
    Info,
    /// One of several states.
    StateSet,
}

impl MetricType {
    /// Every type, in the order of their numbers on the wire.
    pub const ALL: [MetricType; 8] = [
        MetricType::Unknown,
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
        MetricType::GaugeHistogram,
        MetricType::Summary,
        MetricType::Info,
        MetricType::StateSet,
    ];

    /// Returns the type with this number on the wire; unknown where there is none.
    pub fn from_wire(number: u64) -> MetricType {
        let at = usize::try_from(number).unwrap_or(0);
        MetricType::ALL.get(at).copied().unwrap_or_default()
    }

    /// Returns the word that the metadata API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricType::Unknown => "unknown",
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::GaugeHistogram => "gaugehistogram",
            MetricType::Summary => "summary",
            MetricType::Info => "info",
            MetricType::StateSet => "stateset",
        }
    }
}

/// A sample singled out as an example of what was counted, with the trace it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its own labels, a trace id as a rule.
    pub labels: Labels,
    /// The value that was observed.
    pub value: f64,
    /// When, ms.
    pub time_ms: i64,
}

impl Exemplar {
    /// Returns whether both are the same to the bit.
    pub fn bits_equal(&self, other: &Exemplar) -> bool {
        self.time_ms == other.time_ms
            && self.value.to_bits() == other.value.to_bits()
            && self.labels == other.labels
    }
}

/// What became of a transaction that was committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// Floats accepted; exact duplicates count.
    pub samples: usize,
    /// Native histograms accepted; exact duplicates count.
    pub histograms: usize,
    /// Exemplars accepted; exact duplicates count.
    pub exemplars: usize,
    /// What was refused, in order; the rest was stored.
    pub refused: Vec<Refused>,
}

/// A sample, histogram or exemplar that was refused, for good: sending it again is of no use.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The labels of its series.
    pub labels: Labels,
    /// Its time, ms.
    pub time_ms: i64,
    /// What it was.
    pub what: RefusedKind,
    /// Why it was refused.
    pub reason: RefusedReason,
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    /// A float.
    Sample,
    /// A native histogram.
    Histogram,
    /// An exemplar.
    Exemplar,
}

/// Why a sample was refused; prints upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// Another value, or one of another kind, is stored at this time.
    Duplicate,
    /// Older than the series' newest, and there is no out-of-order window.
    OutOfOrder,
    /// Older than the out-of-order window reaches.
    TooOld,
    /// Too far in the future, or before what can still be written.
    OutOfBounds,
}

impl fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusedReason::Duplicate => "duplicate sample for timestamp",
            RefusedReason::OutOfOrder => "out of order sample",
            RefusedReason::TooOld => "too old sample",
            RefusedReason::OutOfBounds => "out of bounds",
        })
    }
}
