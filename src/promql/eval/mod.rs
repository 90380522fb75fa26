//! Evaluation: series by series, each over all steps of the query at once.
//!
//! An instant query is a range of one step. A node's value is a set of [`Row`]s, one per series,
//! each a [`Column`] with a place for every step; scalars are one float per step. Nothing is done
//! step by step that can be done once: labels are built once per series, groups and matches are
//! found once, and windows slide over a series' samples.

mod aggregate;
mod binary;
mod column;
mod lanes;
mod notes;
mod pick;
mod query;
mod ranges;
mod select;
mod series;
mod smoothed;
mod wanted;

use crate::lang::Span;
use crate::series::{Labels, METRIC_NAME};

use super::ast::{At, Call, Expr, Grouping, TimeSpan, UnaryOp, ValueType};
use super::engine::{QueryError, QueryValue, RangeQuery, VectorElement};
use super::features::Features;
use super::matrix::Matrix;

pub(super) use column::{ABSENT, Column, Row, histogram_cost, merge_equal_labels};
pub(super) use lanes::Lanes;
pub(super) use notes::{Level, Tally, for_metric, short};
pub(super) use query::Query;
pub(super) use ranges::{Ranges, View};
pub(super) use select::Aspect;

/// Evenly spaced times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub(super) start_ms: i64,
    pub(super) step_ms: i64,
    pub(super) count: usize,
}

impl Steps {
    fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Steps {
        let count = if end_ms < start_ms {
            0
        } else {
            usize::try_from(end_ms.abs_diff(start_ms) / step_ms.unsigned_abs() + 1)
                .unwrap_or(usize::MAX)
        };
        Steps { start_ms, step_ms, count }
    }

    pub(super) fn time_ms(self, step: usize) -> i64 {
        self.start_ms.saturating_add((step as i64).saturating_mul(self.step_ms))
    }

    pub(super) fn times_ms(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |step| self.time_ms(step))
    }

    fn last_ms(self) -> i64 {
        self.time_ms(self.count.saturating_sub(1))
    }
}

/// A sample counts for so many bytes.
const SAMPLE_LEN: usize = 16;

/// The value of an expression over the steps of its evaluator.
#[derive(Debug)]
pub(super) enum Evaluated {
    /// One number for each step.
    Scalar(Vec<f64>),
    Vector(Vec<Row>),
    Text(String),
}

impl Evaluated {
    fn cost(&self) -> usize {
        match self {
            Evaluated::Scalar(values) => values.len(),
            Evaluated::Vector(rows) => rows.iter().map(|row| row.column.cost()).sum(),
            Evaluated::Text(_) => 0,
        }
    }
}

type Answer<T> = Result<T, QueryError>;

/// Evaluates an instant query.
pub(super) fn instant(query: &Query<'_>, expr: &Expr) -> Answer<QueryValue> {
    let time_ms = query.times.start_ms;
    let evaluator = Evaluator::new(query, Steps { start_ms: time_ms, step_ms: 1, count: 1 });
    if expr.value_type() == ValueType::Matrix {
        return Ok(QueryValue::Matrix(evaluator.matrix(expr)?));
    }
    Ok(match evaluator.eval(expr)? {
        Evaluated::Scalar(values) => QueryValue::Scalar { time_ms, value: values[0] },
        Evaluated::Text(value) => QueryValue::String { time_ms, value },
        Evaluated::Vector(rows) => QueryValue::Vector(
            evaluator
                .finish(rows)?
                .into_iter()
                .filter_map(|row| {
                    let value = row.column.get(0)?;
                    Some(VectorElement { labels: row.labels, time_ms, value })
                })
                .collect(),
        ),
    })
}

/// Evaluates a range query.
pub(super) fn range(query: &Query<'_>, expr: &Expr) -> Answer<QueryValue> {
    let RangeQuery { start_ms, end_ms, step_ms } = query.times;
    let evaluator = Evaluator::new(query, Steps::new(start_ms, end_ms, step_ms));
    query.check_steps(evaluator.steps)?;
    let rows = match evaluator.eval(expr)? {
        Evaluated::Scalar(values) => {
            let column = Column::of_floats(values);
            vec![Row { labels: Labels::empty(), drop_name: false, column }]
        }
        Evaluated::Vector(rows) => evaluator.finish(rows)?,
        Evaluated::Text(_) => Vec::new(),
    };
    let matrix = query.timed(query::Phase::Sort, || Matrix::of_rows(evaluator.steps, rows));
    Ok(QueryValue::Matrix(matrix))
}

/// Evaluates expressions over certain steps; a subquery has one of its own.
#[derive(Clone, Copy)]
pub(super) struct Evaluator<'q> {
    query: &'q Query<'q>,
    pub(super) steps: Steps,
    detail: Detail,
    /// The labels that an aggregation right around this keeps; selectors may leave out the others.
    wanted: Option<&'q Grouping>,
}

