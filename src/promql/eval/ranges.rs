//! Ranges of samples: windows that slide over a series' samples, one for each step.

use std::ops::Range;
use std::sync::Arc;

use crate::lang::Span;
use crate::promql::ast::{Call, Expr, MatrixSelector, RangeMode, Subquery, VectorSelector};
use crate::promql::engine::{QueryError, Series, Value};
use crate::promql::matrix::{self, Matrix};
use crate::series::{
    Histogram, HistogramPoint, Labels, METRIC_NAME, MatchOp, Matcher, Points, ResetHint, is_stale,
};

use super::select::{Look, advance};
use super::{
    Answer, Column, Detail, Evaluator, Query, Row, Steps, column, histogram_cost, wrong_type,
};

/// After so many samples, each counted by every step that sees it, it is asked whether the query is
/// still wanted.
const SEEN_UNCHECKED: usize = 1 << 20;

/// The samples of one series, and which of them each step sees. No sample is a staleness marker.
pub(in crate::promql) struct Ranges<'a> {
    pub(super) labels: &'a Labels,
    /// The metric's name, empty if there is none.
    pub(in crate::promql) name: &'a str,
    pub(in crate::promql) points: &'a Points,
    /// Where the range stands in the expression.
    pub(in crate::promql) span: Span,
    pub(in crate::promql) mode: RangeMode,
    pub(in crate::promql) range_ms: i64,
    steps: Steps,
    look: Look,
    windows: &'a Windows,
    query: &'a Query<'a>,
}

/// Which samples each step sees, by their indices.
#[derive(Default)]
pub(super) struct Windows {
    /// One for each step.
    pub(super) floats: Vec<Range<usize>>,
    /// One for each step, or empty when the series has no histograms.
    histograms: Vec<Range<usize>>,
    /// The floats' times.
    times_ms: Vec<i64>,
    /// Most floats that a step sees.
    floats_most: usize,
}

impl Windows {
    /// Lets `find` say which floats each step sees, unless the times are those of the series
    /// before: then what it said is still true. It may depend on nothing else.
    #[inline]
    pub(super) fn find(
        &mut self,
        times_ms: &[i64],
        find: impl FnOnce(&[i64], &mut Vec<Range<usize>>),
    ) {
        if !self.floats.is_empty() && self.times_ms == times_ms {
            return;
        }
        self.floats.clear();
        find(times_ms, &mut self.floats);
        self.floats_most = self.floats.iter().map(Range::len).max().unwrap_or(0);
        self.times_ms.clear();
        self.times_ms.extend_from_slice(times_ms);
    }
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
    /// Iterates over the steps that see a sample, until the query is to stop.
    #[inline]
    pub(in crate::promql) fn views(&self) -> impl Iterator<Item = View<'a>> + '_ {
        let mut seen = 0;
        let steps = self.windows.floats.iter().enumerate();
        steps
            .map_while(move |step| self.goes_on(&mut seen, step.1.len()).then_some(step))
            .filter_map(move |(step, floats)| {
                let histograms = match self.windows.histograms.get(step) {
                    None => &[],
                    Some(window) => &self.points.histograms[window.clone()],
                };
                let is_empty = floats.is_empty() && histograms.is_empty();
                (!is_empty).then(|| self.view(step, floats.clone(), histograms))
            })
    }

    /// Counts samples that a step sees, and asks now and then whether the query is still wanted.
    #[inline]
    fn goes_on(&self, seen: &mut usize, samples: usize) -> bool {
        *seen += samples;
        if *seen <= SEEN_UNCHECKED {
            return true;
        }
        *seen = 0;
        self.query.check().is_ok()
    }

