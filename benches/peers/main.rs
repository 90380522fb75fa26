//! Ours and its peers on the same prepared requests, one server after the other.
//!
//! `cargo bench --bench peers -- --load 70k`; `benches/peers/run` runs the standard loads. The peers
//! are Debian's `victoria-metrics` and `prometheus`; one that is not installed is left out.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, or fails")]

mod fleet;
#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../tests/it/support/http.rs"]
mod http;
mod payload;
mod peer;
mod queries;
mod sender;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use forewarn::env::{Clock, SystemClock};

use fleet::Fleet;
use payload::Payload;
use peer::{Kind, Peer};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Size {
    /// 70,000 series, 40 minutes.
    #[value(name = "70k")]
    Middle,
    /// 700,000 series, two and a half minutes.
    #[value(name = "700k")]
    Large,
    /// 3,000 series, a day.
    #[value(name = "3k-24h")]
    Long,
}

/// Runs servers in turn on the same remote-write requests and prints what each took.
#[derive(Parser)]
struct Flags {
    #[arg(long, value_enum, default_value = "70k")]
    load: Size,
    /// Which servers.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "forewarn,victoria-metrics,prometheus"
    )]
    peers: Vec<Kind>,
    /// Remote write 1 or 2; only ours takes 2.
    #[arg(long, default_value_t = 1)]
    protocol: u8,
    #[arg(long, value_enum, default_value = "mixed")]
    fleet: Fleet,
    /// Part of the load, for a quick try.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    #[arg(long, default_value_t = 0)]
    jitter_ms: i64,
    /// Part of the series that is replaced per hour of data.
    #[arg(long, default_value_t = 0.0)]
    churn: f64,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How long to wait after the load before disk and memory are looked at, s.
    #[arg(long, default_value_t = 70)]
    settle_s: u64,
    /// Measure queries instead of writes.
    #[arg(long)]
    queries: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let flags = Flags::parse();
    let (series, rounds) = match flags.load {
        Size::Middle => (70_000, 160),
        Size::Large => (700_000, 10),
        Size::Long => (3_000, 5_760),
    };
    let load = payload::Load {
        fleet: flags.fleet,
        series: ((f64::from(series) * flags.scale) as usize).max(1_000),
        rounds,
        jitter_ms: flags.jitter_ms,
        churn: flags.churn,
        protocol: flags.protocol,
        end_ms: SystemClock::new().now_ms() - 60_000,
    };
    let payload = payload::prepare(&load);
    println!(
        "{} series, {} samples each, {} M samples, remote write {}.0, {:?} fleet; {:.1} B a sample raw, {:.1} compressed",
        load.series,
        rounds,
        payload.samples as f64 / 1e6,
        flags.protocol,
        flags.fleet,
        payload.raw_bytes as f64 / payload.samples as f64,
        payload.requests.iter().map(|one| one.body.len()).sum::<usize>() as f64
            / payload.samples as f64,
    );
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("?");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("{cores} cores, {}", model.trim_start_matches(['\t', ':', ' ']));
    let mut columns = Vec::new();
    for kind in &flags.peers {
        if *kind != Kind::Forewarn && flags.protocol == 2 {
            println!("{} does not take remote write 2.0", kind.name());
        } else if kind.is_there() {
            let measure = if flags.queries { measure_queries } else { measure };
            columns.push((kind.name(), measure(*kind, &flags, &load, &payload)));
        } else {
            println!("{} is not installed; it is left out", kind.name());
        }
    }
    print(&columns);
}

/// What was measured, its value, and how many decimals to print.
type Row = (String, Option<f64>, usize);

fn print(columns: &[(&str, Vec<Row>)]) {
    let Some((_, rows)) = columns.first() else { return };
    print!("{:56}", "");
    for (name, _) in columns {
        print!("{name:>18}");
    }
    println!("{:>22}", "ours / best peer");
    for (at, (name, ours, digits)) in rows.iter().enumerate() {
        print!("{name:56}");
        for (_, rows) in columns {
            match rows[at].1 {
                Some(value) => print!("{value:>18.digits$}"),
                None => print!("{:>18}", "-"),
            }
        }
        let peers = columns[1..].iter().filter_map(|(_, rows)| rows[at].1);
        let higher_is_better = name.contains("samples/s");
        let best = peers.reduce(|a, b| if (a < b) == higher_is_better { b } else { a });
        match (ours, best) {
            (Some(ours), Some(best)) if best > 0.0 => println!("{:>22.2}", ours / best),
            _ => println!(),
        }
    }
}

