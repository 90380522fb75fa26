use std::fmt::Write;

/// A place in a text: byte offsets, `start` included, `end` not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Returns the span of these offsets.
    pub fn new(start: usize, end: usize) -> Span {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { start: clamp(start), end: clamp(end.max(start)) }
    }

    /// Returns the least span that holds both.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Returns the spanned text; nothing where the span is not within `text`.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    /// Returns line and column of the start, both from 1; columns count characters.
    pub fn line_column(self, text: &str) -> (usize, usize) {
        let mut start = (self.start as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The text cannot be used.
    Error,
    /// It can be used, and is probably not what was meant.
    Warning,
}

/// One message about one place in a text: what, where, and what to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Stable code, such as `R012` (rules) or `P003` (PromQL).
    pub code: &'static str,
    /// What is wrong, one line, without a period.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Said beside the underlined span; may be empty.
    pub label: String,
    /// What to do now.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Returns an error without label and help.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        let (message, label) = (message.into(), String::new());
        Diagnostic { severity: Severity::Error, code, message, span, label, help: None }
    }

    /// Returns a warning without label and help.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// Adds the words beside the span.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Renders the message with the source line, the span underlined, and the help:
    ///
    /// ```text
    /// error[R012]: unknown clause `forcast`
    ///   --> rules/disk.rules:7:3
    /// 7 |   forcast from 14d
    ///   |   ^^^^^^^ not a clause of `rule`
    ///   help: did you mean `forecast`?
    /// ```
    pub fn render(&self, source: Source<'_>) -> String {
        let (line, column) = self.span.line_column(source.text);
        let source_line = source.text.lines().nth(line - 1).unwrap_or("");
        let start =
            source_line.char_indices().nth(column - 1).map_or(source_line.len(), |(at, _)| at);
        let marked = self.span.of(source.text).lines().next().unwrap_or("").chars().count().max(1);
        let indent: String =
            source_line[..start].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let gutter = " ".repeat(line.to_string().len());
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut text = format!("{severity}[{}]: {}\n", self.code, self.message);
        let label = if self.label.is_empty() { String::new() } else { format!(" {}", self.label) };
        write!(
            text,
            "{gutter} --> {}:{line}:{column}\n{line} | {source_line}\n{gutter} | {indent}{}{label}\n",
            source.name,
            "^".repeat(marked)
        )
        .expect("a String takes everything");
        if let Some(help) = &self.help {
            writeln!(text, "{gutter} help: {help}").expect("a String takes everything");
        }
        text
    }
}

/// A text and what it is called, for rendering.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// File name, or `query`.
    pub name: &'a str,
    /// The whole text that spans refer to.
    pub text: &'a str,
}

/// Returns the known word nearest to `unknown`, for "did you mean", if one is near.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (unknown.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(unknown, word), word))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_the_line_with_the_span_underlined() {
        let text = "rule A {\n  forcast from 14d\n}\n";
        let start = text.find("forcast").unwrap();
        let diagnostic =
            Diagnostic::error("R012", Span::new(start, start + 7), "unknown clause `forcast`")
                .with_label("not a clause of `rule`")
                .with_help("did you mean `forecast`?");
        insta::assert_snapshot!(diagnostic.render(Source { name: "rules/disk.rules", text }), @r"
        error[R012]: unknown clause `forcast`
          --> rules/disk.rules:2:3
        2 |   forcast from 14d
          |   ^^^^^^^ not a clause of `rule`
          help: did you mean `forecast`?
        ");
    }

    #[test]
    fn any_span_renders() {
        for (start, end) in [(0, 0), (1, 9), (2, 2), (90, 99)] {
            Diagnostic::error("X", Span::new(start, end), "m")
                .render(Source { name: "q", text: "aü\n" });
        }
    }

    #[test]
    fn offers_the_nearest_word() {
        assert_eq!(nearest("forcast", ["forecast", "for"]), Some("forecast"));
        assert_eq!(nearest("zzz", ["forecast", "for"]), None);
    }
}
