//! From findings to alerts: states, texts, and the way to Alertmanager.
//!
//! Entry points: [`Manager`] evaluates groups when they are due and owns their alerts;
//! [`Notifier`] sends, [`RulesView`] shows, [`template::parse`] checks texts. One state machine
//! serves both languages: a Prometheus rule is one with a single clause whose unmentioned series
//! do not hold.
//!
//! Invariants: an alert's labels never change while it is active; what cannot be evaluated changes
//! no alert; a text that cannot be expanded never holds an alert back; no queue grows without end.
//!
//! Absent on purpose: evaluation (rules), and grouping, silencing and routing of alerts, which are
//! Alertmanager's work. Restoring from `ALERTS_FOR_STATE` is replaced by state of our own on disk.

mod alert;
mod group;
mod machine;
mod manager;
mod notifiable;
mod notifier;
mod saved;
mod state_file;
pub mod template;
#[cfg(test)]
mod tests;
mod texts;
mod view;

pub use crate::rules::AlertState;
pub use manager::{Manager, ManagerOptions, Sink};
pub use notifiable::NotifiableAlert;
pub use notifier::{AlertmanagerStatus, AlertmanagerTarget, Notifier};
pub use view::{
    AlertView, AlertingView, GroupView, Health, RuleKind, RuleView, RulesView, SharedView,
};
