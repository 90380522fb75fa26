//! What the queries of a dashboard cost the engine, without HTTP: instants over a fleet of 70,000
//! series, most of them in the head, and ranges over a day of 1,000 series in blocks.

use std::sync::Arc;

use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use forewarn::env::{Clock, ManualClock, RealDisk, SystemClock};
use forewarn::promql::{Engine, EngineOptions, QueryOptions, RangeQuery, parse};
use forewarn::series::Labels;
use forewarn::store::{Store, StoreOptions, WalSync};

const T0: i64 = 1_700_000_000_000;
const SCRAPE_MS: i64 = 15_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const HOSTS: usize = 100;
const MODES: [&str; 8] = ["user", "system", "idle", "iowait", "irq", "softirq", "nice", "steal"];

/// A series that moves: by up to `step` at each scrape, counted in `unit`.
struct Moving {
    labels: Labels,
    value: f64,
    step: u32,
    unit: f64,
}

fn host(number: usize, metric: &str, more: &[(&str, String)]) -> Labels {
    let common = [
        ("__name__", metric.to_owned()),
        ("cluster", "eu-west-1a".to_owned()),
        ("environment", "production".to_owned()),
        ("instance", format!("node-{number:03}.example.net:9100")),
        ("job", "node".to_owned()),
    ];
    Labels::from_pairs(common.iter().chain(more).map(|(name, value)| (*name, value)))
}

/// 700 series of each host: processors, load, filesystems, requests, and others.
fn fleet() -> Vec<Moving> {
    let mut series = Vec::new();
    for number in 0..HOSTS {
        let mut add = |metric: &str, more: &[(&str, String)], step, unit| {
            let labels = host(number, metric, more);
            series.push(Moving { labels, value: 0.0, step, unit });
        };
        for cpu in 0..8 {
            for (place, mode) in MODES.iter().enumerate() {
                let more = [("cpu", cpu.to_string()), ("mode", (*mode).to_owned())];
                add("node_cpu_seconds_total", &more, 1 << place, 0.01);
            }
        }
        add("node_load1", &[], 9, 0.01);
        add("node_uname_info", &[("release", format!("6.1.{}", number % 7))], 1, 0.0);
        for disk in 0..4 {
            let more = [("mountpoint", format!("/data/{disk}"))];
            add("node_filesystem_size_bytes", &more, 1, 4096.0);
            add("node_filesystem_avail_bytes", &more, 900, 4096.0);
        }
        for path in ["/", "/cart"] {
            for bucket in 0..12 {
                let le = (0.005 * f64::from(1 << bucket)).to_string();
                let more = [("path", path.to_owned()), ("le", le)];
                add("http_request_duration_seconds_bucket", &more, bucket + 1, 1.0);
            }
        }
        for other in 0..602 {
            add(
                &format!("app_metric_{}_total", other / 2),
                &[("kind", (other % 2).to_string())],
                50,
                1.0,
            );
        }
    }
    series
}

/// 1,000 series: gauges with decimals and counters.
fn thousand() -> Vec<Moving> {
    let series = |number: usize| {
        let more = [("device", format!("dev{}", number / HOSTS))];
        let labels = host(number % HOSTS, "node_disk_io_time_seconds_total", &more);
        Moving { labels, value: 0.0, step: 1 + (number % 40) as u32 * 7, unit: 0.001 }
    };
    (0..1000).map(series).collect()
}

/// Stores scrapes of all series for so long; returns the time of the last.
fn load(store: &Store, clock: &ManualClock, mut series: Vec<Moving>, length_ms: i64) -> i64 {
    let mut random = fastrand::Rng::with_seed(1);
    let mut appender = store.appender();
    let keys: Vec<_> = series.iter().map(|one| one.labels.to_string().into_bytes()).collect();
    let mut time_ms = T0;
    loop {
        clock.set(time_ms);
        for (series, keys) in series.chunks_mut(2_000).zip(keys.chunks(2_000)) {
            let mut transaction = appender.begin();
            for (series, key) in series.iter_mut().zip(keys) {
                let spelling = transaction.speller().spell(key);
                let id = match transaction.known(spelling) {
                    Some(id) => id,
                    None => transaction.series(Some(spelling), &series.labels),
                };
                series.value += f64::from(random.u32(0..=series.step));
                transaction.sample(id, time_ms, series.value * series.unit, 0);
            }
            assert!(transaction.commit().expect("the disk has room").refused.is_empty());
        }
        if time_ms % (30 * MINUTE_MS) == 0 {
            store.maintain().expect("the disk takes it");
        }
        if time_ms >= T0 + length_ms {
            return time_ms;
        }
        time_ms += SCRAPE_MS;
    }
}

