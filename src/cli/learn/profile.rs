use std::path::PathBuf;
use std::process::ExitCode;

use super::super::Outcome;
use super::picture::{FileNames, Look, Picture, TOP};
use super::table::{self, TableError, bad_table, cannot};
use super::ticks::Times;
use crate::api::Extent;
use crate::learn::{Foreseen, Profile};
use crate::series::{TimeRange, format_float, parse_duration};

/// Reads series, one in a row (`name,value,value,…` below a header; a field that is empty or `NA` is
/// a period without a value), and writes `series,h,mean,lo95,hi95` for each period of the horizon
/// after the last value: 1 is the next; empty where nobody can tell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The series (.csv, .csv.gz).
    path: PathBuf,
    /// Between values.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    period: i64,
    /// How many periods to foretell.
    #[arg(long, value_name = "PERIODS", value_parser = clap::value_parser!(u16).range(1..))]
    horizon: u16,
    /// The file to write.
    #[arg(long, value_name = "CSV")]
    out: PathBuf,
    /// Also draw each series, as an SVG named after it in this directory: its last values, the
    /// forecast and its interval.
    #[arg(long, value_name = "DIRECTORY")]
    svg: Option<PathBuf>,
}

/// Values before a forecast that are drawn: a week of hours, and never fewer than three times what
/// is foretold.
const PERIODS_DRAWN: usize = 168;

pub(super) fn run(args: &Args) -> Outcome {
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(table::open(&args.path)?);
    let mut out = table::create(&args.out)?;
    let mut write = |fields: [&str; 5]| out.write_record(fields).map_err(bad_table(&args.out));
    write(["series", "h", "mean", "lo95", "hi95"])?;
    let mut names = FileNames::default();
    for row in rows.records() {
        let row = row.map_err(bad_table(&args.path))?;
        let samples = samples(&row, args.period.max(1)).map_err(|what| TableError::Row {
            path: args.path.clone(),
            line: row.position().map_or(0, csv::Position::line),
            what,
        })?;
        let profile = learned(&samples, args.period);
        let foreseen = profile.forecast(usize::from(args.horizon));
        for ahead in 0..usize::from(args.horizon) {
            let [mean, lower, upper] = foreseen
                .get(ahead)
                .map(|foreseen| [foreseen.median, foreseen.lower, foreseen.upper])
                .map_or([const { String::new() }; 3], |said| said.map(format_float));
            write([&row[0], &(ahead + 1).to_string(), &mean, &lower, &upper])?;
        }
        if let Some(dir) = &args.svg {
            let picture = draw(&row[0], &samples, &foreseen, args);
            picture.save(&dir.join(names.name(&row[0])))?;
        }
    }
    out.flush().map_err(cannot("write", &args.out))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a row's values with their times, the first one at time 0.
fn samples(row: &csv::StringRecord, period_ms: i64) -> Result<Vec<(i64, f64)>, String> {
    let mut samples = Vec::new();
    for (at, text) in row.iter().skip(1).enumerate() {
        let text = text.trim();
        let value = match text {
            "" | "NA" => continue,
            _ => text.parse().map_err(|_| format!("{text:?} is no number (value {})", at + 1))?,
        };
        samples.push((period_ms.saturating_mul(at as i64), value));
    }
    Ok(samples)
}

fn learned(samples: &[(i64, f64)], period_ms: i64) -> Profile {
    let mut profile = Profile::new(period_ms);
    for (time_ms, value) in samples {
        profile.learn(*time_ms, *value);
    }
    profile
}

/// Draws the last samples and what was foretold after them.
fn draw(title: &str, samples: &[(i64, f64)], foreseen: &[Foreseen], args: &Args) -> Picture {
    let legend = [
        (Look::Line, "signal", "values"),
        (Look::Line, "middle", "forecast"),
        (Look::Area, "fan", "95 % of what comes"),
    ];
    let (period_ms, horizon) = (args.period.max(1), usize::from(args.horizon));
    let now_ms = samples.last().map_or(0, |(time_ms, _)| *time_ms);
    let ms = |periods: usize| period_ms.saturating_mul(periods as i64);
    let shown_ms = ms(PERIODS_DRAWN.max(3 * horizon));
    let times = TimeRange::new(now_ms.saturating_sub(shown_ms), now_ms.saturating_add(ms(horizon)));
    let first = samples.partition_point(|(time_ms, _)| *time_ms < times.start_ms);
    let past = samples[first..].iter().copied().filter(|(_, value)| value.is_finite());
    let past: Vec<(i64, f64)> = past.collect();
    let median: Vec<_> = foreseen.iter().map(|said| (said.time_ms, said.median)).collect();
    let interval = foreseen.iter().map(|said| (said.time_ms, [said.lower, said.upper]));
    let interval: Vec<(i64, [f64; 2])> = interval.collect();
    let values = past.iter().map(|(_, value)| *value);
    let values = Extent::of(values.chain(interval.iter().flat_map(|(_, ends)| *ends)));

    let bottom = TOP + 320.0;
    let mut picture = Picture::new(title, &legend, bottom);
    let values = values.unwrap_or(Extent { low: 0.0, high: 1.0 });
    let plot = picture.plot((TOP, bottom), times, values, Times::Since(now_ms));
    picture.band("fan", &plot, &interval, ms(1));
    picture.line("signal", &plot, &past, ms(1));
    picture.line("middle", &plot, &median, ms(1));
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_series() {
        let row = |fields: &[&str]| csv::StringRecord::from(fields.to_vec());
        let told = |fields: &[&str]| samples(&row(fields), 10).unwrap();
        assert_eq!(told(&["a", " 1", "", "NA", "2.5e3", ""]), [(0, 1.0), (30, 2.5e3)]);
        assert_eq!(told(&["a"]), []);
        let wrong = samples(&row(&["a", "1", "x"]), 10).unwrap_err();
        assert_eq!(wrong, "\"x\" is no number (value 2)");
    }
}
