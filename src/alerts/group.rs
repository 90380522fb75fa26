//! The alerts of one group, and how its evaluations went.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::rules::{AlertRule, GroupReport, GroupSpec, RuleFindings, RuleSpec};
use crate::series::Labels;

use super::machine::RuleAlerts;
use super::notifiable::{NotifiableAlert, Sending};
use super::saved::RuleIdentity;
use super::texts::Surroundings;
use super::view::{GroupView, Health, LastEvaluation, RuleKind, RuleView};

/// One group's alerts.
#[derive(Debug)]
pub(super) struct GroupAlerts {
    view: GroupView,
    rules: Vec<Slot>,
}

/// A rule in its place within the group.
#[derive(Debug)]
struct Slot {
    kind: Kind,
    last: LastEvaluation,
    /// Why the findings of the present evaluation could not become alerts.
    judge_error: Option<String>,
}

#[derive(Debug)]
enum Kind {
    Alerting(RuleAlerts),
    Recording(RuleView),
}

/// What became of one rule's findings.
pub(super) struct Judged {
    /// `ALERTS` and `ALERTS_FOR_STATE`.
    pub(super) samples: Vec<(Labels, f64)>,
    pub(super) due: Vec<NotifiableAlert>,
}

impl GroupAlerts {
    pub(super) fn new(spec: &GroupSpec, interval_ms: i64) -> GroupAlerts {
        let slot = |rule: &RuleSpec| Slot {
            kind: match rule {
                RuleSpec::Alert(alert) => Kind::Alerting(RuleAlerts::new(Arc::clone(&alert.rule))),
                RuleSpec::Record(record) => Kind::Recording(RuleView {
                    name: record.name.clone(),
                    query: record.expr_text.clone(),
                    labels: record.labels.clone(),
                    health: Health::Unknown,
                    last_error: None,
                    warnings: Vec::new(),
                    evaluation_time: Duration::ZERO,
                    last_evaluation_ms: None,
                    source_text: record.source_text.clone(),
                    kind: RuleKind::Recording,
                }),
            },
            last: LastEvaluation::default(),
            judge_error: None,
        };
        GroupAlerts {
            view: GroupView {
                name: spec.name.clone(),
                file: spec.file.clone(),
                interval_ms,
                limit: spec.limit,
                ..GroupView::default()
            },
            rules: spec.rules.iter().map(slot).collect(),
        }
    }

    /// Takes over what is known of the rules that stay. What is left in `old` is gone.
    pub(super) fn carry_over(&mut self, old: &mut Vec<(RuleIdentity, RuleAlerts)>) {
        for alerts in self.alerts_mut() {
            let identity = RuleIdentity::of(&alerts.rule);
            if let Some(at) = old.iter().position(|(found, _)| *found == identity) {
                alerts.carry_over(old.remove(at).1);
            }
        }
    }

    /// Takes over counters and the last evaluation of the same group before a reload.
    pub(super) fn carry_over_history(&mut self, old: &GroupAlerts) {
        let GroupView { name, file, interval_ms, limit, rules: _, .. } = self.view.clone();
        self.view = GroupView { name, file, interval_ms, limit, ..old.view.clone() };
        for slot in &mut self.rules {
            if let Some(same) = old.rules.iter().find(|old| old.is_same(slot)) {
                slot.last = same.last.clone();
            }
        }
    }

