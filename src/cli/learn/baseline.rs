use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::Outcome;
use super::picture::{self, Look, Picture, TOP};
use super::table::{self, TableError, bad_table, cannot};
use super::ticks::Times;
use crate::api::Extent;
use crate::learn::{Baseline, Calendar, Season, default_threshold};
use crate::series::{TimeRange, format_float, parse_duration};

/// An alert that is on ends below this score.
const OFF_BELOW: f64 = 0.7;

/// The step of a series is the middle of so many intervals, in which there is no verdict yet.
const STEP_INTERVALS: usize = 59;

/// A band is drawn this far beyond the signal, as a share of the signal's own extent.
const BAND_ROOM: f64 = 0.25;

/// A score as rare as this one is no news for so many rows.
const NEWS_FADES_OVER: f64 = 300.0;

/// Reads `timestamp,value` (UTC seconds; other columns are ignored, rows without a number are no
/// sample) and writes `timestamp,expected,lower,upper,score,alert` for each row: the band, whether
/// an alert at the default sensitivity is on, and how unusual the row is. While something lasts,
/// only rows more unusual than those before keep their full score.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file (.csv, .csv.gz) or a directory of them.
    path: PathBuf,
    /// Where to write: one file for each, at the same path below this directory.
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
    /// Look only at each multiple of this that has a new sample.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    every: Option<i64>,
    /// Also draw each table, as an SVG at the same path below this directory: the signal, the band,
    /// what was expected, and when the alert was on.
    #[arg(long, value_name = "DIRECTORY")]
    svg: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    for (path, relative) in table::tables_below(&args.path)? {
        let mut name = relative.clone().into_os_string();
        if !name.to_string_lossy().ends_with(".gz") {
            name.push(".gz");
        }
        let mut rows: Vec<Row> = Vec::new();
        judge_file(&path, &args.out.join(name), args.every, |row| {
            let is_later = rows.last().is_none_or(|last| row.time_ms > last.time_ms);
            if args.svg.is_some() && is_later {
                rows.push(row);
            }
        })?;
        if let Some(dir) = &args.svg {
            draw(&relative.to_string_lossy(), &rows).save(&dir.join(drawn_as(&relative)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn judge_file(
    from: &Path,
    to: &Path,
    every_ms: Option<i64>,
    mut on_row: impl FnMut(Row),
) -> Result<(), TableError> {
    let mut rows = csv::Reader::from_reader(table::open(from)?);
    let header = rows.headers().map_err(bad_table(from))?;
    let column = |name: &'static str| {
        let at = header.iter().position(|column| column.trim() == name);
        at.ok_or_else(|| TableError::NoColumn { path: from.to_owned(), name })
    };
    let (time_at, value_at) = (column("timestamp")?, column("value")?);
    let mut out = table::create(to)?;
    let mut write = |fields: [&str; 6]| out.write_record(fields).map_err(bad_table(to));
    write(["timestamp", "expected", "lower", "upper", "score", "alert"])?;
    let mut judge = Judge::new(every_ms);
    for row in rows.records() {
        let row = row.map_err(bad_table(from))?;
        let time_text = row.get(time_at).unwrap_or("");
        let time_ms = table::time_ms(time_text).ok_or_else(|| TableError::Row {
            path: from.to_owned(),
            line: row.position().map_or(0, csv::Position::line),
            what: format!("{time_text:?} is no time in seconds"),
        })?;
        let value = row.get(value_at).and_then(|text| text.trim().parse().ok()).unwrap_or(f64::NAN);
        let said = judge.observe(time_ms, value);
        let band = said.band.map_or([const { String::new() }; 3], |band| band.map(format_float));
        let [expected, lower, upper] = &band;
        let score = format!("{:.6}", said.score);
        write([time_text, expected, lower, upper, &score, if said.alert { "1" } else { "0" }])?;
        on_row(Row { time_ms, value, said });
    }
    out.flush().map_err(cannot("write", to))
}

/// Returns the path of a table's picture.
fn drawn_as(table: &Path) -> PathBuf {
    let is_compressed = table.extension().is_some_and(|end| end == "gz");
    let plain = if is_compressed { table.with_extension("") } else { table.to_owned() };
    plain.with_extension("svg")
}

/// A row and what is said of it.
#[derive(Clone, Copy, Debug)]
struct Row {
    time_ms: i64,
    value: f64,
    said: Said,
}

/// Draws rows in order of time.
fn draw(title: &str, rows: &[Row]) -> Picture {
    let legend = [
        (Look::Line, "signal", "signal"),
        (Look::Line, "expected", "expected"),
        (Look::Area, "band", "usual"),
        (Look::Area, "firing", "alert"),
    ];
    let samples = rows.iter().map(|row| (row.time_ms, row.value));
    let samples: Vec<(i64, f64)> = samples.filter(|(_, value)| value.is_finite()).collect();
    let bands = rows.iter().filter_map(|row| Some((row.time_ms, row.said.band?)));
    let expected: Vec<_> =
        bands.clone().map(|(time_ms, [expected, ..])| (time_ms, expected)).collect();
    let band: Vec<_> =
        bands.map(|(time_ms, [_, lower, upper])| (time_ms, [lower, upper])).collect();
    let ends_ms = rows.first().zip(rows.last()).map_or((0, 0), |(a, b)| (a.time_ms, b.time_ms));
    let times = TimeRange::new(ends_ms.0, ends_ms.1);

    let bottom = TOP + 320.0;
    let mut picture = Picture::new(title, &legend, bottom);
    let values = extent(&samples, &expected, &band);
    let plot = picture.plot((TOP, bottom), times, values, Times::Utc);
    let alert = rows.iter().map(|row| (row.time_ms, row.said.alert));
    picture.firings(&plot, &picture::firings(&plot, alert));
    let join_ms = picture::join_ms(samples.iter().map(|(time_ms, _)| *time_ms));
    picture.band("band", &plot, &band, join_ms);
    picture.line("signal", &plot, &samples, join_ms);
    picture.line("expected", &plot, &expected, join_ms);
    picture
}

/// The signal and what was expected of it; of a band far wider than these not all.
fn extent(samples: &[(i64, f64)], expected: &[(i64, f64)], band: &[(i64, [f64; 2])]) -> Extent {
    let seen = Extent::of(samples.iter().chain(expected).map(|(_, value)| *value));
    let seen = seen.map_or(Extent { low: 0.0, high: 1.0 }, Extent::widened);
    let Some(band) = Extent::of(band.iter().flat_map(|(_, band)| *band)) else { return seen };
    let room = (seen.high - seen.low) * BAND_ROOM;
    Extent {
        low: band.low.max(seen.low - room).min(seen.low),
        high: band.high.min(seen.high + room).max(seen.high),
    }
}

/// What is said of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// Expected, lower, upper; none where nobody can tell.
    band: Option<[f64; 3]>,
    score: f64,
    alert: bool,
}

/// A baseline with the alert on top, as a rule has it.
struct Judge {
    baseline: Baseline,
    every_ms: Option<i64>,
    last_ms: Option<i64>,
    /// Until there are [`STEP_INTERVALS`].
    intervals_ms: Vec<i64>,
    threshold: Option<f64>,
    /// The most unusual score of late.
    news: f64,
    said: Said,
}

impl Judge {
    fn new(every_ms: Option<i64>) -> Judge {
        Judge {
            baseline: Baseline::new(Season::HourOfWeek, Calendar::utc()),
            every_ms: every_ms.filter(|every_ms| *every_ms > 0),
            last_ms: None,
            intervals_ms: Vec::new(),
            threshold: None,
            news: 0.0,
            said: Said::default(),
        }
    }

    /// Judges a row, then learns from it; what is not looked at has what was said before.
    fn observe(&mut self, time_ms: i64, value: f64) -> Said {
        let is_new = match (self.last_ms, self.every_ms) {
            (None, _) => true,
            (Some(last_ms), None) => time_ms > last_ms,
            (Some(last_ms), Some(every)) => time_ms.div_euclid(every) > last_ms.div_euclid(every),
        };
        if !is_new {
            return self.said;
        }
        if let Some(last_ms) = self.last_ms.replace(time_ms) {
            self.follow_step(time_ms - last_ms);
        }
        let threshold = self.threshold.unwrap_or(f64::INFINITY);
        let verdict =
            self.baseline.judge(time_ms, value, threshold).filter(|_| self.threshold.is_some());
        self.baseline.learn(time_ms, value);
        self.said = match verdict {
            None => Said::default(),
            Some(verdict) => Said {
                band: Some([verdict.expected, verdict.lower, verdict.upper]),
                score: self.as_news(verdict.score),
                alert: verdict.score >= if self.said.alert { OFF_BELOW } else { 1.0 },
            },
        };
        self.said
    }

    fn follow_step(&mut self, interval_ms: i64) {
        if self.threshold.is_some() {
            return;
        }
        self.intervals_ms.push(interval_ms);
        if self.intervals_ms.len() == STEP_INTERVALS {
            self.intervals_ms.sort_unstable();
            self.threshold = Some(default_threshold(self.intervals_ms[STEP_INTERVALS / 2]));
        }
    }

    fn as_news(&mut self, score: f64) -> f64 {
        let shown = if score > self.news { score } else { 0.02 * score };
        self.news = score.max(self.news * libm::exp(-1.0 / NEWS_FADES_OVER));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_begins_at_the_edge_and_only_what_is_news_keeps_its_score() {
        let mut judge = Judge::new(None);
        let mut last = Said::default();
        for minute in 0..2_000i64 {
            let value = 100.0 + (minute * 7919 % 13) as f64 / 10.0;
            last = judge.observe(minute * 60_000, value);
            assert!(!last.alert, "{minute}");
            assert_eq!(last.band.is_some(), minute >= 60, "{minute}");
        }
        let [expected, lower, upper] = last.band.unwrap();
        assert!(lower < 100.0 && expected > 99.0 && upper < 110.0);
        let jump: Vec<_> = (2_000..2_010).map(|n| judge.observe(n * 60_000, 400.0)).collect();
        assert!(jump[1].alert && jump[9].alert);
        let full = jump.iter().filter(|said| said.score >= 0.5).count();
        assert!((1..=4).contains(&full), "{full}");
        // Rows between the multiples repeat what was said.
        let mut coarse = Judge::new(Some(300_000));
        for minute in 0..1_000 {
            coarse.observe(minute * 60_000, 1.0);
        }
        assert_eq!(coarse.baseline.learned_ms(), Some((0, 995 * 60_000)));
    }
}
