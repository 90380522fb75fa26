use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;

use super::Directory;
use crate::cli::Outcome;
use crate::env::{RealDisk, SystemClock};
use crate::promql::{error_text, parse_selector};
use crate::series::{METRIC_NAME, Points, TimeRange, format_float, is_stale};
use crate::store::{Store, StoreOptions};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,
    /// Which series, as PromQL selects them.
    #[arg(long = "match", value_name = "SELECTOR", default_value = r#"{__name__=~".+"}"#)]
    selector: String,
    /// First time, ms since the epoch.
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    start: Option<i64>,
    /// Last time, ms since the epoch.
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    end: Option<i64>,
}

/// Writes samples to stdout: `name{labels} value seconds`. Native histograms have no such form and
/// are counted on stderr; staleness markers are left out.
pub(super) fn run(args: &Args) -> Outcome {
    let dir = args.directory.existing()?.to_owned();
    let matchers =
        parse_selector(&args.selector).map_err(|errors| error_text(&args.selector, &errors))?;
    let range = TimeRange::new(args.start.unwrap_or(i64::MIN), args.end.unwrap_or(i64::MAX));
    // Nothing is dropped while it is looked at.
    let options = StoreOptions { dir, retention_ms: i64::MAX, ..StoreOptions::default() };
    let store = Store::open(options, Arc::new(RealDisk), Arc::new(SystemClock::new()))?;
    let snapshot = store.snapshot();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let (mut points, mut histograms) = (Points::default(), 0);
    for series in snapshot.select(&matchers, range)? {
        snapshot.read(&series, range, &mut points)?;
        histograms += points.histograms.len();
        let name = series.labels.metric_name().unwrap_or_default();
        let others: Vec<_> = series
            .labels
            .iter()
            .filter(|(label, _)| *label != METRIC_NAME)
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        for (time_ms, value) in points.times_ms.iter().zip(&points.values) {
            if is_stale(*value) {
                continue;
            }
            let value = format_float(*value);
            let (seconds, millis) = (time_ms.div_euclid(1000), time_ms.rem_euclid(1000));
            writeln!(out, "{name}{{{}}} {value} {seconds}.{millis:03}", others.join(","))?;
        }
    }
    writeln!(out, "# EOF")?;
    out.flush()?;
    if histograms > 0 {
        eprintln!("{histograms} native histograms were left out: OpenMetrics text has none.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Source: OpenMetrics 1.0, "escaped-string".
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
