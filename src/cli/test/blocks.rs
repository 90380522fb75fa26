//! `test` blocks of rule files: rules on samples that the block itself loads.

use std::sync::Arc;

use crate::alerts::{AlertView, Manager, ManagerOptions};
use crate::env::{Clock, ManualClock};
use crate::promql::testing::{CaseReport, ScriptReport, Session};
use crate::promql::{Engine, EngineOptions};
use crate::rules::{AlertState, GroupSpec, LocalEvaluator, TestSpec, TestStep};
use crate::series::{METRIC_NAME, Matcher};

/// Runs the steps of a test of a group; groups that say nothing are evaluated each minute.
pub(super) fn run(group: &GroupSpec, test: &TestSpec) -> ScriptReport {
    let mut report = ScriptReport::default();
    let mut session = Session::new();
    let mut running: Option<(Manager, i64)> = None;
    for step in &test.steps {
        match step {
            TestStep::Script { line, text } => {
                let found = session.run(text);
                let at = |number: usize| number + line - 1;
                let cases = found.cases.into_iter();
                report.cases.extend(cases.map(|case| CaseReport { line: at(case.line), ..case }));
                let errors = found.errors.into_iter();
                report.errors.extend(errors.map(|(number, error)| (at(number), error)));
                running = None;
            }
            TestStep::At { line, time_ms, text, matchers, state } => {
                let goes_on = running.take().filter(|(_, reached_ms)| reached_ms <= time_ms);
                let manager = goes_on.map_or_else(|| begin(group, &session), |(at, _)| Ok(at));
                let difference = match manager {
                    Ok(mut manager) => {
                        let found = until(&mut manager, *time_ms, matchers, *state);
                        running = Some((manager, *time_ms));
                        found
                    }
                    Err(error) => Some(error),
                };
                report.cases.push(CaseReport { line: *line, expr: text.clone(), difference });
            }
        }
    }
    report
}

/// Returns the group before its first evaluation, at 0, over all that was loaded.
fn begin(group: &GroupSpec, session: &Session) -> Result<Manager, String> {
    let store = session.copy()?;
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(i64::MAX / 4));
    let engine = Engine::new(EngineOptions::default(), Arc::clone(&clock));
    let evaluator = Arc::new(LocalEvaluator::new(store.clone(), engine));
    let options = ManagerOptions { is_aligned: true, ..ManagerOptions::default() };
    let mut manager = Manager::new(options, evaluator, store, clock, Box::new(drop));
    manager.load(vec![group.clone()], -1);
    Ok(manager)
}

/// Evaluates until a time, and says what is not as it should be then.
fn until(
    manager: &mut Manager,
    time_ms: i64,
    matchers: &[Matcher],
    wanted: Option<AlertState>,
) -> Option<String> {
    while let Some(due_ms) = manager.next_due().filter(|due_ms| *due_ms <= time_ms) {
        manager.evaluate_due(due_ms);
    }
    let view = manager.view();
    let is_meant = |alert: &&AlertView| {
        matchers.iter().all(|matcher| {
            let is_name = &*matcher.name == METRIC_NAME;
            let label = if is_name { "alertname" } else { &*matcher.name };
            matcher.matches(alert.labels.value_or_empty(label))
        })
    };
    let found: Vec<&AlertView> = view.alerts().filter(is_meant).collect();
    let holds = match wanted {
        Some(state) => found.iter().any(|alert| alert.state == state),
        None => found.is_empty(),
    };
    if holds {
        return None;
    }
    let rules = view.groups.iter().flat_map(|group| &group.rules);
    let errors = rules.filter_map(|rule| {
        rule.last_error
            .as_ref()
            .map(|error| format!("{} could not be evaluated: {error}", rule.name))
    });
    let shown = found.iter().map(|alert| format!("{} is {}", alert.labels, alert.state.word()));
    let mut told: Vec<String> = errors.chain(shown).collect();
    if told.is_empty() {
        told.push("no such alert is pending or firing".to_owned());
    }
    Some(told.join("; "))
}
