//! Warnings and infos that go with an answer, worded as upstream words them.

use std::fmt::Write;

use crate::lang::{Source, Span};
use crate::series::format_rfc3339;

/// A remark on the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::promql) enum Level {
    Warning,
    Info,
}

/// All remarks of a query. Each text is kept once, with the place that was noted last.
#[derive(Debug, Default)]
pub(in crate::promql) struct Notes {
    notes: Vec<Note>,
}

#[derive(Debug)]
struct Note {
    level: Level,
    text: String,
    span: Span,
    tally: Option<Tally>,
    count: usize,
}

/// How far bucket counts had to be corrected.
#[derive(Clone, Copy, Debug)]
pub(in crate::promql) struct Tally {
    pub(in crate::promql) first_ms: i64,
    pub(in crate::promql) last_ms: i64,
    pub(in crate::promql) bucket_least: f64,
    pub(in crate::promql) bucket_most: f64,
    pub(in crate::promql) difference_most: f64,
}

impl Notes {
    pub(in crate::promql) fn add(
        &mut self,
        level: Level,
        text: String,
        span: Span,
        tally: Option<Tally>,
    ) {
        let Some(known) = self.notes.iter_mut().find(|note| note.text == text) else {
            self.notes.push(Note { level, text, span, tally, count: 1 });
            return;
        };
        known.span = span;
        known.count += 1;
        if let (Some(known), Some(more)) = (&mut known.tally, tally) {
            known.first_ms = known.first_ms.min(more.first_ms);
            known.last_ms = known.last_ms.max(more.last_ms);
            known.bucket_least = known.bucket_least.min(more.bucket_least);
            known.bucket_most = known.bucket_most.max(more.bucket_most);
            known.difference_most = known.difference_most.max(more.difference_most);
        }
    }

    /// Returns the texts of a level, sorted: with several lanes chance says which comes first.
    /// Places are given in `source`.
    pub(in crate::promql) fn texts(&self, level: Level, source: Option<Source<'_>>) -> Vec<String> {
        let of_level = self.notes.iter().filter(|note| note.level == level);
        let mut texts: Vec<_> = of_level.map(|note| note.render(source)).collect();
        texts.sort_unstable();
        texts
    }
}

impl Note {
    fn render(&self, source: Option<Source<'_>>) -> String {
        let kind = if self.level == Level::Warning { "warning" } else { "info" };
        let mut text = format!("PromQL {kind}: {}", self.text);
        if let Some(tally) = self.tally {
            let _ = write!(
                text,
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                short(tally.bucket_least),
                short(tally.bucket_most),
                two_digits(tally.difference_most),
                self.count,
                whole_second(tally.first_ms),
                whole_second(tally.last_ms),
            );
        } else if self.count > 1 && self.text.contains("start time that overlaps") {
            let _ = write!(text, " ({} occurrences)", self.count);
        }
        let (line, column) = match source {
            Some(source) => self.span.line_column(source.text),
            None => (1, self.span.start as usize + 1),
        };
        let _ = write!(text, " ({line}:{column})");
        text
    }
}

fn whole_second(time_ms: i64) -> String {
    format_rfc3339(time_ms.div_euclid(1000) * 1000).replace(".000Z", "Z")
}

/// Formats as Go's `%g`: the shortest digits, with an exponent below 1e-4 and from 1e6 on.
pub(in crate::promql) fn short(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return crate::series::format_float(value);
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = parted(&scientific) else { return scientific };
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Formats as Go's `%.2g`.
fn two_digits(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return crate::series::format_float(value);
    }
    let scientific = format!("{value:.1e}");
    let Some((mantissa, exponent)) = parted(&scientific) else { return scientific };
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    if !(-4..2).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    scientific.parse().map_or(scientific, |rounded: f64| rounded.to_string())
}

/// Returns mantissa and exponent of a number as Rust's `{:e}` prints it.
fn parted(scientific: &str) -> Option<(&str, i32)> {
    let (mantissa, exponent) = scientific.split_once('e')?;
    Some((mantissa, exponent.parse().ok()?))
}

/// Adds ` for metric name "x"` where the name is known.
pub(in crate::promql) fn for_metric(text: &str, name: &str) -> String {
    if name.is_empty() { text.to_owned() } else { format!("{text} for metric name {name:?}") }
}
