//! `smoothed` selectors: the value between two samples.

use std::sync::Arc;

use crate::promql::ast::VectorSelector;
use crate::promql::engine::Value;
use crate::promql::functions::{Remarks, interpolated};
use crate::series::{Histogram, ResetHint};

use super::{Answer, Evaluator, Row, View};

impl Evaluator<'_> {
    /// Evaluates a selector to values interpolated between the samples before and after each step,
    /// both within the lookback.
    pub(super) fn select_smoothed(&self, selector: &VectorSelector) -> Answer<Vec<Row>> {
        self.each_around(selector, &|ranges| {
            let remarks = Remarks { ev: self, ranges };
            let column = ranges.column(|view| {
                if view.is_mixed() {
                    remarks.mixed_kinds();
                    return None;
                }
                if view.values.is_empty() { histogram(&remarks, &view) } else { float(&view) }
            });
            self.row(ranges.labels, column)
        })
    }
}

fn float(view: &View<'_>) -> Option<Value> {
    let (times, values, now) = (view.times_ms, view.values, view.end_ms);
    let at = times.partition_point(|time_ms| *time_ms < now);
    if times.get(at) == Some(&now) {
        return Some(Value::Float(values[at]));
    }
    let before = at.checked_sub(1)?;
    if at == times.len() {
        return Some(Value::Float(values[before]));
    }
    let share = (now - times[before]) as f64 / (times[at] - times[before]) as f64;
    Some(Value::Float(values[before] + (values[at] - values[before]) * share))
}

fn histogram(remarks: &Remarks<'_, '_>, view: &View<'_>) -> Option<Value> {
    let (points, now) = (view.histograms, view.end_ms);
    let at = points.partition_point(|point| point.time_ms < now);
    if let Some(point) = points.get(at).filter(|point| point.time_ms == now) {
        return Some(Value::Histogram(point.histogram.clone()));
    }
    let before = &points[at.checked_sub(1)?];
    let Some(after) = points.get(at) else {
        // What is said of a reset holds between samples, not for a value carried on.
        let held = Histogram { reset_hint: ResetHint::Unknown, ..(*before.histogram).clone() };
        return Some(Value::Histogram(Arc::new(held)));
    };
    if before.histogram.has_custom_bounds() != after.histogram.has_custom_bounds() {
        remarks.mixed_schemas();
        return None;
    }
    let gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    let counter = !(gauge(&before.histogram) && gauge(&after.histogram));
    interpolated(remarks, before, after, now, counter)
        .map(|histogram| Value::Histogram(Arc::new(histogram)))
}
