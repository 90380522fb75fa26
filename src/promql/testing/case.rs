//! `eval`: an expression and what it must give, at one time or over a range.

use std::sync::Arc;

use regex::Regex;

use super::compare::{floats_equal, show, show_expected, values_equal};
use super::series::SequenceValue;
use crate::promql::ast::{At, Expr};
use crate::promql::engine::{
    Engine, QueryError, QueryOptions, QueryResult, QueryValue, RangeQuery, Series, Value,
    VectorElement,
};
use crate::promql::parse;
use crate::series::{Labels, Points};
use crate::store::{Snapshot, Store};

/// One case of a script.
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) expr: String,
    pub(super) expected: Expectations,
    pub(super) series: Vec<(Labels, Vec<SequenceValue>)>,
    pub(super) scalar: Option<f64>,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Instant { time_ms: i64 },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// The `expect` lines.
#[derive(Default)]
pub(super) struct Expectations {
    pub(super) ordered: bool,
    pub(super) fail: Option<Wanted>,
    pub(super) warnings: Vec<Wanted>,
    pub(super) infos: Vec<Wanted>,
    pub(super) no_warnings: bool,
    pub(super) no_infos: bool,
    pub(super) string: Option<String>,
    /// Start, end and step.
    pub(super) range_vector: Option<(i64, i64, i64)>,
}

/// A text that is wanted.
pub(super) enum Wanted {
    Any,
    Text(String),
    Pattern(Regex),
}

impl Wanted {
    /// Reads nothing, `msg: text` or `regex: pattern`.
    pub(super) fn of(text: &str) -> Result<Wanted, String> {
        if let Some(message) = text.strip_prefix("msg:") {
            return Ok(Wanted::Text(message.trim().to_owned()));
        }
        match text.strip_prefix("regex:") {
            Some(pattern) => Wanted::pattern(pattern.trim()),
            None if text.is_empty() => Ok(Wanted::Any),
            None => Err(format!("expected msg: or regex: at {text:?}")),
        }
    }

    pub(super) fn pattern(text: &str) -> Result<Wanted, String> {
        Regex::new(text).map(Wanted::Pattern).map_err(|error| error.to_string())
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Text(wanted) => wanted == text,
            Wanted::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// Functions of the time of evaluation; with them a moved evaluation gives another answer.
const TIME_DEPENDENT: [&str; 15] = [
    "time",
    "timestamp",
    "start",
    "end",
    "step",
    "range",
    "predict_linear",
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
];

type Verdict = Result<(), String>;

impl Case {
    /// Runs the case, with all the extra runs that a case stands for; the error says what differs.
    pub(super) fn run(&self, engine: &Engine, store: &Store) -> Verdict {
        let snapshot = store.snapshot();
        let run = Run { case: self, engine, snapshot: &snapshot };
        match self.kind {
            Kind::Range { start_ms, end_ms, step_ms } => {
                let times = RangeQuery { start_ms, end_ms, step_ms };
                run.range(times)
            }
            Kind::Instant { time_ms } => run.instants(time_ms),
        }
    }
}

fn parse_query(text: &str) -> Result<Expr, QueryError> {
    parse(text).map_err(QueryError::Parse)
}

struct Run<'a> {
    case: &'a Case,
    engine: &'a Engine,
    snapshot: &'a Snapshot,
}

impl Run<'_> {
    fn options(text: &str) -> QueryOptions {
        QueryOptions { text: Some(Arc::from(text)), ..QueryOptions::default() }
    }

    fn range(&self, times: RangeQuery) -> Verdict {
        let text = &self.case.expr;
        let result = parse_query(text)
            .and_then(|expr| self.engine.range(self.snapshot, &expr, times, &Self::options(text)));
        let Some(result) = self.check_failure(result)? else { return Ok(()) };
        self.check_notes(&result)?;
        let QueryValue::Matrix(matrix) = result.value else {
            return Err("expected a matrix".to_owned());
        };
        let series = matrix.into_series();
        check_sorted(&series)?;
        self.check_series(&series, times.start_ms, times.end_ms, times.step_ms)
    }

    fn instants(&self, time_ms: i64) -> Verdict {
        let time_ms = self.case.expected.range_vector.map_or(time_ms, |(_, end_ms, _)| end_ms);
        self.instant(&self.case.expr, time_ms)?;
        let Ok(expr) = parse_query(&self.case.expr) else { return Ok(()) };
        let mut depends = false;
        expr.walk(&mut |expr| {
            depends |=
                matches!(expr, Expr::Call(call) if TIME_DEPENDENT.contains(&call.function.name));
        });
        if depends {
            return Ok(());
        }
        let pinned = pinned(&expr, time_ms).to_string();
        let times = if time_ms == 0 {
            vec![-1000, 0, 1000]
        } else {
            vec![-10 * time_ms, 0, time_ms / 5, time_ms, 10 * time_ms]
        };
        for at_ms in times {
            self.instant(&pinned, at_ms)
                .map_err(|difference| format!("as {pinned} at {at_ms} ms: {difference}"))?;
        }
        Ok(())
    }

