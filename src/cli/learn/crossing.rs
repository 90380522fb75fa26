use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;

use super::super::Outcome;
use super::table::{self, TableError, bad_table, cannot};
use crate::learn::{Crossing, Direction, Outlook};
use crate::rules::Memory;
use crate::series::parse_duration;

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
    let lines = BufReader::new(table::open(&args.path)?).lines();
    for (number, line) in lines.enumerate() {
        let wrong = |what: String| wrong_line(&args.path, number + 1, what);
        let line = line.map_err(cannot("read", &args.path))?;
        let series = Series::read(&line)
            .ok_or_else(|| wrong("not `name,start,step,value value …`".to_owned()))?;
        let limit = *limits.series.get(series.name).ok_or_else(|| {
            wrong(format!("{} has no limit for {:?}", args.limits.display(), series.name))
        })?;
        for said in follow(&series, limit, args) {
            let p = said.p.map_or(String::new(), |p| format!("{p:.6}"));
            let ts = (said.time_ms / 1000).to_string();
            write([series.name, &ts, if said.firing { "1" } else { "0" }, &p])?;
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

struct Said {
    time_ms: i64,
    firing: bool,
    /// None where nobody can tell.
    p: Option<f64>,
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
    let at_ms =
        |at: usize| series.start_ms.saturating_add(series.step_ms.saturating_mul(at as i64));
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
        let p = match outlook {
            Outlook::Unknown => None,
            Outlook::Across => Some(1.0),
            Outlook::Ahead(ahead) => Some(ahead.p),
        };
        said.push(Said { time_ms, firing: alert.is_on(), p });
    }
    said
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
