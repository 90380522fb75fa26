//! Ranges of samples: windows that slide over a series' samples, one for each step.

use std::ops::Range;
use std::sync::Arc;

use crate::lang::Span;
use crate::promql::ast::{Call, Expr, MatrixSelector, RangeMode, Subquery, VectorSelector};
use crate::promql::engine::{QueryError, Series, Value};
use crate::series::{Histogram, HistogramPoint, Labels, METRIC_NAME, Points, ResetHint, is_stale};

use super::select::{Look, advance};
use super::{
    Answer, Column, Detail, Evaluator, Row, Steps, column, histogram_cost, without_metadata,
    wrong_type,
};

/// The samples of one series, and which of them each step sees. No sample is a staleness marker.
pub(in crate::promql) struct Ranges<'a> {
    pub(in crate::promql) labels: &'a Labels,
    pub(in crate::promql) points: &'a Points,
    /// Where the range stands in the expression.
    pub(in crate::promql) span: Span,
    pub(in crate::promql) mode: RangeMode,
    pub(in crate::promql) range_ms: i64,
    steps: Steps,
    look: Look,
    windows: &'a Windows,
}

/// Which samples each step sees, by their indices.
#[derive(Default)]
struct Windows {
    /// One for each step.
    floats: Vec<Range<usize>>,
    /// One for each step, or empty when the series has no histograms.
    histograms: Vec<Range<usize>>,
}

/// The samples that one step sees. `anchored` and `smoothed` ranges hold also samples up to the
/// lookback before and (smoothed) after.
#[derive(Clone, Copy)]
pub(in crate::promql) struct View<'a> {
    pub(in crate::promql) step: usize,
    /// The time of the step.
    pub(in crate::promql) time_ms: i64,
    /// The range begins after this.
    pub(in crate::promql) start_ms: i64,
    /// The range ends with this.
    pub(in crate::promql) end_ms: i64,
    /// Index of the first float among the series' floats.
    pub(in crate::promql) first: usize,
    pub(in crate::promql) times_ms: &'a [i64],
    pub(in crate::promql) values: &'a [f64],
    /// As long as `values`, or empty.
    pub(in crate::promql) starts_ms: &'a [i64],
    pub(in crate::promql) histograms: &'a [HistogramPoint],
}

impl View<'_> {
    pub(in crate::promql) fn len(&self) -> usize {
        self.values.len() + self.histograms.len()
    }

    /// Returns whether there are both floats and histograms.
    pub(in crate::promql) fn is_mixed(&self) -> bool {
        !self.values.is_empty() && !self.histograms.is_empty()
    }
}