/// How much of a native histogram is wanted. Only remarks on counter resets depend on it: where
/// counts alone are wanted, upstream reads no buckets and finds resets on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Whole,
    /// Only count and sum.
    Counts,
    /// All of it, whatever is done with it: inside a subquery.
    AlwaysWhole,
}

impl<'q> Evaluator<'q> {
    fn new(query: &'q Query<'q>, steps: Steps) -> Evaluator<'q> {
        Evaluator { query, steps, detail: Detail::Whole, wanted: None }
    }

    /// Returns an evaluator for what only counts and sums of histograms are taken from, or
    /// buckets as well.
    pub(super) fn wanting(&self, buckets: bool) -> Evaluator<'q> {
        let detail = match (self.detail, buckets) {
            (Detail::AlwaysWhole, _) => Detail::AlwaysWhole,
            (_, true) => Detail::Whole,
            (_, false) => Detail::Counts,
        };
        Evaluator { detail, ..*self }
    }

    /// Evaluates an expression that is no range of values.
    pub(super) fn eval(&self, expr: &Expr) -> Answer<Evaluated> {
        self.query.check()?;
        let held = self.query.held();
        let value = if self.steps.count > 1 && is_costly_invariant(expr) {
            let mut once = self.at_first_step().eval(expr)?;
            match &mut once {
                Evaluated::Scalar(values) => values.resize(self.steps.count, values[0]),
                Evaluated::Vector(rows) => column::spread(rows, self.steps.count),
                Evaluated::Text(_) => {}
            }
            once
        } else {
            self.eval_node(expr)?
        };
        self.query.release(self.query.held().saturating_sub(held));
        self.query.hold(value.cost())?;
        Ok(value)
    }

    fn eval_node(&self, expr: &Expr) -> Answer<Evaluated> {
        let count = self.steps.count;
        match expr {
            Expr::Number(number) => Ok(Evaluated::Scalar(vec![number.value; count])),
            Expr::String(string) => Ok(Evaluated::Text(string.value.clone())),
            Expr::Vector(selector) => self.select(selector).map(Evaluated::Vector),
            Expr::Matrix(_) | Expr::Subquery(_) => Err(QueryError::Execution(
                "a range of values is only allowed as an argument of a function".to_owned(),
            )),
            Expr::Paren(paren) => self.eval(&paren.expr),
            Expr::Unary(unary) => {
                let value = self.eval(&unary.expr)?;
                if unary.op == UnaryOp::Minus { self.negate(value) } else { Ok(value) }
            }
            Expr::Binary(binary) => self.binary(binary),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).map(Evaluated::Vector),
            Expr::Call(call) => (call.function.eval)(self, call),
        }
    }

    fn negate(&self, value: Evaluated) -> Answer<Evaluated> {
        match value {
            Evaluated::Scalar(values) => {
                Ok(Evaluated::Scalar(values.into_iter().map(|value| -value).collect()))
            }
            Evaluated::Vector(mut rows) => {
                for row in &mut rows {
                    self.drop_name(row);
                    let histograms = std::mem::take(&mut row.column.histograms);
                    row.column.map_floats(|_, value| -value);
                    let negated = |histogram: std::sync::Arc<_>| {
                        std::sync::Arc::new(crate::series::Histogram::scaled(&histogram, -1.0))
                    };
                    row.column.histograms =
                        histograms.into_iter().map(|histogram| histogram.map(negated)).collect();
                }
                if !self.features().delayed_name_removal {
                    rows = merge_equal_labels(rows)?;
                }
                Ok(Evaluated::Vector(rows))
            }
            text @ Evaluated::Text(_) => Ok(text),
        }
    }

    /// Evaluates a vector.
    pub(super) fn vector(&self, expr: &Expr) -> Answer<Vec<Row>> {
        match self.eval(expr)? {
            Evaluated::Vector(rows) => Ok(rows),
            Evaluated::Scalar(_) | Evaluated::Text(_) => Err(wrong_type(expr)),
        }
    }

    /// Evaluates a scalar: one number for each step.
    pub(super) fn scalar(&self, expr: &Expr) -> Answer<Vec<f64>> {
        match self.eval(expr)? {
            Evaluated::Scalar(values) => Ok(values),
            Evaluated::Vector(_) | Evaluated::Text(_) => Err(wrong_type(expr)),
        }
    }

    /// Returns the text of a string.
    pub(super) fn text(&self, expr: &Expr) -> Answer<String> {
        match self.eval(expr)? {
            Evaluated::Text(text) => Ok(text),
            Evaluated::Scalar(_) | Evaluated::Vector(_) => Err(wrong_type(expr)),
        }
    }

    pub(super) fn features(&self) -> Features {
        self.query.engine.features
    }

    /// Returns the labels that say what a metric is; they go together.
    pub(super) fn metadata_labels(&self) -> &'static [&'static str] {
        const NAMES: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];
        if self.features().type_and_unit_labels { &NAMES } else { &NAMES[..1] }
    }

    pub(super) fn times(&self) -> RangeQuery {
        self.query.times
    }

    /// Returns whether the whole query has one step, so that the order of a vector is kept.
    pub(super) fn is_instant(&self) -> bool {
        self.steps.count == 1
    }

    pub(super) fn check(&self) -> Answer<()> {
        self.query.check()
    }

    /// Returns an empty column whose memory counts against the limit until the present node is
    /// done. For nodes that make more rows than they were given.
    pub(super) fn held_column(&self) -> Answer<Column> {
        self.query.hold(self.steps.count / 2)?;
        Ok(Column::absent(self.steps.count))
    }

    /// Counts a label that is made against the limit until the present node is done. An error if its
    /// value would have more than a mebibyte: labels that are made of labels grow fast.
    pub(super) fn hold_label(&self, name: &str, value_len: usize) -> Answer<()> {
        const MOST: usize = 1 << 20;
        if value_len > MOST {
            let message = format!(
                "the value of label {name:?} would have up to {value_len} bytes; {MOST} are allowed"
            );
            return Err(QueryError::Execution(message));
        }
        self.query.hold(value_len / SAMPLE_LEN)
    }

    pub(super) fn note(&self, level: Level, text: impl Into<String>, span: Span) {
        self.query.notes.lock().add(level, text.into(), span, None);
    }

    pub(super) fn note_tally(&self, text: String, span: Span, tally: Tally) {
        self.query.notes.lock().add(Level::Info, text, span, Some(tally));
    }

    /// Notes that a row loses its name: now, or at the end.
    pub(super) fn drop_name(&self, row: &mut Row) {
        row.drop_name = true;
        if !self.features().delayed_name_removal {
            row.labels = row.labels.without(self.metadata_labels());
        }
    }

    /// A function that drops names has changed these rows: puts equal ones together.
    pub(super) fn renamed(&self, rows: Vec<Row>) -> Answer<Vec<Row>> {
        if self.features().delayed_name_removal { Ok(rows) } else { merge_equal_labels(rows) }
    }

    /// Removes the names that were to go at the end, and rows without a value.
    fn finish(&self, mut rows: Vec<Row>) -> Answer<Vec<Row>> {
        rows.retain(|row| !row.column.is_empty());
        if !self.features().delayed_name_removal {
            return Ok(rows);
        }
        for row in rows.iter_mut().filter(|row| row.drop_name) {
            row.labels = row.labels.without(self.metadata_labels());
        }
        merge_equal_labels(rows)
    }

    fn at_first_step(&self) -> Evaluator<'q> {
        Evaluator { steps: Steps { count: 1, ..self.steps }, ..*self }
    }

    fn at_ms(&self, at: At) -> i64 {
        match at {
            At::Time(time_ms) => time_ms,
            At::Start => self.query.times.start_ms,
            At::End => self.query.times.end_ms,
        }
    }

    fn length_ms(&self, span: &TimeSpan, positive: bool) -> Answer<i64> {
        span.resolve(self.query.span(), positive)
            .map_err(|diagnostic| QueryError::Parse(vec![diagnostic]))
    }
}

