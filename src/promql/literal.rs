//! Numbers and strings as PromQL writes them (Go's syntax).

use std::fmt::Write;

/// Reads a quoted string of any bytes; see [`unquote`].
pub(super) fn unquote_bytes(quoted: &str) -> Result<Vec<u8>, String> {
    let mut chars = quoted.chars();
    let quote = chars.next().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or("not quoted")?;
    let inner = chars.as_str().strip_suffix(quote).ok_or("the closing quote is missing")?;
    if quote == '`' {
        return Ok(inner.replace('\r', "").into_bytes());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = unescape(&rest[at + 1..], quote, &mut bytes)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Reads a quoted string, in `"`, `'` or backquotes, with Go's escapes.
///
/// The error says what is wrong with it. Bytes that are not UTF-8 are an error: labels are text.
pub fn unquote(quoted: &str) -> Result<String, String> {
    String::from_utf8(unquote_bytes(quoted)?)
        .map_err(|error| format!("{} is not valid UTF-8", quote_bytes(error.as_bytes())))
}

fn unescape<'a>(rest: &'a str, quote: char, bytes: &mut Vec<u8>) -> Result<&'a str, String> {
    let Some(kind) = rest.chars().next() else {
        return Err("escape sequence not terminated".to_owned());
    };
    let after = &rest[kind.len_utf8()..];
    let plain = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote => c as u8,
        'x' => return numbered(after, 2, 16, bytes),
        'u' => return numbered(after, 4, 16, bytes),
        'U' => return numbered(after, 8, 16, bytes),
        '0'..='7' => return numbered(rest, 3, 8, bytes),
        c => return Err(format!("unknown escape sequence `\\{c}`")),
    };
    bytes.push(plain);
    Ok(after)
}

/// `\xHH` and `\OOO` are bytes, `\uHHHH` and `\UHHHHHHHH` are characters.
fn numbered<'a>(
    rest: &'a str,
    digits: usize,
    base: u32,
    bytes: &mut Vec<u8>,
) -> Result<&'a str, String> {
    let text = rest.get(..digits).ok_or("escape sequence not terminated")?;
    if !text.chars().all(|c| c.is_digit(base)) {
        return Err(format!("illegal character in escape sequence `{text}`"));
    }
    let number = u32::from_str_radix(text, base).map_err(|error| error.to_string())?;
    if digits <= 3 {
        bytes.push(u8::try_from(number).map_err(|_| format!("octal escape {text} is above 255"))?);
    } else {
        let c = char::from_u32(number).ok_or("escape sequence is an invalid Unicode code point")?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(&rest[digits..])
}

/// Quotes text as Go's `strconv.Quote` does.
pub fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

pub(super) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                '\r' => quoted.push_str("\\r"),
                '\u{7}' => quoted.push_str("\\a"),
                '\u{8}' => quoted.push_str("\\b"),
                '\u{b}' => quoted.push_str("\\v"),
                '\u{c}' => quoted.push_str("\\f"),
                c if u32::from(c) < 0x80 && c.is_control() => {
                    write!(quoted, "\\x{:02x}", u32::from(c)).expect("a String takes everything");
                }
                c if c.is_control() => {
                    write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
                }
                c => quoted.push(c),
            }
        }
        for byte in chunk.invalid() {
            write!(quoted, "\\x{byte:02x}").expect("a String takes everything");
        }
    }
    quoted.push('"');
    quoted
}

/// Reads a number token: decimal, hexadecimal, octal with a leading zero, `Inf`, `NaN`, `_`
/// between digits.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().map(|number| number as f64);
    }
    let octal = plain.len() > 1 && plain.starts_with('0');
    if octal && let Ok(number) = i64::from_str_radix(&plain, 8) {
        return Some(number as f64);
    }
    plain.parse().ok()
}
