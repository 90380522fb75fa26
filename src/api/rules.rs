use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::app::App;
use super::error::ApiError;
use super::request::Call;
use super::response::Reply;
use super::route::Answer;
use super::series::selectors;
use crate::alerts::{AlertView, GroupView, RuleKind, RuleView};
use crate::series::{Labels, Matcher, format_float, format_rfc3339};

/// When upstream says that something never happened.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// `/rules`: groups, their rules, and the alerts of each.
pub(super) fn rules(app: &App, call: &Call) -> Answer {
    let wanted = Wanted::of(call)?;
    let view = app.rules.load();
    let mut groups = Vec::new();
    let mut next_token = None;
    let mut skipping = wanted.token;
    for group in &view.groups {
        if skipping.is_some_and(|token| token != token_of(group)) {
            continue;
        }
        skipping = None;
        let rules: Vec<Value> = group
            .rules
            .iter()
            .filter(|rule| wanted.has(group, rule))
            .map(|rule| rule_json(rule, wanted.exclude_alerts))
            .collect();
        if rules.is_empty() {
            continue;
        }
        if wanted.limit.is_some_and(|limit| groups.len() == limit) {
            next_token = Some(token_of(group));
            break;
        }
        groups.push(group_json(group, &rules));
    }
    if let Some(token) = skipping {
        let message = format!("no group has the token {token:?}; were rule files changed?");
        return Err(ApiError::Parameter { name: "group_next_token", message });
    }
    let mut data = Map::from_iter([("groups".to_owned(), Value::Array(groups))]);
    if let Some(token) = next_token {
        data.insert("groupNextToken".to_owned(), json!(token));
    }
    Ok(Reply::data(&data))
}

/// `/alerts`: what is pending and firing.
#[expect(clippy::unnecessary_wraps, reason = "handlers share one signature")]
pub(super) fn alerts(app: &App, _: &Call) -> Answer {
    let alerts: Vec<Value> = app.rules.load().alerts().map(alert_json).collect();
    Ok(Reply::data(&json!({ "alerts": alerts })))
}

/// `/alertmanagers`: where alerts go.
#[expect(clippy::unnecessary_wraps, reason = "handlers share one signature")]
pub(super) fn alertmanagers(app: &App, _: &Call) -> Answer {
    let config = app.config.load();
    let active: Vec<Value> =
        config.alertmanagers.iter().map(|target| json!({ "url": target.url })).collect();
    Ok(Reply::data(&json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] })))
}

