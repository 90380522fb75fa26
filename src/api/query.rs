use std::time::Duration;

use serde_json::json;

use super::app::App;
use super::error::ApiError;
use super::json::{push_float, push_labels, push_list, value_pieces};
use super::request::Call;
use super::response::{Notes, Reply};
use super::route::Answer;
use crate::lang::Diagnostic;
use crate::promql::{
    self, Expr, QueryError, QueryOptions, QueryResult, QueryStats, QueryValue, RangeQuery,
    ValueType,
};
use crate::series::format_time_s;

/// Steps that one range query may have.
const POINTS_MAX: i64 = 11_000;

/// `/query`: the value at one time.
pub(super) fn instant(app: &App, call: &Call) -> Answer {
    let limit = call.parameters.limit()?;
    let time_ms = call.parameters.time_ms("time")?.unwrap_or_else(|| app.clock.now_ms());
    let options = options(app, call)?;
    let expr = expression(call)?;
    let result = app.engine.instant(&app.store.snapshot(), &expr, time_ms, &options);
    Ok(answer(call, result.map_err(|error| failed(call, error))?, limit))
}

/// `/query_range`: the values at the steps from start to end.
pub(super) fn range(app: &App, call: &Call) -> Answer {
    let limit = call.parameters.limit()?;
    let range = range_of(call)?;
    let options = options(app, call)?;
    let expr = expression(call)?;
    let kind = match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => None,
        ValueType::Matrix => Some("range vector"),
        ValueType::String => Some("string"),
    };
    if let Some(kind) = kind {
        let message = format!(
            "invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector"
        );
        return Err(ApiError::Parameter { name: "query", message });
    }
    let result = app.engine.range(&app.store.snapshot(), &expr, range, &options);
    Ok(answer(call, result.map_err(|error| failed(call, error))?, limit))
}

fn range_of(call: &Call) -> Result<RangeQuery, ApiError> {
    let start_ms = call.required_time_ms("start")?;
    let end_ms = call.required_time_ms("end")?;
    if end_ms < start_ms {
        let message = "end timestamp must not be before start time".to_owned();
        return Err(ApiError::Parameter { name: "end", message });
    }
    let step_ms = match call.parameters.duration_ms("step")? {
        Some(step_ms @ 1..) => step_ms,
        Some(_) => {
            let message = "zero or negative query resolution step widths are not accepted. \
                           Try a positive integer";
            return Err(ApiError::Parameter { name: "step", message: message.to_owned() });
        }
        None => {
            let message = "cannot parse \"\" to a valid duration".to_owned();
            return Err(ApiError::Parameter { name: "step", message });
        }
    };
    if end_ms.checked_sub(start_ms).is_none_or(|length_ms| length_ms / step_ms > POINTS_MAX) {
        return Err(ApiError::BadData(
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)"
                .to_owned(),
        ));
    }
    Ok(RangeQuery { start_ms, end_ms, step_ms })
}

fn options(app: &App, call: &Call) -> Result<QueryOptions, ApiError> {
    let timeout = match call.parameters.duration_ms("timeout")? {
        Some(ms) => Duration::from_millis(ms.unsigned_abs()).min(app.engine.options().timeout),
        None => app.engine.options().timeout,
    };
    let lookback_ms = call.parameters.duration_ms("lookback_delta")?;
    Ok(QueryOptions {
        lookback_ms: lookback_ms.filter(|ms| *ms > 0),
        timeout: Some(timeout),
        cancel: call.cancel.clone(),
        text: Some(query_text(call).into()),
        times_phases: call.parameters.get("stats").is_some(),
    })
}

/// Returns the parsed parameter `query`.
pub(super) fn expression(call: &Call) -> Result<Expr, ApiError> {
    promql::parse(query_text(call)).map_err(|diagnostics| wrong_query(call, &diagnostics))
}

fn query_text(call: &Call) -> &str {
    call.parameters.get("query").unwrap_or("")
}

fn wrong_query(call: &Call, diagnostics: &[Diagnostic]) -> ApiError {
    let message = promql::error_text(query_text(call), diagnostics);
    ApiError::Parameter { name: "query", message }
}

