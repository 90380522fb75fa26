//! Template text to tokens. Trim markers and comments are gone afterwards.

use super::TemplateError;

/// One token and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// What stands outside of actions, trimmed.
    Text(String),
    /// `{{`
    Start,
    /// `}}`
    End,
    /// Blanks within an action; `.a .b` and `.a.b` differ.
    Space,
    /// A keyword, a function, `true`, `false` or `nil`.
    Word(String),
    /// `.name`, without the dot.
    Field(String),
    /// `$name`, without the dollar; empty for `$`.
    Variable(String),
    /// `.` alone.
    Dot,
    /// A quoted text, unquoted.
    Literal(String),
    Integer(i64),
    Float(f64),
    Pipe,
    Open,
    Close,
    Declare,
    Assign,
    Comma,
}

/// Returns the tokens of a whole template.
pub(super) fn lex(source: &str) -> Result<Vec<Token>, TemplateError> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    let mut trim_next = false;
    while lexer.at < source.len() {
        trim_next = lexer.text_and_action(trim_next)?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn fail(&self, at: usize, message: impl Into<String>) -> TemplateError {
        TemplateError::syntax(self.source, at, message)
    }

    fn push(&mut self, kind: Kind, len: usize) {
        self.tokens.push(Token { kind, at: self.at });
        self.at += len;
    }

    /// Takes the text up to the next action, and that action. Returns whether the action ends
    /// with a trim marker.
    fn text_and_action(&mut self, trim_start: bool) -> Result<bool, TemplateError> {
        let rest = self.rest();
        let len = rest.find("{{").unwrap_or(rest.len());
        let action = &rest[len..];
        let trim_end = action.starts_with("{{-") && action[3..].starts_with(is_space);
        let mut text = &rest[..len];
        if trim_start {
            text = text.trim_start_matches(is_space);
        }
        if trim_end {
            text = text.trim_end_matches(is_space);
        }
        if !text.is_empty() {
            self.tokens.push(Token { kind: Kind::Text(text.to_owned()), at: self.at });
        }
        self.at += len;
        if action.is_empty() {
            return Ok(false);
        }
        let start = self.at;
        let marker_len = if trim_end { "{{- ".len() } else { "{{".len() };
        let body = &action[marker_len..];
        if body.trim_start_matches(is_space).starts_with("/*") {
            return self.comment(start, marker_len);
        }
        self.push(Kind::Start, marker_len);
        self.action(start)
    }

    fn comment(&mut self, start: usize, marker_len: usize) -> Result<bool, TemplateError> {
        self.at += marker_len;
        let Some(end) = self.rest().find("*/") else {
            return Err(self.fail(start, "unclosed comment: end it with */}}"));
        };
        self.at += end + "*/".len();
        match self.action_end() {
            Some((len, trims)) => {
                self.at += len;
                Ok(trims)
            }
            None => Err(self.fail(start, "a comment must end with */}} and stand alone")),
        }
    }

    /// Returns the length of the `}}` or ` -}}` that stands here, and whether it trims.
    fn action_end(&self) -> Option<(usize, bool)> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            return Some((2, false));
        }
        let trimming = rest.starts_with(is_space) && rest[1..].starts_with("-}}");
        trimming.then_some((4, true))
    }

    fn action(&mut self, start: usize) -> Result<bool, TemplateError> {
        loop {
            if let Some((len, trims)) = self.action_end() {
                self.push(Kind::End, len);
                return Ok(trims);
            }
            let rest = self.rest();
            let mut chars = rest.chars();
            let Some(first) = chars.next() else {
                return Err(self.fail(start, "unclosed action: end it with }}"));
            };
            let second = chars.next().unwrap_or(' ');
            match first {
                c if is_space(c) => self.space(),
                '"' => self.quoted(rest)?,
                '`' => self.raw(rest)?,
                '\'' => self.character(rest)?,
                '.' if second.is_ascii_digit() => self.number(rest)?,
                '.' => self.field(rest),
                '$' => {
                    let name = word(&rest[1..]);
                    self.push(Kind::Variable(name.to_owned()), 1 + name.len());
                }
                '|' => self.push(Kind::Pipe, 1),
                '(' => self.push(Kind::Open, 1),
                ')' => self.push(Kind::Close, 1),
                ',' => self.push(Kind::Comma, 1),
                ':' if second == '=' => self.push(Kind::Declare, 2),
                '=' => self.push(Kind::Assign, 1),
                '+' | '-' | '0'..='9' => self.number(rest)?,
                c if is_word(c) => {
                    let name = word(rest);
                    self.push(Kind::Word(name.to_owned()), name.len());
                }
                c => return Err(self.fail(self.at, format!("unexpected {c:?} in an action"))),
            }
        }
    }

    /// Takes blanks, but leaves the one that belongs to a trim marker.
    fn space(&mut self) {
        let at = self.at;
        while self.action_end().is_none() && self.rest().starts_with(is_space) {
            self.at += 1;
        }
        self.tokens.push(Token { kind: Kind::Space, at });
    }

    fn field(&mut self, rest: &str) {
        match word(&rest[1..]) {
            "" => self.push(Kind::Dot, 1),
            name => self.push(Kind::Field(name.to_owned()), 1 + name.len()),
        }
    }

    fn raw(&mut self, rest: &str) -> Result<(), TemplateError> {
        let Some(len) = rest[1..].find('`') else {
            return Err(self.fail(self.at, "unclosed raw string"));
        };
        self.push(Kind::Literal(rest[1..=len].to_owned()), len + 2);
        Ok(())
    }

    fn quoted(&mut self, rest: &str) -> Result<(), TemplateError> {
        match unquote(rest, '"') {
            Ok((text, len)) => self.push(Kind::Literal(text), len),
            Err(message) => return Err(self.fail(self.at, message)),
        }
        Ok(())
    }

    fn character(&mut self, rest: &str) -> Result<(), TemplateError> {
        let (text, len) = unquote(rest, '\'').map_err(|message| self.fail(self.at, message))?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => self.push(Kind::Integer(i64::from(u32::from(c))), len),
            _ => return Err(self.fail(self.at, "a character constant holds one character")),
        }
        Ok(())
    }

    fn number(&mut self, rest: &str) -> Result<(), TemplateError> {
        let mut len = 0;
        for (at, c) in rest.char_indices() {
            let sign_fits = at == 0 || rest[..at].ends_with(['e', 'E', 'p', 'P']);
            if !(is_word(c) || c == '.' || (matches!(c, '+' | '-') && sign_fits)) {
                break;
            }
            len = at + c.len_utf8();
        }
        let text = &rest[..len];
        match parse_number(text) {
            Some(kind) => self.push(kind, len),
            None => return Err(self.fail(self.at, format!("not a number: {text:?}"))),
        }
        Ok(())
    }
}

fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// Reads a number as Go writes them: `12`, `0x1f`, `0o17`, `0b1`, `1_000`, `1.5`, `1e3`.
fn parse_number(text: &str) -> Option<Kind> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = digits.replace('_', "");
    if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let lower = plain.to_ascii_lowercase();
    let radix = match lower.get(..2) {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        Some("0b") => Some(2),
        _ => None,
    };
    if let Some(radix) = radix {
        let number = i64::from_str_radix(lower.get(2..)?, radix).ok()?;
        return Some(Kind::Integer(if negative { -number } else { number }));
    }
    if lower.contains(['.', 'e']) {
        let number: f64 = lower.parse().ok()?;
        return Some(Kind::Float(if negative { -number } else { number }));
    }
    let number: i64 = format!("{}{lower}", if negative { "-" } else { "" }).parse().ok()?;
    Some(Kind::Integer(number))
}

/// Reads a quoted text with Go's escapes; returns it and its length with the quotes.
fn unquote(source: &str, quote: char) -> Result<(String, usize), String> {
    let mut text = String::new();
    let mut chars = source.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((text, at + c.len_utf8())),
            '\n' => break,
            '\\' => {
                let Some((_, escape)) = chars.next() else { break };
                let hex_len = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if hex_len > 0 {
                    let hex: String = chars.by_ref().take(hex_len).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == hex_len);
                    let c = code.and_then(char::from_u32);
                    text.push(c.ok_or_else(|| format!("no such escape: \\{escape}{hex}"))?);
                    continue;
                }
                text.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'v' => '\x0b',
                    '0' => '\0',
                    '\\' | '"' | '\'' => escape,
                    other => return Err(format!("no such escape: \\{other}")),
                });
            }
            c => text.push(c),
        }
    }
    Err(format!("unclosed {quote}"))
}
