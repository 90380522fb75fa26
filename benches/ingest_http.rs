//! What ingest over HTTP costs: a real server process takes prepared remote-write requests, and its
//! CPU time is read from the system.
//!
//! `cargo bench --bench ingest_http`. The fleet is like node_exporter's: hosts with the same
//! metrics, eight labels a series, a sample every 15 s, 2,000 samples a request as Prometheus sends.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, or fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forewarn::env::{Clock, SystemClock};
use forewarn::ingest::proto::{v1, v2};
use forewarn::ingest::send;

const SERIES: usize = 20_000;
const SERIES_PER_HOST: usize = 500;
const SAMPLES_PER_REQUEST: usize = 2_000;
const ROUNDS: usize = 120;
const STEP_MS: i64 = 15_000;

fn main() {
    println!("{SERIES} series, {ROUNDS} samples each, {SAMPLES_PER_REQUEST} samples a request");
    let start_ms = SystemClock::new().now_ms() - ROUNDS as i64 * STEP_MS;
    run("remote write 1.0", send::CONTENT_TYPE_V1, &requests(start_ms, encode_v1));
    run("remote write 2.0", send::CONTENT_TYPE_V2, &requests(start_ms, encode_v2));
}

/// The labels of a series, sorted.
fn labels(series: usize) -> Vec<(String, String)> {
    let (host, metric) = (series / SERIES_PER_HOST, series % SERIES_PER_HOST);
    let pairs = [
        ("__name__", format!("node_something_{}_total", metric / 8)),
        ("cluster", "production-1".to_owned()),
        ("cpu", (metric % 8).to_string()),
        ("environment", "production".to_owned()),
        ("instance", format!("host-{host:04}.example.net:9100")),
        ("job", "node".to_owned()),
        ("mode", "user".to_owned()),
        ("region", "eu-central-1".to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

fn value(series: usize, round: usize) -> f64 {
    // A counter in hundredths.
    ((series * 7 + round * (13 + series % 40)) as f64) / 100.0
}

type Encode = fn(&[(usize, Vec<(String, String)>)], usize, i64) -> Vec<u8>;

fn requests(start_ms: i64, encode: Encode) -> Vec<Vec<u8>> {
    let all: Vec<_> = (0..SERIES).map(|series| (series, labels(series))).collect();
    let rounds = 0..ROUNDS;
    let of_round = |round: usize| {
        let time_ms = start_ms + round as i64 * STEP_MS;
        let parts = all.chunks(SAMPLES_PER_REQUEST);
        parts.map(move |part| encode(part, round, time_ms)).collect::<Vec<_>>()
    };
    rounds.flat_map(of_round).collect()
}

fn encode_v1(part: &[(usize, Vec<(String, String)>)], round: usize, time_ms: i64) -> Vec<u8> {
    let series = |(series, labels): &(usize, Vec<(String, String)>)| v1::TimeSeries {
        labels: labels
            .iter()
            .map(|(name, value)| v1::Label { name: name.clone(), value: value.clone() })
            .collect(),
        samples: vec![v1::Sample { value: value(*series, round), timestamp: time_ms }],
        ..v1::TimeSeries::default()
    };
    let timeseries = part.iter().map(series).collect();
    send::body(&v1::WriteRequest { timeseries, ..v1::WriteRequest::default() })
}

fn encode_v2(part: &[(usize, Vec<(String, String)>)], round: usize, time_ms: i64) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut known = std::collections::HashMap::new();
    let mut symbol = |text: &String| {
        *known.entry(text.clone()).or_insert_with(|| {
            symbols.push(text.clone());
            symbols.len() as u32 - 1
        })
    };
    let mut timeseries = Vec::with_capacity(part.len());
    for (series, labels) in part {
        let value = value(*series, round);
        timeseries.push(v2::TimeSeries {
            labels_refs: labels.iter().flat_map(|(n, v)| [symbol(n), symbol(v)]).collect(),
            samples: vec![v2::Sample { value, timestamp: time_ms, start_timestamp: 0 }],
            ..v2::TimeSeries::default()
        });
    }
    send::body(&v2::Request { symbols, timeseries })
}

/// A server in a directory of its own.
struct Server {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .current_dir(dir.path())
            .arg("serve")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Server { child, port, _dir: dir }
    }

    /// Returns the CPU time that the process has used, s.
    fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap()).sum();
        ticks / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(name: &str, content_type: &str, requests: &[Vec<u8>]) {
    let server = Server::start();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut send = |body: &[u8]| loop {
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n\
             Content-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        match answer(&mut answers) {
            204 => return,
            503 => std::thread::sleep(Duration::from_millis(20)), // not open yet
            status => panic!("status {status}"),
        }
    };
    let (first, rest) = requests.split_at(SERIES / SAMPLES_PER_REQUEST);
    let (clock, mut measured) = (SystemClock::new(), Vec::new());
    // The first round makes the series.
    for part in [first, rest] {
        let (cpu_s, started) = (server.cpu_s(), clock.elapsed());
        for body in part {
            send(body);
        }
        let samples = (part.len() * SAMPLES_PER_REQUEST) as f64;
        let wall_s = clock.elapsed().saturating_sub(started).as_secs_f64();
        measured.push((samples, server.cpu_s() - cpu_s, wall_s));
    }
    let bytes: usize = rest.iter().map(Vec::len).sum();
    for (what, (samples, cpu_s, wall_s)) in ["new series", "known series"].iter().zip(measured) {
        println!(
            "{name}, {what}: {:.2} M samples per CPU second ({samples:.0} samples, {cpu_s:.2} CPU s, \
             {wall_s:.2} s on one connection)",
            samples / cpu_s / 1e6,
        );
    }
    println!(
        "{name}: {:.1} bytes a sample on the wire",
        bytes as f64 / (rest.len() * SAMPLES_PER_REQUEST) as f64
    );
}

/// Reads one answer and returns its status.
fn answer(from: &mut BufReader<TcpStream>) -> u16 {
    let (mut status, mut length) = (0, 0);
    let mut line = String::new();
    loop {
        line.clear();
        from.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if status == 0 {
            status = line.split(' ').nth(1).unwrap().parse().unwrap();
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    from.read_exact(&mut vec![0; length]).unwrap();
    status
}