    /// Moves a rule's alerts on by one evaluation.
    pub(super) fn judge(
        &mut self,
        found: &RuleFindings<'_>,
        around: Surroundings<'_>,
        resend_delay_ms: i64,
    ) -> Judged {
        let Some(slot) = self.rules.iter_mut().find(|slot| slot.is_of(found.rule)) else {
            return Judged { samples: Vec::new(), due: Vec::new() };
        };
        slot.judge_error = None;
        let Kind::Alerting(alerts) = &mut slot.kind else {
            return Judged { samples: Vec::new(), due: Vec::new() };
        };
        alerts.hand_over(found.handovers);
        let outcome = match found.outcome {
            Ok(findings) => alerts.judge(findings, found.at_ms, around),
            // The evaluation's own report says what failed.
            Err(_) => return Judged { samples: alerts.samples(), due: Vec::new() },
        };
        let due = match outcome {
            Ok(()) => {
                let sending = Sending {
                    external_labels: around.external_labels,
                    external_url: around.external_url,
                    resend_delay_ms,
                    interval_ms: found.interval_ms,
                };
                alerts.take_due(found.at_ms, sending)
            }
            Err(error) => {
                warn!(rule = %found.rule.name, file = %found.rule.file, %error, "Alerts stay as they are.");
                slot.judge_error = Some(error.to_string());
                Vec::new()
            }
        };
        Judged { samples: alerts.samples(), due }
    }
}

impl GroupAlerts {
    /// Writes down how an evaluation went.
    pub(super) fn finish(&mut self, at_ms: i64, report: &GroupReport) {
        for (slot, rule) in self.rules.iter_mut().zip(&report.rules) {
            let Some(rule) = rule else { continue };
            let error = rule.error.as_ref().map(ToString::to_string).or(slot.judge_error.take());
            self.view.evaluations += 1;
            self.view.evaluation_failures += u64::from(error.is_some());
            slot.last = LastEvaluation {
                health: if error.is_some() { Health::Err } else { Health::Ok },
                error,
                warnings: rule.warnings.clone(),
                duration: rule.duration,
                at_ms: Some(at_ms),
            };
        }
        self.view.evaluation_time = report.duration;
        self.view.duration_total += report.duration;
        self.view.last_evaluation_ms = Some(at_ms);
        self.view.last_samples = report.samples;
        self.view.iterations += 1;
    }

    /// Counts evaluations that were skipped.
    pub(super) fn miss(&mut self, count: u64) {
        self.view.iterations_missed += count;
    }

    pub(super) fn alerts(&self) -> impl Iterator<Item = &RuleAlerts> {
        self.rules.iter().filter_map(|slot| match &slot.kind {
            Kind::Alerting(alerts) => Some(alerts),
            Kind::Recording(_) => None,
        })
    }

    pub(super) fn alerts_mut(&mut self) -> impl Iterator<Item = &mut RuleAlerts> {
        self.rules.iter_mut().filter_map(|slot| match &mut slot.kind {
            Kind::Alerting(alerts) => Some(alerts),
            Kind::Recording(_) => None,
        })
    }

    /// Gives the alerts of all rules away, for a reload.
    pub(super) fn into_alerts(self) -> impl Iterator<Item = (RuleIdentity, RuleAlerts)> {
        self.rules.into_iter().filter_map(|slot| match slot.kind {
            Kind::Alerting(alerts) => Some((RuleIdentity::of(&alerts.rule), alerts)),
            Kind::Recording(_) => None,
        })
    }

    /// Returns the group's picture.
    pub(super) fn view(&self) -> GroupView {
        let rules = self.rules.iter().flat_map(|slot| match &slot.kind {
            Kind::Alerting(alerts) => alerts.views(&slot.last),
            Kind::Recording(view) => vec![RuleView {
                health: slot.last.health,
                last_error: slot.last.error.clone(),
                warnings: slot.last.warnings.clone(),
                evaluation_time: slot.last.duration,
                last_evaluation_ms: slot.last.at_ms,
                ..view.clone()
            }],
        });
        GroupView { rules: rules.collect(), ..self.view.clone() }
    }
}

impl Slot {
    fn is_of(&self, rule: &Arc<AlertRule>) -> bool {
        matches!(&self.kind, Kind::Alerting(alerts) if Arc::ptr_eq(&alerts.rule, rule))
    }

    /// Returns whether both are the same rule, before and after a reload.
    fn is_same(&self, other: &Slot) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Alerting(a), Kind::Alerting(b)) => {
                RuleIdentity::of(&a.rule) == RuleIdentity::of(&b.rule)
            }
            (Kind::Recording(a), Kind::Recording(b)) => a.name == b.name && a.labels == b.labels,
            _ => false,
        }
    }
}
