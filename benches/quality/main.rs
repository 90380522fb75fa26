//! How good the learners are, on public data, beside what people use today.
//!
//! `cargo bench --bench quality` runs the built binary's learners over all of it, scores what they
//! wrote, lets the anchors judge the same series, and prints a table for each kind of data with the
//! bars that we want to reach. `--check` holds the scorers against the reference ones.
//!
//! Read [`scores`] for what the figures mean, [`anchors`] for what ours is held against; [`anomaly`],
//! [`exhaustion`] and [`m4`] bring the two together.

#![allow(clippy::print_stdout, reason = "a bench prints")]

mod anchors;
mod anomaly;
mod check;
mod data;
mod exhaustion;
mod m4;
mod ours;
mod parallel;
mod scores;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use ours::Run;
use table::Table;

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Labelled series: the baseline.
    Anomaly,
    /// Series that reach a limit: crossings.
    Exhaustion,
    /// Hourly series: profiles.
    M4,
}

/// Scores the learners on public data, beside what people use today.
#[derive(Parser)]
struct Flags {
    /// The directory with `anomaly` and `forecast`; else `FOREWARN_DATA`, else `../shared/data`.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A part, not all.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Keep all outputs in this directory.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
    /// Print tables as Markdown.
    #[arg(long)]
    markdown: bool,
    /// Compare each figure with the reference scorers', `tools/score` beside the data.
    #[arg(long)]
    check: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What the parts need to know.
struct Bench {
    data: PathBuf,
    out: PathBuf,
    as_markdown: bool,
    /// Whether the anchors' outputs are written as ours are.
    writes: bool,
}

fn main() -> Result<ExitCode> {
    let flags = Flags::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = flags.data.clone().or_else(|| std::env::var_os("FOREWARN_DATA").map(Into::into));
    let data = named.unwrap_or_else(|| root.join("../shared/data"));
    if !data.join("anomaly").is_dir() || !data.join("forecast").is_dir() {
        println!(
            "{} has no public data (anomaly, forecast); nothing is measured. Name the directory \
             with --data or FOREWARN_DATA",
            data.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let temporary = tempfile::tempdir().context("cannot make a temporary directory")?;
    let bench = Bench {
        data,
        out: flags.keep.clone().unwrap_or_else(|| temporary.path().to_owned()),
        as_markdown: flags.markdown,
        writes: flags.check || flags.keep.is_some(),
    };
    std::fs::create_dir_all(&bench.out)
        .with_context(|| format!("cannot make {}", bench.out.display()))?;
    let is_well = measure(&bench, &flags)?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(bench: &Bench, flags: &Flags) -> Result<bool> {
    let parts = flags.only.map_or(Part::value_variants().to_vec(), |part| vec![part]);
    let runs = ours::run(&bench.data, &bench.out, &parts)?;
    let (mut counts, mut checks) = (Vec::new(), Vec::new());
    for part in parts {
        counts.extend(match part {
            Part::Anomaly => anomaly::report(bench, &mut checks)?,
            Part::Exhaustion => exhaustion::report(bench, &mut checks)?,
            Part::M4 => m4::report(bench, &runs, &mut checks)?,
        });
    }
    times(&runs, &counts).print(bench.as_markdown);
    if flags.check {
        return check::run(&bench.data.join("../tools/score"), &checks);
    }
    Ok(true)
}

/// Says what our runs took: files read, judged, written.
fn times(runs: &[Run], counts: &[(String, usize)]) -> Table {
    let mut table = Table {
        title: "What our runs took, two at a time, reading and writing of files included"
            .to_owned(),
        header: vec!["forewarn learn", "units", "count", "wall, s", "CPU, s", "CPU a unit, µs"],
        ..Table::default()
    };
    for run in runs {
        let count = counts.iter().find(|(name, _)| *name == run.name).map(|(_, count)| *count);
        let unit = match run.name.split(' ').next() {
            Some("baseline") => "samples",
            Some("crossing") => "evaluations",
            _ => "series",
        };
        let (Some(count), true) = (count, run.is_known) else {
            table.rows.push(vec![run.name.clone(), "not in this build".to_owned()]);
            continue;
        };
        let cpu = |unit: f64| run.cpu_s.map_or("-".to_owned(), |s| format!("{:.1}", s * unit));
        table.rows.push(vec![
            run.name.clone(),
            unit.to_owned(),
            count.to_string(),
            format!("{:.1}", run.wall_s),
            cpu(1.0),
            cpu(1e6 / count as f64),
        ]);
    }
    table.fixed(["bar, baseline: reach", "updates", "", "", "", "0.5"]);
    table.fixed(["bar, baseline: and then", "updates", "", "", "", "0.1"]);
    table.fixed(["bar, crossing: reach", "updates", "", "", "", "200"]);
    table.fixed(["bar, crossing: and then", "updates", "", "", "", "20"]);
    table
}
