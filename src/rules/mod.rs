//! The rule language and rule files: parse, check, schedule, evaluate.
//!
//! Entry points: [`load()`] makes [`GroupSpec`]s of rule files in either language. [`AlertRule`] and
//! [`RuleFindings`] are what the alerts room sees of a rule and of one evaluation.
//!
//! Invariants: no text makes the parser panic or overflow the stack; a mistake yields a diagnostic
//! with its place and never hides the next one.
//!
//! Absent on purpose: the life of an alert and templates (`alerts`), and PromQL itself.

mod alert_rule;
mod amount;
mod ast;
mod check;
mod clause;
mod compile;
mod condition;
mod cursor;
mod evaluator;
mod finding;
mod lets;
mod load;
mod parse;
mod program;
mod spec;
mod unit;
mod yaml;

pub use alert_rule::{AlertClause, AlertRule, Dialect, Ending};
pub use evaluator::EvalError;
pub use finding::{Finding, Numbers, RuleFindings, Truth};
pub use load::{FileDiagnostic, LoadOptions, RuleSource, TemplatePlace, load};
pub use spec::{AlertSpec, GroupSpec, RecordRule, RuleSpec};
pub use unit::Unit;

#[cfg(test)]
mod tests;
