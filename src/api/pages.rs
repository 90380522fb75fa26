//! The two pages, `/` and `/graph`: one document, made here without scripts, so that it also reads
//! in a terminal's browser at 3 am.

#![expect(clippy::unnecessary_wraps, reason = "handlers share one signature")]

use std::fmt::Write;

use hyper::StatusCode;

use super::app::App;
use super::chart;
use super::html::{Escaped, UrlEncoded, put};
use super::request::{Call, parse_time_ms};
use super::response::Reply;
use super::route::Answer;
use crate::alerts::{AlertState, AlertView, Health, RuleKind, RuleView};
use crate::promql::{self, QueryOptions, QueryValue, RangeQuery, Value, ValueType};
use crate::series::{Labels, format_duration, format_float, format_rfc3339, parse_duration};

const PAGE: &str = include_str!("page.html");
const ROWS_MAX: usize = 200;
const HOUR_MS: i64 = 3_600_000;

/// `/`: what is wrong or will be, why, and whether the rules are well.
pub(super) fn home(app: &App, call: &Call) -> Answer {
    let mut content = String::new();
    push_alerts(&mut content, app);
    push_form(&mut content, &Question::of(app, call));
    push_rules(&mut content, app);
    Ok(page(&content))
}

/// `/graph`: an expression over time; where the links of alerts lead.
pub(super) fn graph(app: &App, call: &Call) -> Answer {
    let question = Question::of(app, call);
    let mut content = String::new();
    push_form(&mut content, &question);
    push_result(&mut content, app, call, &question);
    push_alerts(&mut content, app);
    Ok(page(&content))
}

fn page(content: &str) -> Reply {
    let html = PAGE.replacen("<!--CONTENT-->", content, 1);
    let mut reply = Reply::new(StatusCode::OK, "text/html; charset=utf-8", html.into_bytes());
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                  base-uri 'none'; frame-ancestors 'none'";
    reply.headers.push(("content-security-policy", policy.to_owned()));
    reply
}

/// What the query box asks; the names are those of Prometheus' graph page.
struct Question<'a> {
    text: &'a str,
    range_ms: i64,
    end_ms: i64,
}

impl<'a> Question<'a> {
    fn of(app: &App, call: &'a Call) -> Question<'a> {
        let get = |name| call.parameters.get(name);
        let range_ms = get("g0.range_input").and_then(|text| parse_duration(text).ok());
        let end_ms = get("g0.end_input").and_then(parse_time_ms);
        Question {
            text: get("g0.expr").unwrap_or(""),
            range_ms: range_ms.unwrap_or(HOUR_MS).clamp(1000, 400 * 24 * HOUR_MS),
            end_ms: end_ms.unwrap_or_else(|| app.clock.now_ms()),
        }
    }
}

fn push_form(out: &mut String, question: &Question<'_>) {
    put!(
        out,
        "<h2>Query</h2><form action=\"graph\"><textarea name=\"g0.expr\" aria-label=\"PromQL\" \
         placeholder=\"PromQL, such as rate(http_requests_total[5m])\">{}</textarea>\
         <input type=\"hidden\" name=\"g0.tab\" value=\"0\"> \
         <label>over the last <input name=\"g0.range_input\" size=\"5\" value=\"{}\"></label> \
         <button>Show</button></form>",
        Escaped(question.text),
        format_duration(question.range_ms),
    );
}

fn push_result(out: &mut String, app: &App, call: &Call, question: &Question<'_>) {
    if question.text.is_empty() {
        return;
    }
    match evaluate(app, call, question) {
        Err(message) => put!(out, "<pre class=\"err\">{}</pre>", Escaped(&message)),
        Ok((value, notes)) => {
            for note in notes {
                put!(out, "<p class=\"dim\">{}</p>", Escaped(&note));
            }
            if let QueryValue::Matrix(matrix) = &value {
                let series = &matrix.iter().collect::<Vec<_>>();
                let start_ms = question.end_ms - question.range_ms;
                chart::push(out, series, start_ms, question.end_ms);
            }
            push_values(out, &value);
        }
    }
}

/// Evaluates over the range; what has no range (text, range vectors) at its end.
fn evaluate(
    app: &App,
    call: &Call,
    question: &Question<'_>,
) -> Result<(QueryValue, Vec<String>), String> {
    let wrong = |diagnostics: &[_]| promql::error_text(question.text, diagnostics);
    let expr = promql::parse(question.text).map_err(|diagnostics| wrong(&diagnostics))?;
    let options = QueryOptions {
        cancel: call.cancel.clone(),
        text: Some(question.text.into()),
        ..QueryOptions::default()
    };
    let snapshot = app.store.snapshot();
    let result = if matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        let step_ms = (question.range_ms / 240).max(1000);
        let start_ms = question.end_ms.saturating_sub(question.range_ms / step_ms * step_ms);
        let times = RangeQuery { start_ms, end_ms: question.end_ms, step_ms };
        app.engine.range(&snapshot, &expr, times, &options)
    } else {
        app.engine.instant(&snapshot, &expr, question.end_ms, &options)
    };
    let result = result.map_err(|error| match error {
        promql::QueryError::Parse(diagnostics) => wrong(&diagnostics),
        other => other.to_string(),
    })?;
    let mut notes = result.warnings;
    notes.extend(result.infos);
    Ok((result.value, notes))
}

