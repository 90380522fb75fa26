//! The values of one series at every step.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::promql::engine::{QueryError, Value};
use crate::series::{Histogram, Labels, STALE_NAN, is_stale};

/// Stands where a step has no float. No result is ever a staleness marker, and arithmetic cannot
/// make one (it yields quiet NaNs only), so its bits are free to mean this.
pub(in crate::promql) const ABSENT: f64 = STALE_NAN;

/// One value, or none, for each step: a float, or a native histogram.
#[derive(Clone, Debug, Default)]
pub(in crate::promql) struct Column {
    /// One for each step, [`ABSENT`] where there is none.
    pub(in crate::promql) floats: Vec<f64>,
    /// One for each step, or empty when there is none at all, which is nearly always.
    pub(in crate::promql) histograms: Vec<Option<Arc<Histogram>>>,
}

/// One series of an instant vector, over all steps.
#[derive(Clone, Debug)]
pub(in crate::promql) struct Row {
    pub(in crate::promql) labels: Labels,
    /// The metric name goes at the end of the evaluation (delayed name removal).
    pub(in crate::promql) drop_name: bool,
    pub(in crate::promql) column: Column,
}

impl Column {
    pub(in crate::promql) fn absent(count: usize) -> Column {
        Column { floats: vec![ABSENT; count], histograms: Vec::new() }
    }

    pub(in crate::promql) fn of_floats(floats: Vec<f64>) -> Column {
        Column { floats, histograms: Vec::new() }
    }

    pub(in crate::promql) fn float(&self, step: usize) -> Option<f64> {
        let value = self.floats[step];
        (!is_stale(value)).then_some(value)
    }

    pub(in crate::promql) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.get(step)?.as_ref()
    }

    pub(in crate::promql) fn get(&self, step: usize) -> Option<Value> {
        match self.histogram(step) {
            Some(histogram) => Some(Value::Histogram(histogram.clone())),
            None => self.float(step).map(Value::Float),
        }
    }

    pub(in crate::promql) fn is_present(&self, step: usize) -> bool {
        !is_stale(self.floats[step]) || self.histogram(step).is_some()
    }

    pub(in crate::promql) fn set(&mut self, step: usize, value: Value) {
        match value {
            Value::Float(value) => self.floats[step] = value,
            Value::Histogram(histogram) => {
                if self.histograms.is_empty() {
                    self.histograms.resize(self.floats.len(), None);
                }
                self.histograms[step] = Some(histogram);
            }
        }
    }

    pub(in crate::promql) fn clear(&mut self, step: usize) {
        self.floats[step] = ABSENT;
        if let Some(histogram) = self.histograms.get_mut(step) {
            *histogram = None;
        }
    }

    pub(in crate::promql) fn is_empty(&self) -> bool {
        self.floats.iter().all(|value| is_stale(*value))
            && self.histograms.iter().all(Option::is_none)
    }

    pub(in crate::promql) fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// Returns how many samples it counts for against the limit of a query: its values, and at
    /// least half its length, since a place takes half the memory that the limit allows a sample.
    pub(in crate::promql) fn cost(&self) -> usize {
        let floats = self.floats.iter().filter(|value| !is_stale(**value)).count();
        let histograms: usize =
            self.histograms.iter().flatten().map(|histogram| histogram_cost(histogram)).sum();
        floats.max(self.floats.len() / 2) + histograms
    }

    /// Applies `change` to every float and drops the histograms.
    pub(in crate::promql) fn map_floats(&mut self, change: impl Fn(usize, f64) -> f64) {
        self.histograms = Vec::new();
        for (step, value) in self.floats.iter_mut().enumerate() {
            if !is_stale(*value) {
                *value = change(step, *value);
            }
        }
    }

    /// Spreads the one step over `count`.
    fn spread(&mut self, count: usize) {
        let value = self.floats[0];
        self.floats.resize(count, value);
        if let Some(histogram) = self.histograms.first().cloned() {
            self.histograms.resize(count, histogram);
        }
    }

    /// Takes over what `other` has; returns whether both had something at a step.
    fn merge(&mut self, other: &Column) -> bool {
        for step in 0..self.floats.len() {
            if let Some(value) = other.get(step) {
                if self.is_present(step) {
                    return true;
                }
                self.set(step, value);
            }
        }
        false
    }
}

/// A histogram counts as many samples as floats take its bytes, as upstream counts.
pub(in crate::promql) fn histogram_cost(histogram: &Histogram) -> usize {
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    let floats = histogram.positive_buckets.len()
        + histogram.negative_buckets.len()
        + histogram.custom_bounds.len();
    (168 + 8 * (spans + floats)) / 16
}

/// Spreads rows of one step over `count` steps.
pub(in crate::promql) fn spread(rows: &mut [Row], count: usize) {
    for row in rows {
        row.column.spread(count);
    }
}

/// Puts rows with equal labels into one; an error where two have a value at the same step.
pub(in crate::promql) fn merge_equal_labels(rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    if rows.len() < 2 {
        return Ok(rows);
    }
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(rows.len());
    let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match places.get(&row.labels) {
            None => {
                places.insert(row.labels.clone(), merged.len());
                merged.push(row);
            }
            Some(place) => {
                if merged[*place].column.merge(&row.column) {
                    return Err(same_labelset());
                }
            }
        }
    }
    Ok(merged)
}

/// Fails if two rows have equal labels, at whatever steps.
pub(in crate::promql) fn refuse_equal_labels(rows: &[Row]) -> Result<(), QueryError> {
    let mut seen = hashbrown::HashSet::with_capacity(rows.len());
    if rows.iter().all(|row| seen.insert(&row.labels)) { Ok(()) } else { Err(same_labelset()) }
}

fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}
