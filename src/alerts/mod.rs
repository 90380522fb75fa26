//! Alert state machine, templates, notifier.
//!
//! Entry point so far: [`template::parse`].
//!
//! Absent on purpose: grouping, silencing and routing of alerts, which are Alertmanager's work.

pub mod template;
