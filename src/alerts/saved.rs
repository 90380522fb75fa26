//! Alert state as it outlives the process: one JSON text, versioned.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::rules::{AlertRule, Clocks, Dialect};
use crate::series::Labels;

use super::alert::Alert;
use super::machine::RuleAlerts;

/// The format that this build writes and reads.
const VERSION: u32 = 1;

/// Why saved state cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SavedError {
    #[error("is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error("was written by format {found}, this build reads {VERSION}")]
    Version { found: u32 },
}

/// The alerts of all rules at a time.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedAlerts {
    version: u32,
    /// When it was written, ms: the server was alive then.
    pub(super) saved_at_ms: i64,
    alerts: Vec<SavedAlert>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedAlert {
    rule: RuleIdentity,
    severity: Option<String>,
    /// What identifies the alert within its clause.
    identity: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    value: Option<f64>,
    clocks: Clocks,
    #[serde(default)]
    is_taken_over: bool,
}

/// Which rule it is, over reloads and restarts.
///
/// In our language that is file and name; a Prometheus group may hold several rules of one name,
/// told apart by their labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct RuleIdentity {
    file: String,
    group: String,
    name: String,
    labels: Vec<(String, String)>,
}

impl RuleIdentity {
    pub(super) fn of(rule: &AlertRule) -> RuleIdentity {
        let (group, labels) = match rule.dialect {
            Dialect::Forewarn => (String::new(), Vec::new()),
            Dialect::Prometheus => {
                let labels = rule.clauses.first().map(|clause| clause.labels.clone());
                (rule.group.clone(), labels.unwrap_or_default())
            }
        };
        RuleIdentity { file: rule.file.clone(), group, name: rule.name.clone(), labels }
    }
}

impl SavedAlerts {
    /// Collects the alerts of rules.
    pub(super) fn collect<'a>(
        rules: impl Iterator<Item = &'a RuleAlerts>,
        saved_at_ms: i64,
    ) -> SavedAlerts {
        let mut alerts = Vec::new();
        for rule in rules {
            let identity = RuleIdentity::of(&rule.rule);
            alerts.extend(rule.alerts.iter().map(|((clause, key), alert)| SavedAlert {
                rule: identity.clone(),
                severity: rule.rule.clauses[*clause].severity.clone(),
                identity: pairs(key),
                labels: pairs(&alert.labels),
                annotations: pairs(&alert.annotations),
                value: alert.value,
                clocks: alert.clocks,
                is_taken_over: alert.is_taken_over,
            }));
        }
        SavedAlerts { version: VERSION, saved_at_ms, alerts }
    }

    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(io::Error::from)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SavedAlerts, SavedError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(SavedError::Version { found: version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Gives a rule the alerts that were saved of it. Its clocks stood still since then.
    pub(super) fn restore(&self, rule: &mut RuleAlerts) {
        let identity = RuleIdentity::of(&rule.rule);
        for saved in self.alerts.iter().filter(|saved| saved.rule == identity) {
            let clauses = &rule.rule.clauses;
            let same = |severity: &Option<String>| *severity == saved.severity;
            if let Some(clause) = clauses.iter().position(|clause| same(&clause.severity)) {
                let alert = Alert {
                    labels: Labels::from_pairs(&saved.labels),
                    annotations: Labels::from_pairs(&saved.annotations),
                    value: saved.value,
                    clocks: saved.clocks,
                    is_taken_over: saved.is_taken_over,
                };
                rule.alerts.insert((clause, Labels::from_pairs(&saved.identity)), alert);
            }
        }
        if !rule.alerts.is_empty() {
            rule.stopped_at_ms = Some(self.saved_at_ms);
        }
    }
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
