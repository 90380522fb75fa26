//! Durations and the arithmetic on them.

use super::{Failed, Parser};
use crate::promql::ast::{DurationExpr, DurationOp, TimeSpan};
use crate::promql::duration::SECONDS_MAX;
use crate::promql::token::{Kind, Mode, Token};

impl Parser<'_> {
    pub(super) fn positive_duration(&mut self, place: &str) -> Result<TimeSpan, Failed> {
        let expr = self.duration_expr(0, place)?;
        if let DurationExpr::Number(literal) = &expr
            && literal.value <= 0.0
        {
            self.note("P008", literal.span, "duration must be greater than 0");
        }
        Ok(self.time_span(expr))
    }

    /// What follows `offset`: binary operators after it belong to the expression around, except
    /// in parentheses.
    pub(super) fn offset(&mut self) -> Result<TimeSpan, Failed> {
        let expr = self.duration_operand(Mode::Plain, "offset")?;
        Ok(self.time_span(expr))
    }

    pub(super) fn time_span(&mut self, expr: DurationExpr) -> TimeSpan {
        let DurationExpr::Number(literal) = expr else { return TimeSpan::Computed(expr) };
        if literal.value.abs() > SECONDS_MAX || literal.value.is_nan() {
            self.note("P008", literal.span, "duration out of range");
        }
        // By way of nanoseconds, as upstream rounds.
        TimeSpan::Ms((literal.value * 1e9).round() as i64 / 1_000_000)
    }

    pub(super) fn duration_expr(&mut self, least: u8, place: &str) -> Result<DurationExpr, Failed> {
        const OPS: [(&str, DurationOp, u8); 6] = [
            ("+", DurationOp::Add, 4),
            ("-", DurationOp::Sub, 4),
            ("*", DurationOp::Mul, 5),
            ("/", DurationOp::Div, 5),
            ("%", DurationOp::Mod, 5),
            ("^", DurationOp::Pow, 6),
        ];
        let mut left = self.duration_operand(Mode::Brackets, place)?;
        let mut length = 0;
        loop {
            let token = self.peek(Mode::Brackets).clone();
            let found = OPS.iter().find(|(text, _, _)| token.is(text));
            let Some((_, op, precedence)) = found.filter(|(_, _, found)| *found >= least) else {
                return Ok(left);
            };
            self.take(Mode::Brackets);
            length = self.higher(length, token.span())?;
            self.descend()?;
            let right_least = precedence + u8::from(*op != DurationOp::Pow);
            let right = self.duration_expr(right_least, place)?;
            self.nesting -= 1;
            if let (DurationOp::Div | DurationOp::Mod, DurationExpr::Number(literal)) = (op, &right)
                && literal.value == 0.0
            {
                let what = if *op == DurationOp::Div { "division" } else { "modulo" };
                self.note("P008", token.span(), format!("{what} by zero"));
            }
            let span = left.span().to(right.span());
            left = DurationExpr::Two(*op, Box::new(left), Box::new(right), span);
        }
    }

    pub(super) fn duration_operand(
        &mut self,
        mode: Mode,
        place: &str,
    ) -> Result<DurationExpr, Failed> {
        let token = self.peek(mode).clone();
        let word = self.word_of(&token).to_ascii_lowercase();
        match &token.kind {
            Kind::Number | Kind::Duration => {
                self.take(mode);
                Ok(DurationExpr::Number(self.number_literal(&token)))
            }
            Kind::Symbol("+" | "-") => {
                self.take(mode);
                self.descend()?;
                let inner = if mode == Mode::Brackets {
                    self.duration_expr(6, place)?
                } else {
                    self.duration_operand(mode, place)?
                };
                self.nesting -= 1;
                Ok(negated(inner, &token))
            }
            Kind::Symbol("(") => {
                self.take(mode);
                self.descend()?;
                let inner = self.duration_expr(0, place)?;
                self.nesting -= 1;
                let close = self.expect(Mode::Brackets, ")", place)?;
                Ok(DurationExpr::Paren(Box::new(inner), token.span().to(close.span())))
            }
            Kind::Word if matches!(word.as_str(), "step" | "range") => {
                self.take(mode);
                self.expect(mode, "(", place)?;
                let close = self.expect(mode, ")", place)?;
                let span = token.span().to(close.span());
                let step = word == "step";
                Ok(if step { DurationExpr::Step(span) } else { DurationExpr::Range(span) })
            }
            Kind::Word if matches!(word.as_str(), "min_of" | "max_of") => {
                self.take(mode);
                self.expect(mode, "(", place)?;
                self.descend()?;
                let left = self.duration_expr(0, place)?;
                self.expect(Mode::Brackets, ",", place)?;
                let right = self.duration_expr(0, place)?;
                self.nesting -= 1;
                let close = self.expect(Mode::Brackets, ")", place)?;
                let op = if word == "min_of" { DurationOp::MinOf } else { DurationOp::MaxOf };
                let span = token.span().to(close.span());
                Ok(DurationExpr::Two(op, Box::new(left), Box::new(right), span))
            }
            _ => Err(self.unexpected(mode, place, "number, duration, step(), or range()")),
        }
    }
}

/// `+x` is `x`; the sign of a number goes into the number.
fn negated(inner: DurationExpr, sign: &Token) -> DurationExpr {
    let span = sign.span().to(inner.span());
    match inner {
        inner if sign.is("+") => inner,
        DurationExpr::Number(mut literal) => {
            literal.value = -literal.value;
            literal.span = span;
            DurationExpr::Number(literal)
        }
        inner => DurationExpr::Negative(Box::new(inner), span),
    }
}