/// The newest value of each series.
fn push_values(out: &mut String, value: &QueryValue) {
    let rows: Vec<(String, String)> = match value {
        QueryValue::Scalar { value, .. } => vec![(String::new(), format_float(*value))],
        QueryValue::String { value, .. } => vec![(String::new(), value.clone())],
        QueryValue::Vector(elements) => {
            let text = |value: &Value| value.as_float().map_or("histogram".into(), format_float);
            elements.iter().map(|e| (e.labels.to_string(), text(&e.value))).collect()
        }
        QueryValue::Matrix(matrix) => {
            let newest = |values: &[f64]| {
                values.last().map_or("histogram".to_owned(), |value| format_float(*value))
            };
            matrix.iter().map(|s| (s.labels.to_string(), newest(&s.points.values))).collect()
        }
    };
    put!(out, "<table>");
    for (index, (labels, value)) in rows.iter().take(ROWS_MAX).enumerate() {
        let (labels, value) = (Escaped(labels), Escaped(value));
        let key = chart::key(index);
        put!(out, "<tr><td>{key}<code>{labels}</code></td><td class=\"number\">{value}</td></tr>");
    }
    put!(out, "</table>");
    match rows.len() {
        0 => put!(out, "<p>No series match.</p>"),
        rows if rows > ROWS_MAX => put!(out, "<p class=\"dim\">{} more</p>", rows - ROWS_MAX),
        _ => {}
    }
}

fn push_alerts(out: &mut String, app: &App) {
    let view = app.rules.load();
    let mut alerts: Vec<(&RuleView, &AlertView)> = Vec::new();
    for rule in view.groups.iter().flat_map(|group| &group.rules) {
        if let RuleKind::Alerting(alerting) = &rule.kind {
            alerts.extend(alerting.alerts.iter().map(|alert| (rule, alert)));
        }
    }
    // Firing before pending, and the longest first.
    alerts.sort_by_key(|(_, alert)| (alert.state != AlertState::Firing, alert.active_at_ms));
    put!(out, "<h2>Warnings</h2>");
    if alerts.is_empty() {
        put!(out, "<p>Nothing is firing or pending.</p>");
    }
    for (rule, alert) in alerts.iter().take(ROWS_MAX) {
        push_alert(out, rule, alert, app.clock.now_ms());
    }
    if alerts.len() > ROWS_MAX {
        put!(out, "<p class=\"dim\">{} more</p>", alerts.len() - ROWS_MAX);
    }
}

fn push_alert(out: &mut String, rule: &RuleView, alert: &AlertView, now_ms: i64) {
    let severity = alert.labels.get("severity").unwrap_or("note");
    // A class is one of few words, whatever the label holds.
    let known = ["page", "critical", "ticket", "warning"];
    let class = known.into_iter().find(|word| *word == severity).unwrap_or("note");
    let state = alert.state.word();
    let whole_s_ms = (now_ms - alert.active_at_ms).max(0) / 1000 * 1000;
    put!(
        out,
        "<div class=\"alert {class} {state}\"><p><b>{}</b> {} {state} <span class=\"dim\">for {}, \
         since {}</span></p>",
        Escaped(&rule.name),
        Escaped(severity),
        format_duration(whole_s_ms),
        format_rfc3339(alert.active_at_ms),
    );
    let annotation = |name| alert.annotations.get(name);
    if let Some(why) = annotation("why") {
        put!(out, "<p class=\"why\">{}</p>", Escaped(why));
    }
    for name in ["summary", "description"] {
        if let Some(text) = annotation(name) {
            put!(out, "<p>{}</p>", Escaped(text));
        }
    }
    let labels = Labels::from_pairs(
        alert.labels.iter().filter(|(name, _)| !matches!(*name, "alertname" | "severity")),
    );
    put!(
        out,
        "<p class=\"dim\"><code>{}</code> <a href=\"graph?g0.expr={}&amp;g0.tab=0\">graph</a>",
        Escaped(&labels.to_string()),
        UrlEncoded(&rule.query),
    );
    let runbook = annotation("runbook_url");
    if let Some(url) =
        runbook.filter(|url| url.starts_with("http://") || url.starts_with("https://"))
    {
        put!(out, " <a href=\"{}\" rel=\"noreferrer\">runbook</a>", Escaped(url));
    }
    put!(out, "</p></div>");
}

fn push_rules(out: &mut String, app: &App) {
    let view = app.rules.load();
    put!(out, "<h2>Rules</h2>");
    if view.groups.is_empty() {
        put!(out, "<p>No rule is loaded. Put one into <code>rules/</code> and reload.</p>");
        return;
    }
    put!(out, "<table><tr><th>Rule</th><th>Health</th><th>Evaluated</th></tr>");
    for group in &view.groups {
        let every = format_duration(group.interval_ms);
        let (name, file) = (Escaped(&group.name), Escaped(&group.file));
        put!(
            out,
            "<tr><th colspan=\"3\">{name} <span class=\"dim\">{file}, every {every}</span></th></tr>"
        );
        group.rules.iter().for_each(|rule| push_rule(out, rule));
    }
    put!(out, "</table>");
}

fn push_rule(out: &mut String, rule: &RuleView) {
    let class = match rule.health {
        Health::Ok => "ok",
        Health::Err => "err",
        Health::Unknown => "dim",
    };
    let severity = rule.labels.iter().find(|(name, _)| name == "severity");
    let severity = severity.map_or("", |(_, value)| value.as_str());
    let error = rule.last_error.as_deref().unwrap_or("");
    let evaluated = rule.last_evaluation_ms.map_or("not yet".to_owned(), format_rfc3339);
    put!(
        out,
        "<tr><td><a href=\"graph?g0.expr={}&amp;g0.tab=0\">{}</a> <span class=\"dim\">{}</span></td>\
         <td class=\"{class}\">{} {}</td><td class=\"dim\">{evaluated}</td></tr>",
        UrlEncoded(&rule.query),
        Escaped(&rule.name),
        Escaped(severity),
        rule.health.word(),
        Escaped(error),
    );
}
