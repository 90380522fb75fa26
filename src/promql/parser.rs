//! The parser: precedence climbing over tokens.
//!
//! One function per form: literals, operators and what begins an expression here, [`selector`],
//! [`span`] and [`call`] in their own files. A syntax error ends the expression (`Failed`, after its
//! diagnostic); a mistake that leaves the form whole (an unknown function, a bad regular expression)
//! is noted and parsing goes on, so that one text can yield several diagnostics.

mod call;
mod selector;
mod span;

use super::ast::{
    AggregateOp, Binary, BinaryOp, Expr, NumberLiteral, Paren, RangeMode, StringLiteral, Unary,
    UnaryOp,
};
use super::check::check;
use super::literal::{number, unquote};
use super::token::{Kind, Mode, Token, token};
use crate::lang::{Diagnostic, Span};
use crate::series::{Matcher, parse_duration};

/// How deep brackets may nest.
const NESTING_MAX: usize = 128;
/// How high a tree may be: a chain of operators counts each one.
const HEIGHT_MAX: usize = 512;

/// Parses and type-checks a whole expression.
///
/// # Errors
/// At least one diagnostic, with codes `P0xx`.
pub fn parse(text: &str) -> Result<Expr, Vec<Diagnostic>> {
    let mut parser = Parser::new(text, 0);
    let expr = parser.whole();
    checked(expr, parser.diagnostics)
}

/// Parses as much as PromQL's grammar can take from the byte offset `start`, and returns where
/// that ends. Spans are offsets in `text`. There is no expression if there is a diagnostic. Types
/// are not checked: names may stand for other expressions, so [`check`] comes after
/// [`Expr::rewrite`].
pub fn parse_prefix(text: &str, start: usize) -> (Option<Expr>, usize, Vec<Diagnostic>) {
    let mut parser = Parser::new(text, start);
    let expr = parser.expr(0).ok().map(|(expr, _)| expr);
    let expr = expr.filter(|_| parser.diagnostics.is_empty());
    (expr, parser.end, parser.diagnostics)
}

/// Parses an instant selector, as `match[]` holds it, to its matchers.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, Vec<Diagnostic>> {
    let wrong = |span| {
        let message = "expected a selector such as up{job=\"node\"}, without range, offset and @";
        Err(vec![Diagnostic::error("P005", span, message)])
    };
    match parse(text)? {
        Expr::Vector(selector)
            if selector.at.is_none()
                && selector.offset.is_zero()
                && selector.mode == RangeMode::Plain =>
        {
            Ok(selector.all_matchers())
        }
        other => wrong(other.span()),
    }
}

/// Parses matchers without braces, separated by commas: `job="node",mode!="idle"`.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, Vec<Diagnostic>> {
    let mut parser = Parser::new(text, 0);
    let matchers = parser.matcher_list(|parser| parser.peek(Mode::Braces).kind == Kind::End);
    match matchers {
        Ok(matchers) if parser.diagnostics.is_empty() => Ok(matchers),
        _ => Err(parser.diagnostics),
    }
}

