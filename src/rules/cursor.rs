//! Tokens of the rule language, cut off one at a time: the place decides what comes next.

use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::{digit0, digit1, one_of, satisfy};
use nom::combinator::{opt, recognize};
use nom::{IResult, Parser};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::amount::{Amount, Kind, SUFFIXES};
use super::ast::Spanned;
use crate::lang::{Diagnostic, Span, nearest};
use crate::promql;
use crate::series::parse_duration;

const DAY_MS: i64 = 86_400_000;

/// A place in the text of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    /// Byte offset; always at a character's boundary.
    pub(super) at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Cursor<'t> {
        Cursor { text, at: 0 }
    }

    /// The rest past space and comments, and where it begins. The cursor stays, so that it stands
    /// at the end of what was taken.
    fn ahead(&self) -> (&'t str, usize) {
        let mut start = self.at;
        loop {
            let rest = &self.text[start..];
            let trimmed = rest.trim_start();
            start += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return (trimmed, start);
            }
            start += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn rest(&self) -> &'t str {
        self.ahead().0
    }

    /// Whether only space and comments are left.
    pub(super) fn is_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next word, which stays.
    pub(super) fn peek_word(&self) -> Option<Spanned<&'t str>> {
        let (rest, start) = self.ahead();
        let (_, node) = word(rest).ok()?;
        Some(Spanned { node, span: Span::new(start, start + node.len()) })
    }

    pub(super) fn word(&mut self) -> Option<Spanned<&'t str>> {
        let word = self.peek_word()?;
        self.at = word.span.end as usize;
        Some(word)
    }

    /// A name of a metric: a word that may hold colons.
    pub(super) fn metric(&mut self) -> Option<Spanned<&'t str>> {
        let (_, node) = metric(self.rest()).ok()?;
        let span = self.advance(node.len());
        Some(Spanned { node, span })
    }

    /// A word with hyphens in it, as `per-second`.
    pub(super) fn hyphened(&mut self) -> Option<Spanned<&'t str>> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        let len = len.unwrap_or(rest.len());
        (len > 0).then(|| Spanned { node: &rest[..len], span: self.advance(len) })
    }

    /// Any one character.
    pub(super) fn character(&mut self) {
        let len = self.rest().chars().next().map_or(0, char::len_utf8);
        self.advance(len);
    }

    /// `2026-03-04..2026-03-05T02:10Z`: the first instant and the one after the last, ms.
    pub(super) fn time_span(&mut self) -> Result<(i64, i64), Diagnostic> {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || matches!(c, '}' | '"' | '\'' | '`' | '#');
        let text = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let here = self.here();
        let wrong = |message: String| {
            Diagnostic::error("R026", here, message)
                .with_help("write two times in UTC, such as 2026-03-04..2026-03-05T02:10Z")
        };
        self.advance(text.len());
        let Some((start, end)) = text.split_once("..") else {
            return Err(wrong("expected a span of time".to_owned()));
        };
        let time = |text: &str, is_end: bool| {
            time(text, is_end).ok_or_else(|| wrong(format!("{text:?} is no time")))
        };
        let (start_ms, end_ms) = (time(start, false)?, time(end, true)?);
        if start_ms >= end_ms {
            return Err(wrong("the span ends before it begins".to_owned()));
        }
        Ok((start_ms, end_ms))
    }

    /// Takes the word if it is this one.
    pub(super) fn eat_word(&mut self, expected: &str) -> bool {
        match self.peek_word() {
            Some(word) if word.node == expected => {
                self.at = word.span.end as usize;
                true
            }
            _ => false,
        }
    }

    pub(super) fn peek_symbol(&self, symbol: &str) -> bool {
        self.rest().starts_with(symbol)
    }

    /// Takes the symbol if it is next.
    pub(super) fn eat_symbol(&mut self, symbol: &str) -> Option<Span> {
        self.peek_symbol(symbol).then(|| self.advance(symbol.len()))
    }

    /// Where the next token stands, for "expected … here"; its whole word where it is one.
    pub(super) fn here(&self) -> Span {
        let (rest, start) = self.ahead();
        let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | '(' | ')' | ',' | '"');
        let len = rest.find(ends).unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        Span::new(start, start + len.max(first))
    }

    /// Whether a number or a sign is next.
    pub(super) fn at_number(&self) -> bool {
        let rest = self.rest();
        rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
            || (rest.starts_with('.') && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
    }

    /// A quoted string, with PromQL's escapes.
    pub(super) fn string(&mut self) -> Result<Spanned<String>, Diagnostic> {
        let rest = self.rest();
        let here = self.here();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
            return Err(Diagnostic::error("R001", here, "expected a string in quotes"));
        };
        let Some(len) = quoted_len(rest, quote) else {
            return Err(Diagnostic::error("R001", here, "the string has no closing quote"));
        };
        let span = self.advance(len);
        let node = promql::unquote(&rest[..len])
            .map_err(|reason| Diagnostic::error("R001", span, format!("bad string: {reason}")))?;
        Ok(Spanned { node, span })
    }

    /// A Prometheus duration in ms, more than nothing.
    pub(super) fn duration(&mut self) -> Result<i64, Diagnostic> {
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let text = &rest[..len];
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Diagnostic::error("R008", self.here(), "expected a duration")
                .with_help("write one like 30s, 5m or 1h30m"));
        }
        let span = self.advance(len);
        match parse_duration(text) {
            Ok(ms) if ms > 0 => Ok(ms),
            Ok(_) => Err(Diagnostic::error("R008", span, "a duration of nothing")
                .with_help("write one like 30s, or leave the part out")),
            Err(error) => Err(Diagnostic::error("R008", span, error.to_string())),
        }
    }

    /// `80%` as 0.8.
    pub(super) fn percentage(&mut self) -> Result<f64, Diagnostic> {
        let amount = self.amount()?;
        let wrong = |message: &str| Err(Diagnostic::error("R009", amount.span, message));
        match amount.kind {
            Kind::Percent if amount.value > 0.0 && amount.value <= 100.0 => {
                Ok(amount.value / 100.0)
            }
            Kind::Percent => wrong("a probability is more than 0% and at most 100%"),
            _ => wrong("a probability is written as a percentage, such as 80%"),
        }
    }

    /// A whole number.
    pub(super) fn integer(&mut self) -> Result<u64, Diagnostic> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let here = self.here();
        let number = rest[..digits].parse();
        self.advance(digits);
        number.map_err(|_| Diagnostic::error("R001", here, "expected a whole number"))
    }

    /// A number with an optional sign and an optional unit.
    pub(super) fn amount(&mut self) -> Result<Amount, Diagnostic> {
        let rest = self.rest();
        let Ok((after, digits)) = signed_number(rest) else {
            return Err(Diagnostic::error("R005", self.here(), "expected an amount")
                .with_help("write a number with its unit, such as 20GiB, 150ms, 5k or 80%"));
        };
        let number: f64 = digits.parse().unwrap_or(f64::NAN);
        let (suffixes, suffix_len) = suffix(after);
        let span = self.advance(digits.len() + suffix_len);
        let unknown = |text: &str| {
            let known = SUFFIXES.iter().map(|(suffix, ..)| *suffix);
            let help = match nearest(text, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "units are ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, k M G, %"
                    .to_owned(),
            };
            Diagnostic::error("R005", span, format!("unknown unit `{text}`")).with_help(help)
        };
        let (value, kind) = match suffixes {
            "" => (number, Kind::Plain),
            "%" => (number, Kind::Percent),
            text => match SUFFIXES.iter().find(|(known, ..)| *known == text) {
                Some((_, kind, factor)) => (number * factor, *kind),
                None => combined_time(digits, text).ok_or_else(|| unknown(text))?,
            },
        };
        if !value.is_finite() {
            return Err(Diagnostic::error("R005", span, "the amount is too large"));
        }
        Ok(Amount { value, kind, span })
    }

    /// Takes this much of what is ahead.
    fn advance(&mut self, len: usize) -> Span {
        let (_, start) = self.ahead();
        self.at = start + len;
        Span::new(start, self.at)
    }
}

