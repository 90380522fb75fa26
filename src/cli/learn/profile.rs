use std::path::PathBuf;
use std::process::ExitCode;

use super::super::Outcome;
use super::table::{self, TableError, bad_table, cannot};
use crate::learn::Profile;
use crate::series::{format_float, parse_duration};

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
}

pub(super) fn run(args: &Args) -> Outcome {
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(table::open(&args.path)?);
    let mut out = table::create(&args.out)?;
    let mut write = |fields: [&str; 5]| out.write_record(fields).map_err(bad_table(&args.out));
    write(["series", "h", "mean", "lo95", "hi95"])?;
    for row in rows.records() {
        let row = row.map_err(bad_table(&args.path))?;
        let profile = learned(&row, args.period.max(1)).map_err(|what| TableError::Row {
            path: args.path.clone(),
            line: row.position().map_or(0, csv::Position::line),
            what,
        })?;
        let foreseen = profile.forecast(usize::from(args.horizon));
        for ahead in 0..usize::from(args.horizon) {
            let [mean, lower, upper] = foreseen
                .get(ahead)
                .map(|foreseen| [foreseen.median, foreseen.lower, foreseen.upper])
                .map_or([const { String::new() }; 3], |said| said.map(format_float));
            write([&row[0], &(ahead + 1).to_string(), &mean, &lower, &upper])?;
        }
    }
    out.flush().map_err(cannot("write", &args.out))?;
    Ok(ExitCode::SUCCESS)
}

/// Learns a row's values, the first one at time 0.
fn learned(row: &csv::StringRecord, period_ms: i64) -> Result<Profile, String> {
    let mut profile = Profile::new(period_ms);
    for (at, text) in row.iter().skip(1).enumerate() {
        let text = text.trim();
        let value = match text {
            "" | "NA" => continue,
            _ => text.parse().map_err(|_| format!("{text:?} is no number (value {})", at + 1))?,
        };
        profile.learn(period_ms.saturating_mul(at as i64), value);
    }
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_series() {
        let row = |fields: &[&str]| csv::StringRecord::from(fields.to_vec());
        let told = |fields: &[&str]| learned(&row(fields), 10).unwrap().serialize();
        let mut expected = Profile::new(10);
        expected.learn(0, 1.0);
        expected.learn(30, 2.5e3);
        assert_eq!(told(&["a", " 1", "", "NA", "2.5e3", ""]), expected.serialize());
        assert_eq!(told(&["a"]), Profile::new(10).serialize());
        let wrong = learned(&row(&["a", "1", "x"]), 10).unwrap_err();
        assert_eq!(wrong, "\"x\" is no number (value 2)");
    }
}
