//! Immutable pictures of groups, rules and alerts, for the API, the pages and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use crate::rules::Dialect;
use crate::series::Labels;

use super::alert::Alert;
use super::machine::RuleAlerts;
use crate::rules::AlertState;

/// The present picture, for readers on any thread: they take it without waiting.
pub type SharedView = Arc<arc_swap::ArcSwap<RulesView>>;

/// All groups, sorted by file and name.
#[derive(Clone, Debug, Default)]
pub struct RulesView {
    /// The groups.
    pub groups: Vec<Arc<GroupView>>,
}

/// One group.
#[derive(Clone, Debug, Default)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// How often it is evaluated, ms.
    pub interval_ms: i64,
    /// The most series or alerts that each of its rules may have; 0 = no limit.
    pub limit: usize,
    /// How long the last evaluation took.
    pub evaluation_time: Duration,
    /// When it was last evaluated, ms.
    pub last_evaluation_ms: Option<i64>,
    /// Samples that the last evaluation stored.
    pub last_samples: usize,
    /// Evaluations so far.
    pub iterations: u64,
    /// Evaluations that were skipped because one took longer than the interval.
    pub iterations_missed: u64,
    /// Evaluations of single rules so far.
    pub evaluations: u64,
    /// How many of them failed.
    pub evaluation_failures: u64,
    /// Time spent in evaluations so far.
    pub duration_total: Duration,
    /// Its rules in their order; a rule with several severities stands once for each.
    pub rules: Vec<RuleView>,
}

/// One rule, or one severity of a rule.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// `alertname`, or the recorded metric.
    pub name: String,
    /// The formatted expression.
    pub query: String,
    /// Labels as written, templates unexpanded; with `severity` where the rule has it.
    pub labels: Vec<(String, String)>,
    /// Whether the last evaluation went well.
    pub health: Health,
    /// Why it did not.
    pub last_error: Option<String>,
    /// What is probably not meant, though it could be evaluated.
    pub warnings: Vec<String>,
    /// How long the last evaluation took.
    pub evaluation_time: Duration,
    /// When it was last evaluated, ms.
    pub last_evaluation_ms: Option<i64>,
    /// The rule as written.
    pub source_text: String,
    /// What it does.
    pub kind: RuleKind,
}

/// What a rule does.
#[derive(Clone, Debug)]
pub enum RuleKind {
    /// It stores the result of its expression.
    Recording,
    /// It raises alerts.
    Alerting(AlertingView),
}

/// What an alerting rule has besides.
#[derive(Clone, Debug)]
pub struct AlertingView {
    /// The language it is written in.
    pub dialect: Dialect,
    /// State of its most advanced alert; none where it has none and was not evaluated (`unknown`).
    pub state: Option<AlertState>,
    /// How long its condition must hold, ms.
    pub for_ms: i64,
    /// How long a firing alert goes on after that, ms.
    pub keep_firing_for_ms: i64,
    /// Annotations as written, templates unexpanded.
    pub annotations: Vec<(String, String)>,
    /// Its pending and firing alerts, sorted by labels.
    pub alerts: Vec<AlertView>,
}

/// One pending or firing alert.
#[derive(Clone, Debug)]
pub struct AlertView {
    /// Its labels, without the external ones.
    pub labels: Labels,
    /// What is said of it; `why` among it for rules in our language.
    pub annotations: Labels,
    /// Pending or firing.
    pub state: AlertState,
    /// Since when its condition holds, ms.
    pub active_at_ms: i64,
    /// Since when it fires, ms.
    pub fired_at_ms: Option<i64>,
    /// Since when it goes on although its condition does not hold, ms.
    pub keep_firing_since_ms: Option<i64>,
    /// The value when its condition last held.
    pub value: Option<f64>,
}

/// How a rule's last evaluation went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// Well.
    Ok,
    /// It failed.
    Err,
}

impl Health {
    /// Returns the word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Ok => "ok",
            Health::Err => "err",
        }
    }
}

impl RulesView {
    /// Iterates over the pending and firing alerts of all rules.
    pub fn alerts(&self) -> impl Iterator<Item = &AlertView> {
        self.groups.iter().flat_map(|group| &group.rules).flat_map(|rule| match &rule.kind {
            RuleKind::Alerting(alerting) => alerting.alerts.as_slice(),
            RuleKind::Recording => &[],
        })
    }
}

/// The last evaluation of a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct LastEvaluation {
    pub(super) health: Health,
    pub(super) error: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) duration: Duration,
    pub(super) at_ms: Option<i64>,
}

impl RuleAlerts {
    /// Returns the rule's pictures, one for each clause.
    pub(super) fn views(&self, last: &LastEvaluation) -> Vec<RuleView> {
        (0..self.rule.clauses.len()).map(|clause| self.clause_view(clause, last)).collect()
    }

    fn clause_view(&self, clause_index: usize, last: &LastEvaluation) -> RuleView {
        let (rule, clause) = (&self.rule, &self.rule.clauses[clause_index]);
        let mut alerts: Vec<AlertView> = self
            .active()
            .filter(|((clause, _), _)| *clause == clause_index)
            .map(|(_, alert)| AlertView::of(alert))
            .collect();
        alerts.sort_by(|a, b| a.labels.cmp(&b.labels));
        let furthest = alerts.iter().map(|alert| alert.state).max();
        let mut labels = clause.labels.clone();
        labels.extend(clause.severity.iter().map(|name| ("severity".to_owned(), name.clone())));
        RuleView {
            name: rule.name.clone(),
            query: rule.expr_text.clone(),
            labels,
            health: last.health,
            last_error: last.error.clone(),
            warnings: last.warnings.clone(),
            evaluation_time: last.duration,
            last_evaluation_ms: last.at_ms,
            source_text: rule.source_text.clone(),
            kind: RuleKind::Alerting(AlertingView {
                dialect: rule.dialect,
                state: furthest.or(last.at_ms.map(|_| AlertState::Inactive)),
                for_ms: clause.for_ms,
                keep_firing_for_ms: match clause.ending {
                    crate::rules::Ending::Keep(keep_ms) => keep_ms,
                    _ => 0,
                },
                annotations: clause.annotations.clone(),
                alerts,
            }),
        }
    }
}

impl AlertView {
    fn of(alert: &Alert) -> AlertView {
        AlertView {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            state: alert.clocks.state,
            active_at_ms: alert.clocks.active_at_ms,
            fired_at_ms: alert.clocks.fired_at_ms,
            keep_firing_since_ms: alert.clocks.keep_firing_since_ms,
            value: alert.value,
        }
    }
}
