use std::process::ExitCode;

use super::Directory;
use crate::cli::Outcome;
use crate::env::RealDisk;
use crate::store::survey;

/// Prints what is damaged. Exit code 0: nothing is; 1: something is.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn run(args: &Directory) -> Outcome {
    let dir = args.existing()?;
    let found = survey(&RealDisk, dir)?;
    for problem in &found.problems {
        println!("{problem}");
    }
    let samples: u64 = found.blocks.iter().map(|block| block.samples).sum();
    let logged: u64 = found.log.iter().map(|file| file.samples).sum();
    println!(
        "{} blocks with {samples} samples and {} files of the log with {logged} samples read: {}",
        found.blocks.len(),
        found.log.len(),
        match found.problems.len() {
            0 => "every checksum holds".to_owned(),
            count => format!("{count} problems"),
        }
    );
    Ok(if found.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
