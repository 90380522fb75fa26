//! `forewarn backtest`: what rules would have said of stored history.

mod replay;
mod report;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::Outcome;
use super::check::load_options;
use super::tsdb::Directory;
use crate::env::{Clock, RealDisk, SystemClock};
use crate::rules::{self, FileDiagnostic, GroupSpec, RuleSource};
use crate::store::{Store, StoreOptions};
use replay::{Replay, RuleReplay};

/// Replay rules over stored history, and say what they would have raised.
///
/// Exit code 0: every `expect` holds and no budget is exceeded; 1: not so; 2: a file cannot be
/// read or has errors, or the command line is wrong. Recorded series are read as they are stored;
/// nothing is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rule files.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// How far back from the newest sample the replay begins; what rules learn lies before.
    #[arg(long, default_value = "28d", value_parser = crate::series::parse_duration)]
    since: i64,
    #[command(flatten)]
    directory: Directory,
    /// The evaluation interval of files that set none.
    #[arg(long, default_value = "1m", value_parser = crate::series::parse_duration)]
    interval: i64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Replays, prints, and says by the exit code whether all is as it should be.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn run(args: &Args) -> Outcome {
    let mut sources = Vec::new();
    for path in &args.files {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        sources.push(RuleSource { name: path.display().to_string(), text });
    }
    let (groups, diagnostics) = rules::load(&sources, &load_options(args.interval));
    for diagnostic in &diagnostics {
        eprintln!("{}", diagnostic.render(&sources));
    }
    if diagnostics.iter().any(FileDiagnostic::is_error) {
        return Ok(ExitCode::from(2));
    }
    let dir = args.directory.existing()?;
    let replayed = replay(dir, groups, args.since, args.interval)?;
    let text = if args.json { report::json(&replayed) } else { report::text(&replayed) };
    print!("{text}");
    let fails = replayed.rules.iter().any(RuleReplay::fails);
    Ok(if fails { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Replays what a data directory holds from `since_ms` before its end on.
pub(super) fn replay(
    dir: &Path,
    groups: Vec<GroupSpec>,
    since_ms: i64,
    interval_ms: i64,
) -> Result<Replay, Box<dyn Error + Send + Sync>> {
    // Nothing is dropped while it is looked at.
    let options =
        StoreOptions { dir: dir.to_owned(), retention_ms: i64::MAX, ..StoreOptions::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = Store::open(options, Arc::new(RealDisk), Arc::clone(&clock))?;
    let replayed = replay::replay(&store, &clock, groups, since_ms, interval_ms)?;
    replayed.ok_or_else(|| format!("{}: no samples are stored", dir.display()).into())
}
