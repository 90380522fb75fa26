//! Pictures of what a learner said of a series: SVG files of one width, readable on light and on
//! dark ground. The same samples give the same bytes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::table::{TableError, cannot, create_file};
use super::ticks::{self, Times};
use crate::api::{Escaped, Extent, Plot, put};
use crate::series::{TimeRange, format_rfc3339};

/// Where the first plot of a picture begins, px: title and legend are above.
pub(super) const TOP: f64 = 56.0;
const WIDTH: f64 = 1_200.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 1_184.0;
/// What the times below the last plot take.
const BELOW: f64 = 28.0;
/// About what a letter takes.
const LETTER: f64 = 6.6;
/// A shorter firing is drawn as wide as this, and two that are nearer than that as one.
const FIRING_WIDTH_MIN: f64 = 2.0;
/// Samples farther apart than so many of the usual intervals are not joined.
const JOINED_INTERVALS: i64 = 3;
const NAME_LETTERS_MAX: usize = 100;

/// Plain rules, no variables: many programs that show an SVG know no more.
const STYLE: &str = "
text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#57606a}
.title{font-size:14px;font-weight:600;fill:#1f2328}
.ground{fill:#fff}
path{fill:none;stroke-linecap:round;stroke-linejoin:round}
.grid{stroke:#e3e6ea}
.signal{stroke:#2a78d6;stroke-width:1.2}
.expected{stroke:#0f7a4a;stroke-opacity:.8}
.band{fill:#2e9e6b;fill-opacity:.25}
.firing{fill:#d1495b;fill-opacity:.22}
.mark{fill:#d1495b}
.limit{stroke:#c77700;stroke-width:1.5;stroke-dasharray:7 5}
.fan{fill:#7b5cd6;fill-opacity:.25}
.ray{stroke:#7b5cd6;stroke-width:1}
.middle{stroke:#7b5cd6;stroke-width:2}
@media(prefers-color-scheme:dark){
text{fill:#9aa4af}
.title{fill:#e6e9ed}
.ground{fill:#14171b}
.grid{stroke:#2c3238}
.signal{stroke:#5aa5f5}
.expected{stroke:#6fe0ab}
.band{fill:#4cc38a}
.firing,.mark{fill:#ff7b8a}
.limit{stroke:#f0a63c}
.fan{fill:#a78bfa}
.ray,.middle{stroke:#a78bfa}
}
";

/// How a shape looks in the legend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    Line,
    Area,
}

/// A stretch of time in which an alert was on, or several too near each other to be told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Firing {
    pub(super) times: TimeRange,
    count: usize,
}

/// A picture that is being drawn, from back to front.
pub(super) struct Picture {
    out: String,
}

impl Picture {
    /// Begins a picture whose last plot ends at `bottom`. The legend names the classes of shapes.
    pub(super) fn new(title: &str, legend: &[(Look, &str, &str)], bottom: f64) -> Picture {
        let height = bottom + BELOW;
        let mut out = String::new();
        put!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\">\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"20\">{}</text>\n",
            Escaped(&title.replace(is_no_xml, "\u{fffd}")),
        );
        let mut x = LEFT;
        for (look, class, text) in legend {
            match look {
                Look::Line => put!(out, "<path class=\"{class}\" d=\"M{x} 37h22\"/>"),
                Look::Area => put!(
                    out,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"32\" width=\"22\" height=\"10\"/>"
                ),
            }
            put!(out, "<text x=\"{}\" y=\"41\">{text}</text>\n", x + 28.0);
            x += 50.0 + LETTER * text.len() as f64;
        }
        Picture { out }
    }

    /// Draws the axes of a plot from `top` to `bottom`, with a line at each round value and time.
    pub(super) fn plot(
        &mut self,
        (top, bottom): (f64, f64),
        times: TimeRange,
        values: Extent,
        written: Times,
    ) -> Plot {
        let values = values.widened();
        let plot = Plot { left: LEFT, right: RIGHT, top, bottom, times, values };
        let out = &mut self.out;
        for (value, text) in ticks::of_values(values) {
            let (x, y) = (LEFT - 6.0, plot.y(value));
            put!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
            put!(out, "<text x=\"{x}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>\n", y + 4.0);
        }
        for (time_ms, text) in ticks::of_times(times, written) {
            let (x, y) = (plot.x(time_ms), bottom + 18.0);
            put!(out, "<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/>");
            // Near the right edge a text would be cut off.
            let anchor = if x + LETTER * 6.0 < WIDTH { "middle" } else { "end" };
            put!(out, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>\n");
        }
        plot
    }

    /// Draws a line through finite points.
    pub(super) fn line(&mut self, class: &str, plot: &Plot, points: &[(i64, f64)], join_ms: i64) {
        put!(self.out, "<path class=\"{class}\" d=\"");
        plot.push_line(&mut self.out, points, join_ms);
        put!(self.out, "\"/>\n");
    }

    /// Draws a value that is the same at all times.
    pub(super) fn level(&mut self, class: &str, plot: &Plot, value: f64) {
        let Plot { left, right, .. } = plot;
        put!(self.out, "<path class=\"{class}\" d=\"M{left} {:.1}H{right}\"/>\n", plot.y(value));
    }

    /// Fills what is between two values of each time, as far as the plot has room for them; of a
    /// column of pixels, between their means.
    pub(super) fn band(
        &mut self,
        class: &str,
        plot: &Plot,
        points: &[(i64, [f64; 2])],
        join_ms: i64,
    ) {
        let Extent { low, high } = plot.values;
        let (mut there, mut back) = (String::new(), Vec::new());
        put!(self.out, "<path class=\"{class}\" stroke=\"none\" d=\"");
        for (joined, column) in plot.columns(points, join_ms) {
            if !joined {
                self.close_band(&mut there, &mut back);
            }
            let count = column.len() as f64;
            let mean_y = |edge: usize| {
                let places = column.iter().map(|(_, band)| plot.y(band[edge].clamp(low, high)));
                places.sum::<f64>() / count
            };
            let x = column.iter().map(|(time_ms, _)| plot.x(*time_ms)).sum::<f64>() / count;
            put!(there, "{}{x:.1} {:.1}", if there.is_empty() { "M" } else { "L" }, mean_y(1));
            back.push((x, mean_y(0)));
        }
        self.close_band(&mut there, &mut back);
        put!(self.out, "\"/>\n");
    }

    fn close_band(&mut self, there: &mut String, back: &mut Vec<(f64, f64)>) {
        self.out.push_str(there);
        for (x, y) in back.drain(..).rev() {
            put!(self.out, "L{x:.1} {y:.1}");
        }
        if !there.is_empty() {
            self.out.push('Z');
        }
        there.clear();
    }

    /// Marks the stretches in which an alert was on.
    pub(super) fn firings(&mut self, plot: &Plot, firings: &[Firing]) {
        let (top, height) = (plot.top, plot.bottom - plot.top);
        for Firing { times: TimeRange { start_ms, end_ms }, count } in firings {
            let x = plot.x(*start_ms);
            let width = (plot.x(*end_ms) - x).max(FIRING_WIDTH_MIN);
            let (from, to) = (format_rfc3339(*start_ms), format_rfc3339(*end_ms));
            let many = if *count > 1 { format!("{count} firings, ") } else { String::new() };
            put!(
                self.out,
                "<g><title>{many}{from} to {to}</title>\
                 <rect class=\"firing\" x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\"/>\
                 <rect class=\"mark\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"4\"/></g>\n",
                top - 5.0,
            );
        }
    }

    /// Draws when a limit will be reached, as seen from a value: rays to the earliest, the middle and
    /// the latest time, and what is between them.
    pub(super) fn fan(
        &mut self,
        plot: &Plot,
        (from_ms, value): (i64, f64),
        limit: f64,
        reached_ms: [Option<i64>; 3],
        title: &str,
    ) {
        let (x, y, end_y) = (plot.x(from_ms), plot.y(value), plot.y(limit));
        let ends = reached_ms.map(|time_ms| time_ms.map(|time_ms| plot.x(time_ms)));
        put!(self.out, "<g><title>{title}</title>");
        let known = || ends.iter().flatten();
        if let (Some(first), Some(last)) = (known().next(), known().next_back()) {
            put!(
                self.out,
                "<path class=\"fan\" d=\"M{x:.1} {y:.1}L{first:.1} {end_y:.1}H{last:.1}Z\"/>"
            );
        }
        for (class, end) in ["ray", "middle", "ray"].into_iter().zip(ends) {
            if let Some(end) = end {
                put!(
                    self.out,
                    "<path class=\"{class}\" d=\"M{x:.1} {y:.1}L{end:.1} {end_y:.1}\"/>"
                );
            }
        }
        put!(self.out, "</g>\n");
    }

    /// Writes the picture.
    pub(super) fn save(mut self, path: &Path) -> Result<(), TableError> {
        self.out.push_str("</svg>\n");
        create_file(path)?.write_all(self.out.as_bytes()).map_err(cannot("write", path))
    }
}

/// Returns whether a letter cannot stand in XML, not even escaped.
fn is_no_xml(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Returns when an alert was on, as the plot can show it, from whether it was at each time.
pub(super) fn firings(plot: &Plot, alert: impl IntoIterator<Item = (i64, bool)>) -> Vec<Firing> {
    let mut firings: Vec<Firing> = Vec::new();
    let mut was_on = false;
    for (time_ms, is_on) in alert {
        let begins = is_on && !was_on;
        was_on = is_on;
        match firings.last_mut() {
            _ if !is_on => {}
            Some(last)
                if !begins || plot.x(time_ms) - plot.x(last.times.end_ms) < FIRING_WIDTH_MIN =>
            {
                last.times.end_ms = time_ms;
                last.count += usize::from(begins);
            }
            _ => firings.push(Firing { times: TimeRange::new(time_ms, time_ms), count: 1 }),
        }
    }
    firings
}

/// Returns how far apart samples of a series may be and yet be joined, ms.
pub(super) fn join_ms(times_ms: impl Iterator<Item = i64> + Clone) -> i64 {
    let later = times_ms.clone().skip(1);
    let mut intervals: Vec<i64> = times_ms.zip(later).map(|(a, b)| b.saturating_sub(a)).collect();
    intervals.sort_unstable();
    let usual = intervals.get(intervals.len() / 2).copied().unwrap_or(0);
    usual.saturating_mul(JOINED_INTERVALS)
}

/// The names of files that were given to series.
#[derive(Debug, Default)]
pub(super) struct FileNames {
    /// In lower case, which some file systems take for the same.
    taken: BTreeSet<String>,
}

impl FileNames {
    /// Returns a name for the picture of a series: one of its own, of letters that mean nothing to a
    /// file system, and not hidden.
    pub(super) fn name(&mut self, series: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let plain = series.chars().map(|c| if is_plain(c) { c } else { '_' });
        let plain: String = plain.take(NAME_LETTERS_MAX).collect();
        let plain = plain.trim_start_matches('.');
        let plain = if plain.is_empty() { "_" } else { plain };
        let mut name = format!("{plain}.svg");
        let mut count = 1;
        while !self.taken.insert(name.to_ascii_lowercase()) {
            count += 1;
            name = format!("{plain}-{count}.svg");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder_and_is_its_own() {
        let mut names = FileNames::default();
        for (series, expected) in [
            ("node-1.cpu", "node-1.cpu.svg"),
            ("../../etc/passwd", "_.._etc_passwd.svg"),
            ("/absolute", "_absolute.svg"),
            ("up{instance=\"a:9090\"}", "up_instance__a_9090__.svg"),
            ("up{instance='a:9090'}", "up_instance__a_9090__-2.svg"),
            ("Node-1.CPU", "Node-1.CPU-2.svg"),
            ("..", "_.svg"),
            ("", "_-2.svg"),
            ("..\\x\0\n", "_x__.svg"),
        ] {
            assert_eq!(names.name(series), expected);
        }
        let long = "ä".repeat(5_000);
        assert_eq!(names.name(&long).len(), 104);
    }

    #[test]
    fn firings_too_near_to_be_told_apart_are_one() {
        let values = Extent { low: 0.0, high: 1.0 };
        let times = TimeRange::new(0, 100_000);
        let plot = Plot { left: 0.0, right: 100.0, top: 0.0, bottom: 1.0, times, values };
        let on = |at: i64| (5..8).contains(&at) || at == 9 || (20..22).contains(&at);
        let said = |step_ms: i64| firings(&plot, (0..30).map(|at| (at * step_ms, on(at))));
        let told = |step_ms| {
            let found = said(step_ms).into_iter();
            found.map(|f| (f.times.start_ms, f.times.end_ms, f.count)).collect::<Vec<_>>()
        };
        assert_eq!(told(1_500), [(7_500, 10_500, 1), (13_500, 13_500, 1), (30_000, 31_500, 1)]);
        assert_eq!(told(500), [(2_500, 4_500, 2), (10_000, 10_500, 1)]);
    }

    #[test]
    fn a_band_is_closed_where_it_breaks_and_stays_in_the_plot() {
        let values = Extent { low: 0.0, high: 10.0 };
        let times = TimeRange::new(0, 40);
        let plot = Plot { left: 0.0, right: 40.0, top: 0.0, bottom: 10.0, times, values };
        let mut picture = Picture { out: String::new() };
        let band = [(0, [4.0, 1e300]), (1, [f64::MIN, 6.0]), (20, [1.0, 2.0]), (21, [1.0, 2.0])];
        picture.band("band", &plot, &band, 3);
        let expected = "<path class=\"band\" stroke=\"none\" d=\"M0.0 0.0L1.0 4.0L1.0 10.0L0.0 6.0Z\
                        M20.0 8.0L21.0 8.0L21.0 9.0L20.0 9.0Z\"/>\n";
        assert_eq!(picture.out, expected);
    }

    #[test]
    fn what_is_not_xml_is_not_written() {
        let picture = Picture::new("a<b>&\u{1}\u{ffff}\"", &[], 100.0);
        assert!(picture.out.contains(">a&lt;b&gt;&amp;\u{fffd}\u{fffd}&quot;</text>"));
    }
}