/// The engine refuses what is not switched on; that is said with its place, like a parse error.
fn failed(call: &Call, error: QueryError) -> ApiError {
    match error {
        QueryError::Parse(diagnostics) => wrong_query(call, &diagnostics),
        other => ApiError::Query(other),
    }
}

fn answer(call: &Call, mut result: QueryResult, limit: Option<usize>) -> Reply {
    let cut = limit.is_some_and(|limit| truncate(&mut result.value, limit));
    let mut notes = Notes::truncated(cut);
    notes.warnings.append(&mut result.warnings);
    notes.infos.append(&mut result.infos);
    let stats = stats(call, &result, &mut notes);
    Reply::in_pieces(&notes, |before, after| {
        value_pieces(before, result.value, stats.as_deref(), after)
    })
}

/// Returns whether something was cut.
fn truncate(value: &mut QueryValue, limit: usize) -> bool {
    let before = match value {
        QueryValue::Vector(elements) => {
            let before = elements.len();
            elements.truncate(limit);
            before
        }
        QueryValue::Matrix(matrix) => {
            let before = matrix.len();
            matrix.truncate(limit);
            before
        }
        QueryValue::Scalar { .. } | QueryValue::String { .. } => 0,
    };
    before > limit
}

/// Returns the JSON of `data.stats`, if it was asked for.
fn stats(call: &Call, result: &QueryResult, notes: &mut Notes) -> Option<String> {
    let asked = call.parameters.get("stats")?;
    if !matches!(asked, "true" | "all") {
        notes.warnings.push(format!("stats={asked} is deprecated, use stats=true or stats=all"));
    }
    let QueryStats { elapsed, phases, .. } = result.stats;
    let total = elapsed + call.waited;
    let stats = json!({
        "timings": {
            "evalTotalTime": elapsed.as_secs_f64(),
            "resultSortTime": phases.sort.as_secs_f64(),
            "queryPreparationTime": phases.select.as_secs_f64(),
            "innerEvalTime": elapsed.saturating_sub(phases.select + phases.sort).as_secs_f64(),
            "execQueueTime": call.waited.as_secs_f64(),
            "execTotalTime": total.as_secs_f64(),
            // Beyond upstream's; sums over all processors.
            "readTime": phases.read.as_secs_f64(),
            "functionTime": phases.functions.as_secs_f64(),
        },
        "samples": {
            "totalQueryableSamples": result.stats.samples_read,
            "samplesRead": result.stats.samples_read,
            "peakSamples": result.stats.samples_peak,
            // Beyond upstream's.
            "seriesRead": result.stats.series_read,
            "peakBytes": result.stats.peak_bytes(),
        },
    });
    Some(stats.to_string())
}

/// `/format_query`: the expression as we print it.
pub(super) fn format(_: &App, call: &Call) -> Answer {
    Ok(Reply::data(&json!(expression(call)?.to_string())))
}

/// `/query_exemplars`: the exemplars of every selector of an expression.
pub(super) fn exemplars(app: &App, call: &Call) -> Answer {
    let range = call.range()?;
    if range.is_empty() {
        let message = "end timestamp must not be before start timestamp".to_owned();
        return Err(ApiError::Parameter { name: "end", message });
    }
    let expr = expression(call)?;
    let snapshot = app.store.snapshot();
    let mut found = Vec::new();
    for selector in expr.selectors() {
        found.extend(snapshot.exemplars(&selector.all_matchers(), range)?);
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.dedup_by(|(a, _), (b, _)| a == b);
    let mut data = Vec::new();
    push_list(&mut data, &found, |out, (labels, exemplars)| {
        out.extend_from_slice(br#"{"seriesLabels":"#);
        push_labels(out, labels);
        out.extend_from_slice(br#","exemplars":"#);
        push_list(out, exemplars, |out, exemplar| {
            out.extend_from_slice(br#"{"labels":"#);
            push_labels(out, &exemplar.labels);
            out.extend_from_slice(br#","value":"#);
            push_float(out, exemplar.value);
            out.extend_from_slice(br#","timestamp":"#);
            out.extend_from_slice(format_time_s(exemplar.time_ms).as_bytes());
            out.push(b'}');
        });
        out.push(b'}');
    });
    Ok(Reply::raw_data(&data, &Notes::default()))
}
