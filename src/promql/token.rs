//! Tokens, cut off one at a time: what follows an expression need not be PromQL.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while_m_n, take_while1};
use nom::character::complete::{char, digit1, one_of, satisfy};
use nom::combinator::{opt, recognize};
use nom::multi::many1_count;
use nom::{IResult, Parser};

use crate::lang::Span;

/// Where the parser stands; it decides what letters and colons mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Outside braces and brackets: names may hold colons.
    Plain,
    /// Inside `{…}`: label names and matcher operators.
    Braces,
    /// Inside `[…]`: durations, `:` separates the step.
    Brackets,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    /// A name or a keyword.
    Word,
    Number,
    Duration,
    /// A quoted string, quotes included.
    Quoted,
    /// Operators and punctuation, by their text.
    Symbol(&'static str),
    /// Text that is no token, and why.
    Bad(String),
}

/// One token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    pub(super) fn span(&self) -> Span {
        Span::new(self.start, self.end)
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.kind, Kind::Symbol(found) if found == symbol)
    }
}

/// Cuts the token at or after `at`, past space and comments.
pub(super) fn token(text: &str, at: usize, mode: Mode) -> Token {
    let rest = skip_blank(&text[at..]);
    let start = text.len() - rest.len();
    let (kind, len) = cut(rest, mode);
    Token { kind, start, end: start + len }
}

fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\n', '\r']);
        if !text.starts_with('#') {
            return text;
        }
        text = text.find(['\n', '\r']).map_or("", |end| &text[end..]);
    }
}

/// Longest first where one begins another.
const BRACES: &[&str] = &["=~", "!~", "!=", "=", ",", "{", "}"];
const OTHERS: &[&str] = &[
    "==", "!=", "<=", "</", "<", ">=", ">/", ">", "=", "+", "-", "*", "/", "%", "^", "@", "(", ")",
    "[", "]", "{", "}", ",", ":", ";",
];

fn cut(rest: &str, mode: Mode) -> (Kind, usize) {
    let Some(first) = rest.chars().next() else { return (Kind::End, 0) };
    let len_of = |found: IResult<&str, &str>| found.ok().map(|(_, text)| text.len());
    match first {
        '"' | '\'' | '`' => return quoted(rest, first),
        '0'..='9' | '.' if mode != Mode::Braces => return number_or_duration(rest),
        'a'..='z' | 'A'..='Z' | '_' | ':' if mode == Mode::Plain => {
            let len = len_of(name_with_colons(rest)).expect("the first character begins a name");
            return (Kind::Word, len);
        }
        'a'..='z' | 'A'..='Z' | '_' => {
            let len = len_of(name(rest)).expect("the first character begins a name");
            return (Kind::Word, len);
        }
        _ => {}
    }
    let symbols = if mode == Mode::Braces { BRACES } else { OTHERS };
    match symbols.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => (Kind::Symbol(symbol), symbol.len()),
        None => (Kind::Bad(format!("unexpected character: {first:?}")), first.len_utf8()),
    }
}

fn name(input: &str) -> IResult<&str, &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    recognize((satisfy(|c| c.is_ascii_alphabetic() || c == '_'), take_while(part))).parse(input)
}

fn name_with_colons(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':').parse(input)
}

/// Numbers as upstream reads them: decimal with fraction and exponent, hexadecimal, `_` between
/// digits; or a duration such as `1h30m`.
fn number_or_duration(rest: &str) -> (Kind, usize) {
    let ends =
        |len: usize| !rest[len..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    for (kind, found) in [(Kind::Duration, duration(rest)), (Kind::Number, number(rest))] {
        if let Ok((_, text)) = found
            && ends(text.len())
        {
            return (kind, text.len());
        }
    }
    let len = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
        .unwrap_or(rest.len())
        .max(1);
    (Kind::Bad(format!("bad number or duration syntax: {:?}", &rest[..len])), len)
}

fn duration(input: &str) -> IResult<&str, &str> {
    recognize(many1_count((digit1, alt((tag("ms"), recognize(one_of("smhdwy"))))))).parse(input)
}

fn number(input: &str) -> IResult<&str, &str> {
    let hex = recognize((
        char('0'),
        one_of("xX"),
        opt(char('_')),
        take_while1(|c: char| c.is_ascii_hexdigit()),
        take_while(|c: char| c.is_ascii_hexdigit() || c == '_'),
    ));
    let digits = |input| take_while(|c: char| c.is_ascii_digit() || c == '_').parse(input);
    let digits1 = |input| {
        recognize((
            take_while_m_n(1, 1, |c: char| c.is_ascii_digit()),
            take_while(|c: char| c.is_ascii_digit() || c == '_'),
        ))
        .parse(input)
    };
    let exponent = |input| recognize((one_of("eE"), opt(one_of("+-")), digits1)).parse(input);
    let with_whole = recognize((digits1, opt((char('.'), digits)), opt(exponent)));
    let fraction_only = recognize((char('.'), digits1, opt(exponent)));
    alt((hex, with_whole, fraction_only)).parse(input)
}

fn quoted(rest: &str, quote: char) -> (Kind, usize) {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' if quote != '`' => break,
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return (Kind::Quoted, at + 1),
            _ => {}
        }
    }
    let kind = if quote == '`' { "raw string" } else { "quoted string" };
    (Kind::Bad(format!("unterminated {kind}")), rest.lines().next().map_or(1, str::len))
}
