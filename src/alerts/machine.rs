//! All alerts of one rule, from evaluation to evaluation.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::rules::{AlertRule, AlertState, Clocks, Dialect, Evidence, Finding, Truth};
use crate::series::{Labels, METRIC_NAME};

use super::alert::Alert;
use super::texts::{ClauseTexts, Surroundings};

/// Why a rule's findings could not become alerts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JudgeError {
    #[error(
        "vector contains metrics with the same labelset after applying alert labels: {labels}; \
         let the rule's labels keep what tells the series apart"
    )]
    SameLabels { labels: Labels },
    #[error("exceeded limit of {limit} with {count} alerts; all alerts of the rule are dropped")]
    Limit { limit: usize, count: usize },
}

/// Which alert of a rule: clause, then what identifies it within the clause. In our language that
/// is the watched series; a Prometheus rule's alerts are known by their final labels.
pub(super) type Key = (usize, Labels);

/// One alerting rule and its alerts.
#[derive(Debug)]
pub(super) struct RuleAlerts {
    pub(super) rule: Arc<AlertRule>,
    texts: Vec<ClauseTexts>,
    pub(super) alerts: BTreeMap<Key, Alert>,
    /// Since when nobody has looked, where the alerts come from before a restart.
    pub(super) stopped_at_ms: Option<i64>,
    /// Whether a state has changed since it was written last. Sending alone does not count: after a
    /// restart what fires is sent at once anyway.
    pub(super) is_changed: bool,
}

/// A finding that holds, or whose alert is known.
struct Told<'a> {
    finding: &'a Finding,
    /// The alert's labels, where they are known already.
    labels: Option<Labels>,
}

impl RuleAlerts {
    pub(super) fn new(rule: Arc<AlertRule>) -> RuleAlerts {
        let texts = rule.clauses.iter().map(|clause| ClauseTexts::new(&rule, clause)).collect();
        let alerts = BTreeMap::new();
        RuleAlerts { rule, texts, alerts, stopped_at_ms: None, is_changed: false }
    }

    /// Takes over the alerts of the rule that this one replaces, severity by severity.
    pub(super) fn carry_over(&mut self, old: RuleAlerts) {
        self.stopped_at_ms = old.stopped_at_ms;
        for ((old_clause, identity), alert) in old.alerts {
            let severity = &old.rule.clauses[old_clause].severity;
            let clause = self.rule.clauses.iter().position(|clause| clause.severity == *severity);
            if let Some(clause) = clause {
                self.alerts.insert((clause, identity), alert);
            }
        }
    }

    /// Lets the alerts of series go on as those of others, which took their place: with the labels
    /// they were sent with. An alert of the other's own that fires already stays.
    pub(super) fn hand_over(&mut self, handovers: &[(Labels, Labels)]) {
        for (from, to) in handovers {
            for clause in 0..self.rule.clauses.len() {
                let state = |series: &Labels| {
                    let alert = self.alerts.get(&(clause, series.clone()));
                    alert.map_or(AlertState::Inactive, |alert| alert.clocks.state)
                };
                let goes_on =
                    state(from) != AlertState::Inactive && state(to) != AlertState::Firing;
                if goes_on && let Some(mut alert) = self.alerts.remove(&(clause, from.clone())) {
                    alert.is_taken_over = true;
                    self.alerts.insert((clause, to.clone()), alert);
                    self.is_changed = true;
                }
            }
        }
    }

    /// Moves every alert on by one evaluation. An error leaves them as they were, but for the
    /// limit, which drops them all.
    pub(super) fn judge(
        &mut self,
        findings: &[Finding],
        at_ms: i64,
        around: Surroundings<'_>,
    ) -> Result<(), JudgeError> {
        let told = self.told(findings, at_ms, around)?;
        if let Some(stopped_at_ms) = self.stopped_at_ms.take() {
            let outage_ms = at_ms.saturating_sub(stopped_at_ms).max(0);
            for alert in self.alerts.values_mut() {
                alert.clocks = alert.clocks.after_outage(outage_ms);
            }
        }
        let keys: BTreeSet<Key> = self.alerts.keys().chain(told.keys()).cloned().collect();
        // Clause by clause, highest severity first: a lower one asks what the higher ones became.
        for key in keys {
            let told = told.get(&key);
            self.begin(&key, told, at_ms);
            self.advance(&key, told.map(|told| told.finding), at_ms, around);
        }
        let count = self.active().count();
        let limit = self.rule.limit;
        if limit > 0 && count > limit {
            self.alerts.clear();
            self.is_changed = true;
            return Err(JudgeError::Limit { limit, count });
        }
        Ok(())
    }

