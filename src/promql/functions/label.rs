//! Functions of labels: they look at series, never at values.

use std::cmp::Ordering;

use regex::RegexBuilder;

use super::{Evaluated, Evaluator, QueryError};
use crate::promql::ast::{Call, Expr};
use crate::promql::eval::{Level, Row, merge_equal_labels};
use crate::series::{Labels, METRIC_NAME};

type Answer = Result<Evaluated, QueryError>;

/// As for the regular expressions of matchers.
const REGEX_BYTES_MAX: usize = 1 << 20;

fn fail(message: String) -> QueryError {
    QueryError::Execution(message)
}

/// Sets a label to what a regular expression's groups make of another.
pub(super) fn replace(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let text = |index: usize| ev.text(&call.args[index]);
    let (to, template, from, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let regex = RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|_| fail(format!("invalid regular expression in label_replace(): {pattern}")))?;
    if to.is_empty() {
        return Err(fail(format!("invalid destination label name in label_replace(): {to}")));
    }
    let groups = template.bytes().filter(|byte| *byte == b'$').count();
    let mut rows = ev.vector(&call.args[0])?;
    for row in &mut rows {
        let text = row.labels.value_or_empty(&from);
        let Some(captures) = regex.captures(text) else { continue };
        let most = text.len().saturating_mul(groups).saturating_add(template.len());
        ev.hold_label(&to, most)?;
        let mut value = String::new();
        captures.expand(&template, &mut value);
        drop(captures);
        relabel(row, &to, &value);
    }
    Ok(Evaluated::Vector(merge_equal_labels(rows)?))
}

/// Sets a label to the values of others, joined.
pub(super) fn join(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let (to, separator) = (ev.text(&call.args[1])?, ev.text(&call.args[2])?);
    let from: Vec<String> =
        call.args[3..].iter().map(|arg| ev.text(arg)).collect::<Result<_, _>>()?;
    if from.iter().any(String::is_empty) {
        return Err(fail("invalid source label name in label_join(): ".to_owned()));
    }
    if to.is_empty() {
        return Err(fail(format!("invalid destination label name in label_join(): {to}")));
    }
    let mut rows = ev.vector(&call.args[0])?;
    for row in &mut rows {
        let values: Vec<&str> = from.iter().map(|name| row.labels.value_or_empty(name)).collect();
        let len: usize = values.iter().map(|value| value.len() + separator.len()).sum();
        ev.hold_label(&to, len)?;
        let value = values.join(&separator);
        relabel(row, &to, &value);
    }
    Ok(Evaluated::Vector(merge_equal_labels(rows)?))
}

fn relabel(row: &mut Row, name: &str, value: &str) {
    row.labels = row.labels.with(name, value);
    if name == METRIC_NAME {
        row.drop_name = false;
    }
}

/// Sorts an instant vector by labels, digits by their number; the whole label set decides ties.
pub(super) fn sort(ev: &Evaluator<'_>, call: &Call, descending: bool) -> Answer {
    let names: Vec<String> =
        call.args[1..].iter().map(|arg| ev.text(arg)).collect::<Result<_, _>>()?;
    warn_in_range(ev, call);
    let mut rows = ev.vector(&call.args[0])?;
    let order = |a: &Labels, b: &Labels| {
        let by_names =
            names.iter().map(|name| natural(a.value_or_empty(name), b.value_or_empty(name)));
        by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.cmp(b))
    };
    rows.sort_by(|a, b| {
        let order = order(&a.labels, &b.labels);
        if descending { order.reverse() } else { order }
    });
    Ok(Evaluated::Vector(rows))
}

/// Sorts an instant vector by value, NaN last; histograms go.
pub(super) fn sort_by_value(ev: &Evaluator<'_>, call: &Call, descending: bool) -> Answer {
    warn_in_range(ev, call);
    let mut rows = ev.vector(&call.args[0])?;
    for row in &mut rows {
        row.column.histograms = Vec::new();
    }
    rows.retain(|row| !row.column.is_empty());
    if ev.is_instant() {
        rows.sort_by(|a, b| {
            let (a, b) = (a.column.floats[0], b.column.floats[0]);
            let (first, second) = if descending { (b, a) } else { (a, b) };
            let by_number = first.partial_cmp(&second).unwrap_or(Ordering::Equal);
            a.is_nan().cmp(&b.is_nan()).then(by_number)
        });
    }
    Ok(Evaluated::Vector(rows))
}

fn warn_in_range(ev: &Evaluator<'_>, call: &Call) {
    if !ev.is_instant() {
        let text =
            "sort is ineffective for range queries since results are always ordered by labels";
        ev.note(Level::Warning, text, call.span);
    }
}

/// Orders texts so that runs of digits count as numbers: `node2` before `node10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_chunks, mut b_chunks) = (chunks(a), chunks(b));
    loop {
        match (a_chunks.next(), b_chunks.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => {
                let number = |text: &str| text.parse::<u128>().ok();
                return match (number(a), number(b)) {
                    (Some(x), Some(y)) if x != y => x.cmp(&y),
                    _ => a.cmp(b),
                };
            }
        }
    }
}

fn chunks(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let first = text.chars().next()?.is_ascii_digit();
        let end = text.find(|c: char| c.is_ascii_digit() != first).unwrap_or(text.len());
        let (chunk, rest) = text.split_at(end);
        text = rest;
        Some(chunk)
    })
}

/// The labels that a selector fixes by `=`, each once.
pub(super) fn absent_labels(expr: &Expr) -> Labels {
    let selector = match expr.without_parens() {
        Expr::Vector(selector) => selector,
        Expr::Matrix(selector) => &selector.vector,
        _ => return Labels::empty(),
    };
    let mut builder = crate::series::LabelsBuilder::default();
    let mut seen = Vec::new();
    for matcher in selector.matchers.iter().filter(|matcher| *matcher.name != *METRIC_NAME) {
        let equal = matcher.op == crate::series::MatchOp::Equal;
        if equal && !seen.contains(&&matcher.name) {
            builder.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            builder.remove(&matcher.name);
        }
    }
    builder.build()
}