/// What a request for rules wants to see.
struct Wanted<'a> {
    alerting: bool,
    recording: bool,
    rules: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    selectors: Vec<Vec<Matcher>>,
    exclude_alerts: bool,
    limit: Option<usize>,
    token: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(call: &'a Call) -> Result<Wanted<'a>, ApiError> {
        let parameters = &call.parameters;
        let wrong = |name: &'static str, message: &str| {
            Err(ApiError::Parameter { name, message: message.to_owned() })
        };
        let (alerting, recording) = match parameters.get("type") {
            None => (true, true),
            Some("alert") => (true, false),
            Some("record") => (false, true),
            Some(_) => return wrong("type", "not supported; it is alert or record"),
        };
        let exclude_alerts = match parameters.get("exclude_alerts") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return wrong("exclude_alerts", "it is true or false"),
        };
        let limit = match parameters.get("group_limit").map(str::parse::<usize>) {
            None => None,
            Some(Ok(limit @ 1..)) => Some(limit),
            Some(_) => return wrong("group_limit", "it is a number above 0"),
        };
        let token = parameters.get("group_next_token");
        if token.is_some() && limit.is_none() {
            return wrong("group_limit", "it has to be given with group_next_token");
        }
        let list = |name| parameters.all(name).collect();
        Ok(Wanted {
            alerting,
            recording,
            rules: list("rule_name[]"),
            groups: list("rule_group[]"),
            files: list("file[]"),
            selectors: selectors(call)?,
            exclude_alerts,
            limit,
            token,
        })
    }

    fn has(&self, group: &GroupView, rule: &RuleView) -> bool {
        let listed = |list: &[&str], name: &str| list.is_empty() || list.contains(&name);
        let kind = match rule.kind {
            RuleKind::Alerting(_) => self.alerting,
            RuleKind::Recording => self.recording,
        };
        let value = |name: &str| {
            let found = rule.labels.iter().find(|(label, _)| label == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let all = |matchers: &Vec<Matcher>| {
            matchers.iter().all(|matcher| matcher.matches(value(&matcher.name)))
        };
        kind && listed(&self.rules, &rule.name)
            && listed(&self.groups, &group.name)
            && listed(&self.files, &group.file)
            && (self.selectors.is_empty() || self.selectors.iter().any(all))
    }
}

fn token_of(group: &GroupView) -> String {
    let hash = Sha256::digest(format!("{};{}", group.file, group.name));
    format!("{hash:x}")
}

fn group_json(group: &GroupView, rules: &[Value]) -> Value {
    json!({
        "name": group.name,
        "file": group.file,
        "rules": rules,
        "interval": seconds(group.interval_ms),
        "limit": group.limit,
        "evaluationTime": group.evaluation_time.as_secs_f64(),
        "lastEvaluation": time(group.last_evaluation_ms),
    })
}

fn rule_json(rule: &RuleView, exclude_alerts: bool) -> Value {
    let mut json = json!({
        "name": rule.name,
        "query": rule.query,
        "labels": object(rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        "health": rule.health.word(),
        "evaluationTime": rule.evaluation_time.as_secs_f64(),
        "lastEvaluation": time(rule.last_evaluation_ms),
    });
    if let Some(error) = &rule.last_error {
        json["lastError"] = json!(error);
    }
    let RuleKind::Alerting(alerting) = &rule.kind else {
        json["type"] = json!("recording");
        return json;
    };
    json["type"] = json!("alerting");
    json["state"] = json!(alerting.state.map_or("unknown", |state| state.word()));
    json["duration"] = seconds(alerting.for_ms);
    json["keepFiringFor"] = seconds(alerting.keep_firing_for_ms);
    let annotations = alerting.annotations.iter();
    json["annotations"] = object(annotations.map(|(name, value)| (name.as_str(), value.as_str())));
    let alerts = || alerting.alerts.iter().map(alert_json).collect();
    json["alerts"] = if exclude_alerts { Value::Null } else { alerts() };
    json
}

fn alert_json(alert: &AlertView) -> Value {
    let labels = |labels: &Labels| object(labels.iter());
    let mut json = json!({
        "labels": labels(&alert.labels),
        "annotations": labels(&alert.annotations),
        "state": alert.state.word(),
        "activeAt": format_rfc3339(alert.active_at_ms),
        "value": alert.value.map_or(String::new(), exponent_form),
    });
    if let Some(since_ms) = alert.keep_firing_since_ms {
        json["keepFiringSince"] = json!(format_rfc3339(since_ms));
    }
    json
}

fn object<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    json!(pairs.collect::<BTreeMap<_, _>>())
}

/// Whole seconds as integers, as upstream's numbers print.
fn seconds(ms: i64) -> Value {
    if ms % 1000 == 0 { json!(ms / 1000) } else { json!(ms as f64 / 1000.0) }
}

fn time(time_ms: Option<i64>) -> String {
    time_ms.map_or_else(|| NEVER.to_owned(), format_rfc3339)
}

/// Formats a number as Go's `%e` with as many digits as needed: `1e+00`, `1.5e+01`.
fn exponent_form(value: f64) -> String {
    if !value.is_finite() {
        return format_float(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_with_an_exponent() {
        for (value, expected) in [
            (1.0, "1e+00"),
            (15.0, "1.5e+01"),
            (0.0, "0e+00"),
            (-0.001, "-1e-03"),
            (1e100, "1e+100"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(exponent_form(value), expected);
        }
    }
}
