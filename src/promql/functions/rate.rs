//! `rate`, `increase`, `delta`, `irate`, `idelta`, `resets`, `changes`.

use std::sync::Arc;

use super::{Evaluated, Evaluator, QueryError};
use crate::promql::ast::{Call, RangeMode};
use crate::promql::engine::Value;
use crate::promql::eval::{Column, Level, Ranges, View};
use crate::promql::literal::quote;
use crate::series::{Histogram, HistogramPoint, ResetHint, is_stale};

type Answer = Result<Evaluated, QueryError>;

/// Which of the family.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Only goes up, but for resets.
    pub(super) counter: bool,
    /// Per second.
    pub(super) per_second: bool,
}

pub(super) const RATE: Kind = Kind { counter: true, per_second: true };
pub(super) const INCREASE: Kind = Kind { counter: true, per_second: false };
pub(super) const DELTA: Kind = Kind { counter: false, per_second: false };
pub(super) const IRATE: Kind = RATE;
pub(super) const IDELTA: Kind = DELTA;

/// What can be noted about the samples of one series.
pub(in crate::promql) struct Remarks<'a, 'q> {
    pub(in crate::promql) ev: &'a Evaluator<'q>,
    pub(in crate::promql) ranges: &'a Ranges<'a>,
}

impl Remarks<'_, '_> {
    pub(super) fn warn(&self, text: &str) {
        let text = format!("{text} {}", quote(self.ranges.name));
        self.ev.note(Level::Warning, text, self.ranges.span);
    }

    pub(in crate::promql) fn mixed_kinds(&self) {
        self.warn("encountered a mix of histograms and floats for metric name");
    }

    pub(in crate::promql) fn mixed_schemas(&self) {
        self.warn(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name",
        );
    }

    pub(super) fn not_counter(&self) {
        self.warn("this native histogram metric is not a counter:");
    }

    pub(super) fn not_gauge(&self) {
        self.warn("this native histogram metric is not a gauge:");
    }

    fn reconciled(&self, what: &str) {
        let text = format!("mismatched custom buckets were reconciled during {what}");
        self.ev.note(Level::Info, text, self.ranges.span);
    }

    fn start_overlaps(&self) {
        let text = format!(
            "sample has start time that overlaps with previous sample timestamp for metric {}",
            quote(self.ranges.name)
        );
        self.ev.note(Level::Warning, text, self.ranges.span);
    }

    /// Subtracts, noting what comes up.
    pub(super) fn minus(&self, left: &Histogram, right: &Histogram) -> Option<Histogram> {
        let Ok((difference, notice)) = left.minus(right) else {
            self.mixed_schemas();
            return None;
        };
        if notice.bounds_reconciled {
            self.reconciled("subtraction");
        }
        Some(difference)
    }

    /// Adds, noting what comes up.
    pub(super) fn plus(&self, left: &Histogram, right: &Histogram) -> Option<Histogram> {
        let Ok((sum, notice)) = left.plus(right) else {
            self.mixed_schemas();
            return None;
        };
        if notice.bounds_reconciled {
            self.reconciled("addition");
        }
        Some(sum)
    }
}

/// `rate`, `increase` and `delta`.
pub(super) fn extrapolated(ev: &Evaluator<'_>, call: &Call, kind: Kind) -> Answer {
    let rows = ev.over_ranges(call, 0, &|ranges| {
        let remarks = Remarks { ev, ranges };
        if ranges.mode != RangeMode::Plain {
            let column = super::extended::column(&remarks, kind);
            if kind.counter {
                note_non_counter(ev, ranges, &column);
            }
            return Ok(column);
        }
        let resets = if kind.counter { resets_of(ev, ranges) } else { Vec::new() };
        let column = if ranges.points.histograms.is_empty() {
            ranges.floats_where(|view| float_rate(&remarks, view, &resets, kind))
        } else {
            ranges.column(|view| {
                if view.is_mixed() {
                    remarks.mixed_kinds();
                    return None;
                }
                if view.values.is_empty() {
                    histogram_rate(&remarks, &view, kind)
                } else {
                    float_rate(&remarks, &view, &resets, kind).map(Value::Float)
                }
            })
        };
        if kind.counter {
            note_non_counter(ev, ranges, &column);
        }
        Ok(column)
    })?;
    Ok(Evaluated::Vector(rows))
}

