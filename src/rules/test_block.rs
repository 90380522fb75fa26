//! `test` blocks: their lines to steps.

use super::ast::Spanned;
use super::{AlertState, TestSpec, TestStep};
use crate::lang::{Diagnostic, Span, nearest};
use crate::promql::{parse_selector, testing};
use crate::series::{METRIC_NAME, Matcher, parse_duration};

/// No test goes on for longer, ms.
const LENGTH_MS_MAX: i64 = 366 * 86_400_000;
const HELP: &str = "write `at 10m expect NAME{labels} firing`, or `pending`, or `quiet`";

/// Reads the lines of a test in a file that has rules of these names.
pub(super) fn check(
    file: &str,
    name: &str,
    lines: &[Spanned<String>],
    rules: &[&str],
) -> (TestSpec, Vec<Diagnostic>) {
    let (mut steps, mut diagnostics) = (Vec::new(), Vec::new());
    let mut script: Vec<&Spanned<String>> = Vec::new();
    for line in lines {
        if !line.node.starts_with("at ") {
            script.push(line);
            continue;
        }
        steps.extend(script_step(file, &mut script, &mut diagnostics));
        let (number, _) = line.span.line_column(file);
        match at(number, line, rules) {
            Ok(step) => steps.push(step),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    steps.extend(script_step(file, &mut script, &mut diagnostics));
    (TestSpec { name: name.to_owned(), steps }, diagnostics)
}

/// The script that these lines are, which are taken.
fn script_step(
    file: &str,
    lines: &mut Vec<&Spanned<String>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<TestStep> {
    let lines = std::mem::take(lines);
    let text = lines.iter().map(|line| line.node.as_str()).collect::<Vec<_>>().join("\n");
    for (number, reason) in testing::check_script(&text) {
        let span = lines.get(number - 1).map_or(Span::default(), |line| line.span);
        diagnostics.push(Diagnostic::error("R027", span, reason));
    }
    let (line, _) = lines.first()?.span.line_column(file);
    (!text.trim().is_empty()).then_some(TestStep::Script { line, text })
}

/// `at D expect NAME{labels} firing|pending|quiet`
fn at(line: usize, written: &Spanned<String>, rules: &[&str]) -> Result<TestStep, Diagnostic> {
    let wrong = |message: String| Diagnostic::error("R027", written.span, message).with_help(HELP);
    let text = &written.node;
    let rest = text.strip_prefix("at").unwrap_or(text).trim_start();
    let (time, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let time_ms = parse_duration(time).map_err(|error| wrong(error.to_string()))?;
    if time_ms > LENGTH_MS_MAX {
        return Err(wrong("no test goes on for more than a year".to_owned()));
    }
    let Some(rest) = rest.trim_start().strip_prefix("expect ") else {
        return Err(wrong("expected `expect` after the time".to_owned()));
    };
    let (selector, state) = rest.trim().rsplit_once(char::is_whitespace).unwrap_or(("", rest));
    let state = match state {
        "firing" => Some(AlertState::Firing),
        "pending" => Some(AlertState::Pending),
        "quiet" => None,
        other => return Err(wrong(format!("an alert is never {other:?}"))),
    };
    let matchers = parse_selector(selector).map_err(|errors| {
        let reason = errors.first().map_or("not a selector", |error| error.message.as_str());
        wrong(reason.to_owned())
    })?;
    let is_name = |matcher: &&Matcher| &*matcher.name == METRIC_NAME;
    let name = matchers.iter().find(is_name).map_or("", |matcher| &*matcher.value);
    if !rules.contains(&name) {
        let unknown = wrong(format!("no rule `{name}` stands in this file"));
        return Err(match nearest(name, rules.iter().copied()) {
            Some(near) => unknown.with_help(format!("did you mean `{near}`?")),
            None => unknown,
        });
    }
    Ok(TestStep::At { line, time_ms, text: text.clone(), matchers, state })
}