fn open(dir: &std::path::Path, clock: Arc<ManualClock>) -> Store {
    let options = StoreOptions {
        dir: dir.to_owned(),
        wal_sync: WalSync::Every(1000),
        ..StoreOptions::default()
    };
    Store::open(options, Arc::new(RealDisk), clock).expect("the directory is ours")
}

struct Asked<'a> {
    engine: Engine,
    store: &'a Store,
    end_ms: i64,
}

impl Asked<'_> {
    fn instant(&self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str, query: &str) {
        self.range(group, name, query, 0, 1);
    }

    /// The last `length_ms`, at steps of `step_ms`; an instant if it has no length.
    fn range(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: &str,
        query: &str,
        length_ms: i64,
        step_ms: i64,
    ) {
        let expr = parse(query).expect("it is PromQL");
        let snapshot = self.store.snapshot();
        let times = RangeQuery { start_ms: self.end_ms - length_ms, end_ms: self.end_ms, step_ms };
        let options = QueryOptions::default();
        let ask = || match length_ms {
            0 => self.engine.instant(&snapshot, &expr, self.end_ms, &options),
            _ => self.engine.range(&snapshot, &expr, times, &options),
        };
        let stats = ask().expect("it has an answer").stats;
        eprintln!("{name}: {} series, {} samples", stats.series_read, stats.samples_read);
        group.bench_function(name, |bencher| bencher.iter(ask));
    }
}

fn engine() -> Engine {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Engine::new(EngineOptions::default(), clock)
}

fn instants(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let clock = Arc::new(ManualClock::new(T0));
    let store = open(dir.path(), clock.clone());
    let end_ms = load(&store, &clock, fleet(), 40 * MINUTE_MS);
    let asked = Asked { engine: engine(), store: &store, end_ms };
    let mut group = criterion.benchmark_group("instant");
    group.sample_size(20);
    for (name, query) in [
        ("one_series", r#"node_load1{instance="node-007.example.net:9100"}"#),
        ("gauge_of_all_hosts", "node_load1"),
        ("regex", r#"node_cpu_seconds_total{instance=~"node-00[0-9].*"}"#),
        ("sum_by_rate", "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
        ("sum_without_rate", "sum without (cpu, instance) (rate(node_cpu_seconds_total[5m]))"),
        (
            "quantile",
            "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
        ),
        ("topk", "topk(10, node_cpu_seconds_total)"),
        (
            "join",
            "node_filesystem_avail_bytes * on (instance) group_left (release) node_uname_info",
        ),
        ("ratio", "node_filesystem_avail_bytes / node_filesystem_size_bytes"),
        ("count_of_all", r#"count by (job) ({__name__=~".+"})"#),
        ("predict_linear", "predict_linear(node_filesystem_avail_bytes[30m], 3600)"),
        ("subquery", "max_over_time(sum(rate(node_load1[5m]))[30m:1m])"),
    ] {
        asked.instant(&mut group, name, query);
    }
    for (name, query) in [
        ("sum_by_rate_30m", "sum by (mode) (rate(node_cpu_seconds_total{cpu=\"3\"}[5m]))"),
        ("gauge_30m", "node_filesystem_avail_bytes"),
    ] {
        asked.range(&mut group, name, query, 30 * MINUTE_MS, SCRAPE_MS);
    }
    group.finish();
}

fn days(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let clock = Arc::new(ManualClock::new(T0));
    let store = open(dir.path(), clock.clone());
    let end_ms = load(&store, &clock, thousand(), DAY_MS);
    let asked = Asked { engine: engine(), store: &store, end_ms };
    let mut group = criterion.benchmark_group("day");
    group.sample_size(20);
    let one =
        r#"node_disk_io_time_seconds_total{device="dev1",instance="node-007.example.net:9100"}"#;
    for (name, query) in [
        ("one_series", one),
        ("raw", "node_disk_io_time_seconds_total"),
        ("summed", "sum(node_disk_io_time_seconds_total)"),
        ("rate", "rate(node_disk_io_time_seconds_total[5m])"),
        ("sum_by_rate", "sum by (device) (rate(node_disk_io_time_seconds_total[5m]))"),
        ("sum_by_rate_1h", "sum by (device) (rate(node_disk_io_time_seconds_total[1h]))"),
        ("subquery", "max_over_time(sum(rate(node_disk_io_time_seconds_total[5m]))[1h:1m])"),
    ] {
        asked.range(&mut group, name, query, DAY_MS, MINUTE_MS);
    }
    group.finish();
}

criterion_group!(benches, instants, days);
criterion_main!(benches);
