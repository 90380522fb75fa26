use std::sync::Arc;

use super::program::Program;
use super::{AlertRule, AlertState};
use crate::promql::Expr;
use crate::series::Matcher;

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
    /// What is to be tried on them, apart from any stored history.
    pub tests: Vec<TestSpec>,
}

/// A `test` block: steps in their order.
#[derive(Clone, Debug)]
pub struct TestSpec {
    /// What it is called.
    pub name: String,
    /// What is done.
    pub steps: Vec<TestStep>,
}

/// A test changes nothing of what its group does.
impl PartialEq for TestSpec {
    fn eq(&self, _: &TestSpec) -> bool {
        true
    }
}

/// One step of a test.
#[derive(Clone, Debug)]
pub enum TestStep {
    /// Lines of a PromQL test script.
    Script {
        /// In which line of the file it begins, from 1.
        line: usize,
        /// The lines.
        text: String,
    },
    /// `at D expect NAME{labels} firing|pending|quiet`
    At {
        /// In which line of the file it stands, from 1.
        line: usize,
        /// After how long, ms.
        time_ms: i64,
        /// As written.
        text: String,
        /// Which alerts: by their names and labels.
        matchers: Vec<Matcher>,
        /// How some of them has to be; none: all of them inactive.
        state: Option<AlertState>,
    },
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