    #[inline]
    fn view(
        &self,
        step: usize,
        floats: Range<usize>,
        histograms: &'a [HistogramPoint],
    ) -> View<'a> {
        let points = self.points;
        let time_ms = self.steps.time_ms(step);
        let end_ms = self.look.from(time_ms);
        let starts = &points.starts_ms;
        View {
            step,
            time_ms,
            start_ms: end_ms.saturating_sub(self.range_ms),
            end_ms,
            first: floats.start,
            times_ms: &points.times_ms[floats.clone()],
            values: &points.values[floats.clone()],
            starts_ms: if starts.is_empty() { &[] } else { &starts[floats] },
            histograms,
        }
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
    pub(in crate::promql) fn floats(&self, mut each: impl FnMut(&View<'a>) -> f64) -> Column {
        self.floats_where(|view| Some(each(view)))
    }

    /// As [`Ranges::column`], of floats. The hottest loop there is: a view is lent, not handed on.
    #[inline]
    pub(in crate::promql) fn floats_where(
        &self,
        mut each: impl FnMut(&View<'a>) -> Option<f64>,
    ) -> Column {
        let mut column = Column::absent(self.steps.count);
        if !self.windows.histograms.is_empty() {
            for view in self.views() {
                if let Some(value) = each(&view) {
                    column.floats[view.step] = value;
                }
            }
            return column;
        }
        let mut seen = 0;
        for (step, (window, float)) in
            self.windows.floats.iter().zip(&mut column.floats).enumerate()
        {
            if !self.goes_on(&mut seen, window.len()) {
                break;
            }
            if !window.is_empty()
                && let Some(value) = each(&self.view(step, window.clone(), &[]))
            {
                *float = value;
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
        each: &(dyn Fn(&Ranges<'_>) -> Answer<Column> + Sync),
    ) -> Answer<Vec<Row>> {
        let keeps_name = matches!(call.function.name, "last_over_time" | "first_over_time");
        let row = |ranges: &Ranges<'_>, drop_name: bool| {
            let row = self.row(ranges.labels, each(ranges)?)?;
            Ok(row.map(|row| self.row_without_name(row, drop_name || !keeps_name)))
        };
        let (rows, are_distinct) = match call.args[index].without_parens() {
            Expr::Matrix(selector) => {
                check_mode(selector.vector.mode, call.function.name)?;
                self.each_selected(selector, &|ranges| row(ranges, false))?
            }
            Expr::Subquery(subquery) => (self.each_of_subquery(subquery, &row)?, false),
            other => return Err(wrong_type(other)),
        };
        if !are_distinct && !self.features().delayed_name_removal {
            column::refuse_equal_labels(&rows)?;
        }
        Ok(rows)
    }

    fn row_without_name(&self, mut row: Row, drop_name: bool) -> Row {
        row.drop_name = drop_name;
        if drop_name && !self.features().delayed_name_removal {
            row.labels = row.labels.without(self.metadata_labels());
        }
        row
    }

    /// Collects what `make` makes of each series' ranges; returns also whether no two of them can
    /// have the same labels once they have lost their names.
    fn each_selected<T: Send>(
        &self,
        selector: &MatrixSelector,
        make: &(dyn Fn(&Ranges<'_>) -> Answer<Option<T>> + Sync),
    ) -> Answer<(Vec<T>, bool)> {
        let lookback_ms = self.query.lookback_ms();
        let mode = selector.vector.mode;
        let reach = Reach {
            look: self.look(&selector.vector)?,
            range_ms: self.length_ms(&selector.range, true)?,
            before_ms: if mode == RangeMode::Plain { 0 } else { lookback_ms },
            after_ms: if mode == RangeMode::Smoothed { lookback_ms } else { 0 },
        };
        self.each_reached(&selector.vector, selector.span, &reach, make)
    }

    /// Collects what `make` makes of the samples of each series around every step: the lookback
    /// before and after it.
    pub(super) fn each_around<T: Send>(
        &self,
        selector: &VectorSelector,
        make: &(dyn Fn(&Ranges<'_>) -> Answer<Option<T>> + Sync),
    ) -> Answer<Vec<T>> {
        let lookback_ms = self.query.lookback_ms();
        let look = self.look(selector)?;
        let reach = Reach { look, range_ms: lookback_ms, before_ms: 0, after_ms: lookback_ms };
        Ok(self.each_reached(selector, selector.span, &reach, make)?.0)
    }

    fn each_reached<T: Send>(
        &self,
        selector: &VectorSelector,
        span: Span,
        reach: &Reach,
        make: &(dyn Fn(&Ranges<'_>) -> Answer<Option<T>> + Sync),
    ) -> Answer<(Vec<T>, bool)> {
        let before_ms = reach.range_ms.saturating_add(reach.before_ms).saturating_sub(1);
        let range = self.looked_at(reach.look, before_ms, reach.after_ms);
        let matchers = selector.all_matchers();
        let name = only_name(&matchers);
        let selected = self.selected(&matchers, range)?;
        let made = self.each_series(&selected, range, |series, points, windows| {
            drop_markers(points);
            self.slide(reach, points, windows);
            let held = most_held(points, windows);
            self.query.hold(held)?;
            let made = make(&Ranges {
                labels: &series.labels,
                name: name.or(series.labels.metric_name()).unwrap_or(""),
                points,
                span,
                mode: selector.mode,
                range_ms: reach.range_ms,
                steps: self.steps,
                look: reach.look,
                windows,
                query: self.query,
            });
            self.query.release(held);
            made
        })?;
        Ok((made, selected.is_reduced))
    }

    fn each_of_subquery<T>(
        &self,
        subquery: &Subquery,
        make: &dyn Fn(&Ranges<'_>, bool) -> Answer<Option<T>>,
    ) -> Answer<Vec<T>> {
        let (reach, inner, rows) = self.subquery(subquery)?;
        let mut windows = Windows::default();
        let mut made = Vec::with_capacity(rows.len());
        for row in rows {
            let mut points = matrix::points(inner.steps, &row.column);
            forget_reset_hints(&mut points);
            self.slide(&reach, &points, &mut windows);
            let ranges = Ranges {
                labels: &row.labels,
                name: row.labels.metric_name().unwrap_or(""),
                points: &points,
                span: subquery.span,
                mode: RangeMode::Plain,
                range_ms: reach.range_ms,
                steps: self.steps,
                look: reach.look,
                windows: &windows,
                query: self.query,
            };
            made.extend(make(&ranges, row.drop_name)?);
            self.query.check()?;
        }
        Ok(made)
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
        let inner =
            Evaluator { query: self.query, steps, detail: Detail::AlwaysWhole, wanted: None };
        let rows = if steps.count == 0 { Vec::new() } else { inner.vector(&subquery.expr)? };
        Ok((Reach { look, range_ms, before_ms: 0, after_ms: 0 }, inner, rows))
    }

    /// Finds for each step which samples it sees.
    fn slide(&self, reach: &Reach, points: &Points, windows: &mut Windows) {
        windows.find(&points.times_ms, |times, floats| {
            self.slide_over(reach, times.len(), |at| times[at], floats);
        });
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
    pub(super) fn matrix(&self, expr: &Expr) -> Answer<Matrix> {
        match expr.without_parens() {
            Expr::Matrix(selector) => {
                let series = |ranges: &Ranges<'_>| {
                    self.query.hold(ranges.points.len())?;
                    let (labels, mut points) = (ranges.labels.clone(), ranges.points.clone());
                    points.starts_ms.clear();
                    Ok((!points.is_empty()).then_some(Series { labels, points }))
                };
                Ok(Matrix::of_series(self.each_selected(selector, &series)?.0))
            }
            Expr::Subquery(subquery) => {
                let (_, inner, rows) = self.subquery(subquery)?;
                Ok(Matrix::of_rows(inner.steps, inner.finish(rows)?))
            }
            other => Err(wrong_type(other)),
        }
    }
}

/// Returns the name that all series have which match.
pub(super) fn only_name(matchers: &[Matcher]) -> Option<&str> {
    let is_name =
        |matcher: &&Matcher| &*matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
    matchers.iter().find(is_name).map(|matcher| &*matcher.value)
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
    // Without a way out in between, so that many are looked at together.
    if points.values.iter().filter(|value| is_stale(**value)).count() > 0 {
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
    if windows.histograms.is_empty() {
        return windows.floats_most;
    }
    let histograms = windows.histograms.iter().map(|window| {
        let points = points.histograms[window.clone()].iter();
        points.map(|point| histogram_cost(&point.histogram)).sum::<usize>()
    });
    let floats = windows.floats.iter().map(Range::len);
    floats.zip(histograms).map(|(floats, histograms)| floats + histograms).max().unwrap_or(0)
}
