//! Aggregations that keep some of the elements: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::cmp::Ordering;

use crate::promql::ast::{Aggregate, AggregateOp};
use crate::promql::engine::QueryError;
use crate::promql::numeric::label_ratio;

use super::aggregate::{groups, parameter};
use super::{Answer, Column, Evaluator, Level, Row, short};

impl Evaluator<'_> {
    pub(super) fn pick(&self, aggregate: &Aggregate) -> Answer<Vec<Row>> {
        let limit = parameter(aggregate)?;
        let limits = self.scalar(limit)?;
        let rows = self.vector(&aggregate.expr)?;
        if !self.check_limits(aggregate, &limits, limit.span())? {
            return Ok(Vec::new());
        }
        let mut kept: Vec<Column> = rows.iter().map(|_| Column::absent(self.steps.count)).collect();
        // Of an instant query the order counts: by value within each group.
        let mut order = Vec::new();
        for group in groups(&rows, &aggregate.grouping) {
            self.check()?;
            for (step, limit) in limits.iter().enumerate() {
                let chosen = self.choose(aggregate, &rows, &group.members, step, *limit);
                for index in &chosen {
                    if let Some(value) = rows[*index].column.get(step) {
                        kept[*index].set(step, value);
                    }
                }
                if self.is_instant() {
                    order.extend(chosen);
                }
            }
        }
        if !self.is_instant() {
            order = (0..rows.len()).collect();
        }
        // No element is chosen twice.
        let take = |index: usize| {
            let column = std::mem::take(&mut kept[index]);
            let (labels, drop_name) = (rows[index].labels.clone(), rows[index].drop_name);
            Row { labels, drop_name, column }
        };
        let picked = order.into_iter().map(take).filter(|row| !row.column.is_empty());
        Ok(picked.collect())
    }

    /// Returns whether anything can be kept at all.
    fn check_limits(
        &self,
        aggregate: &Aggregate,
        limits: &[f64],
        span: crate::lang::Span,
    ) -> Answer<bool> {
        let most = limits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = limits.iter().copied().fold(f64::INFINITY, f64::min);
        let has_nan = limits.iter().any(|limit| limit.is_nan());
        let fail = |message: String| Err(QueryError::Execution(message));
        if aggregate.op == AggregateOp::LimitRatio {
            if most == 0.0 && least == 0.0 {
                return Ok(false);
            }
            if has_nan {
                return fail("Ratio value is NaN".to_owned());
            }
            for (value, bound, outside) in [(most, 1.0, most > 1.0), (least, -1.0, least < -1.0)] {
                if outside {
                    let text = format!(
                        "ratio value should be between -1 and 1, got {}, capping to {bound}",
                        short(value)
                    );
                    self.note(Level::Warning, text, span);
                }
            }
            return Ok(true);
        }
        if most < 1.0 && !has_nan {
            return Ok(false);
        }
        if has_nan {
            return fail("Parameter value is NaN".to_owned());
        }
        if least <= i64::MIN as f64 {
            return fail(format!("Scalar value {} underflows int64", short(least)));
        }
        if most >= i64::MAX as f64 {
            return fail(format!("Scalar value {} overflows int64", short(most)));
        }
        Ok(true)
    }

    /// Returns which members are kept at a step, in the order of an instant vector.
    fn choose(
        &self,
        aggregate: &Aggregate,
        rows: &[Row],
        members: &[usize],
        step: usize,
        limit: f64,
    ) -> Vec<usize> {
        let present = members.iter().copied().filter(|index| rows[*index].column.is_present(step));
        let count = if limit < 1.0 { 0 } else { limit as usize };
        let biggest_first = match aggregate.op {
            AggregateOp::Limitk => return present.take(count).collect(),
            AggregateOp::LimitRatio => {
                let ratio = limit.clamp(-1.0, 1.0);
                return present
                    .filter(|index| in_ratio(ratio, label_ratio(&rows[*index].labels)))
                    .collect();
            }
            op => op == AggregateOp::Topk,
        };
        if count == 0 {
            return Vec::new();
        }
        let mut valued = Vec::with_capacity(members.len());
        for index in present {
            if let Some(value) = rows[index].column.float(step) {
                valued.push((index, value));
            } else {
                let text = format!("ignored histogram in {} aggregation", aggregate.op);
                self.note(Level::Info, text, aggregate.span);
            }
        }
        let order = |a: &(usize, f64), b: &(usize, f64)| {
            let by_value = match (a.1.is_nan(), b.1.is_nan()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if biggest_first => by_number(b.1, a.1),
                (false, false) => by_number(a.1, b.1),
            };
            by_value.then(a.0.cmp(&b.0))
        };
        if count < valued.len() {
            valued.select_nth_unstable_by(count - 1, order);
            valued.truncate(count);
        }
        valued.sort_unstable_by(order);
        valued.into_iter().map(|(index, _)| index).collect()
    }
}

/// A negative ratio keeps what the positive ratio `1 + ratio` does not.
fn in_ratio(ratio: f64, place: f64) -> bool {
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

/// Orders numbers that are no NaN; both zeros are equal.
fn by_number(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}
