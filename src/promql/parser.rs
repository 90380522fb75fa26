//! The parser: precedence climbing over tokens.
//!
//! One function per form. A syntax error ends the expression (`Failed`, after its diagnostic); a
//! mistake that leaves the form whole (an unknown function, a bad regular expression) is noted and
//! parsing goes on, so that one text can yield several diagnostics.

use crate::lang::{Diagnostic, Span, nearest};
use crate::series::{METRIC_NAME, MatchOp, Matcher, parse_duration};

use super::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, DurationOp,
    Expr, Grouping, MatrixSelector, NumberLiteral, Paren, RangeMode, StringLiteral, Subquery,
    TimeSpan, Unary, UnaryOp, VectorMatching, VectorSelector,
};
use super::check::check;
use super::duration::SECONDS_MAX;
use super::functions::{function, functions};
use super::literal::{number, quote, quote_bytes, unquote, unquote_bytes};
use super::token::{Kind, Mode, Token, token};

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

    // Selectors.

    fn vector_selector(&mut self, name: Option<&Token>) -> Result<VectorSelector, Failed> {
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

    fn matcher_list(&mut self, at_end: impl Fn(&mut Self) -> bool) -> Result<Vec<Matcher>, Failed> {
        let mut matchers = Vec::new();
        while !at_end(self) {
            matchers.extend(self.matcher()?);
            if self.eat(Mode::Braces, ",").is_none() && !at_end(self) {
                return Err(self.unexpected(Mode::Braces, "label matching", "\",\" or \"}\""));
            }
        }
        Ok(matchers)
    }

    fn matcher(&mut self) -> Result<Option<Matcher>, Failed> {
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
                return Err(self.unexpected(Mode::Braces, "label matching", wanted));
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
    fn suffixes(&mut self, mut expr: Expr, mut height: usize) -> Parsed {
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

    fn brackets(&mut self, expr: Expr) -> Result<Expr, Failed> {
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

    fn set_offset(&mut self, expr: &mut Expr, offset: TimeSpan) {
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

    fn set_at(&mut self, expr: &mut Expr, at: At) {
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

    fn set_mode(&mut self, expr: &mut Expr, mode: RangeMode) {
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

    fn at(&mut self) -> Result<At, Failed> {
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

    // Durations.

    fn positive_duration(&mut self, place: &str) -> Result<TimeSpan, Failed> {
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
    fn offset(&mut self) -> Result<TimeSpan, Failed> {
        let expr = self.duration_operand(Mode::Plain, "offset")?;
        Ok(self.time_span(expr))
    }

    fn time_span(&mut self, expr: DurationExpr) -> TimeSpan {
        let DurationExpr::Number(literal) = expr else { return TimeSpan::Computed(expr) };
        if literal.value.abs() > SECONDS_MAX || literal.value.is_nan() {
            self.note("P008", literal.span, "duration out of range");
        }
        // By way of nanoseconds, as upstream rounds.
        TimeSpan::Ms((literal.value * 1e9).round() as i64 / 1_000_000)
    }

    fn duration_expr(&mut self, least: u8, place: &str) -> Result<DurationExpr, Failed> {
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

    fn duration_operand(&mut self, mode: Mode, place: &str) -> Result<DurationExpr, Failed> {
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

    // Operators' modifiers.

    fn binary_modifiers(&mut self) -> Result<(bool, VectorMatching), Failed> {
        let returns_bool = self.eat_keyword("bool").is_some();
        let mut matching = VectorMatching::default();
        let on = self.eat_keyword("on").is_some();
        if on || self.eat_keyword("ignoring").is_some() {
            matching.on = on;
            matching.labels = self.grouping_labels()?;
            for (keyword, cardinality) in
                [("group_left", Cardinality::ManyToOne), ("group_right", Cardinality::OneToMany)]
            {
                if self.eat_keyword(keyword).is_some() {
                    matching.cardinality = cardinality;
                    if self.peek(Mode::Plain).is("(") {
                        matching.include = self.grouping_labels()?;
                    }
                    break;
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok((returns_bool, matching))
    }

    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Result<(), Failed> {
        // Without a parenthesis, `fill` is a metric.
        while self.second_is("(") {
            let fill = &matching.fill;
            let sides = if fill.left.is_none()
                && fill.right.is_none()
                && self.eat_keyword("fill").is_some()
            {
                (true, true)
            } else if matching.fill.left.is_none() && self.eat_keyword("fill_left").is_some() {
                (true, false)
            } else if matching.fill.right.is_none() && self.eat_keyword("fill_right").is_some() {
                (false, true)
            } else {
                break;
            };
            let value = self.fill_value()?;
            if sides.0 {
                matching.fill.left = Some(value);
            }
            if sides.1 {
                matching.fill.right = Some(value);
            }
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Result<f64, Failed> {
        self.expect(Mode::Plain, "(", "fill")?;
        let minus = self.eat(Mode::Plain, "-").is_some();
        if !minus {
            self.eat(Mode::Plain, "+");
        }
        let token = self.peek(Mode::Plain).clone();
        let word = self.word_of(&token).to_ascii_lowercase();
        let special = matches!(word.as_str(), "inf" | "nan");
        if !matches!(token.kind, Kind::Number | Kind::Duration) && !special {
            return Err(self.unexpected(Mode::Plain, "fill", "number"));
        }
        self.take(Mode::Plain);
        let value = self.number_literal(&token).value;
        self.expect(Mode::Plain, ")", "fill")?;
        Ok(if minus { -value } else { value })
    }

    fn grouping_labels(&mut self) -> Result<Vec<String>, Failed> {
        let place = "grouping opts";
        self.expect(Mode::Plain, "(", place)?;
        let mut labels = Vec::new();
        while self.eat(Mode::Plain, ")").is_none() {
            let token = self.peek(Mode::Plain).clone();
            labels.push(match token.kind {
                Kind::Word => self.word_of(&token).to_owned(),
                Kind::Quoted => self.unquoted(&token),
                _ => return Err(self.unexpected(Mode::Plain, place, "label")),
            });
            self.take(Mode::Plain);
            if self.eat(Mode::Plain, ",").is_none() && !self.peek(Mode::Plain).is(")") {
                return Err(self.unexpected(Mode::Plain, place, "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    // Calls.

    fn aggregate(&mut self, op: AggregateOp) -> Parsed {
        let name = self.take(Mode::Plain);
        let mut grouping = self.grouping()?;
        if op == AggregateOp::CountValues {
            self.check_label_argument();
        }
        let (mut args, height, close) = self.arguments("aggregation")?;
        let mut span = name.span().to(close);
        if grouping.is_none() {
            grouping = self.grouping()?;
            span.end = Span::new(0, self.end).end;
        }
        let wanted = 1 + usize::from(op.parameter().is_some());
        if args.len() != wanted {
            let given = args.len();
            let message = if given == 0 {
                "no arguments for aggregate expression provided".to_owned()
            } else {
                format!(
                    "wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}"
                )
            };
            return Err(self.note("P004", span, message));
        }
        let expr = Box::new(args.pop().expect("counted above"));
        let parameter = args.pop().map(Box::new);
        let grouping = grouping.unwrap_or(Grouping::By(Vec::new()));
        let height = self.higher(height, span)?;
        Ok((Expr::Aggregate(Aggregate { op, parameter, expr, grouping, span }), height))
    }

    /// The first argument names a label: where it cannot be one, that is to be said.
    fn check_label_argument(&mut self) {
        let open = self.peek(Mode::Plain).end;
        let first = token(self.text, open, Mode::Plain);
        if first.kind == Kind::Quoted
            && let Ok(bytes) = unquote_bytes(self.word_of(&first))
            && (bytes.is_empty() || std::str::from_utf8(&bytes).is_err())
        {
            self.note("P004", first.span(), format!("invalid label name {}", quote_bytes(&bytes)));
        }
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, Failed> {
        Ok(if self.eat_keyword("by").is_some() {
            Some(Grouping::By(self.grouping_labels()?))
        } else if self.eat_keyword("without").is_some() {
            Some(Grouping::Without(self.grouping_labels()?))
        } else {
            None
        })
    }

    fn call(&mut self) -> Parsed {
        let token = self.take(Mode::Plain);
        let name = self.word_of(&token);
        let (args, height, close) = self.arguments(&format!("call of {name}"))?;
        let span = token.span().to(close);
        let height = self.higher(height, span)?;
        if let Some(function) = function(name) {
            return Ok((Expr::Call(Call { function, args, span }), height));
        }
        let mut unknown = Diagnostic::error(
            "P003",
            token.span(),
            format!("unknown function with name {}", quote(name)),
        );
        let known = functions()
            .iter()
            .map(|function| function.name)
            .chain(AggregateOp::ALL.iter().map(|(_, name)| *name));
        if let Some(near) = nearest(&name.to_ascii_lowercase(), known) {
            unknown = unknown.with_help(format!("did you mean `{near}`?"));
        }
        self.diagnostics.push(unknown);
        // The form is whole: something stands in for it, and is never looked at.
        let literal = NumberLiteral { value: f64::NAN, duration: false, span };
        Ok((Expr::Number(literal), height))
    }

    fn arguments(&mut self, place: &str) -> Result<(Vec<Expr>, usize, Span), Failed> {
        self.expect(Mode::Plain, "(", place)?;
        let (mut args, mut height) = (Vec::new(), 0);
        if let Some(close) = self.eat(Mode::Plain, ")") {
            return Ok((args, height, close.span()));
        }
        loop {
            self.descend()?;
            let (arg, arg_height) = self.expr(0)?;
            self.nesting -= 1;
            args.push(arg);
            height = height.max(arg_height);
            if let Some(close) = self.eat(Mode::Plain, ")") {
                return Ok((args, height, close.span()));
            }
            if self.eat(Mode::Plain, ",").is_none() {
                return Err(self.unexpected(Mode::Plain, place, "\",\" or \")\""));
            }
            if self.peek(Mode::Plain).is(")") {
                let span = self.peek(Mode::Plain).span();
                let message = "trailing commas not allowed in function call args";
                return Err(self.note("P002", span, message));
            }
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

#[cfg(test)]
mod tests;
