//! Aggregations that fold many elements into one: groups are found once, then each series' column
//! is folded into the column of its group.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::lang::Span;
use crate::promql::ast::{Aggregate, AggregateOp, Expr, Grouping, RangeMode};
use crate::promql::engine::{QueryError, Value};
use crate::promql::literal::quote;
use crate::promql::numeric::quantile;
use crate::series::{HistogramSum, Kahan, Labels, LabelsBuilder, METRIC_NAME, Mean};

use super::{Answer, Column, Evaluator, Level, Row, short};

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate) -> Answer<Vec<Row>> {
        use AggregateOp as Op;
        match aggregate.op {
            Op::Topk | Op::Bottomk | Op::Limitk | Op::LimitRatio => self.pick(aggregate),
            Op::CountValues => self.count_values(aggregate),
            Op::Quantile => self.quantile(aggregate),
            Op::Sum => self.fold(aggregate, &mut |fold| fold.summing(&Kahan::default())),
            Op::Avg => self.fold(aggregate, &mut |fold| fold.summing(&Mean::default())),
            Op::Count => self.count(aggregate, true),
            Op::Group => self.count(aggregate, false),
            Op::Min => self.fold(aggregate, &mut |fold| fold.extreme(|new, old| new < old)),
            Op::Max => self.fold(aggregate, &mut |fold| fold.extreme(|new, old| new > old)),
            Op::Stddev => self.fold(aggregate, &mut |fold| fold.spread(f64::sqrt)),
            Op::Stdvar => self.fold(aggregate, &mut |fold| fold.spread(|variance| variance)),
        }
    }

    fn fold(
        &self,
        aggregate: &Aggregate,
        each: &mut dyn FnMut(&Fold<'_>) -> Column,
    ) -> Answer<Vec<Row>> {
        let rows = self.reducing(aggregate).vector(&aggregate.expr)?;
        let mut results = Vec::new();
        for group in groups(&rows, &aggregate.grouping) {
            self.check()?;
            let members: Vec<&Row> = group.members.iter().map(|index| &rows[*index]).collect();
            let drop_name = members.iter().any(|row| row.drop_name);
            let fold = Fold {
                evaluator: self,
                op: aggregate.op,
                span: aggregate.expr.span(),
                members: &members,
            };
            let column = each(&fold);
            if !column.is_empty() {
                results.push(Row { labels: group.labels, drop_name, column });
            }
        }
        Ok(results)
    }

    /// Counts elements, or says that there are any; those of a selector at one step by the index,
    /// without their samples.
    fn count(&self, aggregate: &Aggregate, counts: bool) -> Answer<Vec<Row>> {
        if let (Expr::Vector(selector), Grouping::By(names)) =
            (aggregate.expr.without_parens(), &aggregate.grouping)
            && self.is_instant()
            && selector.mode == RangeMode::Plain
            && let Some(found) = self.count_selected(selector, names)?
        {
            return Ok(found
                .into_iter()
                .map(|(labels, count)| {
                    let value = if counts { count as f64 } else { 1.0 };
                    Row { labels, drop_name: false, column: Column::of_floats(vec![value]) }
                })
                .collect());
        }
        self.fold(aggregate, &mut |fold| fold.counting(counts))
    }

    fn quantile(&self, aggregate: &Aggregate) -> Answer<Vec<Row>> {
        let parameter = parameter(aggregate)?;
        let quantiles = self.scalar(parameter)?;
        self.note_bad_quantiles(&quantiles, parameter.span());
        self.fold(aggregate, &mut |fold| {
            let mut column = Column::absent(self.steps.count);
            let mut values = Vec::with_capacity(fold.members.len());
            for (step, q) in quantiles.iter().enumerate() {
                values.clear();
                values.extend(fold.members.iter().filter_map(|row| row.column.float(step)));
                if !values.is_empty() {
                    column.floats[step] = quantile(*q, &mut values);
                }
            }
            fold.note_ignored_histograms();
            column
        })
    }

    /// Notes quantiles outside 0 to 1.
    pub(in crate::promql) fn note_bad_quantiles(&self, quantiles: &[f64], span: Span) {
        let mut bad: Vec<f64> = Vec::new();
        if quantiles.iter().any(|q| q.is_nan()) {
            bad.push(f64::NAN);
        }
        let most = quantiles.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = quantiles.iter().copied().fold(f64::INFINITY, f64::min);
        bad.extend([most].into_iter().filter(|q| *q > 1.0));
        bad.extend([least].into_iter().filter(|q| *q < 0.0));
        for q in bad {
            let text = format!("quantile value should be between 0 and 1, got {}", short(q));
            self.note(Level::Warning, text, span);
        }
    }

    fn count_values(&self, aggregate: &Aggregate) -> Answer<Vec<Row>> {
        let label = self.text(parameter(aggregate)?)?;
        if label.is_empty() {
            return Err(QueryError::Execution(format!("invalid label name {}", quote(&label))));
        }
        let rows = self.vector(&aggregate.expr)?;
        let grouping = match &aggregate.grouping {
            Grouping::By(names) => {
                Grouping::By(names.iter().cloned().chain([label.clone()]).collect())
            }
            without @ Grouping::Without(_) => without.clone(),
        };
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut counted: Vec<Row> = Vec::new();
        for row in &rows {
            self.check()?;
            let mut known: HashMap<String, usize> = HashMap::new();
            for step in 0..self.steps.count {
                let text = match row.column.get(step) {
                    None => continue,
                    Some(Value::Float(value)) => plain(value),
                    Some(Value::Histogram(histogram)) => histogram.to_string(),
                };
                let place = if let Some(place) = known.get(&text) {
                    *place
                } else {
                    let mut builder = LabelsBuilder::from(&row.labels);
                    builder.set(&label, &text);
                    let labels = group_labels(&builder.build(), &grouping);
                    let next = counted.len();
                    let place = *places.entry(labels.clone()).or_insert(next);
                    if place == next {
                        let column = self.held_column()?;
                        counted.push(Row { labels, drop_name: false, column });
                    }
                    known.insert(text, place);
                    place
                };
                let column = &mut counted[place].column;
                column.floats[step] = column.float(step).unwrap_or(0.0) + 1.0;
            }
        }
        Ok(counted)
    }
}

