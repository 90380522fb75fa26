//! The `forewarn` program: reads the command line, runs the subcommand, says what went wrong.

use std::process::ExitCode;

use clap::Parser;
use forewarn::cli::Cli;

fn main() -> ExitCode {
    let outcome = Cli::parse().run();
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", forewarn::cli::with_sources(&*error));
        ExitCode::FAILURE
    })
}
