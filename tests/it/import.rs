//! Blocks that the real Prometheus has written, imported with the real command.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use forewarn::env::{RealDisk, SystemClock};
use forewarn::ingest::proto::v1::{
    BucketSpan, Histogram, Label, Sample, TimeSeries, WriteRequest, histogram,
};
use forewarn::ingest::send;
use forewarn::series::{HistogramKind, Matcher, Points, ResetHint, TimeRange};
use forewarn::store::{Store, StoreOptions};
use hyper::Method;

use crate::support::http::HttpClient;
use crate::support::process::{Process, free_port, peer, poll};

fn import(data: &Path, blocks: &Path) -> String {
    let found = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(["tsdb", "import-blocks", "--storage.tsdb.path"])
        .args([data, blocks])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.success(), "{text}{}", String::from_utf8_lossy(&found.stderr));
    text
}

fn open(data: &Path) -> Store {
    let options =
        StoreOptions { dir: data.to_owned(), retention_ms: i64::MAX, ..StoreOptions::default() };
    Store::open(options, Arc::new(RealDisk), Arc::new(SystemClock::new())).unwrap()
}

/// Reads all samples of the series with a label `n`.
fn read(store: &Store, n: usize) -> Points {
    let snapshot = store.snapshot();
    let selected = snapshot.select(&[Matcher::equal("n", &n.to_string())], TimeRange::ALL).unwrap();
    let mut points = Points::default();
    if let Some(series) = selected.first() {
        snapshot.read(series, TimeRange::ALL, &mut points).unwrap();
    }
    points
}

