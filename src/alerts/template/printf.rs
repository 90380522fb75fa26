//! Go's `printf`: verbs, flags, width and precision.

use std::fmt::Write;

use super::number::format_general;
use super::value::{BoundedText, Value, too_long};

/// Wider fields and longer fractions are held at this.
const WIDTH_MAX: usize = 1_000;

#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "these are the five flags of printf")]
struct Directive {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats `arguments` by `format`. Mismatches are shown in the text, as Go does.
pub(super) fn format(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut output = BoundedText::default();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some(start) = rest.find('%') {
        output.write_str(&rest[..start]).map_err(|_| too_long())?;
        rest = &rest[start + 1..];
        let directive = directive(&mut rest, &mut arguments);
        let Some(verb) = rest.chars().next() else {
            output.write_str("%!(NOVERB)").map_err(|_| too_long())?;
            break;
        };
        rest = &rest[verb.len_utf8()..];
        let text = match verb {
            '%' => "%".to_owned(),
            verb => match arguments.next() {
                None => format!("%!{verb}(MISSING)"),
                Some(Value::Absent) => pad(directive, String::new()),
                Some(value) => directive.print(verb, value)?,
            },
        };
        output.write_str(&text).map_err(|_| too_long())?;
    }
    output.write_str(rest).map_err(|_| too_long())?;
    let extra: Vec<_> = arguments.map(|value| format!("{}={value}", value.kind())).collect();
    if !extra.is_empty() {
        write!(output, "%!(EXTRA {})", extra.join(", ")).map_err(|_| too_long())?;
    }
    Ok(output.0)
}

/// Reads flags, width and precision off the front of `rest`.
fn directive(rest: &mut &str, arguments: &mut std::slice::Iter<'_, Value>) -> Directive {
    let mut directive = Directive::default();
    while let Some(flag) = rest.chars().next() {
        match flag {
            '-' => directive.left = true,
            '+' => directive.plus = true,
            ' ' => directive.space = true,
            '0' => directive.zero = true,
            '#' => directive.sharp = true,
            _ => break,
        }
        *rest = &rest[1..];
    }
    directive.width = count(rest, arguments).unwrap_or(0);
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        directive.precision = Some(count(rest, arguments).unwrap_or(0));
    }
    directive
}

/// Reads a number, or `*`, which takes an argument.
fn count(rest: &mut &str, arguments: &mut std::slice::Iter<'_, Value>) -> Option<usize> {
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        return match arguments.next() {
            Some(Value::Integer(count)) => usize::try_from(*count).ok().map(|c| c.min(WIDTH_MAX)),
            _ => None,
        };
    }
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, after) = rest.split_at(len);
    *rest = after;
    if digits.is_empty() {
        return None;
    }
    Some(digits.parse().unwrap_or(WIDTH_MAX).min(WIDTH_MAX))
}

impl Directive {
    fn print(self, verb: char, value: &Value) -> Result<String, String> {
        let text = match (verb, value) {
            ('v' | 'g' | 'G' | 'e' | 'E' | 'f' | 'F', Value::Float(number)) => {
                return Ok(pad_number(self, self.float(verb, *number)));
            }
            ('v' | 'd' | 'x' | 'X' | 'o' | 'b' | 'c' | 'U' | 'q', Value::Integer(number)) => {
                return Ok(self.integer(verb, *number));
            }
            ('t' | 'v', Value::Bool(value)) => value.to_string(),
            ('q', Value::Text(text)) if self.sharp && !text.contains('`') => format!("`{text}`"),
            ('q', Value::Text(text)) => quote(self.cut(text)),
            ('x' | 'X', Value::Text(text)) => hex(text, verb),
            ('d', Value::Duration(ns)) => return Ok(self.integer('d', *ns)),
            ('T', value) => value.kind().to_owned(),
            ('s', Value::Bool(_) | Value::Integer(_) | Value::Float(_)) => {
                format!("%!s({}={value})", value.kind())
            }
            ('s', Value::Text(text)) => self.cut(text).to_owned(),
            ('s' | 'v', value) => super::value::bounded(format_args!("{value}"))?,
            (verb, value) => format!("%!{verb}({}={value})", value.kind()),
        };
        Ok(pad(self, text))
    }

    /// Cuts a text at the precision, counted in characters.
    fn cut(self, text: &str) -> &str {
        let end = self.precision.and_then(|max| text.char_indices().nth(max));
        &text[..end.map_or(text.len(), |(at, _)| at)]
    }

    fn float(self, verb: char, number: f64) -> String {
        let text = if number.is_finite() {
            match verb {
                'f' | 'F' => format!("{number:.*}", self.precision.unwrap_or(6)),
                'e' | 'E' => scientific(number, self.precision.unwrap_or(6)),
                _ => format_general(number, self.precision),
            }
        } else {
            format_general(number, None)
        };
        let text = if matches!(verb, 'E' | 'G') { text.to_uppercase() } else { text };
        self.signed(text)
    }

    /// Puts the sign that the flags ask for before a number that has none.
    fn signed(self, text: String) -> String {
        if text.starts_with(['-', '+']) {
            text
        } else if self.plus {
            format!("+{text}")
        } else if self.space {
            format!(" {text}")
        } else {
            text
        }
    }

    fn integer(self, verb: char, number: i64) -> String {
        let magnitude = number.unsigned_abs();
        let sharp = |prefix: &'static str| if self.sharp { prefix } else { "" };
        let digits = match verb {
            'x' => format!("{}{magnitude:x}", sharp("0x")),
            'X' => format!("{}{magnitude:X}", sharp("0X")),
            'o' => format!("{}{magnitude:o}", sharp("0")),
            'b' => format!("{}{magnitude:b}", sharp("0b")),
            'U' => return pad(self, format!("U+{magnitude:04X}")),
            'c' | 'q' => {
                let c = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
                return pad(self, if verb == 'c' { c.to_string() } else { format!("{c:?}") });
            }
            _ => magnitude.to_string(),
        };
        let digits = format!("{digits:0>width$}", width = self.precision.unwrap_or(0));
        let sign = if number < 0 { "-" } else { "" };
        pad_number(self, self.signed(format!("{sign}{digits}")))
    }
}

fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').expect("Rust prints an exponent");
    match exponent.strip_prefix('-') {
        Some(digits) => format!("{mantissa}e-{digits:0>2}"),
        None => format!("{mantissa}e+{exponent:0>2}"),
    }
}

fn hex(text: &str, verb: char) -> String {
    let mut digits = String::new();
    for byte in text.bytes() {
        match verb {
            'x' => write!(digits, "{byte:02x}"),
            _ => write!(digits, "{byte:02X}"),
        }
        .expect("a String takes everything");
    }
    digits
}

/// Quotes a text as Go does.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => {
                write!(quoted, "\\x{:02x}", u32::from(c)).expect("a String takes everything");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn pad(directive: Directive, text: String) -> String {
    let missing = directive.width.saturating_sub(text.chars().count());
    match directive.left {
        _ if missing == 0 => text,
        true => text + &" ".repeat(missing),
        false => " ".repeat(missing) + &text,
    }
}

/// Pads a number; zeros go between its sign and its digits.
fn pad_number(directive: Directive, text: String) -> String {
    let missing = directive.width.saturating_sub(text.chars().count());
    let is_number = text.ends_with(|c: char| c.is_ascii_hexdigit());
    if missing == 0 || directive.left || !directive.zero || !is_number {
        return pad(directive, text);
    }
    let sign_len = usize::from(text.starts_with(['-', '+', ' ']));
    format!("{}{}{}", &text[..sign_len], "0".repeat(missing), &text[sign_len..])
}