/// Returns whether the value is the same at every step, and costs something.
fn is_costly_invariant(expr: &Expr) -> bool {
    !matches!(expr.without_parens(), Expr::Number(_) | Expr::String(_)) && is_invariant(expr)
}

/// Functions that see the time of evaluation.
const TIME_DEPENDENT: [&str; 13] = [
    "time",
    "timestamp",
    "start_timestamp",
    "predict_linear",
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
    "absent_over_time",
];

fn is_invariant(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => selector.at.is_some(),
        Expr::Matrix(selector) => selector.vector.at.is_some(),
        Expr::Subquery(subquery) => subquery.at.is_some(),
        Expr::Call(Call { function, args, .. }) => {
            let pinned_selector =
                || matches!(args.first().map(Expr::without_parens), Some(Expr::Vector(_)));
            let time_dependent = TIME_DEPENDENT.contains(&function.name)
                && !(function.name == "timestamp" && pinned_selector());
            !time_dependent && args.iter().all(is_invariant)
        }
        Expr::Paren(_) | Expr::Unary(_) | Expr::Binary(_) | Expr::Aggregate(_) => {
            expr.children().into_iter().all(is_invariant)
        }
    }
}

fn wrong_type(expr: &Expr) -> QueryError {
    QueryError::Execution(format!("the type of `{expr}` does not fit its place"))
}