    fn instant(&self, text: &str, time_ms: i64) -> Verdict {
        let options = Self::options(text);
        let parsed = parse(text);
        let result = match &parsed {
            Ok(expr) => self.engine.instant(self.snapshot, expr, time_ms, &options),
            Err(diagnostics) => Err(QueryError::Parse(diagnostics.clone())),
        };
        let Some(result) = self.check_failure(result)? else { return Ok(()) };
        self.check_notes(&result)?;
        self.check_instant(&result.value)?;
        let expected = &self.case.expected;
        let query_functions = ["start()", "end()", "range()", "step()"];
        let skipped = expected.ordered
            || expected.string.is_some()
            || expected.range_vector.is_some()
            || matches!(result.value, QueryValue::Matrix(_))
            || query_functions.iter().any(|function| self.case.expr.contains(function));
        let (Ok(expr), false) = (parsed, skipped) else { return Ok(()) };
        let times =
            RangeQuery { start_ms: time_ms - 60_000, end_ms: time_ms + 60_000, step_ms: 60_000 };
        let as_range = |difference: String| format!("as a range around {time_ms} ms: {difference}");
        let result = self.engine.range(self.snapshot, &expr, times, &options);
        let value = result.map_err(|error| as_range(error.to_string()))?.value;
        let QueryValue::Matrix(matrix) = value else { return Err("expected a matrix".to_owned()) };
        let series = matrix.into_series();
        check_sorted(&series).map_err(as_range)?;
        self.check_point(&series, time_ms).map_err(as_range)
    }

    /// None: it failed, as expected.
    fn check_failure(
        &self,
        result: Result<QueryResult, QueryError>,
    ) -> Result<Option<QueryResult>, String> {
        match (result, &self.case.expected.fail) {
            (Ok(result), None) => Ok(Some(result)),
            (Ok(_), Some(_)) => Err("expected to fail, and did not".to_owned()),
            (Err(error), None) => Err(format!("failed: {error}")),
            (Err(error), Some(wanted)) => {
                let text = error.to_string();
                let shown = match wanted {
                    Wanted::Text(text) => text.as_str(),
                    Wanted::Pattern(pattern) => pattern.as_str(),
                    Wanted::Any => "",
                };
                if wanted.fits(&text) {
                    Ok(None)
                } else {
                    Err(format!("failed with {text:?}, expected {shown:?}"))
                }
            }
        }
    }

    fn check_notes(&self, result: &QueryResult) -> Verdict {
        let expected = &self.case.expected;
        check_texts("warning", &result.warnings, &expected.warnings, expected.no_warnings)?;
        check_texts("info", &result.infos, &expected.infos, expected.no_infos)
    }

    fn check_instant(&self, value: &QueryValue) -> Verdict {
        let case = self.case;
        match value {
            QueryValue::String { value, .. } => match &case.expected.string {
                Some(expected) if expected == value => Ok(()),
                expected => Err(format!("got the string {value:?}, expected {expected:?}")),
            },
            QueryValue::Scalar { value, .. } => match case.scalar {
                Some(expected) if floats_equal(expected, *value) => Ok(()),
                expected => Err(format!("got the scalar {value}, expected {expected:?}")),
            },
            QueryValue::Matrix(matrix) => match case.expected.range_vector {
                Some((start_ms, end_ms, step_ms)) => {
                    let series = matrix.clone().into_series();
                    self.check_series(&series, start_ms, end_ms, step_ms)
                }
                None if case.series.is_empty() && matrix.is_empty() => Ok(()),
                None => Err("got a matrix".to_owned()),
            },
            QueryValue::Vector(elements) => {
                if case.scalar.is_some() || case.expected.string.is_some() {
                    return Err("got a vector".to_owned());
                }
                self.check_elements(elements)
            }
        }
    }

    fn check_elements(&self, elements: &[VectorElement]) -> Verdict {
        let expected = &self.case.series;
        for (index, element) in elements.iter().enumerate() {
            let found = expected.iter().position(|(labels, _)| *labels == element.labels);
            let Some(found) = found else {
                let value = show(&element.value);
                return Err(format!("got {} {value}, which is not expected", element.labels));
            };
            if self.case.expected.ordered && found != index {
                return Err(format!("got {} at place {}", element.labels, index + 1));
            }
            let wanted = expected[found].1.first().unwrap_or(&SequenceValue::Blank);
            if !values_equal(wanted, &element.value) {
                let (value, wanted) = (show(&element.value), show_expected(wanted));
                return Err(format!("got {} {value}, expected {wanted}", element.labels));
            }
            if elements[..index].iter().any(|other| other.labels == element.labels) {
                return Err(format!("got {} twice", element.labels));
            }
        }
        let missing =
            expected.iter().find(|(labels, _)| !elements.iter().any(|e| e.labels == *labels));
        match missing {
            None => Ok(()),
            Some((labels, values)) => {
                let value = values.first().map(show_expected).unwrap_or_default();
                Err(format!("{labels} {value} is missing"))
            }
        }
    }

