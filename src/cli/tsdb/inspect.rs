use std::process::ExitCode;

use super::Directory;
use crate::cli::Outcome;
use crate::env::RealDisk;
use crate::series::format_rfc3339;
use crate::store::{BlockSurvey, survey};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,
    /// How many metrics to list, by the bytes of their values.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// Prints where the bytes go.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn run(args: &Args) -> Outcome {
    let found = survey(&RealDisk, args.directory.existing()?)?;
    println!("log");
    for file in &found.log {
        let path = file.path.display();
        println!(
            "  {path}: {} bytes, {} series named, {} samples{}",
            file.bytes,
            file.series,
            file.samples,
            per_sample(file.bytes, file.samples)
        );
    }
    println!("blocks");
    for block in &found.blocks {
        print_block(block);
    }
    if !found.metrics.is_empty() {
        println!("metrics by the bytes of their values in blocks");
    }
    for metric in found.metrics.iter().take(args.limit) {
        println!(
            "  {}: {} bytes, {} series, {} samples{}",
            metric.name,
            metric.bytes,
            metric.series,
            metric.samples,
            per_sample(metric.bytes, metric.samples)
        );
    }
    for problem in &found.problems {
        println!("damaged: {problem}");
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn print_block(block: &BlockSurvey) {
    println!(
        "  {}: {} to {}, level {}, {} series, {} chunks, {} samples, {} bytes{}",
        block.dir.display(),
        format_rfc3339(block.min_time_ms),
        format_rfc3339(block.max_time_ms),
        block.level,
        block.series,
        block.chunks,
        block.samples,
        block.bytes(),
        per_sample(block.bytes(), block.samples)
    );
    for (part, bytes) in block.parts.iter().filter(|(_, bytes)| *bytes > 0) {
        println!("    {part}: {bytes} bytes{}", per_sample(*bytes, block.samples));
    }
}

fn per_sample(bytes: u64, samples: u64) -> String {
    if samples == 0 {
        return String::new();
    }
    format!(" ({:.3} a sample)", bytes as f64 / samples as f64)
}
