//! The rule language and rule files: parse, check, schedule, evaluate.
//!
//! Entry points: [`AlertRule`] and [`RuleFindings`] are what the alerts room sees of a rule and of
//! one evaluation.

mod alert_rule;
mod evaluator;
mod finding;
mod unit;

pub use alert_rule::{AlertClause, AlertRule, Dialect, Ending};
pub use evaluator::EvalError;
pub use finding::{Finding, Numbers, RuleFindings, Truth};
pub use unit::Unit;
