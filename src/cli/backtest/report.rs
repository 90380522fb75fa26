//! What a replay found, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::replay::{Firing, Outcome, Replay, RuleReplay};
use crate::series::{Labels, format_rfc3339};

/// One paragraph for each rule.
pub(super) fn text(replay: &Replay) -> String {
    let span = format!("{} to {}", minute(replay.start_ms), minute(replay.end_ms));
    let mut text = format!("Replayed {span} (UTC).\n");
    for rule in &replay.rules {
        text.push('\n');
        // Writing to a string cannot fail.
        let _ = of_rule(rule, &mut text);
    }
    text
}

fn of_rule(rule: &RuleReplay, text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "{}: {} series, {} firings, {:.1} pages a week",
        rule.name,
        rule.series,
        rule.firings.len(),
        per_week(rule)
    )?;
    if let Some(error) = &rule.error {
        writeln!(text, "  could not be evaluated: {error}")?;
    }
    for firing in &rule.firings {
        of_firing(firing, text)?;
    }
    let mut hours: BTreeMap<i64, usize> = BTreeMap::new();
    for firing in &rule.firings {
        *hours.entry(firing.start_ms.rem_euclid(86_400_000) / 3_600_000).or_default() += 1;
    }
    if !hours.is_empty() {
        let hours: Vec<String> =
            hours.iter().map(|(hour, count)| format!("{hour:02}h {count}")).collect();
        writeln!(text, "  began at {}", hours.join(", "))?;
    }
    if !rule.learning.is_empty() {
        writeln!(text, "  in the first 7 days of a series, not counted:")?;
        for firing in &rule.learning {
            of_firing(firing, text)?;
        }
    }
    for (expectation, outcome) in &rule.expectations {
        let outcome = match outcome {
            Outcome::Holds => "holds",
            Outcome::Fails => "FAILS",
            Outcome::Skipped => "skipped, that history is not stored",
        };
        let why = expectation.why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
        writeln!(text, "  {}: {outcome}{why}", expectation.text)?;
    }
    if let Some(allowed) = rule.allowed {
        let outcome = if rule.exceeds_budget() { "EXCEEDED" } else { "kept" };
        writeln!(
            text,
            "  budget: {} pages where {allowed:.0} are allowed: {outcome}",
            rule.pages()
        )?;
    }
    Ok(())
}

fn of_firing(firing: &Firing, text: &mut String) -> std::fmt::Result {
    let end =
        firing.end_ms.map_or("still firing".to_owned(), |end_ms| format!("to {}", minute(end_ms)));
    let series = without_ours(&firing.labels);
    writeln!(
        text,
        "  {} {} {end} {series}: {}",
        firing.severity,
        minute(firing.start_ms),
        firing.why
    )
}

/// Times in unix seconds.
pub(super) fn json(replay: &Replay) -> String {
    let rules: Vec<Value> = replay.rules.iter().map(rule_json).collect();
    format!("{}\n", json!({ "rules": rules }))
}

fn rule_json(rule: &RuleReplay) -> Value {
    let firings = |firings: &[Firing]| -> Vec<Value> { firings.iter().map(firing_json).collect() };
    let expect = rule.expectations.iter().map(|(expectation, outcome)| {
        json!({
            "expect": expectation.text,
            "why": expectation.why,
            "outcome": match outcome {
                Outcome::Holds => "holds",
                Outcome::Fails => "fails",
                Outcome::Skipped => "skipped",
            },
        })
    });
    json!({
        "name": rule.name,
        "series": rule.series,
        "pages_per_week": per_week(rule),
        "firings": firings(&rule.firings),
        "learning": firings(&rule.learning),
        "expect": expect.collect::<Vec<Value>>(),
        "budget_exceeded": rule.exceeds_budget(),
        "error": rule.error,
    })
}

fn firing_json(firing: &Firing) -> Value {
    let labels: serde_json::Map<String, Value> =
        firing.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
        "labels": labels,
        "severity": firing.severity,
        "start": seconds(firing.start_ms),
        "end": firing.end_ms.map(seconds),
        "why": firing.why,
    })
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1000.0
}

fn per_week(rule: &RuleReplay) -> f64 {
    rule.pages() as f64 / rule.weeks.max(f64::MIN_POSITIVE)
}

fn without_ours(labels: &Labels) -> Labels {
    labels.without(&["alertname", "severity"])
}

/// `2026-03-04 02:10`
fn minute(time_ms: i64) -> String {
    let text = format_rfc3339(time_ms);
    text.get(..16).unwrap_or(&text).replace('T', " ")
}
