//! `forewarn tsdb`: what is done to a data directory besides serving it.

mod bench;
mod export;
mod import_blocks;
mod inspect;
mod verify;

use std::path::PathBuf;

use super::Outcome;

/// Look at a data directory, check it, copy from it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say where the bytes of a data directory go.
    Inspect(inspect::Args),
    /// Read every byte of a data directory and check every checksum.
    Verify(Directory),
    /// Write samples as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.
    Export(export::Args),
    /// Take over blocks of Prometheus.
    ImportBlocks(import_blocks::Args),
    /// Measure the store on this machine, in a directory of its own.
    Bench(bench::Args),
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Export(args) => export::run(args),
        Command::ImportBlocks(args) => import_blocks::run(args),
        Command::Bench(args) => bench::run(args),
    }
}

/// Which data directory.
#[derive(Debug, clap::Args)]
pub(super) struct Directory {
    /// The data directory, or a snapshot below its snapshots/.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data")]
    pub(super) path: PathBuf,
}

impl Directory {
    /// Returns the directory, or an error where there is none: looking must not create it.
    pub(super) fn existing(&self) -> Result<&std::path::Path, String> {
        if self.path.join("wal").is_dir() || self.path.join("blocks").is_dir() {
            return Ok(&self.path);
        }
        Err(format!(
            "{}: this is no data directory; name one with --storage.tsdb.path",
            self.path.display()
        ))
    }
}