/// Notes a metric that does not look like a counter, by its name or its type.
fn note_non_counter(ev: &Evaluator<'_>, ranges: &Ranges<'_>, column: &Column) {
    let name = ranges.name;
    if column.floats.iter().all(|value| is_stale(*value)) {
        return;
    }
    let counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end));
    if !name.is_empty() && !counter {
        let text = format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
            quote(name)
        );
        ev.note(Level::Info, text, ranges.span);
    }
}

/// Returns the indices of the floats before which the counter was reset.
fn resets_of(ev: &Evaluator<'_>, ranges: &Ranges<'_>) -> Vec<usize> {
    /// So many are looked at together, since most counters are never reset.
    const LOOKED_AT: usize = 64;
    let points = ranges.points;
    let values = &points.values[..];
    let mut resets = Vec::new();
    if ev.features().start_timestamps && !points.starts_ms.is_empty() {
        resets.extend((1..values.len()).filter(|at| {
            values[*at] < values[at - 1] || started_anew(&points.times_ms, &points.starts_ms, *at)
        }));
        return resets;
    }
    for first in (1..values.len()).step_by(LOOKED_AT) {
        let end = values.len().min(first + LOOKED_AT);
        let pairs = || values[first - 1..end - 1].iter().zip(&values[first..end]);
        if pairs().filter(|(before, value)| value < before).count() > 0 {
            let falls = pairs().enumerate().filter(|(_, (before, value))| value < before);
            resets.extend(falls.map(|(at, _)| first + at));
        }
    }
    resets
}

/// Returns whether the start timestamp of a sample says that its counter began after the sample
/// before.
fn started_anew(times_ms: &[i64], starts_ms: &[i64], at: usize) -> bool {
    let Some((before, start)) = starts_ms.get(at - 1).zip(starts_ms.get(at)) else { return false };
    is_new_start(*before, times_ms[at - 1], *start, times_ms[at])
}

fn is_new_start(start_before: i64, time_before: i64, start: i64, time: i64) -> bool {
    if start == 0 || start >= time || start < time_before {
        return false;
    }
    if start > time_before {
        return true;
    }
    // It begins with the sample before: new for deltas, not for a counter whose start is unknown.
    start_before != 0 && start_before < time_before
}

#[inline]
fn float_rate(
    remarks: &Remarks<'_, '_>,
    view: &View<'_>,
    resets: &[usize],
    kind: Kind,
) -> Option<f64> {
    let (first, last) = (view.values[0], view.values[view.values.len() - 1]);
    let starts = if remarks.ev.features().start_timestamps { view.starts_ms } else { &[] };
    let mut grown = last - first;
    if kind.counter {
        if !resets.is_empty() {
            let inside = &resets[resets.partition_point(|at| *at <= view.first)..];
            for at in inside.iter().take_while(|at| **at < view.first + view.values.len()) {
                grown += view.values[at - 1 - view.first];
            }
        }
        if !starts.is_empty() {
            note_overlap(remarks, view.times_ms, starts);
        }
    }
    let edges = Edges {
        first_ms: view.times_ms[0],
        last_ms: view.times_ms[view.times_ms.len() - 1],
        count: view.values.len(),
        start_ms: starts.first().copied().unwrap_or(0),
        first,
    };
    let (factor, from_start) = factor(remarks.ranges, view, kind, &edges, |from_start| {
        grown + if from_start { first } else { 0.0 }
    })?;
    Some((grown + if from_start { first } else { 0.0 }) * factor)
}

