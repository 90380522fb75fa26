use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;

use super::super::Outcome;
use super::picture::{self, FileNames, Look, Picture, TOP};
use super::table::{self, TableError, bad_table, cannot};
use super::ticks::Times;
use crate::api::Extent;
use crate::learn::{Crossing, Direction, Outlook};
use crate::rules::Memory;
use crate::series::{TimeRange, format_rfc3339, parse_duration};

/// Reads series, one in a line (`name,start,step,value value …`; seconds, `-` where there is no
/// sample), and their limits, and writes `series,ts,firing,p` for each evaluation.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The series (.csv, .csv.gz).
    path: PathBuf,
    /// JSON: `{"series": {NAME: {"threshold": 0, "dir": "le"}}}`; `le`: the limit is reached falling,
    /// `ge`: rising. Whatever else it has is not read.
    #[arg(long, value_name = "JSON")]
    limits: PathBuf,
    /// How far ahead.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    horizon: i64,
    /// Between evaluations.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    every: i64,
    /// The probability at which the rule's alert begins.
    #[arg(long, value_name = "P", default_value_t = 0.7)]
    at: f64,
    /// The file to write.
    #[arg(long, value_name = "CSV")]
    out: PathBuf,
    /// Also draw each series, as an SVG named after it in this directory: the signal, its limit,
    /// when the alert was on, and below it p. Where the alert begins, a fan leads to when the limit
    /// was then said to be reached (10, 50 and 90 %).
    #[arg(long, value_name = "DIRECTORY")]
    svg: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Limits {
    series: BTreeMap<String, Limit>,
}

#[derive(Clone, Copy, Deserialize)]
struct Limit {
    threshold: f64,
    dir: Reached,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reached {
    Le,
    Ge,
}

pub(super) fn run(args: &Args) -> Outcome {
    let limits: Limits = serde_json::from_reader(BufReader::new(table::open(&args.limits)?))
        .map_err(|error| wrong_line(&args.limits, error.line(), error.to_string()))?;
    let mut out = table::create(&args.out)?;
    let mut write = |fields: [&str; 4]| out.write_record(fields).map_err(bad_table(&args.out));
    write(["series", "ts", "firing", "p"])?;
    let mut names = FileNames::default();
    let lines = BufReader::new(table::open(&args.path)?).lines();
    for (number, line) in lines.enumerate() {
        let wrong = |what: String| wrong_line(&args.path, number + 1, what);
        let line = line.map_err(cannot("read", &args.path))?;
        let series = Series::read(&line)
            .ok_or_else(|| wrong("not `name,start,step,value value …`".to_owned()))?;
        let limit = *limits.series.get(series.name).ok_or_else(|| {
            wrong(format!("{} has no limit for {:?}", args.limits.display(), series.name))
        })?;
        let all_said = follow(&series, limit, args);
        for said in &all_said {
            let p = said.p().map_or(String::new(), |p| format!("{p:.6}"));
            let ts = (said.time_ms / 1000).to_string();
            write([series.name, &ts, if said.firing { "1" } else { "0" }, &p])?;
        }
        if let Some(dir) = &args.svg {
            let name = names.name(series.name);
            draw(&series, limit.threshold, &all_said, args.at).save(&dir.join(name))?;
        }
    }
    out.flush().map_err(cannot("write", &args.out))?;
    Ok(ExitCode::SUCCESS)
}

fn wrong_line(path: &Path, line: usize, what: String) -> TableError {
    TableError::Row { path: path.to_owned(), line: line as u64, what }
}

struct Series<'a> {
    name: &'a str,
    start_ms: i64,
    step_ms: i64,
    values: Vec<f64>,
}

impl Series<'_> {
    fn at_ms(&self, at: usize) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(at as i64))
    }

    fn read(line: &str) -> Option<Series<'_>> {
        let mut fields = line.trim_end().splitn(4, ',');
        let name = fields.next()?;
        let (start_ms, step_ms) =
            (table::time_ms(fields.next()?)?, table::time_ms(fields.next()?)?);
        let value = |text: &str| if text == "-" { Some(f64::NAN) } else { text.parse().ok() };
        let values: Option<Vec<f64>> = fields.next()?.split_ascii_whitespace().map(value).collect();
        (step_ms > 0).then_some(Series { name, start_ms, step_ms, values: values? })
    }
}

/// What is said at an evaluation.
struct Said {
    time_ms: i64,
    value: f64,
    outlook: Outlook,
    firing: bool,
}

impl Said {
    /// Returns when 10, 50 and 90 % of the futures have reached a limit that is ahead.
    fn reached_ms(&self) -> Option<[Option<i64>; 3]> {
        let Outlook::Ahead(ahead) = &self.outlook else { return None };
        let at_ms = |eta_s: f64| self.time_ms.saturating_add((eta_s * 1000.0) as i64);
        Some([ahead.eta_p10_s, ahead.eta_p50_s, ahead.eta_p90_s].map(|eta_s| eta_s.map(at_ms)))
    }

    /// Returns the probability; none where nobody can tell.
    fn p(&self) -> Option<f64> {
        match &self.outlook {
            Outlook::Unknown => None,
            Outlook::Across => Some(1.0),
            Outlook::Ahead(ahead) => Some(ahead.p),
        }
    }
}