    /// Sorts out which findings matter, and names the alerts of those that hold.
    fn told<'a>(
        &self,
        findings: &'a [Finding],
        at_ms: i64,
        around: Surroundings<'_>,
    ) -> Result<BTreeMap<Key, Told<'a>>, JudgeError> {
        let mut told = BTreeMap::new();
        let mut taken = HashSet::new();
        // Who comes back finds its labels still in use, until that alert has ended.
        let taken_over = self.active().filter(|(_, alert)| alert.is_taken_over);
        let in_use: HashSet<&Labels> = taken_over.map(|(_, alert)| &alert.labels).collect();
        for finding in findings.iter().filter(|finding| finding.clause < self.texts.len()) {
            let by_series = (finding.clause, finding.series.clone());
            let known = self.alerts.get(&by_series);
            if finding.holds != Truth::True && known.is_none() {
                continue;
            }
            let texts = &self.texts[finding.clause];
            let (key, labels) = match (self.rule.dialect, finding.holds) {
                (Dialect::Forewarn, Truth::True) => {
                    let kept = known.filter(|alert| alert.clocks.state != AlertState::Inactive);
                    let labels = match kept {
                        Some(alert) => alert.labels.clone(),
                        None => texts.labels(finding, at_ms, around),
                    };
                    if kept.is_none() && in_use.contains(&labels) {
                        continue;
                    }
                    (by_series, Some(labels))
                }
                (Dialect::Forewarn, _) => (by_series, None),
                (Dialect::Prometheus, _) => {
                    let labels = texts.labels(finding, at_ms, around);
                    ((finding.clause, labels.clone()), Some(labels))
                }
            };
            if let Some(labels) = &labels
                && !taken.insert(labels.clone())
            {
                return Err(JudgeError::SameLabels { labels: labels.clone() });
            }
            told.insert(key, Told { finding, labels });
        }
        Ok(told)
    }

    /// Makes a pending alert where a condition holds that had none. A resolved one begins anew.
    fn begin(&mut self, key: &Key, told: Option<&Told<'_>>, at_ms: i64) {
        let Some(Told { finding, labels: Some(labels) }) = told else { return };
        let known = self.alerts.get(key).map(|alert| alert.clocks.state);
        if finding.holds == Truth::True && known.is_none_or(|state| state == AlertState::Inactive) {
            let alert = Alert {
                labels: labels.clone(),
                annotations: Labels::empty(),
                value: None,
                clocks: Clocks::pending(at_ms),
                is_taken_over: false,
            };
            self.alerts.insert(key.clone(), alert);
            self.is_changed = true;
        }
    }

    fn advance(
        &mut self,
        key: &Key,
        finding: Option<&Finding>,
        at_ms: i64,
        around: Surroundings<'_>,
    ) {
        // What a Prometheus rule does not return does not hold; a series of ours that is not
        // spoken of is one that nobody can tell of.
        let (holds, clears) = match (finding, self.rule.dialect) {
            (Some(finding), _) => (finding.holds, finding.clears),
            (None, Dialect::Prometheus) => (Truth::False, Truth::False),
            (None, Dialect::Forewarn) => (Truth::Unknown, Truth::Unknown),
        };
        let evidence = Evidence { at_ms, holds, clears, outranked: self.is_outranked(key) };
        let Some(alert) = self.alerts.get_mut(key) else { return };
        let clause = &self.rule.clauses[key.0];
        let timing = (clause.for_ms, clause.ending);
        let Some(clocks) = alert.clocks.advance(evidence, timing, self.rule.dialect) else {
            self.alerts.remove(key);
            self.is_changed = true;
            return;
        };
        self.is_changed |= alert.clocks != clocks;
        alert.clocks = clocks;
        if let Some(finding) = finding
            && holds == Truth::True
        {
            let since_ms = clocks.active_at_ms;
            alert.value = finding.numbers.value;
            alert.annotations = self.texts[key.0].annotations(finding, at_ms, since_ms, around);
        }
    }

    /// Returns whether a higher severity of the same series fires.
    fn is_outranked(&self, (clause, series): &Key) -> bool {
        let rank = self.rule.clauses[*clause].rank;
        self.rule.dialect == Dialect::Forewarn
            && self.rule.clauses[..*clause].iter().enumerate().any(|(higher, candidate)| {
                candidate.rank > rank
                    && self
                        .alerts
                        .get(&(higher, series.clone()))
                        .is_some_and(|alert| alert.clocks.state == AlertState::Firing)
            })
    }

    /// Iterates over the alerts that are pending or firing.
    pub(super) fn active(&self) -> impl Iterator<Item = (&Key, &Alert)> {
        self.alerts.iter().filter(|(_, alert)| alert.clocks.state != AlertState::Inactive)
    }

    /// Returns `ALERTS` and `ALERTS_FOR_STATE` of every active alert.
    pub(super) fn samples(&self) -> Vec<(Labels, f64)> {
        let mut samples = Vec::new();
        for (_, alert) in self.active() {
            let state = alert.clocks.state.word();
            let labels = alert.labels.with(METRIC_NAME, "ALERTS").with("alertstate", state);
            samples.push((labels, 1.0));
            let since_s = alert.clocks.active_at_ms.div_euclid(1000);
            samples.push((alert.labels.with(METRIC_NAME, "ALERTS_FOR_STATE"), since_s as f64));
        }
        samples
    }
}
