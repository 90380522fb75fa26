use std::sync::Arc;

use super::AlertRule;
use super::program::Program;
use crate::promql::Expr;

/// A checked group of rules, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// Its name; a `.rules` file is one group, named after it.
    pub name: String,
    /// The file it stands in, as it was given to [`load`](super::load()).
    pub file: String,
    /// How often it is evaluated, ms; none: as configured.
    pub interval_ms: Option<i64>,
    /// How far back its expressions are evaluated, ms; none: as configured.
    pub query_offset_ms: Option<i64>,
    /// The most series a recording rule and the most alerts an alerting rule may have; 0: any.
    pub limit: usize,
    /// Its rules in their order.
    pub rules: Vec<RuleSpec>,
}

/// A checked rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleSpec {
    /// Raises alerts.
    Alert(AlertSpec),
    /// Stores the result of an expression.
    Record(RecordRule),
}

/// A checked alerting rule.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSpec {
    /// What the alerts room knows of it.
    pub rule: Arc<AlertRule>,
    /// Its own evaluation interval, a multiple of the group's, ms.
    pub every_ms: Option<i64>,
    /// What replays of stored history have to show.
    pub expectations: Vec<Expectation>,
    pub(super) task: Task,
}

/// `expect fires|quiet`: some alert of the rule is firing in a span of time, or none is.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Whether one fires.
    pub fires: bool,
    /// First instant of the span, ms.
    pub start_ms: i64,
    /// The instant after its last, ms.
    pub end_ms: i64,
    /// As written, without the reason.
    pub text: String,
    /// The reason.
    pub why: Option<String>,
}

impl AlertSpec {
    /// Returns how many pages its budget allows, and per which time, ms.
    pub fn budget(&self) -> Option<(u64, i64)> {
        let Task::Forewarn(program) = &self.task else { return None };
        program.budget.map(|plan| (plan.pages, plan.per_ms))
    }

    /// Returns what it watches, or asks.
    pub fn signal(&self) -> &Expr {
        self.task.expr()
    }
}

/// A checked recording rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordRule {
    /// The metric name of the result.
    pub name: String,
    /// The expression, formatted.
    pub expr_text: String,
    /// The rule as written.
    pub source_text: String,
    /// Labels set on the result; an empty value removes one.
    pub labels: Vec<(String, String)>,
    pub(super) expr: Expr,
}

/// What an alerting rule does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    Prometheus(Expr),
    Forewarn(Box<Program>),
}

impl Task {
    /// The expression, of our language the signal.
    pub(super) fn expr(&self) -> &Expr {
        match self {
            Task::Prometheus(expr) => expr,
            Task::Forewarn(program) => &program.signal,
        }
    }
}

impl RuleSpec {
    /// Returns the rule's name: `alertname` or the recorded metric.
    pub fn name(&self) -> &str {
        match self {
            RuleSpec::Alert(alert) => &alert.rule.name,
            RuleSpec::Record(record) => &record.name,
        }
    }

    /// Returns the alerting rule, if it is one.
    pub fn alert(&self) -> Option<&Arc<AlertRule>> {
        match self {
            RuleSpec::Alert(alert) => Some(&alert.rule),
            RuleSpec::Record(_) => None,
        }
    }
}