    fn check_point(&self, series: &[Series], time_ms: i64) -> Verdict {
        if let Some(expected) = self.case.scalar {
            let value = series.first().and_then(|series| value_at(&series.points, time_ms));
            return match value {
                Some(Value::Float(value)) if floats_equal(expected, value) => Ok(()),
                value => Err(format!("got {value:?}, expected {expected}")),
            };
        }
        let elements: Vec<VectorElement> = series
            .iter()
            .filter_map(|series| {
                let value = value_at(&series.points, time_ms)?;
                Some(VectorElement { labels: series.labels.clone(), time_ms, value })
            })
            .collect();
        self.check_elements(&elements)
    }

    fn check_series(&self, series: &[Series], start_ms: i64, end_ms: i64, step_ms: i64) -> Verdict {
        let scalar =
            self.case.scalar.map(|value| (Labels::empty(), vec![SequenceValue::Float(value)]));
        let expected: Vec<&(Labels, Vec<SequenceValue>)> =
            self.case.series.iter().chain(&scalar).collect();
        for found in series {
            let Some((labels, values)) =
                expected.iter().find(|(labels, _)| *labels == found.labels)
            else {
                return Err(format!("got {}, which is not expected", found.labels));
            };
            let mut count = 0;
            for (at, wanted) in values.iter().enumerate() {
                if *wanted == SequenceValue::Blank {
                    continue;
                }
                count += 1;
                let time_ms = start_ms + at as i64 * step_ms;
                if time_ms > end_ms {
                    return Err(format!("{labels} has an expected value beyond the end"));
                }
                let value = value_at(&found.points, time_ms);
                if !value.as_ref().is_some_and(|value| values_equal(wanted, value)) {
                    let value = value.as_ref().map_or_else(|| "nothing".to_owned(), show);
                    return Err(format!(
                        "got {labels} {value} at {time_ms} ms, expected {}",
                        show_expected(wanted)
                    ));
                }
            }
            if count != found.points.len() {
                let points = &found.points;
                return Err(format!(
                    "got {} points of {labels}, expected {count}: {:?} {:?}",
                    points.len(),
                    points.times_ms,
                    points.values
                ));
            }
        }
        let missing = expected.iter().find(|(labels, values)| {
            let any = values.iter().any(|value| *value != SequenceValue::Blank);
            any && !series.iter().any(|series| series.labels == *labels)
        });
        missing.map_or(Ok(()), |(labels, _)| Err(format!("{labels} is missing")))
    }
}

fn check_texts(kind: &str, found: &[String], wanted: &[Wanted], none: bool) -> Verdict {
    if none && !found.is_empty() {
        return Err(format!("got the {kind} {:?}", found[0]));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    if let Some(text) = found.iter().find(|text| !wanted.iter().any(|wanted| wanted.fits(text))) {
        return Err(format!("got the {kind} {text:?}, which is not expected"));
    }
    let missing = wanted.iter().find(|wanted| !found.iter().any(|text| wanted.fits(text)));
    match missing {
        None => Ok(()),
        Some(Wanted::Text(text)) => Err(format!("the {kind} {text:?} is missing")),
        Some(Wanted::Pattern(pattern)) => {
            Err(format!("a {kind} like {:?} is missing", pattern.as_str()))
        }
        Some(Wanted::Any) => Err(format!("a {kind} is missing")),
    }
}

fn check_sorted(series: &[Series]) -> Verdict {
    match series.windows(2).find(|pair| pair[0].labels >= pair[1].labels) {
        None => Ok(()),
        Some(pair) => Err(format!("{} stands before {}", pair[0].labels, pair[1].labels)),
    }
}

fn value_at(points: &Points, time_ms: i64) -> Option<Value> {
    if let Ok(at) = points.times_ms.binary_search(&time_ms) {
        return Some(Value::Float(points.values[at]));
    }
    let at = points.histograms.binary_search_by_key(&time_ms, |point| point.time_ms).ok()?;
    Some(Value::Histogram(points.histograms[at].histogram.clone()))
}

/// Gives every selector and subquery without a time one; those inside a subquery follow it.
fn pinned(expr: &Expr, time_ms: i64) -> Expr {
    let fix = |at: &mut Option<At>| {
        if !matches!(at, Some(At::Time(_))) {
            *at = Some(At::Time(time_ms));
        }
    };
    expr.rewrite(&mut |expr| {
        let mut copy = expr.clone();
        match &mut copy {
            Expr::Vector(selector) => fix(&mut selector.at),
            Expr::Matrix(selector) => fix(&mut selector.vector.at),
            Expr::Subquery(subquery) => fix(&mut subquery.at),
            _ => return None,
        }
        Some(copy)
    })
}