/// Formats as Go's `strconv.FormatFloat(v, 'f', -1, 64)`.
fn plain(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { crate::series::format_float(value) }
}

pub(super) fn parameter(aggregate: &Aggregate) -> Answer<&crate::promql::Expr> {
    aggregate
        .parameter
        .as_deref()
        .ok_or_else(|| QueryError::Execution(format!("{} needs a parameter", aggregate.op)))
}

/// Elements that are put together.
pub(super) struct Group {
    pub(super) labels: Labels,
    /// Indices of rows.
    pub(super) members: Vec<usize>,
}

/// Finds the groups, in the order in which their first members come.
pub(super) fn groups(rows: &[Row], grouping: &Grouping) -> Vec<Group> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let labels = group_labels(&row.labels, grouping);
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group { labels, members: Vec::new() });
            groups.len() - 1
        });
        groups[place].members.push(index);
    }
    groups
}

fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) => labels.keep(names),
        Grouping::Without(names) => labels.without(names).without(&[METRIC_NAME]),
    }
}

/// One group, to be folded.
struct Fold<'a> {
    evaluator: &'a Evaluator<'a>,
    op: AggregateOp,
    span: Span,
    members: &'a [&'a Row],
}

/// Adds up floats: to a sum, or to a mean.
trait Sum: Clone {
    fn add(&mut self, value: f64);
    fn result(&self) -> f64;
    /// The histograms that were added become this.
    fn histogram(sum: HistogramSum) -> Option<crate::series::Histogram>;
}

impl Sum for Kahan {
    fn add(&mut self, value: f64) {
        Kahan::add(self, value);
    }
    fn result(&self) -> f64 {
        self.sum()
    }
    fn histogram(sum: HistogramSum) -> Option<crate::series::Histogram> {
        sum.total()
    }
}

