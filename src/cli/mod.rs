//! The subcommands, one file each.
//!
//! Entry point: [`Cli`], which clap fills from the command line, and [`Cli::run`].
//!
//! To add one: a file with `pub struct Args` (clap's) and `pub fn run(args: &Args) -> Outcome`, and
//! a line in [`Command`] and in [`Cli::run`].
//!
//! Invariants: an exit code is 0 when all is well, 1 when what was checked is not, 2 for a command
//! line that cannot be understood; an error is said on stderr in one piece.
//!
//! Absent on purpose: what the subcommands do. They put rooms together; the rooms do the work.

pub mod backtest;
pub mod check;
pub mod demo;
pub mod help;
pub mod learn;
pub mod node;
pub mod serve;
mod tasks;
pub mod test;
pub mod tsdb;

use std::error::Error;
use std::process::ExitCode;

use tracing::level_filters::LevelFilter;

/// How a subcommand ended; an error is printed with its sources, and the exit code is 1.
pub type Outcome = Result<ExitCode, Box<dyn Error + Send + Sync>>;

/// Takes Prometheus remote write, learns what is normal, warns before something breaks.
#[derive(Debug, clap::Parser)]
#[command(version, arg_required_else_help = true, subcommand_required = true)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Receive samples, evaluate rules, answer queries.
    Serve(Box<serve::Args>),
    /// Watch it warn, on two weeks of made-up data.
    Demo(demo::Args),
    /// Check rule files.
    Check(check::Args),
    /// Replay rules over stored history.
    Backtest(backtest::Args),
    /// Run PromQL test scripts, and the tests of rule files.
    Test(test::Args),
    /// Run the learners over files of series.
    Learn(learn::Args),
    /// Look at a data directory, check it, copy from it.
    Tsdb(tsdb::Args),
    /// Say how a subcommand is called, or what PromQL knows (`help promql`).
    Help(help::Args),
}

impl Cli {
    /// Runs the subcommand.
    pub fn run(&self) -> Outcome {
        match &self.command {
            Command::Serve(args) => serve::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Check(args) => check::run(args),
            Command::Backtest(args) => backtest::run(args),
            Command::Test(args) => test::run(args),
            Command::Learn(args) => learn::run(args),
            Command::Tsdb(args) => tsdb::run(args),
            Command::Help(args) => help::run(args),
        }
    }
}

/// Logs from `least` on go to stderr; `FOREWARN_LOG` chooses what (`debug`, `forewarn::store=trace`).
fn init_logs(least: LevelFilter) {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(least.into())
        .with_env_var("FOREWARN_LOG")
        .from_env_lossy();
    // A second initialisation, as in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

/// Returns the text of an error and of what caused it.
pub fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some errors name their cause in their own text.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
