//! `forewarn learn`: what the shipped learners say of series in files, row by row, in order and
//! without looking ahead. For trying them on an export of one's own, with pictures, and for
//! scoring them.

mod baseline;
mod crossing;
mod profile;

mod picture;
mod table;
mod ticks;

use super::Outcome;

/// Which learner.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    learner: Learner,
}

#[derive(Debug, clap::Subcommand)]
enum Learner {
    /// What is normal for each series, and which rows are not.
    Baseline(baseline::Args),
    /// How likely each series reaches its limit within a horizon.
    Crossing(crossing::Args),
    /// How each series of hours goes on, with the interval that it will lie in.
    Profile(profile::Args),
}

/// Runs one learner over files.
pub fn run(args: &Args) -> Outcome {
    match &args.learner {
        Learner::Baseline(args) => baseline::run(args),
        Learner::Crossing(args) => crossing::run(args),
        Learner::Profile(args) => profile::run(args),
    }
}
