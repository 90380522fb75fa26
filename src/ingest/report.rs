use std::fmt;

/// The text of an answer is cut beyond this.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// One line of the text is cut beyond this.
const LINE_BYTES_MAX: usize = 512;

/// What was wrong with parts of a request, a line each.
#[derive(Default)]
pub(super) struct Report {
    text: String,
    left_out: usize,
    /// Samples and histograms of series whose labels are invalid.
    pub(super) invalid_labels_samples: usize,
}

impl Report {
    /// Adds a line, unless the text is long enough already.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        if self.text.len() >= TEXT_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        let line = line.to_string();
        let end = line.floor_char_boundary(LINE_BYTES_MAX);
        self.text.push_str(&line[..end]);
        self.text.push_str(if end < line.len() { "…\n" } else { "\n" });
    }

    /// Returns the text of the answer, if anything was wrong.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.left_out > 0 {
            self.text.push_str("and ");
            self.text.push_str(&self.left_out.to_string());
            self.text.push_str(" more\n");
        }
        (!self.text.is_empty()).then_some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_cut_but_counts_all() {
        assert_eq!(Report::default().finish(), None);
        let mut report = Report::default();
        for at in 0..1000 {
            report.line(format_args!("line {at} {}", "ä".repeat(300)));
        }
        let text = report.finish().unwrap();
        assert!(text.len() < TEXT_BYTES_MAX + 2 * LINE_BYTES_MAX, "{}", text.len());
        let lines: Vec<&str> = text.lines().collect();
        let (last, shown) = lines.split_last().unwrap();
        assert!(shown[0].starts_with("line 0 ää") && shown[0].ends_with('…'), "{}", shown[0]);
        assert_eq!(*last, format!("and {} more", 1000 - shown.len()));
    }
}
