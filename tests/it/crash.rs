//! What was answered with 2xx is there after `kill -9`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forewarn::ingest::proto::v1::{Label, Sample, TimeSeries, WriteRequest};
use prost::Message;

use crate::support::http::HttpClient;
use crate::support::process::{Process, free_port};

/// How often the server is killed; `FOREWARN_CRASH_TRIES` asks for more.
const TRIES: u64 = 20;
const SENDERS: usize = 2;
const SERIES_PER_SENDER: usize = 50;

/// The value that a sample must have: different for every series and time.
fn value(sender: usize, series: usize, round: i64) -> f64 {
    (round * 1_000_000) as f64 + (sender * 1_000 + series) as f64 + 0.25
}

fn body(sender: usize, round: i64, time_ms: i64) -> Vec<u8> {
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    let timeseries = (0..SERIES_PER_SENDER)
        .map(|series| TimeSeries {
            labels: vec![
                label("__name__", "crash_test".to_owned()),
                label("sender", sender.to_string()),
                label("series", series.to_string()),
            ],
            samples: vec![Sample { value: value(sender, series, round), timestamp: time_ms }],
            ..TimeSeries::default()
        })
        .collect();
    let request = WriteRequest { timeseries, ..WriteRequest::default() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

/// Sends rounds from `first` on until the server dies; returns the first round that was not
/// acknowledged.
fn send_until_dead(base: &str, sender: usize, first: i64, start_ms: i64, stop: &AtomicBool) -> i64 {
    let client = HttpClient::new(base);
    let mut round = first;
    while !stop.load(Ordering::SeqCst) {
        match client.write_v1(body(sender, round, start_ms + round * 10)) {
            Ok(answer) => assert_eq!(answer.status, 204, "{}", answer.text()),
            Err(_) => break,
        }
        round += 1;
    }
    round
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a real process lives on the real clock")]
fn kill_in_the_middle_of_ingest_loses_no_acknowledged_sample() {
    let seed = 7;
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let start_ms = now.as_millis() as i64 - 3_600_000;
    let mut acknowledged = [0i64; SENDERS]; // rounds below are acknowledged
    let asked = std::env::var("FOREWARN_CRASH_TRIES").ok().and_then(|tries| tries.parse().ok());
    let tries = asked.unwrap_or(TRIES);
    for attempt in 0..tries {
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        let mut server = Process::forewarn(dir.path(), port, &[]);
        let lost = missing(&HttpClient::new(&base), &acknowledged, start_ms);
        assert!(lost.is_empty(), "after {attempt} kills (seed {seed}): {lost:?}");

        let stop = AtomicBool::new(false);
        let ends = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let (base, first, stop) = (&base, acknowledged[sender], &stop);
                    // A round that was sent but not answered may or may not be stored; sending
                    // it again is then an exact duplicate.
                    scope.spawn(move || send_until_dead(base, sender, first, start_ms, stop))
                })
                .collect();
            std::thread::sleep(Duration::from_millis(random.u64(50..600)));
            server.kill_hard();
            stop.store(true, Ordering::SeqCst);
            senders.into_iter().map(|sender| sender.join().unwrap()).collect::<Vec<_>>()
        });
        acknowledged.copy_from_slice(&ends);
    }
    assert!(acknowledged.iter().all(|&rounds| rounds > tries as i64), "{acknowledged:?}");

    let port = free_port();
    let _server = Process::forewarn(dir.path(), port, &[]);
    let client = HttpClient::new(format!("http://127.0.0.1:{port}"));
    let lost = missing(&client, &acknowledged, start_ms);
    assert!(lost.is_empty(), "after the last kill (seed {seed}): {lost:?}");
    println!("{tries} kills, {acknowledged:?} rounds of {SERIES_PER_SENDER} samples, none lost");
}

/// Reads everything back and names what is not as it was acknowledged.
fn missing(client: &HttpClient, acknowledged: &[i64], start_ms: i64) -> Vec<String> {
    let mut lost = Vec::new();
    for (sender, &rounds) in acknowledged.iter().enumerate().filter(|(_, rounds)| **rounds > 0) {
        let last_ms = start_ms + rounds * 10;
        let query = format!("crash_test{{sender=\"{sender}\"}}[{}ms]", rounds * 10 + 1_000);
        let time = format!("{}", last_ms as f64 / 1000.0);
        let answer =
            client.get_with("/api/v1/query", &[("query", &query), ("time", &time)]).unwrap().json();
        let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let mut found = vec![std::collections::HashMap::new(); SERIES_PER_SENDER];
        for one in series {
            let index: usize = one["metric"]["series"].as_str().unwrap().parse().unwrap();
            for point in one["values"].as_array().unwrap() {
                let time_ms = (point[0].as_f64().unwrap() * 1000.0).round() as i64;
                let value: f64 = point[1].as_str().unwrap().parse().unwrap();
                found[index].insert(time_ms, value);
            }
        }
        for (series, found) in found.iter().enumerate() {
            for round in 0..rounds {
                let expected = value(sender, series, round);
                if found.get(&(start_ms + round * 10)) != Some(&expected) {
                    lost.push(format!("sender {sender} series {series} round {round}"));
                }
            }
        }
    }
    lost
}