/// Learns each sample, and evaluates at each multiple of `every` that has one since the one before.
fn follow(series: &Series<'_>, limit: Limit, args: &Args) -> Vec<Said> {
    let direction = match limit.dir {
        Reached::Le => Direction::FromAbove,
        Reached::Ge => Direction::FromBelow,
    };
    let every_ms = args.every.max(1);
    let mut crossing = Crossing::new(direction, series.step_ms.min(every_ms), args.horizon);
    let mut alert = Memory::new();
    let at_ms = |at| series.at_ms(at);
    let seen_at = |at: usize| -(-at_ms(at)).div_euclid(every_ms);
    let (mut said, mut newest) = (Vec::new(), None);
    for (at, value) in series.values.iter().enumerate() {
        crossing.learn(at_ms(at), *value, limit.threshold);
        newest = if value.is_nan() { newest } else { Some(*value) };
        let time_ms = seen_at(at).saturating_mul(every_ms);
        let has_come =
            at_ms(at) == time_ms || at + 1 < series.values.len() && seen_at(at + 1) > seen_at(at);
        let Some(value) = newest.take_if(|_| has_come) else { continue };
        let outlook = crossing.outlook(time_ms, value, limit.threshold);
        alert.foreseen(&outlook, args.at, true);
        said.push(Said { time_ms, value, outlook, firing: alert.is_on() });
    }
    said
}

/// Draws a series and what was said of it; `begins_at` is the alert's probability.
fn draw(series: &Series<'_>, limit: f64, all_said: &[Said], begins_at: f64) -> Picture {
    let legend = [
        (Look::Line, "signal", "signal"),
        (Look::Line, "limit", "limit; below, where the alert begins"),
        (Look::Area, "firing", "alert"),
        (Look::Area, "fan", "when it was said to be reached (10, 50, 90 %)"),
        (Look::Line, "middle", "p"),
    ];
    let samples = series.values.iter().enumerate().map(|(at, value)| (series.at_ms(at), *value));
    let samples: Vec<(i64, f64)> = samples.filter(|(_, value)| value.is_finite()).collect();
    let p: Vec<(i64, f64)> = all_said.iter().filter_map(|s| Some((s.time_ms, s.p()?))).collect();
    let begun = begun(all_said);
    let reached_ms = begun.iter().filter_map(|said| said.reached_ms()).flatten().flatten();
    let end_ms = reached_ms.chain([series.at_ms(series.values.len())]).max();
    let times = TimeRange::new(series.start_ms, end_ms.unwrap_or(series.start_ms));
    let values = Extent::of(samples.iter().map(|(_, value)| *value).chain([limit]));

    let (split, bottom) = (TOP + 270.0, TOP + 400.0);
    let mut picture = Picture::new(series.name, &legend, bottom);
    let values = values.unwrap_or(Extent { low: 0.0, high: 1.0 });
    let plot = picture.plot((TOP, split), times, values, Times::Utc);
    let strip =
        picture.plot((split + 40.0, bottom), times, Extent { low: 0.0, high: 1.0 }, Times::Utc);
    let firings = picture::firings(&plot, all_said.iter().map(|said| (said.time_ms, said.firing)));
    picture.firings(&plot, &firings);
    picture.firings(&strip, &firings);
    picture.level("limit", &plot, limit);
    picture.level("limit", &strip, begins_at);
    let join_ms = picture::join_ms(samples.iter().map(|(time_ms, _)| *time_ms));
    picture.line("signal", &plot, &samples, join_ms);
    picture.line("middle", &strip, &p, picture::join_ms(p.iter().map(|(time_ms, _)| *time_ms)));
    let is_seen = |said: &&Said| firings.iter().any(|f| f.times.start_ms == said.time_ms);
    for said in begun.into_iter().filter(is_seen) {
        let Some((reached_ms, p)) = said.reached_ms().zip(said.p()) else { continue };
        let [early, middle, late] =
            reached_ms.map(|at_ms| at_ms.map_or("later".to_owned(), format_rfc3339));
        let title = format!("p {p:.2}; 10 % by {early}, 50 % by {middle}, 90 % by {late}");
        picture.fan(&plot, (said.time_ms, said.value), limit, reached_ms, &title);
    }
    picture
}

/// Returns the evaluations at which the alert began.
fn begun(all_said: &[Said]) -> Vec<&Said> {
    let mut was_firing = false;
    let begins =
        move |said: &&Said| !std::mem::replace(&mut was_firing, said.firing) && said.firing;
    all_said.iter().filter(begins).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_series() {
        let series = Series::read("a,60,15,1 - 2.5e3").unwrap();
        assert_eq!((series.name, series.start_ms, series.step_ms), ("a", 60_000, 15_000));
        assert!(series.values[1].is_nan() && series.values[2] == 2500.0);
        for wrong in ["", "a", "a,1,2", "a,1,0,1", "a,x,1,1", "a,1,1,1 y"] {
            assert!(Series::read(wrong).is_none(), "{wrong}");
        }
    }
}
