//! `info`: adds the labels of info metrics, such as `target_info`, to the series of the same
//! instance and job.

use hashbrown::HashMap;

use super::{Evaluated, Evaluator, QueryError};
use crate::promql::ast::{At, Call, Expr, TimeSpan};
use crate::promql::eval::{Row, merge_equal_labels};
use crate::series::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

type Answer = Result<Evaluated, QueryError>;

/// The labels by which a series finds its info series.
const IDENTITY: [&str; 2] = ["instance", "job"];

pub(super) fn info(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let (at, offsets) = reference_time(&call.args[0]);
    let base = ev.vector(&call.args[0])?;
    let given: &[Matcher] = match call.args.get(1) {
        Some(Expr::Vector(selector)) => &selector.matchers,
        _ => &[],
    };
    let (names, data): (Vec<Matcher>, Vec<Matcher>) =
        given.iter().cloned().partition(|matcher| *matcher.name == *METRIC_NAME);
    let names = effective_names(names)?;
    let is_info = |labels: &Labels| {
        let name = labels.value_or_empty(METRIC_NAME);
        names.iter().all(|matcher| matcher.matches(name))
    };
    let mut matchers = identities(base.iter().filter(|row| !is_info(&row.labels)))?;
    let infos = if matchers.is_empty() {
        Vec::new()
    } else {
        matchers.extend(names.iter().chain(&data).cloned());
        ev.info_times(&matchers, at, &offsets)?
    };
    if let Some(info) = infos.iter().find(|info| info.column.has_histograms()) {
        return Err(QueryError::Execution(format!(
            "this should be an info metric, with float samples: {}",
            info.labels
        )));
    }
    let mut by_identity: HashMap<(Labels, &str), Vec<&Row>> = HashMap::new();
    for info in &infos {
        let name = info.labels.value_or_empty(METRIC_NAME);
        by_identity.entry((info.labels.keep(&IDENTITY), name)).or_default().push(info);
    }
    let mut results = Vec::new();
    for row in base {
        ev.check()?;
        if is_info(&row.labels) {
            results.push(row);
        } else {
            enrich(ev, &row, &by_identity, &data, &mut results)?;
        }
    }
    Ok(Evaluated::Vector(merge_equal_labels(results)?))
}

/// Without a name to be equal to, info metrics are those that end so; without any, `target_info`.
fn effective_names(names: Vec<Matcher>) -> Result<Vec<Matcher>, QueryError> {
    if names.is_empty() {
        return Ok(vec![Matcher::equal(METRIC_NAME, "target_info")]);
    }
    let positive = |matcher: &Matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
    if names.iter().any(positive) {
        return Ok(names);
    }
    let ends_so = regex_matcher(METRIC_NAME, ".+_info")?;
    Ok([ends_so].into_iter().chain(names).collect())
}

fn regex_matcher(name: &str, pattern: &str) -> Result<Matcher, QueryError> {
    Matcher::new(name, MatchOp::Regex, pattern)
        .map_err(|error| QueryError::Execution(error.to_string()))
}

/// Matches the info series of any of these rows.
fn identities<'r>(rows: impl Iterator<Item = &'r Row>) -> Result<Vec<Matcher>, QueryError> {
    let mut values: [std::collections::BTreeSet<&str>; 2] = Default::default();
    for row in rows {
        for (name, values) in IDENTITY.iter().zip(&mut values) {
            values.extend(row.labels.get(name));
        }
    }
    let given = IDENTITY.iter().zip(values).filter(|(_, values)| !values.is_empty());
    given
        .map(|(name, values)| {
            let escaped: Vec<String> = values.into_iter().map(regex::escape).collect();
            regex_matcher(name, &escaped.join("|"))
        })
        .collect()
}

