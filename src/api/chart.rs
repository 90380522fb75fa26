use std::fmt::Write;

use super::html::put;
use super::plot::{Extent, Plot};
use crate::promql::Series;
use crate::series::{TimeRange, format_float, format_rfc3339};

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
    let Some(values) = Extent::of(shown.iter().flat_map(|s| s.points.values.iter().copied()))
    else {
        return;
    };
    let plot = Plot {
        left: 0.0,
        right: WIDTH,
        top: MARGIN,
        bottom: HEIGHT - 2.0 * MARGIN,
        times: TimeRange::new(start_ms, end_ms),
        values: values.widened(),
    };
    put!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"chart\">");
    for (index, series) in shown.iter().enumerate() {
        push_line(out, &plot, series, COLORS[index % COLORS.len()]);
    }
    let bottom = HEIGHT - 2.0;
    put!(out, "<text x=\"2\" y=\"11\">{}</text>", format_float(values.high));
    put!(out, "<text x=\"2\" y=\"{}\">{}</text>", HEIGHT - MARGIN - 2.0, format_float(values.low));
    put!(out, "<text x=\"2\" y=\"{bottom}\">{}</text>", format_rfc3339(start_ms));
    put!(
        out,
        "<text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">{}</text></svg>",
        WIDTH - 2.0,
        format_rfc3339(end_ms),
    );
}

/// One path; where points are missing, or not finite, it is broken.
fn push_line(out: &mut String, plot: &Plot, series: &Series, color: &str) {
    let points = &series.points;
    let steps = points.times_ms.windows(2).map(|pair| pair[1] - pair[0]);
    let step_ms = steps.min().unwrap_or(i64::MAX);
    let finite = points.times_ms.iter().copied().zip(points.values.iter().copied());
    let finite: Vec<(i64, f64)> = finite.filter(|(_, value)| value.is_finite()).collect();
    put!(out, "<path class=\"line\" stroke=\"{color}\" d=\"");
    plot.push_line(out, &finite, step_ms);
    put!(out, "\" stroke-linecap=\"round\"/>");
}
