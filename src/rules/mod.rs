//! The rule language and rule files: parse, check, schedule, evaluate.
//!
//! Entry points: [`load()`] makes [`GroupSpec`]s of rule files in either language. [`AlertRule`] and
//! [`RuleFindings`] are what the alerts room sees of a rule and of one evaluation.
//!
//! Invariants: no text makes the parser panic or overflow the stack; a mistake yields a diagnostic
//! with its place and never hides the next one.
//!
//! Absent on purpose: alerts with their labels and texts (`alerts`; how their clocks move is here,
//! since a budget counts what they would do), and PromQL itself.

mod alert_rule;
mod amount;
mod ask;
mod ast;
mod budget;
mod check;
mod circle;
mod clause;
mod clocks;
mod cohort;
mod compile;
mod condition;
mod cursor;
mod decide;
mod evaluator;
mod feed;
mod finding;
mod group;
mod habitual;
mod holidays;
mod join;
mod kinship;
mod lets;
mod load;
mod memory;
mod parse;
mod program;
mod schedule;
mod spec;
mod succession;
mod test_block;
mod unit;
mod watch;
mod watched;
mod why;
mod witness;
mod written;
mod yaml;

pub use alert_rule::{AlertClause, AlertRule, Dialect, Ending};
pub use clocks::{AlertState, Clocks, Evidence};
pub use evaluator::{EvalError, Evaluator, LocalEvaluator};
pub use finding::{Finding, Numbers, RuleFindings, Truth};
pub use group::{Group, GroupOptions, GroupReport, Judge, RuleReport};
pub use load::{FileDiagnostic, LoadOptions, RuleSource, TemplatePlace, load};
pub use memory::Memory;
pub use spec::{AlertSpec, Expectation, GroupSpec, RecordRule, RuleSpec, TestSpec, TestStep};
pub use unit::Unit;

#[cfg(test)]
mod tests;