/// The time at which the first selector looks also decides which info series are meant: the
/// innermost `@`, and the offsets up to it.
fn reference_time(expr: &Expr) -> (Option<At>, Vec<TimeSpan>) {
    fn find(expr: &Expr) -> Option<(Option<At>, Vec<TimeSpan>)> {
        let selector = match expr {
            Expr::Vector(selector) => selector,
            Expr::Matrix(selector) => &selector.vector,
            _ => {
                let (mut at, mut offsets) = expr.children().into_iter().find_map(find)?;
                if let (None, Expr::Subquery(subquery)) = (at, expr) {
                    at = subquery.at;
                    offsets.push(subquery.offset.clone());
                }
                return Some((at, offsets));
            }
        };
        Some((selector.at, vec![selector.offset.clone()]))
    }
    find(expr).unwrap_or_default()
}

fn enrich(
    ev: &Evaluator<'_>,
    row: &Row,
    infos: &HashMap<(Labels, &str), Vec<&Row>>,
    data: &[Matcher],
    results: &mut Vec<Row>,
) -> Result<(), QueryError> {
    let identity = row.labels.keep(&IDENTITY);
    let mut candidates: Vec<(&str, &Vec<&Row>)> = infos
        .iter()
        .filter(|((found, _), _)| *found == identity)
        .map(|((_, name), rows)| (*name, rows))
        .collect();
    candidates.sort_unstable_by_key(|(name, _)| *name);
    let mut places: HashMap<Vec<Option<usize>>, Option<usize>> = HashMap::new();
    for step in 0..ev.steps.count {
        let Some(value) = row.column.get(step) else { continue };
        let mut chosen = Vec::with_capacity(candidates.len());
        for (_, rows) in &candidates {
            chosen.push(newest(rows, step)?);
        }
        let place = if let Some(place) = places.get(&chosen) {
            *place
        } else {
            let of_chosen = chosen.iter().zip(&candidates);
            let found: Vec<&Labels> = of_chosen
                .filter_map(|(index, (_, rows))| index.map(|index| &rows[index].labels))
                .collect();
            let place = match enriched(&row.labels, &found, data)? {
                None => None,
                Some(labels) => {
                    let column = ev.held_column()?;
                    results.push(Row { labels, drop_name: row.drop_name, column });
                    Some(results.len() - 1)
                }
            };
            places.insert(chosen, place);
            place
        };
        if let Some(place) = place {
            results[place].column.set(step, value);
        }
    }
    Ok(())
}

/// Returns the info series whose sample is newest; their columns hold the samples' times.
fn newest(rows: &[&Row], step: usize) -> Result<Option<usize>, QueryError> {
    let mut best: Option<(usize, f64)> = None;
    for (index, row) in rows.iter().enumerate() {
        let Some(time_s) = row.column.float(step) else { continue };
        match best {
            Some((other, known)) if known == time_s => {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                    rows[other].labels,
                    known * 1000.0,
                    row.labels,
                    time_s * 1000.0
                )));
            }
            Some((_, known)) if known > time_s => {}
            _ => best = Some((index, time_s)),
        }
    }
    Ok(best.map(|(index, _)| index))
}

/// Returns the labels with those of the info series added; none if the series is to go because no
/// info series fits.
fn enriched(
    base: &Labels,
    infos: &[&Labels],
    data: &[Matcher],
) -> Result<Option<Labels>, QueryError> {
    if infos.is_empty() && data.iter().any(|matcher| !matcher.matches_empty()) {
        return Ok(None);
    }
    let mut added = LabelsBuilder::default();
    for (name, value) in infos.iter().flat_map(|labels| labels.iter()) {
        let wanted = data.is_empty() || data.iter().any(|matcher| *matcher.name == *name);
        if name == METRIC_NAME || !wanted {
            continue;
        }
        if added.get(name).is_some_and(|known| known != value) {
            return Err(QueryError::Execution(format!("conflicting label: {name}")));
        }
        if base.get(name).is_none() {
            added.set(name, value);
        }
    }
    let mut builder = LabelsBuilder::from(base);
    for (name, value) in &added.build() {
        builder.set(name, value);
    }
    Ok(Some(builder.build()))
}
