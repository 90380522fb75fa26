use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Outcome;
use crate::env::{Clock, ManualClock, RealDisk, SystemClock};
use crate::series::{Labels, Matcher, Points, TimeRange};
use crate::store::{Store, StoreOptions};

const STEP_MS: i64 = 15_000;
const T0_MS: i64 = 1_700_000_000_000;
const BATCH: usize = 2_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many series.
    #[arg(long, default_value_t = 20_000)]
    series: usize,
    /// How many hours of samples, one every 15 s.
    #[arg(long, default_value_t = 4)]
    hours: i64,
}

/// Writes, compacts, reopens and reads a made-up load, and prints what each took.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn run(args: &Args) -> Outcome {
    let dir = tempfile::tempdir()?;
    let wall = SystemClock::new();
    let clock = Arc::new(ManualClock::new(T0_MS));
    let options = StoreOptions { dir: dir.path().join("data"), ..StoreOptions::default() };
    let open = || Store::open(options.clone(), Arc::new(RealDisk), clock.clone());
    let store = open()?;
    let labels: Vec<_> = (0..args.series).map(labels).collect();
    let mut appender = store.appender();
    let mut random = fastrand::Rng::with_seed(1);
    let mut values = vec![0.0; args.series];
    let (mut writing, mut upkeep) = (Duration::ZERO, Duration::ZERO);
    let rounds = args.hours * 3_600_000 / STEP_MS;
    for round in 0..rounds {
        clock.set(T0_MS + round * STEP_MS);
        let from = wall.elapsed();
        for first in (0..args.series).step_by(BATCH) {
            let mut transaction = appender.begin();
            for at in first..(first + BATCH).min(args.series) {
                let spelling = transaction.speller().spell(labels[at].identity_bytes());
                let series = match transaction.known(spelling) {
                    Some(series) => series,
                    None => transaction.series(Some(spelling), &labels[at]),
                };
                values[at] += f64::from(random.u8(0..=(at % 40) as u8));
                transaction.sample(series, T0_MS + round * STEP_MS, values[at], 0);
            }
            transaction.commit()?;
        }
        let written = wall.elapsed();
        writing += written.saturating_sub(from);
        if round % 240 == 239 {
            store.maintain()?;
            upkeep += wall.elapsed().saturating_sub(written);
        }
    }
    let samples = (rounds as u64 * args.series as u64) as f64;
    let status = store.status();
    let in_blocks: u64 = status.blocks.iter().map(|block| block.samples).sum();
    let block_bytes: u64 = status.blocks.iter().map(|block| block.size_bytes).sum();
    println!("{} series, {rounds} samples each", args.series);
    println!("write: {:.2} M samples/s, log included", samples / writing.as_secs_f64() / 1e6);
    println!("log: {} bytes for what is in no block", status.log.size_bytes);
    if in_blocks > 0 {
        println!(
            "blocks: {:.3} bytes a sample, {:.0} ns a sample to cut and merge",
            block_bytes as f64 / in_blocks as f64,
            upkeep.as_secs_f64() * 1e9 / in_blocks as f64
        );
    }
    drop((appender, store));
    let from = wall.elapsed();
    let store = open()?;
    let report = store.status().recovery;
    println!(
        "open: {:.0} ms for {} samples of the log",
        wall.elapsed().saturating_sub(from).as_secs_f64() * 1e3,
        report.samples
    );
    let snapshot = store.snapshot();
    let matchers = [Matcher::equal("__name__", "bench_7_total"), Matcher::equal("job", "bench")];
    let from = wall.elapsed();
    let selected = snapshot.select(&matchers, TimeRange::ALL)?;
    let select = wall.elapsed().saturating_sub(from);
    let (mut points, mut read) = (Points::default(), 0);
    let from = wall.elapsed();
    for series in &selected {
        snapshot.read(series, TimeRange::ALL, &mut points)?;
        read += points.len();
    }
    let reading = wall.elapsed().saturating_sub(from);
    println!(
        "select: {:.0} us for {} series; read: {:.1} ns a sample",
        select.as_secs_f64() * 1e6,
        selected.len(),
        reading.as_secs_f64() * 1e9 / read.max(1) as f64
    );
    Ok(ExitCode::SUCCESS)
}

fn labels(number: usize) -> Labels {
    let target = number / 500;
    Labels::from_pairs([
        ("__name__", format!("bench_{}_total", number % 500)),
        ("cluster", "eu-1".to_owned()),
        ("instance", format!("10.0.{}.{}:9100", target / 250, target % 250)),
        ("job", "bench".to_owned()),
        ("namespace", format!("team-{}", target % 20)),
    ])
}
