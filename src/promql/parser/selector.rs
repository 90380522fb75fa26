//! Selectors, and what may stand behind an expression: ranges, subqueries, `offset` and `@`.

use super::{Failed, Parsed, Parser};
use crate::lang::Span;
use crate::promql::ast::{At, Expr, MatrixSelector, RangeMode, Subquery, TimeSpan, VectorSelector};
use crate::promql::literal::quote;
use crate::promql::token::{Kind, Mode, Token};
use crate::series::{METRIC_NAME, MatchOp, Matcher};

impl Parser<'_> {
    pub(super) fn vector_selector(
        &mut self,
        name: Option<&Token>,
    ) -> Result<VectorSelector, Failed> {
        let mut span = name.map(Token::span);
        let mut matchers = Vec::new();
        if let Some(open) = self.eat(Mode::Plain, "{") {
            matchers = self.matcher_list(|parser| parser.peek(Mode::Braces).is("}"))?;
            let close = self.expect(Mode::Braces, "}", "label matching")?;
            span = Some(span.unwrap_or(open.span()).to(close.span()));
        }
        Ok(VectorSelector {
            name: name.map(|token| self.word_of(token).to_owned()),
            matchers,
            offset: TimeSpan::ZERO,
            at: None,
            mode: RangeMode::Plain,
            span: span.unwrap_or_default(),
        })
    }

    pub(super) fn matcher_list(
        &mut self,
        at_end: impl Fn(&mut Self) -> bool,
    ) -> Result<Vec<Matcher>, Failed> {
        let mut matchers = Vec::new();
        while !at_end(self) {
            matchers.extend(self.matcher()?);
            if self.eat(Mode::Braces, ",").is_none() && !at_end(self) {
                return Err(self.unexpected(Mode::Braces, "label matching", "\",\" or \"}\""));
            }
        }
        Ok(matchers)
    }

    pub(super) fn matcher(&mut self) -> Result<Option<Matcher>, Failed> {
        let token = self.peek(Mode::Braces).clone();
        let name = match token.kind {
            Kind::Word => self.word_of(&token).to_owned(),
            Kind::Quoted => self.unquoted(&token),
            _ => {
                return Err(self.unexpected(Mode::Braces, "label matching", "identifier or \"}\""));
            }
        };
        self.take(Mode::Braces);
        let op = match self.peek(Mode::Braces).kind {
            Kind::Symbol("=") => MatchOp::Equal,
            Kind::Symbol("!=") => MatchOp::NotEqual,
            Kind::Symbol("=~") => MatchOp::Regex,
            Kind::Symbol("!~") => MatchOp::NotRegex,
            _ if token.kind == Kind::Quoted => {
                return Ok(Some(Matcher::equal(METRIC_NAME, &name)));
            }
            _ => {
                let wanted = "label matching operator";
                let ends = matches!(self.peek(Mode::Braces).kind, Kind::Symbol("," | "}"));
                let failed = self.unexpected(Mode::Braces, "label matching", wanted);
                if ends && let Some(diagnostic) = self.diagnostics.pop() {
                    let help = format!("a metric's name is quoted in braces: {{{}}}", quote(&name));
                    self.diagnostics.push(diagnostic.with_help(help));
                }
                return Err(failed);
            }
        };
        self.take(Mode::Braces);
        if self.peek(Mode::Braces).kind != Kind::Quoted {
            return Err(self.unexpected(Mode::Braces, "label matching", "string"));
        }
        let value_token = self.take(Mode::Braces);
        let value = self.unquoted(&value_token);
        match Matcher::new(&name, op, &value) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(error) => {
                self.note("P005", value_token.span(), error.to_string());
                Ok(None)
            }
        }
    }

    /// `[…]`, `offset`, `@`, `anchored`, `smoothed`, as often as they come.
    pub(super) fn suffixes(&mut self, mut expr: Expr, mut height: usize) -> Parsed {
        loop {
            if self.peek(Mode::Plain).is("[") {
                expr = self.brackets(expr)?;
                height = self.higher(height, expr.span())?;
            } else if self.eat_keyword("offset").is_some() {
                let offset = self.offset()?;
                self.set_offset(&mut expr, offset);
            } else if self.eat(Mode::Plain, "@").is_some() {
                let at = self.at()?;
                self.set_at(&mut expr, at);
            } else if self.eat_keyword("anchored").is_some() {
                self.set_mode(&mut expr, RangeMode::Anchored);
            } else if self.eat_keyword("smoothed").is_some() {
                self.set_mode(&mut expr, RangeMode::Smoothed);
            } else {
                return Ok((expr, height));
            }
        }
    }

    pub(super) fn brackets(&mut self, expr: Expr) -> Result<Expr, Failed> {
        let open = self.take(Mode::Plain);
        let range = self.positive_duration("subquery or range selector")?;
        if self.eat(Mode::Brackets, ":").is_some() {
            let step = if self.peek(Mode::Brackets).is("]") {
                None
            } else {
                Some(self.positive_duration("subquery selector")?)
            };
            let close = self.expect(Mode::Brackets, "]", "subquery selector")?;
            let span = expr.span().to(close.span());
            let (offset, at) = (TimeSpan::ZERO, None);
            return Ok(Expr::Subquery(Subquery {
                expr: Box::new(expr),
                range,
                step,
                offset,
                at,
                span,
            }));
        }
        if !self.peek(Mode::Brackets).is("]") {
            return Err(self.unexpected(Mode::Brackets, "subquery or range", "\":\" or \"]\""));
        }
        let close = self.take(Mode::Brackets);
        let brackets = open.span().to(close.span());
        let Expr::Vector(vector) = expr else {
            return Err(self.note("P002", brackets, "ranges only allowed for vector selectors"));
        };
        if !vector.offset.is_zero() {
            self.note("P002", brackets, "no offset modifiers allowed before range");
        }
        if vector.at.is_some() {
            self.note("P002", brackets, "no @ modifiers allowed before range");
        }
        let span = vector.span.to(close.span());
        Ok(Expr::Matrix(MatrixSelector { vector, range, span }))
    }

    pub(super) fn set_offset(&mut self, expr: &mut Expr, offset: TimeSpan) {
        let (end, whole) = (self.end, expr.span());
        let (slot, span) = match expr {
            Expr::Vector(node) => (&mut node.offset, &mut node.span),
            Expr::Matrix(node) => (&mut node.vector.offset, &mut node.span),
            Expr::Subquery(node) => (&mut node.offset, &mut node.span),
            _ => {
                self.note(
                    "P002",
                    whole,
                    "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                );
                return;
            }
        };
        span.end = Span::new(0, end).end;
        if slot.is_zero() {
            *slot = offset;
        } else {
            self.note("P002", whole, "offset may not be set multiple times");
        }
    }

    pub(super) fn set_at(&mut self, expr: &mut Expr, at: At) {
        let (end, whole) = (self.end, expr.span());
        let (slot, span) = match expr {
            Expr::Vector(node) => (&mut node.at, &mut node.span),
            Expr::Matrix(node) => (&mut node.vector.at, &mut node.span),
            Expr::Subquery(node) => (&mut node.at, &mut node.span),
            _ => {
                self.note(
                    "P002",
                    whole,
                    "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                );
                return;
            }
        };
        span.end = Span::new(0, end).end;
        if slot.replace(at).is_some() {
            self.note("P002", whole, "@ <timestamp> may not be set multiple times");
        }
    }

    pub(super) fn set_mode(&mut self, expr: &mut Expr, mode: RangeMode) {
        let (end, whole) = (self.end, expr.span());
        let (slot, span) = match expr {
            Expr::Vector(node) => (&mut node.mode, &mut node.span),
            Expr::Matrix(node) => (&mut node.vector.mode, &mut node.span),
            _ => {
                let message = "anchored and smoothed must be preceded by a selector";
                self.note("P002", whole, message);
                return;
            }
        };
        span.end = Span::new(0, end).end;
        if std::mem::replace(slot, mode) != RangeMode::Plain {
            let message = "anchored and smoothed modifiers cannot be used together";
            self.note("P002", whole, message);
        }
    }

    pub(super) fn at(&mut self) -> Result<At, Failed> {
        for (keyword, at) in [("start", At::Start), ("end", At::End)] {
            if self.eat_keyword(keyword).is_some() {
                self.expect(Mode::Plain, "(", "@")?;
                self.expect(Mode::Plain, ")", "@")?;
                return Ok(at);
            }
        }
        let start = self.peek(Mode::Plain).span();
        let minus = self.eat(Mode::Plain, "-").is_some();
        if !minus {
            self.eat(Mode::Plain, "+");
        }
        let token = self.peek(Mode::Plain).clone();
        let word = self.word_of(&token).to_ascii_lowercase();
        let infinite = matches!(word.as_str(), "inf" | "nan");
        if !matches!(token.kind, Kind::Number | Kind::Duration) && !infinite {
            return Err(self.unexpected(Mode::Plain, "@", "timestamp, start() or end()"));
        }
        self.take(Mode::Plain);
        let literal = self.number_literal(&token);
        let seconds = if minus { -literal.value } else { literal.value };
        if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
            let message = format!("timestamp out of bounds for @ modifier: {seconds}");
            self.note("P002", start.to(token.span()), message);
        }
        Ok(At::Time((seconds * 1000.0).round() as i64))
    }
}
