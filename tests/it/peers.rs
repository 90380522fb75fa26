//! The main job with the real peers: Prometheus scrapes node_exporter and remote-writes to us, a
//! forecast rule watches a series that runs out, the warning arrives in a real Alertmanager, and
//! Prometheus and we give the same answers to the same queries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::http::HttpClient;
use crate::support::process::{Process, free_port, peer, poll};

const RULES: &str = r#"
defaults { every 1s }

# The drain of the test: half a gigabyte that ends ten minutes after the first sample.
rule DrainEnds {
  signal  test_volume_avail_bytes
  unit    bytes
  page    when reaches 0 within 12m
  say     "{{ $labels.volume }} on {{ $labels.instance }} is full in {{ $eta | humanizeDuration }}"
}
"#;

/// Asked at one instant of both servers, off the samples' timestamps.
const QUERIES: [&str; 20] = [
    "up",
    "node_cpu_seconds_total",
    "sum by (mode) (rate(node_cpu_seconds_total[30s]))",
    "rate(node_network_receive_bytes_total[20s])",
    "increase(node_context_switches_total[30s])",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "count by (job) ({__name__=~\"node_.+\"})",
    "topk(3, node_filesystem_avail_bytes)",
    "max_over_time(node_load1[30s]) - min_over_time(node_load1[30s])",
    "avg_over_time(node_memory_MemFree_bytes[30s])",
    "quantile(0.9, rate(node_cpu_seconds_total[30s]))",
    "histogram_quantile(0.9, rate(prometheus_http_request_duration_seconds_bucket[30s]))",
    "histogram_quantile(0.5, sum by (le) (prometheus_tsdb_compaction_chunk_range_seconds_bucket))",
    "prometheus_http_requests_total * on (instance) group_left (version) prometheus_build_info",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "deriv(node_memory_MemFree_bytes[30s])",
    "max_over_time(rate(node_cpu_seconds_total{mode=\"idle\"}[10s])[20s:2s])",
    "node_time_seconds offset 5s",
    "absent(nothing_of_this_name)",
    "sum without (cpu) (node_cpu_seconds_total) > bool 1 unless node_load1",
];

/// How far back the queries' ranges and offsets reach from that instant, s.
const RANGES_S: [i64; 5] = [0, 5, 10, 20, 30];

struct Peers {
    prometheus: PathBuf,
    alertmanager: PathBuf,
    node_exporter: PathBuf,
}

fn peers() -> Option<Peers> {
    let prometheus = peer("prometheus");
    let alertmanager = peer("prometheus-alertmanager");
    let node_exporter = peer("prometheus-node-exporter");
    Some(Peers {
        prometheus: prometheus?,
        alertmanager: alertmanager?,
        node_exporter: node_exporter?,
    })
}

#[test]
fn the_main_job_with_real_peers() {
    let Some(peers) = peers() else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        #[expect(clippy::disallowed_methods, reason = "test input")]
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let [port, prometheus_port, alertmanager_port, exporter_port] = [(); 4].map(|()| free_port());
    let client = |port: u16| HttpClient::new(format!("http://127.0.0.1:{port}"));

    // Alertmanager, with no one to tell.
    let config = file("alertmanager.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n");
    let mut alertmanager = Process::start(
        &peers.alertmanager,
        &[
            format!("--config.file={config}"),
            format!("--storage.path={}", dir.join("alertmanager").display()),
            format!("--web.listen-address=127.0.0.1:{alertmanager_port}"),
            "--cluster.listen-address=".to_owned(),
        ],
        dir.join("alertmanager.log"),
    );
    alertmanager.wait_ready(&client(alertmanager_port), "/-/ready");

    // We.
    let rules = file("drain.rules", RULES);
    let config = file(
        "forewarn.yml",
        &format!(
            "rule_files: [{rules:?}]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager_port}']}}]}}]}}\n"
        ),
    );
    let _forewarn = Process::forewarn(dir, port, &[&format!("--config.file={config}")]);

    // node_exporter, with a volume of ours that drains.
    let textfiles = dir.join("textfiles");
    std::fs::create_dir(&textfiles).unwrap();
    let drain = Drain::start(&textfiles);
    let mut exporter = Process::start(
        &peers.node_exporter,
        &[
            format!("--web.listen-address=127.0.0.1:{exporter_port}"),
            format!("--collector.textfile.directory={}", textfiles.display()),
        ],
        dir.join("node_exporter.log"),
    );
    exporter.wait_ready(&client(exporter_port), "/");

    // Prometheus scrapes both, itself too, each second and remote-writes all to us.
    let config = file(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n\
             - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{exporter_port}']}}]}}\n\
             - {{job_name: prometheus, static_configs: [{{targets: ['127.0.0.1:{prometheus_port}']}}]}}\n\
             remote_write:\n\
             - url: http://127.0.0.1:{port}/api/v1/write\n  \
               queue_config: {{batch_send_deadline: 500ms}}\n"
        ),
    );
    let mut prometheus = Process::start(
        &peers.prometheus,
        &[
            format!("--config.file={config}"),
            format!("--storage.tsdb.path={}", dir.join("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{prometheus_port}"),
        ],
        dir.join("prometheus.log"),
    );
    prometheus.wait_ready(&client(prometheus_port), "/-/ready");

    let (ours, theirs) = (client(port), client(prometheus_port));
    same_answers(&ours, &theirs);
    warned_in_time(&ours, &client(alertmanager_port), &drain);
}

fn now_s() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "real peers live on the real clock")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A file for node_exporter's textfile collector, written anew several times a second.
struct Drain {
    stop: Arc<AtomicBool>,
    writer: Option<std::thread::JoinHandle<()>>,
}