fn note_overlap(remarks: &Remarks<'_, '_>, times_ms: &[i64], starts_ms: &[i64]) {
    let overlaps = (1..starts_ms.len()).any(|at| {
        let (before, start) = (starts_ms[at - 1], starts_ms[at]);
        start != 0 && start < times_ms[at - 1] && start != before
    });
    if overlaps {
        remarks.start_overlaps();
    }
}

/// The ends of what a range sees.
struct Edges {
    first_ms: i64,
    last_ms: i64,
    count: usize,
    /// Start timestamp of the first sample, 0: none.
    start_ms: i64,
    /// The first sample's value, or count of observations.
    first: f64,
}

/// An end of the range is near if it is within so many intervals between samples.
const NEAR: f64 = 1.1;

/// So much more than the limit leaves no doubt, whatever the roundings.
const FAR_FROM_ZERO: f64 = 1.0 + 1e-9;

/// By what the growth between first and last sample is to be multiplied, and whether growth counts
/// from the counter's start. The growth is extrapolated to the ends of the range if samples come
/// near them, else by half an interval between samples, and not below zero (upstream's method).
#[inline]
fn factor(
    ranges: &Ranges<'_>,
    view: &View<'_>,
    kind: Kind,
    edges: &Edges,
    grown: impl Fn(bool) -> f64,
) -> Option<(f64, bool)> {
    let between = |from: i64, to: i64| (to - from) as f64;
    // All in ms, which are whole numbers: only the quotient of two of them counts.
    let mut to_start = between(view.start_ms, edges.first_ms);
    let mut to_end = between(edges.last_ms, view.end_ms);
    let mut sampled = between(edges.first_ms, edges.last_ms);
    let intervals = (edges.count as i64 - 1) as f64;
    let start_ms = edges.start_ms;
    let from_start =
        kind.counter && start_ms != 0 && start_ms > view.start_ms && start_ms < edges.first_ms;
    if edges.count < 2 && !from_start {
        return None;
    }
    // Of that many intervals between samples; with one sample there is none.
    let interval = || if intervals > 0.0 { sampled / intervals } else { 0.0 };
    let is_far = |gap: f64| {
        // Nearly always seen without dividing.
        let (gaps, limit) = (gap * intervals, sampled * NEAR);
        if intervals > 0.0 && (gaps - limit).abs() > limit * 1e-9 {
            gaps > limit
        } else {
            gap >= interval() * NEAR
        }
    };
    let (half, is_end_far) = (|| interval() / 2.0, is_far(to_end));
    if is_end_far {
        to_end = half();
    }
    if from_start {
        to_start = 0.0;
        sampled = between(start_ms, edges.last_ms);
    } else {
        if is_far(to_start) {
            to_start = half();
        }
        let grown = grown(false);
        // A counter that is far from zero, as nearly all are, is seen to be so without dividing.
        if kind.counter
            && grown > 0.0
            && edges.first >= 0.0
            && sampled * edges.first <= to_start * grown * FAR_FROM_ZERO
        {
            to_start = to_start.min(sampled * (edges.first / grown));
        }
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if kind.per_second {
        factor /= ranges.range_ms as f64 / 1000.0;
    }
    Some((factor, from_start))
}

fn histogram_rate(remarks: &Remarks<'_, '_>, view: &View<'_>, kind: Kind) -> Option<Value> {
    let points = view.histograms;
    let uses_starts = remarks.ev.features().start_timestamps;
    let grown = if points.len() > 1 {
        Some(histogram_growth(remarks, points, kind, uses_starts)?)
    } else {
        None
    };
    let (first, last) = (&points[0], &points[points.len() - 1]);
    let edges = Edges {
        first_ms: first.time_ms,
        last_ms: last.time_ms,
        count: points.len(),
        start_ms: if uses_starts { first.start_ms } else { 0 },
        first: first.histogram.count,
    };
    let count = grown.as_ref().map_or(0.0, |grown| grown.count);
    let (factor, from_start) = factor(remarks.ranges, view, kind, &edges, |_| count)?;
    let grown = match (grown, from_start) {
        (Some(grown), true) => remarks.plus(&grown, &first.histogram)?,
        (Some(grown), false) => grown,
        (None, _) => (*first.histogram).clone(),
    };
    Some(Value::Histogram(Arc::new(grown.scaled(factor))))
}

fn histogram_growth(
    remarks: &Remarks<'_, '_>,
    points: &[HistogramPoint],
    kind: Kind,
    uses_starts: bool,
) -> Option<Histogram> {
    let is_gauge = |point: &HistogramPoint| point.histogram.reset_hint == ResetHint::Gauge;
    let (first, last) = (&points[0], &points[points.len() - 1]);
    let anew = |at: usize| {
        let (before, point) = (&points[at - 1], &points[at]);
        uses_starts && is_new_start(before.start_ms, before.time_ms, point.start_ms, point.time_ms)
    };
    if kind.counter && points.iter().any(is_gauge) {
        remarks.not_counter();
    }
    // After a reset right behind the first sample its layout does not matter.
    let second = &points[1].histogram;
    let ignores_first = kind.counter && (anew(1) || second.is_reset_after(&first.histogram));
    let base = if ignores_first {
        let (schema, custom_bounds) = (second.schema, second.custom_bounds.clone());
        Arc::new(Histogram { schema, custom_bounds, ..Histogram::default() })
    } else {
        first.histogram.clone()
    };
    let custom = base.has_custom_bounds();
    let inner = if kind.counter { &points[1..] } else { &points[points.len() - 1..] };
    if inner.iter().any(|point| point.histogram.has_custom_bounds() != custom) {
        remarks.mixed_schemas();
        return None;
    }
    let schemas = inner.iter().map(|point| point.histogram.schema);
    let schema = schemas.fold(base.schema, i32::min);
    let mut grown = remarks.minus(&last.histogram.coarsened(schema), &base)?;
    if kind.counter {
        let mut before = &base;
        for (at, point) in points.iter().enumerate().skip(1) {
            if anew(at) || point.histogram.is_reset_after(before) {
                grown = remarks.plus(&grown, before)?;
            }
            before = &point.histogram;
        }
        if uses_starts {
            let times: Vec<i64> = points.iter().map(|point| point.time_ms).collect();
            let starts: Vec<i64> = points.iter().map(|point| point.start_ms).collect();
            note_overlap(remarks, &times, &starts);
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        remarks.not_gauge();
    }
    grown.reset_hint = ResetHint::Gauge;
    Some(grown.compacted())
}

/// A sample of either kind.
#[derive(Clone, Copy)]
struct Sample<'a> {
    time_ms: i64,
    start_ms: i64,
    value: Either<'a>,
}

#[derive(Clone, Copy)]
enum Either<'a> {
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

/// All samples of a range in time order.
fn samples<'a>(view: &View<'a>, uses_starts: bool) -> Vec<Sample<'a>> {
    let start = |ms: i64| if uses_starts { ms } else { 0 };
    let floats = view.values.iter().enumerate().map(|(at, value)| Sample {
        time_ms: view.times_ms[at],
        start_ms: start(view.starts_ms.get(at).copied().unwrap_or(0)),
        value: Either::Float(*value),
    });
    let histograms = view.histograms.iter().map(|point| Sample {
        time_ms: point.time_ms,
        start_ms: start(point.start_ms),
        value: Either::Histogram(&point.histogram),
    });
    let mut samples: Vec<Sample<'a>> = floats.chain(histograms).collect();
    if view.is_mixed() {
        samples.sort_by_key(|sample| sample.time_ms);
    }
    samples
}

