//! `load`: puts series into a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::series::{Description, SequenceValue, describe, label_set, start_offsets};
use crate::series::{CUSTOM_BUCKETS_SCHEMA, Histogram, Labels, METRIC_NAME, Span, parse_float};
use crate::store::Store;

/// The series of one `load`.
pub(super) struct Load {
    step_ms: i64,
    with_nhcb: bool,
    series: Vec<(Description, Vec<Option<i64>>)>,
    /// Start timestamps for the next line.
    starts: Option<(Labels, Vec<Option<i64>>)>,
}

/// A sample on its way into the store.
struct Stored {
    time_ms: i64,
    start_ms: i64,
    value: SequenceValue,
}

impl Load {
    pub(super) fn new(step_ms: i64, with_nhcb: bool) -> Load {
        Load { step_ms, with_nhcb, series: Vec::new(), starts: None }
    }

    pub(super) fn add(&mut self, line: &str) -> Result<(), String> {
        if let Ok((labels, rest)) = label_set(line)
            && let Some(offsets) = rest.strip_prefix("@st")
        {
            self.starts = Some((labels, start_offsets(offsets)?));
            return Ok(());
        }
        let described = describe(line)?;
        let starts = match self.starts.take() {
            Some((labels, _)) if labels != described.labels => {
                return Err(format!("start timestamps of {labels} are followed by another series"));
            }
            Some((labels, starts)) if starts.len() != described.values.len() => {
                return Err(format!("as many start timestamps as values are wanted for {labels}"));
            }
            Some((_, starts)) => starts,
            None => Vec::new(),
        };
        self.series.retain(|(known, _)| known.labels != described.labels);
        self.series.push((described, starts));
        Ok(())
    }

    /// Writes all series in one transaction.
    pub(super) fn store(&self, store: &Store) -> Result<(), String> {
        let mut appender = store.appender();
        let mut transaction = appender.begin();
        for (described, starts) in &self.series {
            let series = transaction.series(None, &described.labels);
            let mut before: Option<Arc<Histogram>> = None;
            for sample in self.samples(described, starts) {
                match sample.value {
                    SequenceValue::Blank => {}
                    SequenceValue::Float(value) => {
                        transaction.sample(series, sample.time_ms, value, sample.start_ms);
                        before = None;
                    }
                    SequenceValue::Histogram(histogram, _) => {
                        let mut stored = (*histogram).clone();
                        if let Some(before) = &before {
                            stored.reset_hint = stored.hint_after(before);
                        }
                        before = Some(histogram);
                        transaction.histogram(series, sample.time_ms, stored, sample.start_ms);
                    }
                }
            }
        }
        if self.with_nhcb {
            for (labels, histograms) in self.custom_histograms()? {
                let series = transaction.series(None, &labels);
                for (time_ms, histogram) in histograms {
                    transaction.histogram(series, time_ms, histogram, 0);
                }
            }
        }
        let committed = transaction.commit().map_err(|error| error.to_string())?;
        match committed.refused.first() {
            None => Ok(()),
            Some(refused) => Err(format!("{}: {}", refused.labels, refused.reason)),
        }
    }

    fn samples<'a>(
        &'a self,
        described: &'a Description,
        starts: &'a [Option<i64>],
    ) -> impl Iterator<Item = Stored> + 'a {
        described.values.iter().enumerate().map(|(at, value)| {
            let time_ms = at as i64 * self.step_ms;
            let start_ms = starts.get(at).copied().flatten().map_or(0, |offset| time_ms + offset);
            Stored { time_ms, start_ms, value: value.clone() }
        })
    }

    /// Makes native histograms with custom bounds of the classic ones.
    fn custom_histograms(&self) -> Result<Vec<Converted>, String> {
        let mut groups: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
        for (described, _) in &self.series {
            let labels = &described.labels;
            let name = labels.metric_name().unwrap_or("");
            let Some((base, part)) = name.rsplit_once('_') else { continue };
            if !matches!(part, "bucket" | "count" | "sum") {
                continue;
            }
            let bound = parse_float(labels.value_or_empty("le")).filter(|le| !le.is_nan());
            if part == "bucket" && bound.is_none() {
                continue;
            }
            let group = groups.entry(labels.with(METRIC_NAME, base).without(&["le"])).or_default();
            for sample in self.samples(described, &[]) {
                let SequenceValue::Float(value) = sample.value else { continue };
                let classic = group.entry(sample.time_ms).or_default();
                match (part, bound) {
                    ("bucket", Some(bound)) => classic.buckets.push((bound, value)),
                    ("count", _) => classic.count = Some(value),
                    _ => classic.sum = value,
                }
            }
        }
        let mut converted = Vec::new();
        for (labels, group) in groups {
            let mut histograms = BTreeMap::new();
            for (time_ms, classic) in group {
                histograms.insert(time_ms, classic.convert()?);
            }
            converted.push((labels, histograms));
        }
        Ok(converted)
    }
}

/// A series of native histograms, by time.
type Converted = (Labels, BTreeMap<i64, Histogram>);

/// The series of a classic histogram at one time.
#[derive(Default)]
struct Classic {
    /// Bound, and how many observations up to it.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    fn convert(mut self) -> Result<Histogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|a, b| a.0 == b.0);
        let highest = self.buckets.last().copied();
        let count = self.count.or(highest.map(|(_, count)| count)).unwrap_or(0.0);
        if highest.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let mut counts = Vec::with_capacity(self.buckets.len());
        for (bound, up_to) in &self.buckets {
            if *up_to < before {
                return Err(format!("counts of a histogram go down at le={bound}"));
            }
            counts.push(up_to - before);
            before = *up_to;
        }
        if before != count {
            return Err(format!("a histogram counts {before} in its buckets and {count} in all"));
        }
        let bounds = self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite());
        Ok(Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, len: counts.len() as u32 }],
            positive_buckets: counts,
            custom_bounds: bounds.collect(),
            ..Histogram::default()
        }
        .compacted())
    }
}
