use std::fmt::{Display, Write};

/// Writes metrics as text: Prometheus' 0.0.4, or OpenMetrics 1.0.
pub(super) struct Exposition {
    text: String,
    open_metrics: bool,
    /// The family that samples are added to.
    family: &'static str,
    kind: Kind,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    /// Labels with the value 1.
    Info,
}

impl Exposition {
    pub(super) fn new(open_metrics: bool) -> Exposition {
        Exposition { text: String::new(), open_metrics, family: "", kind: Kind::Gauge }
    }

    /// Begins a family. `name` is that of its samples, for counters with `_total`.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Exposition {
        (self.family, self.kind) = (name, kind);
        let (shown, word) = match (kind, self.open_metrics) {
            (Kind::Counter, true) => (name.strip_suffix("_total").unwrap_or(name), "counter"),
            (Kind::Counter, false) => (name, "counter"),
            (Kind::Info, true) => (name.strip_suffix("_info").unwrap_or(name), "info"),
            (Kind::Gauge, _) | (Kind::Info, false) => (name, "gauge"),
            (Kind::Histogram, _) => (name, "histogram"),
            (Kind::Summary, _) => (name, "summary"),
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {shown} {help}"));
        self.line(format_args!("# TYPE {shown} {word}"));
        self
    }

    /// Adds a sample of the family.
    pub(super) fn value(
        &mut self,
        labels: &[(&str, &str)],
        value: impl Display,
    ) -> &mut Exposition {
        self.part("", labels, value)
    }

    /// Adds a sample whose name is the family's and `suffix`.
    pub(super) fn part(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) -> &mut Exposition {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        self.text.push_str(if labels.is_empty() { "" } else { "}" });
        self.line(format_args!(" {value}"));
        self
    }

    /// Returns the text and its content type.
    pub(super) fn finish(mut self) -> (&'static str, String) {
        if !self.open_metrics {
            return ("text/plain; version=0.0.4; charset=utf-8", self.text);
        }
        self.text.push_str("# EOF\n");
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", self.text)
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("a String takes everything");
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats() {
        let write = |open_metrics| {
            let mut out = Exposition::new(open_metrics);
            out.family("a_total", Kind::Counter, "Counts.").value(&[("x", "q\"\\\n")], 3);
            out.family("b_info", Kind::Info, "Is.").value(&[], 1);
            out.finish().1
        };
        insta::assert_snapshot!(write(false), @r#"
        # HELP a_total Counts.
        # TYPE a_total counter
        a_total{x="q\"\\\n"} 3
        # HELP b_info Is.
        # TYPE b_info gauge
        b_info 1
        "#);
        insta::assert_snapshot!(write(true), @r#"
        # HELP a Counts.
        # TYPE a counter
        a_total{x="q\"\\\n"} 3
        # HELP b Is.
        # TYPE b info
        b_info 1
        # EOF
        "#);
    }
}