/// A date, or a date and a time of day in UTC, as ms; a date alone as an end includes that day.
fn time(text: &str, is_end: bool) -> Option<i64> {
    let (day, length) = match text.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some(_) => (text.strip_suffix('Z')?.parse::<DateTime>().ok()?, 0),
        // A date alone; what else begins with one is not meant.
        None if text.len() == 10 => {
            (text.parse::<Date>().ok()?.to_datetime(Time::midnight()), DAY_MS)
        }
        None => return None,
    };
    let at_ms = day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(if is_end { at_ms + length } else { at_ms })
}

fn word(input: &str) -> IResult<&str, &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    recognize((satisfy(|c| c.is_ascii_alphabetic() || c == '_'), take_while(part))).parse(input)
}

fn metric(input: &str) -> IResult<&str, &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let first = satisfy(|c| c.is_ascii_alphabetic() || c == '_' || c == ':');
    recognize((first, take_while(part))).parse(input)
}

fn signed_number(input: &str) -> IResult<&str, &str> {
    let exponent = || opt(recognize((one_of("eE"), opt(one_of("+-")), digit1)));
    let whole = recognize((digit1, opt((nom::character::complete::char('.'), digit0)), exponent()));
    let fraction = recognize((nom::character::complete::char('.'), digit1, exponent()));
    recognize((opt(one_of("+-")), whole.or(fraction))).parse(input)
}