/// `irate` and `idelta`: of the last two samples.
pub(super) fn last_two(ev: &Evaluator<'_>, call: &Call, kind: Kind) -> Answer {
    let uses_starts = ev.features().start_timestamps;
    let rows = ev.over_ranges(call, 0, &|ranges| {
        let remarks = Remarks { ev, ranges };
        Ok(ranges.column(|view| {
            if view.len() < 2 {
                return None;
            }
            let samples = samples(&tail(view, 2), uses_starts);
            let [.., before, last] = samples.as_slice() else { return None };
            let interval_ms = last.time_ms - before.time_ms;
            if interval_ms == 0 {
                return None;
            }
            let anew = is_new_start(before.start_ms, before.time_ms, last.start_ms, last.time_ms);
            instant_change(&remarks, before, last, kind, anew, interval_ms as f64 / 1000.0)
        }))
    })?;
    Ok(Evaluated::Vector(rows))
}

/// The last samples of each kind.
fn tail(view: View<'_>, count: usize) -> View<'_> {
    let floats = view.values.len().saturating_sub(count);
    let histograms = view.histograms.len().saturating_sub(count);
    View {
        times_ms: &view.times_ms[floats..],
        values: &view.values[floats..],
        starts_ms: view.starts_ms.get(floats..).unwrap_or(&[]),
        histograms: &view.histograms[histograms..],
        ..view
    }
}

fn instant_change(
    remarks: &Remarks<'_, '_>,
    before: &Sample<'_>,
    last: &Sample<'_>,
    kind: Kind,
    anew: bool,
    interval_s: f64,
) -> Option<Value> {
    match (before.value, last.value) {
        (Either::Float(before), Either::Float(last)) => {
            let reset = kind.counter && (last < before || anew);
            let change = if reset { last } else { last - before };
            Some(Value::Float(if kind.per_second { change / interval_s } else { change }))
        }
        (Either::Histogram(before), Either::Histogram(last)) => {
            let gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
            if kind.counter && (gauge(before) || gauge(last)) {
                remarks.not_counter();
            }
            if !(kind.counter || gauge(before) && gauge(last)) {
                remarks.not_gauge();
            }
            let reset = kind.counter && (anew || last.is_reset_after(before));
            let mut change = if reset { (**last).clone() } else { remarks.minus(last, before)? };
            change.reset_hint = ResetHint::Gauge;
            change = change.compacted();
            if kind.per_second {
                change = change.divided(interval_s);
            }
            Some(Value::Histogram(Arc::new(change)))
        }
        _ => {
            remarks.mixed_kinds();
            None
        }
    }
}

/// `resets` and `changes`: how many pairs of neighbours differ so.
pub(super) fn count_pairs(ev: &Evaluator<'_>, call: &Call, resets: bool) -> Answer {
    let uses_starts = ev.features().start_timestamps;
    let rows = ev.over_ranges(call, 0, &|ranges| {
        Ok(ranges.column(|view| {
            let mut samples = samples(&view, uses_starts);
            if ranges.mode == RangeMode::Anchored {
                let before = samples.partition_point(|sample| sample.time_ms <= view.start_ms);
                if before == samples.len() {
                    return None;
                }
                samples.drain(..before.saturating_sub(1));
            }
            let counted = samples.windows(2).filter(|pair| {
                if resets { is_reset(&pair[0], &pair[1]) } else { is_change(&pair[0], &pair[1]) }
            });
            Some(Value::Float(counted.count() as f64))
        }))
    })?;
    Ok(Evaluated::Vector(rows))
}

fn is_reset(before: &Sample<'_>, sample: &Sample<'_>) -> bool {
    let anew = is_new_start(before.start_ms, before.time_ms, sample.start_ms, sample.time_ms);
    match (before.value, sample.value) {
        (Either::Float(before), Either::Float(value)) => value < before || anew,
        (Either::Histogram(before), Either::Histogram(value)) => {
            anew || value.is_reset_after(before)
        }
        _ => true,
    }
}

fn is_change(before: &Sample<'_>, sample: &Sample<'_>) -> bool {
    match (before.value, sample.value) {
        (Either::Float(before), Either::Float(value)) => {
            value != before && !(value.is_nan() && before.is_nan())
        }
        (Either::Histogram(before), Either::Histogram(value)) => !value.equals(before),
        _ => true,
    }
}