impl Sum for Mean {
    fn add(&mut self, value: f64) {
        Mean::add(self, value);
    }
    fn result(&self) -> f64 {
        self.mean()
    }
    fn histogram(sum: HistogramSum) -> Option<crate::series::Histogram> {
        sum.mean()
    }
}

impl Fold<'_> {
    fn summing<S: Sum>(&self, zero: &S) -> Column {
        let count = self.evaluator.steps.count;
        let mut sums: Vec<Option<S>> = vec![None; count];
        let mut histograms: HashMap<usize, HistogramSum> = HashMap::new();
        for row in self.members {
            for (step, sum) in sums.iter_mut().enumerate() {
                if let Some(histogram) = row.column.histogram(step) {
                    let sum = histograms.entry(step).or_default();
                    if sum.add(histogram).is_err() {
                        self.note_mixed_schemas(row.labels.value_or_empty(METRIC_NAME));
                    }
                } else if let Some(value) = row.column.float(step) {
                    sum.get_or_insert_with(|| zero.clone()).add(value);
                }
            }
        }
        let mut column = Column::absent(count);
        for (step, sum) in sums.into_iter().enumerate() {
            if let Some(sum) = sum {
                column.floats[step] = sum.result();
            }
        }
        for (step, sum) in histograms {
            if column.float(step).is_some() {
                column.clear(step);
                self.note(
                    Level::Warning,
                    "encountered a mix of histograms and floats for aggregation".to_owned(),
                );
                continue;
            }
            self.evaluator.note_histograms(sum.notice(), "aggregation", self.span);
            if let Some(histogram) = S::histogram(sum) {
                column.set(step, Value::Histogram(Arc::new(histogram.compacted())));
            }
        }
        column
    }

    /// Counts elements, or says that there are any.
    fn counting(&self, counts: bool) -> Column {
        let mut column = Column::absent(self.evaluator.steps.count);
        for row in self.members {
            for step in 0..self.evaluator.steps.count {
                if row.column.is_present(step) {
                    let before = column.float(step).filter(|_| counts);
                    column.floats[step] = before.unwrap_or(0.0) + 1.0;
                }
            }
        }
        column
    }

    fn extreme(&self, replaces: impl Fn(f64, f64) -> bool) -> Column {
        let mut column = Column::absent(self.evaluator.steps.count);
        for row in self.members {
            for (step, best) in column.floats.iter_mut().enumerate() {
                let Some(value) = row.column.float(step) else { continue };
                // A NaN, absence included, gives way to anything.
                if best.is_nan() || replaces(value, *best) {
                    *best = value;
                }
            }
        }
        self.note_ignored_histograms();
        column
    }

    /// The variance by Welford's method, as upstream computes it.
    fn spread(&self, finish: impl Fn(f64) -> f64) -> Column {
        let count = self.evaluator.steps.count;
        let mut column = Column::absent(count);
        let mut states = vec![(0.0f64, 0.0f64, 0.0f64); count];
        for row in self.members {
            for (step, (seen, mean, squares)) in states.iter_mut().enumerate() {
                let Some(value) = row.column.float(step) else { continue };
                *seen += 1.0;
                if *seen == 1.0 {
                    *mean = value;
                    *squares = if value.is_finite() { 0.0 } else { f64::NAN };
                    continue;
                }
                let delta = value - *mean;
                *mean += delta / *seen;
                *squares += delta * (value - *mean);
            }
        }
        for (step, (seen, _, squares)) in states.into_iter().enumerate() {
            if seen > 0.0 {
                column.floats[step] = finish(squares / seen);
            }
        }
        self.note_ignored_histograms();
        column
    }

    fn note(&self, level: Level, text: String) {
        self.evaluator.note(level, text, self.span);
    }

    fn note_mixed_schemas(&self, name: &str) {
        self.note(
            Level::Warning,
            format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                quote(name)
            ),
        );
    }

    fn note_ignored_histograms(&self) {
        let any = |row: &&Row| row.column.histograms.iter().any(Option::is_some);
        if self.members.iter().any(any) {
            self.note(Level::Info, format!("ignored histogram in {} aggregation", self.op));
        }
    }
}