fn measure(kind: Kind, flags: &Flags, load: &payload::Load, payload: &Payload) -> Vec<Row> {
    let clock = SystemClock::new();
    let dir = tempfile::tempdir().unwrap();
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |name: &str, value, digits| rows.push((name.to_owned(), value, digits));
    let server = Peer::start(kind, dir.path());
    server.wait_until_ready();
    std::thread::sleep(Duration::from_secs(1));
    let idle = server.anonymous_bytes();
    let first = payload.requests.iter().filter(|one| one.round == 0).count();
    let (new, steady) = payload.requests.split_at(first);
    let send = |requests| {
        let (cpu_s, from) = (server.cpu_s(), clock.elapsed());
        let (took, again) =
            sender::send(server.port, "/api/v1/write", flags.protocol, requests, flags.connections);
        let samples: usize = requests.iter().map(|one| one.samples).sum();
        let wall_s = clock.elapsed().saturating_sub(from).as_secs_f64();
        (samples as f64, server.cpu_s() - cpu_s, wall_s, took, again)
    };
    let (new_samples, new_cpu_s, ..) = send(new);
    let (samples, cpu_s, wall_s, mut took, again) = send(steady);
    let steady_us = cpu_s * 1e6 / samples;
    row("CPU s per M samples, steady", Some(steady_us), 3);
    row("samples/s (M)", Some(samples / wall_s / 1e6), 3);
    row("creating a series, CPU us more", Some(new_cpu_s * 1e6 / new_samples - steady_us), 1);
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    row("request, ms: median", Some(at(0.5)), 2);
    row("request, ms: p99", Some(at(0.99)), 2);
    row("request, ms: longest", Some(at(1.0)), 1);
    row("requests sent again", Some(again as f64), 0);
    let memory = server.anonymous_bytes();
    row("anonymous memory after the load, MB", Some(memory as f64 / 1e6), 1);
    row(
        "anonymous memory, B a series",
        Some((memory.saturating_sub(idle)) as f64 / load.series as f64),
        0,
    );
    std::thread::sleep(Duration::from_secs(flags.settle_s));
    row("anonymous memory settled, MB", Some(server.anonymous_bytes() as f64 / 1e6), 1);
    let settled_us = (server.cpu_s() - new_cpu_s) * 1e6 / samples;
    row("CPU s per M samples, settling included", Some(settled_us), 3);
    let (log, rest) = server.disk_bytes();
    let all = payload.samples as f64;
    row("disk settled, B a sample: log", Some(log as f64 / all), 3);
    row("disk settled, B a sample: without the log", Some(rest as f64 / all), 3);
    row("disk settled, B a sample: all", Some((log + rest) as f64 / all), 3);
    let merged = server.force_merge().then(|| server.disk_bytes().1 as f64 / all);
    row("disk after a forced merge, B a sample", merged, 3);
    let count = format!("count_over_time({}[25h])", payload.probe.0);
    let lost = |server: &Peer| {
        server.query(&count, payload.end_ms + 60_000).map(|found| payload.probe.1 as f64 - found)
    };
    row("samples of a probe that are missing", lost(&server), 0);
    server.stop(false);
    for (kill, name) in [(false, "ready after SIGTERM, s"), (true, "ready after SIGKILL, s")] {
        let from = clock.elapsed();
        let server = Peer::start(kind, dir.path());
        let took = server.wait_for(&count, payload.end_ms + 60_000, &clock, from);
        row(name, Some(took.as_secs_f64()), 3);
        if kill {
            row("missing of the probe after SIGKILL", lost(&server), 0);
        }
        server.stop(!kill);
    }
    rows
}

fn measure_queries(kind: Kind, flags: &Flags, _: &payload::Load, payload: &Payload) -> Vec<Row> {
    let dir = tempfile::tempdir().unwrap();
    let server = Peer::start(kind, dir.path());
    server.wait_until_ready();
    sender::send(
        server.port,
        "/api/v1/write",
        flags.protocol,
        &payload.requests,
        flags.connections,
    );
    std::thread::sleep(Duration::from_secs(flags.settle_s));
    let mut rows: Vec<Row> = Vec::new();
    for (name, query) in queries::of(flags.load) {
        let cost = queries::measure(&server, query, payload.end_ms);
        let of = |part: fn(&queries::Cost) -> f64| cost.as_ref().map(part);
        rows.push((format!("{name}: CPU ms"), of(|cost| cost.cpu_ms), 2));
        rows.push((format!("{name}: round trip ms"), of(|cost| cost.median_ms), 2));
        rows.push((format!("{name}: KB"), of(|cost| cost.bytes as f64 / 1e3), 1));
    }
    server.stop(false);
    rows
}
