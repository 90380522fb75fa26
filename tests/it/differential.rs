//! Queries made at random from the grammar have the same answers here and in a real Prometheus.
//!
//! `FOREWARN_QUERIES=5000 cargo test --test it differential` asks more; `FOREWARN_SEED` asks others.

mod grammar;

use std::collections::BTreeMap;

use forewarn::ingest::proto::v1::{Label, Sample, TimeSeries, WriteRequest};
use forewarn::series::{STALE_NAN, parse_float};
use serde_json::Value;

use crate::support::http::{Answer, HttpClient};
use crate::support::node::snappy;
use crate::support::process::{Process, free_port, peer};
use grammar::Grammar;

const QUERIES: usize = 400;
const STEP_MS: i64 = 15_000;
const STEPS: i64 = 480;

/// When the data begin: always the same, so that a seed always asks the same of the same.
const START_MS: i64 = 1_700_000_040_007;

/// Both servers keep what is older.
const RETENTION: &str = "--storage.tsdb.retention.time=100y";

/// Counters are so far from zero that no extrapolation of theirs comes near it.
const FAR: f64 = 1e5;

/// Why Debian's Prometheus 2.42 and today's give different answers to a query; no other difference
/// is excused.
fn known_difference(expr: &str, ours: &str) -> Option<&'static str> {
    let has = |name: &str| expr.contains(name);
    let any = |names: &[&str]| names.iter().any(|name| has(name));
    if ours.contains("must be explicit") || ours.contains("must ensure unique matches") {
        // The operators of comparison, of which 2.42 drops what does not hold before.
        return any(&["=", "<", ">"])
            .then_some("2.42 sees no second match where the comparison does not hold");
    }
    if any(&["topk", "bottomk"]) {
        return Some("which of equal elements are taken is left open");
    }
    if has("atan2") {
        return Some("2.42 keeps the metric's name in atan2");
    }
    if any(&["predict_linear", "timestamp("]) && has(" @ ") {
        return Some("2.42 evaluates predict_linear and timestamp with @ at another time");
    }
    if any(&["stddev", "stdvar"]) {
        return Some("2.42 takes the deviation of one NaN or infinity for 0");
    }
    if any(&["count_values", " % "]) {
        return Some(
            "the last bit, which compensated sums have otherwise, is a label or a remainder",
        );
    }
    let gauges = ["temperature", "queue", "gone", "info", "batch", ":"];
    if any(&["rate(", "increase("]) && any(&gauges) {
        return Some("2.42 keeps the extrapolation above zero before it limits it otherwise");
    }
    if has("exp(") && any(&["sin(", "cos(", "tan("]) {
        return Some("the last bit of an exponential is more than a turn");
    }
    None
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn random_queries_have_the_answers_of_prometheus() {
    let Some(prometheus) = peer("prometheus") else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let [port, their_port] = [(); 2].map(|()| free_port());
    let client = |port: u16| HttpClient::new(format!("http://127.0.0.1:{port}"));
    let _forewarn = Process::forewarn(dir, port, &[RETENTION]);
    std::fs::File::create(dir.join("prometheus.yml")).unwrap();
    let mut prometheus = Process::start(
        &prometheus,
        &[
            format!("--config.file={}", dir.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", dir.join("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{their_port}"),
            "--web.enable-remote-write-receiver".to_owned(),
            RETENTION.to_owned(),
        ],
        dir.join("prometheus.log"),
    );
    let (ours, theirs) = (client(port), client(their_port));
    prometheus.wait_ready(&theirs, "/-/ready");
    let seed = setting("FOREWARN_SEED", 1);
    let mut random = fastrand::Rng::with_seed(seed);
    fill(&[&ours, &theirs], &mut random);

    let (mut differences, mut answered, mut excused) = (Vec::new(), 0, BTreeMap::new());
    let count = setting("FOREWARN_QUERIES", QUERIES as u64);
    for _ in 0..count {
        let depth = random.u8(1..4);
        let mut grammar = Grammar { random: &mut random };
        let expr =
            if grammar.random.u8(0..12) == 0 { grammar.scalar(2) } else { grammar.vector(depth) };
        // No window begins or ends at a sample, which are all 7 ms after a second: 2.42 takes ranges
        // as closed on the left.
        let time_ms = START_MS + random.i64(20..STEPS * STEP_MS / 1000) * 1000 + 500;
        let (path, parameters) = if random.bool() {
            ("/api/v1/query", vec![("time", seconds(time_ms))])
        } else {
            let (steps, step_s) = (random.i64(0..30), [1, 7, 15, 60, 300][random.usize(0..5)]);
            let end = seconds(time_ms + steps * step_s * 1000);
            let range =
                vec![("start", seconds(time_ms)), ("end", end), ("step", step_s.to_string())];
            ("/api/v1/query_range", range)
        };
        let mut parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        parameters.push(("query", &expr));
        let [mine, other] =
            [&ours, &theirs].map(|server| server.get_with(path, &parameters).unwrap());
        match difference(&mine, &other) {
            None => answered += usize::from(other.status == 200 && !is_empty(&other)),
            Some(difference) => match known_difference(&expr, &mine.text()) {
                Some(reason) => *excused.entry(reason).or_insert(0) += 1,
                None => {
                    differences.push(format!("{expr}\n  {path} {parameters:?}\n  {difference}"));
                }
            },
        }
    }
    println!("seed {seed}: {count} queries, {answered} with the same values, excused: {excused:?}");
    assert!(answered * 3 > count as usize, "most queries compare nothing: {answered} of {count}");
    let shown = differences.len().min(60);
    assert!(
        differences.is_empty(),
        "{} of {count} differ:\n{}",
        differences.len(),
        differences[..shown].join("\n")
    );
}

fn seconds(time_ms: i64) -> String {
    format!("{}.{:03}", time_ms / 1000, time_ms % 1000)
}

/// Writes two hours of all kinds of series into all servers.
fn fill(servers: &[&HttpClient], random: &mut fastrand::Rng) {
    let mut series: Vec<(Vec<(&str, String)>, f64)> = Vec::new();
    for host in 1..=4 {
        for job in ["api", "batch"] {
            let labels = |more: &[(&'static str, &str)]| {
                let instance = format!("host-{host}");
                let mut labels = vec![("instance", instance), ("job", job.to_owned())];
                labels.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
                labels.sort();
                labels
            };
            for code in ["200", "500"] {
                series.push((labels(&[("__name__", "requests_total"), ("code", code)]), FAR));
            }
            for le in ["0.1", "1", "5", "+Inf"] {
                series.push((labels(&[("__name__", "latency_bucket"), ("le", le)]), FAR));
            }
            series.push((labels(&[("__name__", "temperature")]), 20.0));
            series.push((labels(&[("__name__", "queue")]), 0.0));
            series.push((labels(&[("__name__", "gone")]), 1.0));
        }
        let instance = format!("host-{host}");
        let version = format!("v{}", host % 3);
        let name = "info".to_owned();
        series.push((vec![("__name__", name), ("instance", instance), ("version", version)], 1.0));
    }
    for step in 0..STEPS {
        let time_ms = START_MS + step * STEP_MS;
        let mut timeseries = Vec::new();
        let mut bucket = 0.0;
        for (labels, state) in &mut series {
            let name = labels[0].1.as_str();
            let value = match name {
                "requests_total" => {
                    let grows = f64::from(random.u32(0..50)) / 4.0;
                    *state =
                        if random.u16(0..150) == 0 { FAR / 2.0 + grows } else { *state + grows };
                    *state
                }
                "latency_bucket" => {
                    let first = labels.iter().any(|(name, value)| *name == "le" && value == "0.1");
                    bucket = if first { 0.0 } else { bucket };
                    bucket += f64::from(random.u32(0..9));
                    *state += bucket;
                    *state
                }
                "temperature" => {
                    *state += (random.f64() - 0.5) * 3.0;
                    *state
                }
                "queue" => f64::from(random.u8(0..6)),
                "gone" if step % 60 == 40 => STALE_NAN,
                "gone" if step % 60 > 40 => continue,
                _ => *state,
            };
            if name == "temperature" && random.u8(0..12) == 0 {
                continue;
            }
            let sorted = labels
                .iter()
                .map(|(name, value)| Label { name: (*name).to_owned(), value: value.clone() });
            timeseries.push(TimeSeries {
                labels: sorted.collect(),
                samples: vec![Sample { value, timestamp: time_ms }],
                ..TimeSeries::default()
            });
        }
        let request = WriteRequest { timeseries, ..WriteRequest::default() };
        for server in servers {
            let answer = server.write_v1(snappy(&request)).unwrap();
            assert!(answer.status < 300, "{} {}", answer.status, answer.text());
        }
    }
}

fn is_empty(answer: &Answer) -> bool {
    answer.json()["data"]["result"].as_array().is_some_and(Vec::is_empty)
}

/// Returns how two answers differ; errors are alike whatever they say.
fn difference(ours: &Answer, theirs: &Answer) -> Option<String> {
    let (a, b) = (ours.json(), theirs.json());
    let said = || {
        let cut = |value: &Value| value.to_string().chars().take(600).collect::<String>();
        Some(format!("ours {}\n  theirs {}", cut(&a), cut(&b)))
    };
    if ours.status != 200 || theirs.status != 200 {
        let alike = ours.status == theirs.status && a["errorType"] == b["errorType"];
        return if alike { None } else { said() };
    }
    let kind = &a["data"]["resultType"];
    if *kind != b["data"]["resultType"] {
        return said();
    }
    let (a, b) = (points(&a["data"]["result"]), points(&b["data"]["result"]));
    if a.len() != b.len() {
        let missing = a.keys().chain(b.keys());
        let missing: Vec<_> =
            missing.filter(|key| !(a.contains_key(*key) && b.contains_key(*key))).take(3).collect();
        return Some(format!("{} and {} points, such as {missing:?}", a.len(), b.len()));
    }
    for (key, value) in &a {
        let Some(other) = b.get(key) else { return Some(format!("{key:?} is ours alone")) };
        if !close(*value, *other) {
            return Some(format!("{key:?}: ours {value}, theirs {other}"));
        }
    }
    None
}

/// Every value of a result, by labels and time.
fn points(result: &Value) -> BTreeMap<(String, String), f64> {
    let mut points = BTreeMap::new();
    let mut add = |labels: &Value, sample: &Value| {
        let value = parse_float(sample[1].as_str().unwrap()).unwrap();
        points.insert((labels.to_string(), sample[0].to_string()), value);
    };
    let Some(items) = result.as_array() else { return points };
    if items.first().is_some_and(Value::is_number) {
        add(&Value::Null, result);
        return points;
    }
    for item in items {
        for sample in item["values"].as_array().into_iter().flatten() {
            add(&item["metric"], sample);
        }
        if item["value"].is_array() {
            add(&item["metric"], &item["value"]);
        }
    }
    points
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
}