impl<'a> Ranges<'a> {
    /// Returns the metric's name, empty if there is none.
    pub(in crate::promql) fn name(&self) -> &'a str {
        self.labels.get(METRIC_NAME).unwrap_or("")
    }

    /// Iterates over the steps that see a sample.
    #[inline]
    pub(in crate::promql) fn views(&self) -> impl Iterator<Item = View<'a>> + '_ {
        let points = self.points;
        self.windows.floats.iter().enumerate().filter_map(move |(step, floats)| {
            let histograms = match self.windows.histograms.get(step) {
                None => &[],
                Some(window) => &points.histograms[window.clone()],
            };
            if floats.is_empty() && histograms.is_empty() {
                return None;
            }
            let (starts, floats) = (&points.starts_ms, floats.clone());
            let time_ms = self.steps.time_ms(step);
            let end_ms = self.look.from(time_ms);
            Some(View {
                step,
                time_ms,
                start_ms: end_ms.saturating_sub(self.range_ms),
                end_ms,
                first: floats.start,
                times_ms: &points.times_ms[floats.clone()],
                values: &points.values[floats.clone()],
                starts_ms: if starts.is_empty() { &[] } else { &starts[floats] },
                histograms,
            })
        })
    }

    /// Builds a column from what `each` gives for every step that sees a sample.
    pub(in crate::promql) fn column(
        &self,
        mut each: impl FnMut(View<'a>) -> Option<Value>,
    ) -> Column {
        let mut column = Column::absent(self.steps.count);
        for view in self.views() {
            if let Some(value) = each(view) {
                column.set(view.step, value);
            }
        }
        column
    }

    /// As [`Ranges::column`], of floats.
    pub(in crate::promql) fn floats(&self, mut each: impl FnMut(View<'a>) -> f64) -> Column {
        self.floats_where(|view| Some(each(view)))
    }

    /// As [`Ranges::column`], of floats.
    #[inline]
    pub(in crate::promql) fn floats_where(
        &self,
        mut each: impl FnMut(View<'a>) -> Option<f64>,
    ) -> Column {
        let mut column = Column::absent(self.steps.count);
        for view in self.views() {
            if let Some(value) = each(view) {
                column.floats[view.step] = value;
            }
        }
        column
    }
}

/// A range before its series are read: where it looks.
struct Reach {
    look: Look,
    range_ms: i64,
    before_ms: i64,
    after_ms: i64,
}

impl Evaluator<'_> {
    /// Calls `each` with the ranges of every series of the argument at `index`, and collects the
    /// columns it returns. Rows lose their names, except those of functions that return samples
    /// as they are.
    pub(in crate::promql) fn over_ranges(
        &self,
        call: &Call,
        index: usize,
        each: &mut dyn FnMut(&Ranges<'_>) -> Answer<Column>,
    ) -> Answer<Vec<Row>> {
        let keeps_name = matches!(call.function.name, "last_over_time" | "first_over_time");
        let mut rows = Vec::new();
        self.each_range(call, index, &mut |ranges, drop_name| {
            let column = each(ranges)?;
            if column.is_empty() {
                return Ok(());
            }
            self.query.hold(column.cost())?;
            let drop_name = drop_name || !keeps_name;
            let gone = drop_name && !self.features().delayed_name_removal;
            let labels = if gone { without_metadata(ranges.labels) } else { ranges.labels.clone() };
            rows.push(Row { labels, drop_name, column });
            Ok(())
        })?;
        if !self.features().delayed_name_removal {
            column::refuse_equal_labels(&rows)?;
        }
        Ok(rows)
    }

    fn each_range(
        &self,
        call: &Call,
        index: usize,
        each: &mut dyn FnMut(&Ranges<'_>, bool) -> Answer<()>,
    ) -> Answer<()> {
        let name = call.function.name;
        match call.args[index].without_parens() {
            Expr::Matrix(selector) => {
                check_mode(selector.vector.mode, name)?;
                self.each_selected(selector, each)
            }
            Expr::Subquery(subquery) => self.each_of_subquery(subquery, each),
            other => Err(wrong_type(other)),
        }
    }

    fn each_selected(
        &self,
        selector: &MatrixSelector,
        each: &mut dyn FnMut(&Ranges<'_>, bool) -> Answer<()>,
    ) -> Answer<()> {
        let lookback_ms = self.query.lookback_ms();
        let mode = selector.vector.mode;
        let reach = Reach {
            look: self.look(&selector.vector)?,
            range_ms: self.length_ms(&selector.range, true)?,
            before_ms: if mode == RangeMode::Plain { 0 } else { lookback_ms },
            after_ms: if mode == RangeMode::Smoothed { lookback_ms } else { 0 },
        };
        self.each_reached(&selector.vector, selector.span, &reach, each)
    }

    /// Calls `each` with the samples of each series around every step: the lookback before and
    /// after it.
    pub(super) fn each_around(
        &self,
        selector: &VectorSelector,
        each: &mut dyn FnMut(&Ranges<'_>) -> Answer<()>,
    ) -> Answer<()> {
        let lookback_ms = self.query.lookback_ms();
        let look = self.look(selector)?;
        let reach = Reach { look, range_ms: lookback_ms, before_ms: 0, after_ms: lookback_ms };
        self.each_reached(selector, selector.span, &reach, &mut |ranges, _| each(ranges))
    }

    fn each_reached(
        &self,
        selector: &VectorSelector,
        span: Span,
        reach: &Reach,
        each: &mut dyn FnMut(&Ranges<'_>, bool) -> Answer<()>,
    ) -> Answer<()> {
        let before_ms = reach.range_ms.saturating_add(reach.before_ms).saturating_sub(1);
        let range = self.looked_at(reach.look, before_ms, reach.after_ms);
        let mut windows = Windows::default();
        let matchers = selector.all_matchers();
        self.each_series(&matchers, range, &mut |series, points| {
            drop_markers(points);
            self.slide(reach, points, &mut windows);
            let held = most_held(points, &windows);
            self.query.hold(held)?;
            let ranges = Ranges {
                labels: &series.labels,
                points,
                span,
                mode: selector.mode,
                range_ms: reach.range_ms,
                steps: self.steps,
                look: reach.look,
                windows: &windows,
            };
            each(&ranges, false)?;
            self.query.release(held);
            Ok(())
        })
    }

    fn each_of_subquery(
        &self,
        subquery: &Subquery,
        each: &mut dyn FnMut(&Ranges<'_>, bool) -> Answer<()>,
    ) -> Answer<()> {
        let (reach, inner, rows) = self.subquery(subquery)?;
        let mut windows = Windows::default();
        for row in rows {
            self.query.check()?;
            let mut points = inner.points(&row.column);
            forget_reset_hints(&mut points);
            self.slide(&reach, &points, &mut windows);
            let ranges = Ranges {
                labels: &row.labels,
                points: &points,
                span: subquery.span,
                mode: RangeMode::Plain,
                range_ms: reach.range_ms,
                steps: self.steps,
                look: reach.look,
                windows: &windows,
            };
            each(&ranges, row.drop_name)?;
        }
        Ok(())
    }

    /// Evaluates what is inside a subquery at all of its own steps that any of ours sees.
    fn subquery(&self, subquery: &Subquery) -> Answer<(Reach, Evaluator<'_>, Vec<Row>)> {
        let look = Look::new(
            subquery.at.map(|at| self.at_ms(at)),
            self.length_ms(&subquery.offset, false)?,
        );
        let range_ms = self.length_ms(&subquery.range, true)?;
        let step_ms = match &subquery.step {
            Some(step) => self.length_ms(step, true)?.max(1),
            None => self.query.engine.default_subquery_step_ms.max(1),
        };
        // The range is open on the left; steps are at absolute multiples of the step.
        let before_ms = look.from(self.steps.start_ms).saturating_sub(range_ms);
        let start_ms = before_ms.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        let end_ms = look.from(self.steps.last_ms());
        let steps = Steps::new(start_ms, end_ms, step_ms);
        self.query.check_steps(steps)?;
        let inner = Evaluator { query: self.query, steps, detail: Detail::AlwaysWhole };
        let rows = if steps.count == 0 { Vec::new() } else { inner.vector(&subquery.expr)? };
        Ok((Reach { look, range_ms, before_ms: 0, after_ms: 0 }, inner, rows))
    }

    /// Finds for each step which samples it sees.
    fn slide(&self, reach: &Reach, points: &Points, windows: &mut Windows) {
        let times = &points.times_ms;
        self.slide_over(reach, times.len(), |at| times[at], &mut windows.floats);
        windows.histograms.clear();
        let histograms = &points.histograms;
        if !histograms.is_empty() {
            let time = |at: usize| histograms[at].time_ms;
            self.slide_over(reach, histograms.len(), time, &mut windows.histograms);
        }
    }

    #[inline]
    fn slide_over(
        &self,
        reach: &Reach,
        len: usize,
        time: impl Fn(usize) -> i64,
        windows: &mut Vec<Range<usize>>,
    ) {
        windows.clear();
        let (mut start, mut end) = (0, 0);
        windows.extend(self.steps.times_ms().map(|time_ms| {
            let until_ms = reach.look.from(time_ms);
            let after_ms = until_ms.saturating_sub(reach.range_ms).saturating_sub(reach.before_ms);
            let until_ms = until_ms.saturating_add(reach.after_ms);
            start = advance(start, len, |at| time(at) <= after_ms);
            end = advance(end.max(start), len, |at| time(at) <= until_ms);
            start..end
        }));
    }

    /// Evaluates a range itself, at the one step of an instant query.
    pub(super) fn matrix(&self, expr: &Expr) -> Answer<Vec<Series>> {
        let mut found = Vec::new();
        match expr.without_parens() {
            Expr::Matrix(selector) => {
                self.each_selected(selector, &mut |ranges, _| {
                    self.query.hold(ranges.points.len())?;
                    let labels = ranges.labels.clone();
                    if !ranges.points.is_empty() {
                        found.push(Series { labels, points: ranges.points.clone() });
                    }
                    Ok(())
                })?;
            }
            Expr::Subquery(subquery) => {
                let (_, inner, rows) = self.subquery(subquery)?;
                let rows = inner.finish(rows)?;
                found = inner.series(rows);
            }
            other => return Err(wrong_type(other)),
        }
        for series in &mut found {
            series.points.starts_ms.clear();
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }
}

fn check_mode(mode: RangeMode, function: &str) -> Answer<()> {
    let (word, allowed): (_, &[&str]) = match mode {
        RangeMode::Plain => return Ok(()),
        RangeMode::Anchored => ("anchored", &["changes", "delta", "increase", "rate", "resets"]),
        RangeMode::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
    };
    if allowed.contains(&function) {
        return Ok(());
    }
    Err(QueryError::Execution(format!(
        "{word} modifier can only be used with: {} - not with {function}",
        allowed.join(", ")
    )))
}

/// Ranges do not see staleness markers.
fn drop_markers(points: &mut Points) {
    if points.values.iter().any(|value| is_stale(*value)) {
        let mut kept = 0;
        for at in 0..points.values.len() {
            if is_stale(points.values[at]) {
                continue;
            }
            points.values[kept] = points.values[at];
            points.times_ms[kept] = points.times_ms[at];
            if !points.starts_ms.is_empty() {
                points.starts_ms[kept] = points.starts_ms[at];
            }
            kept += 1;
        }
        points.values.truncate(kept);
        points.times_ms.truncate(kept);
        points.starts_ms.truncate(kept);
    }
    points.histograms.retain(|point| !point.histogram.is_stale());
}

/// Between the steps of a subquery samples may be missed or seen twice, so that what is said of
/// resets no longer holds.
fn forget_reset_hints(points: &mut Points) {
    for point in &mut points.histograms {
        if matches!(point.histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            let unknown = ResetHint::Unknown;
            point.histogram =
                Arc::new(Histogram { reset_hint: unknown, ..(*point.histogram).clone() });
        }
    }
}

fn most_held(points: &Points, windows: &Windows) -> usize {
    let floats = windows.floats.iter().map(Range::len);
    if windows.histograms.is_empty() {
        return floats.max().unwrap_or(0);
    }
    let histograms = windows.histograms.iter().map(|window| {
        let points = points.histograms[window.clone()].iter();
        points.map(|point| histogram_cost(&point.histogram)).sum::<usize>()
    });
    floats.zip(histograms).map(|(floats, histograms)| floats + histograms).max().unwrap_or(0)
}
