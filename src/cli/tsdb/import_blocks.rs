use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::Outcome;
use crate::env::{Clock, RealDisk, SystemClock};
use crate::store::Importer;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The data directory to import into; no server may have it.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
    path: PathBuf,
    /// Blocks of Prometheus, or directories of them, as its data directory or a snapshot.
    #[arg(required = true, value_name = "BLOCKS")]
    blocks: Vec<PathBuf>,
}

/// Imports blocks and says what became of each. A block that was imported before is left alone.
/// Exit code 0: all of all blocks is there; 1: something is not.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn run(args: &Args) -> Outcome {
    let clock = Arc::new(SystemClock::new());
    let importer = Importer::open(Arc::new(RealDisk), clock.clone(), &args.path)?;
    let mut whole = true;
    for dir in &args.blocks {
        for block in importer.find(dir)? {
            let from = clock.elapsed();
            let report = importer.import(&block)?;
            let path = block.display();
            if report.was_there {
                println!("{path}: imported before, left alone");
                continue;
            }
            println!(
                "{path}: {} series, {} samples in {:.1} s",
                report.series,
                report.samples,
                clock.elapsed().saturating_sub(from).as_secs_f64()
            );
            for (count, what) in [
                (
                    report.unsound_series,
                    "series left out: their labels are no UTF-8 or repeat a name",
                ),
                (report.damaged_chunks, "chunks left out: they are damaged"),
            ] {
                if count > 0 {
                    whole = false;
                    println!("{path}: {count} {what}");
                }
            }
        }
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
