use std::fmt::{Display, Formatter, Result, Write};

/// Appends formatted text to a `String`, which takes everything. What came from outside goes in as
/// [`Escaped`] or [`UrlEncoded`].
macro_rules! put {
    ($out:expr, $($format:tt)*) => {
        // A `String` takes everything.
        write!($out, $($format)*).unwrap_or_default()
    };
}
pub(crate) use put;

/// A text that is only text in HTML, between tags and in quoted attributes.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A text as one value in a URL's query.
pub(super) struct UrlEncoded<'a>(pub(super) &'a str);

impl Display for UrlEncoded<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}
