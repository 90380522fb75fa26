//! What the demo prints.

use std::io::{IsTerminal, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::alerts::AlertView;
use crate::series::{Labels, format_duration};

const BAR_CELLS: usize = 30;

/// A bar that fills on a terminal, and a line every tenth elsewhere.
pub(super) struct Progress {
    what: &'static str,
    tenths: usize,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Progress {
        Progress { what, tenths: 0 }
    }

    /// Shows how much is done, 0 to 1, and a word on it.
    pub(super) fn show(&mut self, share: f64, detail: &str) {
        let (what, percent) = (self.what, (100.0 * share).round());
        let mut out = std::io::stderr().lock();
        // Where stderr is closed nobody looks.
        let _ = if out.is_terminal() {
            let full = (BAR_CELLS as f64 * share) as usize;
            let (full, rest) = ("█".repeat(full), "░".repeat(BAR_CELLS - full.min(BAR_CELLS)));
            let end = if share >= 1.0 { "\n" } else { "" };
            write!(out, "\r{what}  {full}{rest} {percent:3} %  {detail}\x1b[K{end}")
        } else if (10.0 * share) as usize > self.tenths {
            self.tenths = (10.0 * share) as usize;
            writeln!(out, "{what}  {percent} %  {detail}")
        } else {
            Ok(())
        };
    }
}

/// Returns a time as people on call read it, UTC.
pub(super) fn clock_time(time_ms: i64) -> String {
    match Timestamp::from_millisecond(time_ms) {
        Ok(time) => time.to_zoned(TimeZone::UTC).strftime("%a %H:%M").to_string(),
        Err(_) => time_ms.to_string(),
    }
}

/// Returns the name of a day, UTC.
pub(super) fn weekday(time_ms: i64) -> String {
    match Timestamp::from_millisecond(time_ms) {
        Ok(time) => time.to_zoned(TimeZone::UTC).strftime("%A").to_string(),
        Err(_) => "day".to_owned(),
    }
}

/// Returns a span of time to the minute.
pub(super) fn span(ms: i64) -> String {
    match ms / 60_000 {
        0 => "less than a minute".to_owned(),
        minutes => format_duration(minutes * 60_000),
    }
}

/// Returns a warning as it is printed when it comes.
pub(super) fn warning(alert: &AlertView, fired_at_ms: i64) -> String {
    let severity = alert.labels.value_or_empty("severity").to_uppercase();
    let name = alert.labels.value_or_empty("alertname");
    let text = |name: &str| alert.annotations.value_or_empty(name);
    let time = clock_time(fired_at_ms);
    let summary = text("summary");
    format!("{time}  {severity:6}  {name}: {summary}\n                   {}", text("why"))
}

/// Returns the labels that name what an alert is about.
pub(super) fn subject(labels: &Labels) -> Labels {
    labels.without(&["alertname", "severity"])
}