#[test]
fn blocks_of_promtool_come_over_to_the_bit() {
    let Some(promtool) = peer("promtool") else { return };
    let dir = tempfile::tempdir().unwrap();
    let first_s = 1_699_920_000i64;
    let mut random = fastrand::Rng::with_seed(3);
    let mut expected: BTreeMap<usize, Vec<(i64, u64)>> = BTreeMap::new();
    let mut text = String::new();
    for n in 0..6usize {
        writeln!(text, "# TYPE imported_{n} gauge").unwrap();
        let mut counter = 0u32;
        for i in 0..900i64 {
            let time_ms = (first_s + i * 30) * 1000 + if n == 5 { random.i64(0..900) } else { 0 };
            counter += random.u32(0..50);
            let value = match n {
                0 => 1.0,
                1 => f64::from(counter),
                2 => f64::from(counter) / 100.0,
                3 => random.f64() * 1e9 - 5e8,
                4 => [f64::INFINITY, f64::NEG_INFINITY, 0.0, -1e-300, 1e300][i as usize % 5],
                _ => f64::from(counter) * 4096.0,
            };
            let shown = match value {
                f64::INFINITY => "+Inf".to_owned(),
                f64::NEG_INFINITY => "-Inf".to_owned(),
                value => format!("{value:e}"),
            };
            let (seconds, millis) = (time_ms / 1000, time_ms % 1000);
            writeln!(text, "imported_{n}{{n=\"{n}\",job=\"ü\"}} {shown} {seconds}.{millis:03}")
                .unwrap();
            expected.entry(n).or_default().push((time_ms, value.to_bits()));
        }
    }
    text.push_str("# EOF\n");
    let input = dir.path().join("input.om");
    #[expect(clippy::disallowed_methods, reason = "test input")]
    std::fs::write(&input, text).unwrap();
    let blocks = dir.path().join("prometheus");
    let made = Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&input, &blocks])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let data = dir.path().join("data");
    let said = import(&data, &blocks);
    assert!(said.lines().count() >= 3 && said.contains("6 series"), "{said}");
    let store = open(&data);
    let blocks_before = store.status().blocks.len();
    for (n, samples) in &expected {
        let points = read(&store, *n);
        let found: Vec<_> = points
            .times_ms
            .iter()
            .zip(&points.values)
            .map(|(time_ms, value)| (*time_ms, value.to_bits()))
            .collect();
        assert_eq!(&found, samples, "series {n}");
    }
    drop(store);
    // Once more changes nothing.
    assert!(import(&data, &blocks).contains("left alone"));
    assert_eq!(open(&data).status().blocks.len(), blocks_before);
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// Integer and float histograms that only grow: of others Prometheus 2.42 makes no snapshot.
fn sent_histogram(n: usize, i: i64, time_ms: i64) -> Histogram {
    let base = i + 1;
    let mut sent = Histogram {
        schema: 2,
        zero_threshold: 1e-3,
        sum: i as f64 * 0.37,
        positive_spans: vec![
            BucketSpan { offset: -2, length: 2 },
            BucketSpan { offset: 3, length: 1 },
        ],
        negative_spans: vec![BucketSpan { offset: 1, length: 1 }],
        timestamp: time_ms,
        ..Histogram::default()
    };
    if n == 1 {
        sent.positive_counts = vec![base as f64 * 1.5, base as f64, 0.25];
        sent.negative_counts = vec![2.0];
        sent.zero_count = Some(histogram::ZeroCount::ZeroCountFloat(0.5));
        sent.count = Some(histogram::Count::CountFloat(base as f64 * 2.5 + 2.75));
    } else {
        // Differences from bucket to bucket: base, 2 base, base.
        sent.positive_deltas = vec![base, base, -base];
        sent.negative_deltas = vec![3];
        sent.zero_count = Some(histogram::ZeroCount::ZeroCountInt(1));
        sent.count = Some(histogram::Count::CountInt(base as u64 * 4 + 4));
    }
    sent
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a real process lives on the real clock")]
fn a_snapshot_of_prometheus_comes_over_with_its_histograms_and_without_what_it_deleted() {
    let Some(prometheus) = peer("prometheus") else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "").unwrap();
    let port = free_port();
    let mut process = Process::start(
        prometheus,
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", dir.path().join("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--web.enable-remote-write-receiver".to_owned(),
            "--web.enable-admin-api".to_owned(),
            "--enable-feature=native-histograms".to_owned(),
        ],
        dir.path().join("prometheus.log"),
    );
    let client = HttpClient::new(format!("http://127.0.0.1:{port}"));
    process.wait_ready(&client, "/-/ready");

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let first = now.as_millis() as i64 - 300 * 10_000;
    let time = |i: i64| first + i * 10_000;
    for i in 0..250 {
        let mut timeseries: Vec<_> = (0..3)
            .map(|n| TimeSeries {
                labels: vec![label("__name__", "latency"), label("n", &n.to_string())],
                histograms: vec![sent_histogram(n, i, time(i))],
                ..TimeSeries::default()
            })
            .collect();
        timeseries.push(TimeSeries {
            labels: vec![label("__name__", "deleted"), label("n", "3")],
            samples: vec![Sample { value: i as f64, timestamp: time(i) }],
            ..TimeSeries::default()
        });
        let body = send::body(&WriteRequest { timeseries, ..WriteRequest::default() });
        let answer = client.write_v1(body).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    let deleted = TimeRange::new(time(50), time(99));
    let post = |path: &str| client.send(Method::POST, path, &[], Vec::new()).unwrap();
    let answer = post(&format!(
        "/api/v1/admin/tsdb/delete_series?match[]=deleted&start={}&end={}",
        deleted.start_ms as f64 / 1e3,
        deleted.end_ms as f64 / 1e3
    ));
    assert_eq!(answer.status, 204, "{}", answer.text());
    let name = poll("Prometheus makes a snapshot", Duration::from_secs(20), || {
        let answer = post("/api/v1/admin/tsdb/snapshot");
        answer.json()["data"]["name"].as_str().map(str::to_owned)
    });

    let data = dir.path().join("data");
    import(&data, &dir.path().join("prometheus/snapshots").join(name));
    let store = open(&data);
    for n in 0..3usize {
        let points = read(&store, n);
        assert_eq!(points.histograms.len(), 250, "series {n}");
        for (i, point) in (0..).zip(&points.histograms) {
            let (sent, found) = (sent_histogram(n, i, time(i)), &point.histogram);
            assert_eq!(point.time_ms, time(i));
            assert_eq!((found.schema, found.zero_threshold), (2, 1e-3));
            assert_eq!(found.sum.to_bits(), sent.sum.to_bits());
            let base = (i + 1) as f64;
            let (kind, counts, zeros, count) = if n == 1 {
                (HistogramKind::Float, vec![base * 1.5, base, 0.25], 0.5, base * 2.5 + 2.75)
            } else {
                (HistogramKind::Integer, vec![base, 2.0 * base, base], 1.0, base * 4.0 + 4.0)
            };
            assert_eq!(found.kind, kind);
            assert_eq!(found.positive_buckets, counts, "series {n} at {i}");
            assert_eq!(found.negative_buckets, [if n == 1 { 2.0 } else { 3.0 }]);
            assert_eq!((found.zero_count, found.count), (zeros, count));
            assert_eq!(found.positive_spans.len(), 2);
            assert!(matches!(found.reset_hint, ResetHint::NotReset | ResetHint::Unknown));
        }
    }
    let kept = read(&store, 3).times_ms;
    let expected: Vec<_> = (0..250).map(time).filter(|time| !deleted.contains(*time)).collect();
    assert_eq!(kept, expected);
}