impl Drain {
    fn start(dir: &Path) -> Drain {
        let (dir, stop) = (dir.to_owned(), Arc::new(AtomicBool::new(false)));
        let (stopped, end_s) = (stop.clone(), now_s() + 600.0);
        let writer = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let bytes = ((end_s - now_s()).max(0.0) * 1e6).round();
                let text = format!("test_volume_avail_bytes{{volume=\"data\"}} {bytes}\n");
                let (whole, part) = (dir.join("drain.prom"), dir.join("drain.part"));
                #[expect(clippy::disallowed_methods, reason = "input of the exporter")]
                std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &whole)).unwrap();
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Drain { stop, writer: Some(writer) }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Both servers answer all queries alike, at an instant that both have seen.
#[track_caller]
fn same_answers(ours: &HttpClient, theirs: &HttpClient) {
    // Half a minute of data, and an instant between the samples' timestamps.
    let scraped = |client: &HttpClient, query: &str| -> Option<f64> {
        let answer = client.get_with("/api/v1/query", &[("query", query)]).ok()?.json();
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    let enough = "min(count_over_time(up[5m]))";
    poll("Prometheus has 35 scrapes", Duration::from_mins(2), || {
        scraped(theirs, enough).filter(|scrapes| *scrapes >= 35.0)
    });
    let sampled = sample_times(theirs);
    let newest_ms = *sampled.last().unwrap();
    poll("remote write has caught up", Duration::from_mins(1), || {
        let newest_s = newest_ms as f64 / 1000.0;
        scraped(ours, "min(timestamp(up))").filter(|time| *time > newest_s + 1.0)
    });
    // This Prometheus takes ranges as closed on the left: none may begin at a sample.
    let begins_at_sample =
        |time_ms: &i64| RANGES_S.iter().any(|s| sampled.contains(&(time_ms - s * 1000)));
    let time_ms =
        (newest_ms + 1..newest_ms + 1_000).find(|time_ms| !begins_at_sample(time_ms)).unwrap();
    let time = format!("{:.3}", time_ms as f64 / 1000.0);
    let mut differences = Vec::new();
    for query in QUERIES {
        let parameters = [("query", query), ("time", &time)];
        let answers = [ours, theirs]
            .map(|server| vector(&server.get_with("/api/v1/query", &parameters).unwrap().json()));
        let [ours, theirs] = &answers;
        let same = ours.keys().eq(theirs.keys())
            && ours.iter().all(|(labels, value)| close(*value, theirs[labels]));
        if !same {
            differences.push(format!("{query} at {time}\n  ours {ours:?}\n  theirs {theirs:?}"));
        }
        let nothing = theirs.is_empty();
        assert!(!nothing, "the query compares nothing: {query}");
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

/// When the targets were scraped during the last minutes, ms, sorted.
fn sample_times(server: &HttpClient) -> Vec<i64> {
    let answer = server.get_with("/api/v1/query", &[("query", "up[5m]")]).unwrap().json();
    let series = answer["data"]["result"].as_array().unwrap().iter();
    let values = series.flat_map(|series| series["values"].as_array().unwrap());
    let ms = |value: &serde_json::Value| (value[0].as_f64().unwrap() * 1000.0).round() as i64;
    let mut times: Vec<i64> = values.map(ms).collect();
    times.sort_unstable();
    times
}

fn vector(answer: &serde_json::Value) -> BTreeMap<String, f64> {
    let elements = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
    elements
        .iter()
        .map(|element| {
            let value = element["value"][1].as_str().unwrap_or_else(|| panic!("{answer}"));
            let labels: BTreeMap<_, _> = element["metric"].as_object().unwrap().iter().collect();
            (format!("{labels:?}"), forewarn::series::parse_float(value).unwrap())
        })
        .collect()
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * (a.abs() + b.abs())
}

/// The warning is in Alertmanager within three minutes of the series' first sample.
#[track_caller]
fn warned_in_time(ours: &HttpClient, alertmanager: &HttpClient, _drain: &Drain) {
    let alert = poll("the warning is in Alertmanager", Duration::from_mins(3), || {
        let alerts = alertmanager.get("/api/v2/alerts").ok()?.json();
        alerts.as_array()?.iter().find(|a| a["labels"]["alertname"] == "DrainEnds").cloned()
    });
    let first = ours
        .get_with("/api/v1/query", &[("query", "test_volume_avail_bytes[20m]")])
        .unwrap()
        .json()["data"]["result"][0]["values"][0][0]
        .as_f64()
        .unwrap();
    let starts = alert["startsAt"].as_str().unwrap();
    let starts: jiff::Timestamp = starts.parse().unwrap();
    let after_s = starts.as_millisecond() as f64 / 1000.0 - first;
    println!("warned {after_s:.1} s after the first sample: {alert:#}");
    assert!(after_s <= 180.0, "warned {after_s} s after the first sample");
    assert_eq!(alert["labels"]["severity"], "page");
    assert_eq!(alert["labels"]["volume"], "data");
    for annotation in ["why", "summary"] {
        assert!(alert["annotations"][annotation].as_str().is_some_and(|text| !text.is_empty()));
    }
    assert!(alert["generatorURL"].as_str().unwrap().contains("/graph?g0.expr="));
    let firing = ours
        .get_with(
            "/api/v1/query",
            &[("query", "ALERTS{alertname=\"DrainEnds\",alertstate=\"firing\"}")],
        )
        .unwrap()
        .json();
    assert_eq!(firing["data"]["result"].as_array().unwrap().len(), 1, "{firing}");
}