/// Writes diagnostics as the query API does: `1:5: parse error: …`, one per line.
pub fn error_text(text: &str, diagnostics: &[Diagnostic]) -> String {
    let line = |diagnostic: &Diagnostic| {
        let (line, column) = diagnostic.span.line_column(text);
        let help = diagnostic.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{line}:{column}: parse error: {}{help}", diagnostic.message)
    };
    diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn checked(
    parsed: Result<Expr, Failed>,
    diagnostics: Vec<Diagnostic>,
) -> Result<Expr, Vec<Diagnostic>> {
    let Ok(expr) = parsed else { return Err(diagnostics) };
    let found = if diagnostics.is_empty() { check(&expr) } else { diagnostics };
    if found.is_empty() { Ok(expr) } else { Err(found) }
}

/// The diagnostic has been noted; nothing can be built.
#[derive(Debug)]
struct Failed;

/// A tree and its height.
type Parsed = Result<(Expr, usize), Failed>;

struct Parser<'t> {
    text: &'t str,
    /// After the last token taken.
    end: usize,
    ahead: Option<(Mode, Token)>,
    nesting: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, start: usize) -> Parser<'t> {
        let mut start = start.min(text.len());
        while !text.is_char_boundary(start) {
            start += 1;
        }
        Parser { text, end: start, ahead: None, nesting: 0, diagnostics: Vec::new() }
    }

    // Tokens.

    fn peek(&mut self, mode: Mode) -> &Token {
        if self.ahead.as_ref().is_none_or(|(found, _)| *found != mode) {
            self.ahead = Some((mode, token(self.text, self.end, mode)));
        }
        &self.ahead.as_ref().expect("set above").1
    }

    fn take(&mut self, mode: Mode) -> Token {
        self.peek(mode);
        let (_, token) = self.ahead.take().expect("peek has filled it");
        self.end = token.end;
        token
    }

    fn eat(&mut self, mode: Mode, symbol: &str) -> Option<Token> {
        self.peek(mode).is(symbol).then(|| self.take(mode))
    }

    fn expect(&mut self, mode: Mode, symbol: &str, place: &str) -> Result<Token, Failed> {
        match self.eat(mode, symbol) {
            Some(token) => Ok(token),
            None => Err(self.unexpected(mode, place, &format!("{symbol:?}"))),
        }
    }

    fn word_of(&self, token: &Token) -> &'t str {
        &self.text[token.start..token.end]
    }

    /// Takes the next token if it is that keyword; keywords have no case.
    fn eat_keyword(&mut self, keyword: &str) -> Option<Token> {
        let token = self.peek(Mode::Plain).clone();
        let found = token.kind == Kind::Word && self.word_of(&token).eq_ignore_ascii_case(keyword);
        found.then(|| self.take(Mode::Plain))
    }

    /// Returns the symbol after the next token, without taking either.
    fn second_is(&mut self, symbol: &str) -> bool {
        let end = self.peek(Mode::Plain).end;
        token(self.text, end, Mode::Plain).is(symbol)
    }

    // Errors.

    fn note(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Failed {
        self.diagnostics.push(Diagnostic::error(code, span, message));
        Failed
    }

    fn unexpected(&mut self, mode: Mode, place: &str, wanted: &str) -> Failed {
        let token = self.peek(mode).clone();
        let word = self.word_of(&token);
        let found = match &token.kind {
            Kind::Bad(reason) => {
                let reason = reason.clone();
                return self.note("P001", token.span(), reason);
            }
            Kind::End => "end of input".to_owned(),
            Kind::Word => format!("identifier {word:?}"),
            Kind::Number => format!("number {word:?}"),
            Kind::Duration => format!("duration {word:?}"),
            Kind::Quoted => format!("string {word}"),
            Kind::Symbol(symbol) => format!("{symbol:?}"),
        };
        let place = if place.is_empty() { String::new() } else { format!(" in {place}") };
        self.diagnostics.push(
            Diagnostic::error(
                "P002",
                token.span(),
                format!("unexpected {found}{place}, expected {wanted}"),
            )
            .with_label(format!("expected {wanted}")),
        );
        Failed
    }

    // Expressions.

    fn whole(&mut self) -> Result<Expr, Failed> {
        if self.peek(Mode::Plain).kind == Kind::End {
            return Err(self.note("P002", Span::default(), "no expression found in input"));
        }
        let (expr, _) = self.expr(0)?;
        if self.peek(Mode::Plain).kind == Kind::End {
            return Ok(expr);
        }
        Err(self.unexpected(Mode::Plain, "", "an operator or the end of the expression"))
    }

    /// Operators that bind at least as tightly as `least`.
    fn expr(&mut self, least: u8) -> Parsed {
        let (mut left, mut height) = self.signed()?;
        while let Some((op, token)) = self.peek_operator() {
            let (precedence, from_right) = op.precedence();
            if precedence < least {
                break;
            }
            self.take(Mode::Plain);
            let (returns_bool, matching) = self.binary_modifiers()?;
            self.descend()?;
            let (right, right_height) =
                self.expr(if from_right { precedence } else { precedence + 1 })?;
            self.nesting -= 1;
            height = self.higher(height.max(right_height), token.span())?;
            left = Expr::Binary(Binary {
                op,
                span: left.span().to(right.span()),
                left: Box::new(left),
                right: Box::new(right),
                returns_bool,
                matching,
            });
        }
        Ok((left, height))
    }

    fn descend(&mut self) -> Result<(), Failed> {
        self.nesting += 1;
        if self.nesting <= NESTING_MAX {
            return Ok(());
        }
        let span = self.peek(Mode::Plain).span();
        Err(self.note("P006", span, format!("nested more than {NESTING_MAX} deep")))
    }

    fn higher(&mut self, height: usize, span: Span) -> Result<usize, Failed> {
        if height < HEIGHT_MAX {
            return Ok(height + 1);
        }
        Err(self.note("P006", span, format!("more than {HEIGHT_MAX} operators in one chain")))
    }

    fn peek_operator(&mut self) -> Option<(BinaryOp, Token)> {
        let token = self.peek(Mode::Plain).clone();
        if !matches!(token.kind, Kind::Word | Kind::Symbol(_)) {
            return None;
        }
        let word = self.word_of(&token);
        let (op, _) = BinaryOp::ALL.iter().find(|(_, text)| word.eq_ignore_ascii_case(text))?;
        Some((*op, token))
    }

    fn signed(&mut self) -> Parsed {
        let sign = self.peek(Mode::Plain).clone();
        if !(sign.is("+") || sign.is("-")) {
            let (expr, height) = self.primary()?;
            return self.suffixes(expr, height);
        }
        self.take(Mode::Plain);
        self.descend()?;
        let (tighter_than_product, _) = BinaryOp::Pow.precedence();
        let (inner, height) = self.expr(tighter_than_product)?;
        self.nesting -= 1;
        let span = sign.span().to(inner.span());
        let op = if sign.is("-") { UnaryOp::Minus } else { UnaryOp::Plus };
        if let Expr::Number(mut literal) = inner {
            if op == UnaryOp::Minus {
                literal.value = -literal.value;
            }
            literal.span = span;
            return Ok((Expr::Number(literal), height));
        }
        let height = self.higher(height, span)?;
        Ok((Expr::Unary(Unary { op, expr: Box::new(inner), span }), height))
    }

    fn primary(&mut self) -> Parsed {
        let token = self.peek(Mode::Plain).clone();
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.take(Mode::Plain);
                Ok((Expr::Number(self.number_literal(&token)), 1))
            }
            Kind::Quoted => {
                self.take(Mode::Plain);
                let value = self.unquoted(&token);
                Ok((Expr::String(StringLiteral { value, span: token.span() }), 1))
            }
            Kind::Word => self.word(),
            Kind::Symbol("(") => {
                self.take(Mode::Plain);
                self.descend()?;
                let (inner, height) = self.expr(0)?;
                self.nesting -= 1;
                let close = self.expect(Mode::Plain, ")", "parenthesised expression")?;
                let height = self.higher(height, token.span())?;
                let span = token.span().to(close.span());
                Ok((Expr::Paren(Paren { expr: Box::new(inner), span }), height))
            }
            Kind::Symbol("{") => Ok((Expr::Vector(self.vector_selector(None)?), 1)),
            _ => Err(self.unexpected(
                Mode::Plain,
                "",
                "a metric, a function, a number, a string or \"(\"",
            )),
        }
    }

    fn word(&mut self) -> Parsed {
        let token = self.peek(Mode::Plain).clone();
        let word = self.word_of(&token);
        let lower = word.to_ascii_lowercase();
        if matches!(lower.as_str(), "inf" | "nan") {
            self.take(Mode::Plain);
            return Ok((Expr::Number(self.number_literal(&token)), 1));
        }
        let called = self.second_is("(");
        if let Some((op, _)) = AggregateOp::ALL.iter().find(|(_, name)| *name == lower)
            && (called || self.second_is_grouping())
        {
            return self.aggregate(*op);
        }
        let never_a_metric = matches!(
            lower.as_str(),
            "bool" | "on" | "ignoring" | "group_left" | "group_right" | "atan2"
        );
        if never_a_metric {
            return Err(self.unexpected(
                Mode::Plain,
                "",
                "a metric, a function, a number or \"(\"",
            ));
        }
        let is_keyword =
            matches!(lower.as_str(), "and" | "or" | "unless" | "by" | "without" | "offset");
        if called && !is_keyword && !word.contains(':') {
            return self.call();
        }
        self.take(Mode::Plain);
        Ok((Expr::Vector(self.vector_selector(Some(&token))?), 1))
    }

    fn second_is_grouping(&mut self) -> bool {
        let end = self.peek(Mode::Plain).end;
        let next = token(self.text, end, Mode::Plain);
        let word = self.word_of(&next);
        next.kind == Kind::Word
            && (word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without"))
    }

    // Literals.

    fn number_literal(&mut self, token: &Token) -> NumberLiteral {
        let (text, span) = (self.word_of(token), token.span());
        let duration = token.kind == Kind::Duration;
        let value = if duration {
            parse_duration(text).map(|ms| ms as f64 / 1000.0).map_err(|error| error.to_string())
        } else {
            number(text).ok_or_else(|| format!("error parsing number: {text:?}"))
        };
        let value = value.unwrap_or_else(|message| {
            self.note("P001", span, message);
            0.0
        });
        NumberLiteral { value, duration, span }
    }

    fn unquoted(&mut self, token: &Token) -> String {
        unquote(self.word_of(token)).unwrap_or_else(|reason| {
            self.note("P001", token.span(), format!("error unquoting string: {reason}"));
            String::new()
        })
    }
}

#[cfg(test)]
mod tests;
