//! The labels and annotations of a rule's alerts.

use crate::rules::{AlertClause, AlertRule, Dialect, Finding};
use crate::series::{Labels, LabelsBuilder};

use super::template::{self, Query, Template, TemplateContext, TemplateError, Vocabulary};

/// Names that alerts and recorded series of ours carry; a label of the series gives way to them.
const OURS: [&str; 4] = ["rule", "severity", "phase", "alertname"];

/// What the texts of alerts may speak of besides the finding.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) external_labels: &'a Labels,
    pub(super) external_url: &'a str,
    pub(super) query: Query<'a>,
}

type Text = (String, Result<Template, TemplateError>);

/// The parsed templates of one clause.
#[derive(Debug)]
pub(super) struct ClauseTexts {
    alert_name: String,
    severity: Option<String>,
    dialect: Dialect,
    labels: Vec<Text>,
    annotations: Vec<Text>,
}

impl ClauseTexts {
    pub(super) fn new(rule: &AlertRule, clause: &AlertClause) -> ClauseTexts {
        let (labels, annotations) = match rule.dialect {
            Dialect::Prometheus => (Vocabulary::Prometheus, Vocabulary::Prometheus),
            Dialect::Forewarn => (Vocabulary::Labels, Vocabulary::Forewarn),
        };
        ClauseTexts {
            alert_name: rule.name.clone(),
            severity: clause.severity.clone(),
            dialect: rule.dialect,
            labels: parsed(&clause.labels, labels),
            annotations: parsed(&clause.annotations, annotations),
        }
    }

    /// Returns what identifies the alert: the series', then the rule's labels, then `severity` and
    /// `alertname`.
    pub(super) fn labels(&self, finding: &Finding, at_ms: i64, around: Surroundings<'_>) -> Labels {
        let context = context(finding, at_ms, None, around);
        let mut labels = match self.dialect {
            Dialect::Prometheus => LabelsBuilder::from(&finding.series),
            Dialect::Forewarn => LabelsBuilder::from(&yielding(&finding.series)),
        };
        for (name, text) in &self.labels {
            labels.set(name, &expand(text, &context));
        }
        if let Some(severity) = &self.severity {
            labels.set("severity", severity);
        }
        labels.set("alertname", &self.alert_name);
        labels.build()
    }

    /// Returns what is said of the alert at this evaluation.
    pub(super) fn annotations(
        &self,
        finding: &Finding,
        at_ms: i64,
        since_ms: i64,
        around: Surroundings<'_>,
    ) -> Labels {
        let context = context(finding, at_ms, Some(since_ms), around);
        let mut annotations = LabelsBuilder::default();
        if self.dialect == Dialect::Forewarn {
            annotations.set("why", &finding.why);
        }
        for (name, text) in &self.annotations {
            annotations.set(name, &expand(text, &context));
        }
        annotations.build()
    }
}

fn parsed(texts: &[(String, String)], vocabulary: Vocabulary) -> Vec<Text> {
    let parse = |(name, text): &(String, String)| (name.clone(), template::parse(text, vocabulary));
    texts.iter().map(parse).collect()
}

fn context<'a>(
    finding: &'a Finding,
    at_ms: i64,
    since_ms: Option<i64>,
    around: Surroundings<'a>,
) -> TemplateContext<'a> {
    TemplateContext {
        labels: &finding.series,
        external_labels: around.external_labels,
        external_url: around.external_url,
        at_ms,
        query: around.query,
        numbers: finding.numbers,
        since_ms,
    }
}

/// A text that fails says so where it would have stood: the alert itself must go out.
fn expand(text: &Result<Template, TemplateError>, context: &TemplateContext<'_>) -> String {
    text.as_ref()
        .map_err(Clone::clone)
        .and_then(|template| template.expand(context))
        .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}

/// Returns the series' labels, those that ours take the names of as `exported_…`.
fn yielding(series: &Labels) -> Labels {
    if OURS.iter().all(|name| series.get(name).is_none()) {
        return series.clone();
    }
    let mut labels = LabelsBuilder::from(series);
    for name in OURS {
        if let Some(value) = series.get(name) {
            let mut exported = format!("exported_{name}");
            while labels.get(&exported).is_some() {
                exported.insert_str(0, "exported_");
            }
            labels.remove(name).set(&exported, value);
        }
    }
    labels.build()
}
