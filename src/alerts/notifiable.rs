//! What is sent of an alert, and when.

use crate::series::{Labels, LabelsBuilder, format_rfc3339};

use super::alert::Alert;
use super::machine::RuleAlerts;
use super::template::url_query;
use crate::rules::AlertState;

/// An alert as Alertmanager gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifiableAlert {
    /// Its labels, with the external ones.
    pub labels: Labels,
    /// What is said of it.
    pub annotations: Labels,
    /// When it began to fire, ms.
    pub starts_at_ms: i64,
    /// When it ended; of a firing one, when it ends if it is not sent again. ms.
    pub ends_at_ms: i64,
    /// Where its expression can be looked at.
    pub generator_url: String,
}

/// How alerts are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'a> {
    pub(super) external_labels: &'a Labels,
    pub(super) external_url: &'a str,
    pub(super) resend_delay_ms: i64,
    pub(super) interval_ms: i64,
}

impl RuleAlerts {
    /// Returns the alerts that are due, and remembers that they were sent.
    pub(super) fn take_due(&mut self, at_ms: i64, sending: Sending<'_>) -> Vec<NotifiableAlert> {
        let generator_url = format!(
            "{}/graph?g0.expr={}&g0.tab=1",
            sending.external_url,
            url_query(&self.rule.expr_text)
        );
        let mut due = Vec::new();
        for alert in self.alerts.values_mut() {
            if alert.clocks.is_due(at_ms, sending.resend_delay_ms) {
                alert.clocks.last_sent_ms = Some(at_ms);
                due.push(notifiable(alert, at_ms, sending, &generator_url));
            }
        }
        due
    }
}

fn notifiable(
    alert: &Alert,
    at_ms: i64,
    sending: Sending<'_>,
    generator_url: &str,
) -> NotifiableAlert {
    // Two evaluations or two sends may fail before it ends by itself.
    let valid_ms = 4 * sending.interval_ms.max(sending.resend_delay_ms);
    let clocks = &alert.clocks;
    let resolved_at_ms = clocks.resolved_at_ms.filter(|_| clocks.state == AlertState::Inactive);
    NotifiableAlert {
        labels: with_external(&alert.labels, sending.external_labels),
        annotations: alert.annotations.clone(),
        starts_at_ms: clocks.fired_at_ms.unwrap_or(clocks.active_at_ms),
        ends_at_ms: resolved_at_ms.unwrap_or(at_ms.saturating_add(valid_ms)),
        generator_url: generator_url.to_owned(),
    }
}

/// Adds the external labels that the alert does not have.
fn with_external(labels: &Labels, external_labels: &Labels) -> Labels {
    if external_labels.is_empty() {
        return labels.clone();
    }
    let mut all = LabelsBuilder::from(external_labels);
    for (name, value) in labels {
        all.set(name, value);
    }
    all.build()
}

/// Returns alerts as the body of `POST /api/v2/alerts`.
pub(super) fn body<'a>(alerts: impl IntoIterator<Item = &'a NotifiableAlert>) -> String {
    let object = |labels: &Labels| {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.into()));
        serde_json::Value::Object(pairs.collect())
    };
    let alerts = alerts.into_iter().map(|alert| {
        serde_json::json!({
            "labels": object(&alert.labels),
            "annotations": object(&alert.annotations),
            "startsAt": format_rfc3339(alert.starts_at_ms),
            "endsAt": format_rfc3339(alert.ends_at_ms),
            "generatorURL": alert.generator_url,
        })
    });
    serde_json::Value::Array(alerts.collect()).to_string()
}
