//! Lengths of time that depend on the query: `[step() * 2]`, `offset (range() / 3)`.

use crate::lang::{Diagnostic, Span};

use super::ast::{DurationExpr, DurationOp, TimeSpan};

/// What the expressions may ask about the query.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QuerySpan {
    /// Between steps, ms; 0 for an instant.
    pub(super) step_ms: i64,
    /// From the first step to the last, ms.
    pub(super) range_ms: i64,
}

/// The longest time, in seconds, that upstream's nanoseconds can hold.
pub(super) const SECONDS_MAX: f64 = 9_223_372_036.854_775;

impl TimeSpan {
    /// Works the length out, ms.
    pub(super) fn resolve(&self, query: QuerySpan, positive: bool) -> Result<i64, Diagnostic> {
        let expr = match self {
            TimeSpan::Ms(ms) => return Ok(*ms),
            TimeSpan::Computed(expr) => expr,
        };
        let seconds = seconds(expr, query)?;
        let error = |message: &str| Err(Diagnostic::error("P008", expr.span(), message));
        if !seconds.is_finite() {
            return error("duration is NaN or infinite");
        }
        if positive && seconds <= 0.0 {
            return error("duration must be greater than 0");
        }
        if seconds.abs() > SECONDS_MAX {
            return error("duration is out of range");
        }
        Ok((seconds * 1000.0) as i64)
    }
}

fn seconds(expr: &DurationExpr, query: QuerySpan) -> Result<f64, Diagnostic> {
    let seconds_of = |ms: i64| ms as f64 / 1000.0;
    Ok(match expr {
        DurationExpr::Number(number) => number.value,
        DurationExpr::Step(_) => seconds_of(query.step_ms),
        DurationExpr::Range(_) => seconds_of(query.range_ms),
        DurationExpr::Negative(inner, _) => -seconds(inner, query)?,
        DurationExpr::Paren(inner, _) => seconds(inner, query)?,
        DurationExpr::Two(op, a, b, span) => {
            apply(*op, seconds(a, query)?, seconds(b, query)?, *span)?
        }
    })
}

fn apply(op: DurationOp, a: f64, b: f64, span: Span) -> Result<f64, Diagnostic> {
    Ok(match op {
        DurationOp::Add => a + b,
        DurationOp::Sub => a - b,
        DurationOp::Mul => a * b,
        DurationOp::Div if b == 0.0 => {
            return Err(Diagnostic::error("P008", span, "division by zero"));
        }
        DurationOp::Div => a / b,
        DurationOp::Mod if b == 0.0 => {
            return Err(Diagnostic::error("P008", span, "modulo by zero"));
        }
        DurationOp::Mod => a % b,
        DurationOp::Pow => a.powf(b),
        DurationOp::MinOf => a.min(b),
        DurationOp::MaxOf => a.max(b),
    })
}
