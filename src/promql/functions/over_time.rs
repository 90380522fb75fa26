//! `…_over_time`: aggregations of each series' samples in a range.

use std::sync::Arc;

use parking_lot::Mutex;

use super::rate::Remarks;
use super::{Evaluated, Evaluator, QueryError, label};
use crate::promql::ast::Call;
use crate::promql::engine::Value;
use crate::promql::eval::{Column, Level, Ranges, Row, View};
use crate::promql::literal::quote;
use crate::promql::numeric::quantile;
use crate::series::{HistogramSum, Kahan, Mean};

type Answer = Result<Evaluated, QueryError>;

/// Applies a function to the floats of each range; histograms beside them are noted and ignored.
pub(super) fn floats(
    ev: &Evaluator<'_>,
    call: &Call,
    each: impl Fn(&View<'_>) -> f64 + Sync,
) -> Answer {
    let rows = ev.over_ranges(call, 0, &|ranges| {
        Ok(ranges.floats_where(|view| {
            if view.values.is_empty() {
                return None;
            }
            note_ignored(ev, ranges, view);
            Some(each(view))
        }))
    })?;
    Ok(Evaluated::Vector(rows))
}

/// Applies a function to each range, whatever is in it.
pub(super) fn any(
    ev: &Evaluator<'_>,
    call: &Call,
    each: impl Fn(&View<'_>) -> f64 + Sync,
) -> Answer {
    let rows = ev.over_ranges(call, 0, &|ranges| Ok(ranges.floats(&each)))?;
    Ok(Evaluated::Vector(rows))
}

pub(super) fn note_ignored(ev: &Evaluator<'_>, ranges: &Ranges<'_>, view: &View<'_>) {
    if !view.histograms.is_empty() {
        let text = format!(
            "ignored histograms in a range containing both floats and histograms for metric name {}",
            quote(ranges.name)
        );
        ev.note(Level::Info, text, ranges.span);
    }
}

/// `min_over_time` and `max_over_time`: with a queue of candidates, so that each sample is looked
/// at once however wide the range is.
pub(super) fn extreme(ev: &Evaluator<'_>, call: &Call, beats: fn(f64, f64) -> bool) -> Answer {
    let rows = ev.over_ranges(call, 0, &|ranges| {
        let values = &ranges.points.values;
        // Indices whose values may still become the answer, best first.
        let mut queue: std::collections::VecDeque<usize> = std::collections::VecDeque::new();
        let mut next = 0;
        let mut last_nan = None;
        Ok(ranges.floats_where(|view| {
            if view.values.is_empty() {
                return None;
            }
            note_ignored(ev, ranges, view);
            let end = view.first + view.values.len();
            while next < end {
                if values[next].is_nan() {
                    last_nan = Some(next);
                } else {
                    while queue.back().is_some_and(|back| !beats(values[*back], values[next])) {
                        queue.pop_back();
                    }
                    queue.push_back(next);
                }
                next += 1;
            }
            while queue.front().is_some_and(|front| *front < view.first) {
                queue.pop_front();
            }
            let best = queue.front().copied().or(last_nan)?;
            Some(values[best])
        }))
    })?;
    Ok(Evaluated::Vector(rows))
}

/// The time of the last sample that no other beats.
pub(super) fn time_of_extreme(view: &View<'_>, reaches: fn(f64, f64) -> bool) -> f64 {
    let mut best = 0;
    for (at, value) in view.values.iter().enumerate() {
        if reaches(*value, view.values[best]) || view.values[best].is_nan() {
            best = at;
        }
    }
    seconds(view.times_ms[best])
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1000.0
}

/// The time of the first or the last sample.
pub(super) fn time_of_end(view: &View<'_>, last: bool) -> f64 {
    let (float, histogram) = if last {
        (view.times_ms.last(), view.histograms.last())
    } else {
        (view.times_ms.first(), view.histograms.first())
    };
    let times = float.copied().into_iter().chain(histogram.map(|point| point.time_ms));
    let time_ms = if last { times.max() } else { times.min() };
    seconds(time_ms.unwrap_or(0))
}

/// `first_over_time` and `last_over_time`.
pub(super) fn end(ev: &Evaluator<'_>, call: &Call, last: bool) -> Answer {
    let rows = ev.over_ranges(call, 0, &|ranges| {
        Ok(ranges.column(|view| {
            let (at, histogram) = if last {
                (view.values.len().checked_sub(1), view.histograms.last())
            } else {
                ((!view.values.is_empty()).then_some(0), view.histograms.first())
            };
            let float = at.map(|at| (view.times_ms[at], view.values[at]));
            match (float, histogram) {
                (None, None) => None,
                (Some((time_ms, value)), Some(point)) => {
                    let float_wins =
                        if last { time_ms > point.time_ms } else { time_ms < point.time_ms };
                    Some(if float_wins {
                        Value::Float(value)
                    } else {
                        Value::Histogram(point.histogram.clone())
                    })
                }
                (Some((_, value)), None) => Some(Value::Float(value)),
                (None, Some(point)) => Some(Value::Histogram(point.histogram.clone())),
            }
        }))
    })?;
    Ok(Evaluated::Vector(rows))
}

/// `sum_over_time` and `avg_over_time`.
pub(super) fn sum(ev: &Evaluator<'_>, call: &Call, mean: bool) -> Answer {
    let rows = ev.over_ranges(call, 0, &|ranges| {
        let remarks = Remarks { ev, ranges };
        Ok(ranges.column(|view| {
            if view.is_mixed() {
                remarks.mixed_kinds();
                return None;
            }
            if view.values.is_empty() {
                return sum_of_histograms(&remarks, &view, mean);
            }
            Some(Value::Float(if mean { mean_of(view.values) } else { sum_of(view.values) }))
        }))
    })?;
    Ok(Evaluated::Vector(rows))
}

fn sum_of(values: &[f64]) -> f64 {
    let mut sum = Kahan::default();
    for value in values {
        sum.add(*value);
    }
    sum.sum()
}

fn mean_of(values: &[f64]) -> f64 {
    let mut mean = Mean::default();
    for value in values {
        mean.add(*value);
    }
    mean.mean()
}

fn sum_of_histograms(remarks: &Remarks<'_, '_>, view: &View<'_>, mean: bool) -> Option<Value> {
    let mut sum = HistogramSum::default();
    for point in view.histograms {
        if sum.add(&point.histogram).is_err() {
            remarks.mixed_schemas();
            return None;
        }
    }
    remarks.ev.note_histograms(sum.notice(), "aggregation", remarks.ranges.span);
    let histogram = if mean { sum.mean() } else { sum.total() }?;
    Some(Value::Histogram(Arc::new(histogram)))
}

/// The variance, with compensation (upstream's variant of Welford's method).
pub(super) fn variance(view: &View<'_>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Kahan::default(), Kahan::default());
    for value in view.values {
        count += 1.0;
        let delta = value - mean.sum();
        mean.add(delta / count);
        squares.add(delta * (value - mean.sum()));
    }
    squares.sum() / count
}

/// The median of the distances from the median.
pub(super) fn median_deviation(view: &View<'_>) -> f64 {
    if view.values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let mut values = view.values.to_vec();
    let median = quantile(0.5, &mut values);
    for value in &mut values {
        *value = (*value - median).abs();
    }
    quantile(0.5, &mut values)
}

/// `quantile_over_time`.
pub(super) fn quantile_over_time(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let quantiles = ev.scalar(&call.args[0])?;
    let rows = ev.over_ranges(call, 1, &|ranges| {
        let mut values = Vec::new();
        Ok(ranges.floats_where(|view| {
            if view.values.is_empty() {
                return None;
            }
            let q = quantiles[view.step];
            ev.note_bad_quantiles(&[q], call.args[0].span());
            note_ignored(ev, ranges, view);
            values.clear();
            values.extend_from_slice(view.values);
            Some(quantile(q, &mut values))
        }))
    })?;
    Ok(Evaluated::Vector(rows))
}

/// `absent_over_time`: 1 where no series has a sample.
pub(super) fn absent_over_time(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let column = Mutex::new(Column::of_floats(vec![1.0; ev.steps.count]));
    ev.over_ranges(call, 0, &|ranges| {
        let mut column = column.lock();
        ranges.views().for_each(|view| column.clear(view.step));
        Ok(Column::absent(ev.steps.count))
    })?;
    Ok(Evaluated::Vector(absent_row(call, column.into_inner())))
}

/// `absent`: 1 where a vector has no element.
pub(super) fn absent(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let rows = ev.vector(&call.args[0])?;
    let mut column = Column::of_floats(vec![1.0; ev.steps.count]);
    for row in rows {
        for step in 0..ev.steps.count {
            if row.column.is_present(step) {
                column.clear(step);
            }
        }
    }
    Ok(Evaluated::Vector(absent_row(call, column)))
}

fn absent_row(call: &Call, column: Column) -> Vec<Row> {
    if column.is_empty() {
        return Vec::new();
    }
    vec![Row { labels: label::absent_labels(&call.args[0]), drop_name: false, column }]
}
