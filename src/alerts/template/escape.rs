//! Escaping for the places that texts are put in.

use std::fmt::Write;

/// Escapes for the value of a URL's query: blanks as `+`, all but letters, digits and `-_.~` as
/// `%XX`.
pub(in crate::alerts) fn url_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            _ => write!(escaped, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    escaped
}

/// Escapes for HTML text and attributes.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            '\0' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Escapes for a JavaScript string.
pub(super) fn js(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if matches!(c, '<' | '>' | '&' | '=') || c.is_control() => {
                write!(escaped, "\\u{:04X}", u32::from(c)).expect("a String takes everything");
            }
            c => escaped.push(c),
        }
    }
    escaped
}