/// The unit after a number: `%`, or letters and digits (`h30m`).
fn suffix(after: &str) -> (&str, usize) {
    if after.starts_with('%') {
        return ("%", 1);
    }
    let found: IResult<&str, &str> = take_while1(|c: char| c.is_alphanumeric()).parse(after);
    found.map_or(("", 0), |(_, text)| (text, text.len()))
}

/// `1h30m`: whole numbers, each unit at most once, largest first.
fn combined_time(digits: &str, suffix: &str) -> Option<(f64, Kind)> {
    let sign = if digits.starts_with('-') { -1.0 } else { 1.0 };
    let text = format!("{}{suffix}", digits.trim_start_matches(['+', '-']));
    let ms = parse_duration(&text).ok()?;
    Some((sign * ms as f64 / 1000.0, Kind::Time))
}

/// The length of a quoted string, quotes included; none where it does not end.
fn quoted_len(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' if quote != '`' => return None,
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn amount(text: &str, expected: Option<(f64, Kind)>) {
        let found = Cursor::new(text).amount().ok().map(|amount| (amount.value, amount.kind));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn amounts() {
        amount("0", Some((0.0, Kind::Plain)));
        amount("-1.5e3 x", Some((-1500.0, Kind::Plain)));
        amount(".5", Some((0.5, Kind::Plain)));
        amount("20GiB", Some((20.0 * 1024f64.powi(3), Kind::Bytes)));
        amount("150ms", Some((0.15, Kind::Time)));
        amount("1h30m", Some((5400.0, Kind::Time)));
        amount("-1h30m", Some((-5400.0, Kind::Time)));
        amount("5k", Some((5000.0, Kind::Count)));
        amount("80%", Some((80.0, Kind::Percent)));
        amount("1e400", None);
        amount("5Gb", None);
        amount("1m1h", None);
        amount("x", None);
    }

    #[test]
    fn spans_of_time() {
        let day = 86_400_000;
        for (text, expected) in [
            ("1970-01-02..1970-01-03 x", Some((day, 3 * day))),
            ("1970-01-02T00:01Z..1970-01-02T02:10:05Z}", Some((day + 60_000, day + 7_805_000))),
            ("1970-01-02T00:00Z..1970-01-02\"because\"", Some((day, 2 * day))),
            ("1970-01-02", None),
            ("1970-01-03..1970-01-01", None),
            ("1970-01-02T00:00Z..1970-01-02T00:00Z", None),
            ("1970-13-02..1970-01-03", None),
            ("1970-01-02T00:00..1970-01-03", None),
            ("..", None),
            ("é..ü", None),
            ("-009999-01-01..9999-12-31", None),
        ] {
            assert_eq!(Cursor::new(text).time_span().ok(), expected, "{text}");
        }
    }

    #[test]
    fn strings_end_where_their_quote_does() {
        assert_eq!(
            Cursor::new(
                r#" # c
            "a\"b" "#
            )
            .string()
            .unwrap()
            .node,
            "a\"b"
        );
        assert_eq!(Cursor::new("`a\n\\`").string().unwrap().node, "a\n\\");
        assert!(Cursor::new("\"a\nb\"").string().is_err());
        assert!(Cursor::new("\"a").string().is_err());
    }
}
