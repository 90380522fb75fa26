use std::fmt::Write;

use super::html::put;
use crate::promql::Series;
use crate::series::{format_float, format_rfc3339};

/// Lines that are drawn; the table lists the others too.
const LINES_MAX: usize = 20;
const COLORS: [&str; 8] =
    ["#2a78d6", "#d1495b", "#2e9e6b", "#c77700", "#7b5cd6", "#0a96a3", "#b8449a", "#7a7a2e"];
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 14.0;

/// Returns the mark beside the name of the series at `index`.
pub(super) fn key(index: usize) -> String {
    if index >= LINES_MAX {
        return String::new();
    }
    format!("<span class=\"key\" style=\"background:{}\"></span>", COLORS[index % COLORS.len()])
}

/// Appends a line chart of the floats of the first series.
pub(super) fn push(out: &mut String, series: &[Series], start_ms: i64, end_ms: i64) {
    let shown = &series[..series.len().min(LINES_MAX)];
    let finite = shown.iter().flat_map(|series| &series.points.values).filter(|v| v.is_finite());
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in finite {
        (low, high) = (low.min(*value), high.max(*value));
    }
    if low > high {
        return;
    }
    let labels = (format_float(low), format_float(high));
    if low == high {
        let around = if low == 0.0 { 1.0 } else { low.abs() / 10.0 };
        (low, high) = (low - around, high + around);
    }
    let scale = Scale { start_ms, end_ms: end_ms.max(start_ms + 1), low, high };
    put!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"chart\">");
    for (index, series) in shown.iter().enumerate() {
        push_line(out, &scale, series, COLORS[index % COLORS.len()]);
    }
    let bottom = HEIGHT - 2.0;
    put!(out, "<text x=\"2\" y=\"11\">{}</text>", labels.1);
    put!(out, "<text x=\"2\" y=\"{}\">{}</text>", HEIGHT - MARGIN - 2.0, labels.0);
    put!(out, "<text x=\"2\" y=\"{bottom}\">{}</text>", format_rfc3339(start_ms));
    put!(
        out,
        "<text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">{}</text></svg>",
        WIDTH - 2.0,
        format_rfc3339(end_ms),
    );
}

struct Scale {
    start_ms: i64,
    end_ms: i64,
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, time_ms: i64) -> f64 {
        (time_ms - self.start_ms) as f64 / (self.end_ms - self.start_ms) as f64 * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        // Halves, since the distance of two large floats may be infinite.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        MARGIN + (1.0 - share) * (HEIGHT - 3.0 * MARGIN)
    }
}

/// One path; where points are missing, or not finite, it is broken.
fn push_line(out: &mut String, scale: &Scale, series: &Series, color: &str) {
    let points = &series.points;
    let steps = points.times_ms.windows(2).map(|pair| pair[1] - pair[0]);
    let step_ms = steps.min().unwrap_or(i64::MAX);
    put!(out, "<path class=\"line\" stroke=\"{color}\" d=\"");
    let mut last_ms = None;
    for (time_ms, value) in points.times_ms.iter().zip(&points.values) {
        if !value.is_finite() {
            last_ms = None;
            continue;
        }
        let joined = last_ms.is_some_and(|last_ms: i64| time_ms - last_ms <= step_ms);
        let (x, y) = (scale.x(*time_ms), scale.y(*value));
        if joined {
            put!(out, "L{x:.1} {y:.1}");
        } else {
            // A point alone is seen by its round cap.
            put!(out, "M{x:.1} {y:.1}h.01");
        }
        last_ms = Some(*time_ms);
    }
    put!(out, "\" stroke-linecap=\"round\"/>");
}
