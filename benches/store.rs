//! What the store costs: a committed sample, a select, a read, opening after a crash, memory.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use forewarn::env::{ManualClock, RealDisk};
use forewarn::series::{Labels, Matcher, Points, TimeRange};
use forewarn::store::{Store, StoreOptions, WalSync};

const T0: i64 = 1_700_000_000_000;
const SERIES: usize = 70_000;
const BATCH: usize = 2_000;
const ROUNDS: usize = 160;

/// Nine labels, as an application in a cluster has them.
fn labels(number: usize) -> Labels {
    let pod = number / 500;
    Labels::from_pairs([
        ("__name__", format!("http_requests_{}_total", number % 500)),
        ("cluster", "eu-west-1a".to_owned()),
        ("namespace", format!("team-{}", pod % 20)),
        ("pod", format!("checkout-7d9f8c6b5-{pod:05}")),
        ("container", "app".to_owned()),
        ("instance", format!("10.0.{}.{}:9100", pod / 250, pod % 250)),
        ("job", "kubernetes-pods".to_owned()),
        ("method", "GET".to_owned()),
        ("code", (200 + number % 5).to_string()),
    ])
}

fn key(labels: &Labels) -> Vec<u8> {
    labels.to_string().into_bytes()
}

struct Load {
    keys: Vec<Vec<u8>>,
    labels: Vec<Labels>,
    /// Counters.
    values: Vec<f64>,
    random: fastrand::Rng,
    time_ms: i64,
    next: usize,
}

impl Load {
    fn new() -> Load {
        let labels: Vec<_> = (0..SERIES).map(labels).collect();
        let keys = labels.iter().map(key).collect();
        let random = fastrand::Rng::with_seed(1);
        Load { keys, labels, values: vec![0.0; SERIES], random, time_ms: T0, next: 0 }
    }

    /// Commits the next batch of one endless scrape.
    fn batch(&mut self, appender: &mut forewarn::store::Appender, clock: &ManualClock) {
        let mut transaction = appender.begin();
        for _ in 0..BATCH {
            let key = &self.keys[self.next];
            let spelling = transaction.speller().spell(key);
            let series = match transaction.known(spelling) {
                Some(series) => series,
                None => transaction.series(Some(spelling), &self.labels[self.next]),
            };
            self.values[self.next] += f64::from(self.random.u32(0..100));
            transaction.sample(series, self.time_ms, self.values[self.next], 0);
            self.next += 1;
            if self.next == SERIES {
                self.next = 0;
                self.time_ms += 15_000;
                clock.set(self.time_ms);
            }
        }
        assert!(transaction.commit().expect("the disk has room").refused.is_empty());
    }
}

fn open(dir: &std::path::Path, clock: &Arc<ManualClock>) -> Store {
    let options = StoreOptions {
        dir: dir.to_owned(),
        wal_sync: WalSync::Every(100),
        ..StoreOptions::default()
    };
    Store::open(options, Arc::new(RealDisk), clock.clone()).expect("the directory is ours")
}

/// Four matchers, of which each alone fits many series and all together few.
fn matchers() -> [Matcher; 4] {
    [
        Matcher::equal("__name__", "http_requests_7_total"),
        Matcher::equal("namespace", "team-3"),
        Matcher::equal("cluster", "eu-west-1a"),
        Matcher::equal("job", "kubernetes-pods"),
    ]
}

/// Returns the anonymous memory of this process, bytes.
fn memory() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("this is Linux");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("the kernel counts it") * 1024
}

/// One sample for each of a million series.
fn million(criterion: &mut Criterion) {
    const SERIES: usize = 1_000_000;
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let clock = Arc::new(ManualClock::new(T0));
    let store = open(dir.path(), &clock);
    let before = memory();
    let mut appender = store.appender();
    for first in (0..SERIES).step_by(BATCH) {
        let mut transaction = appender.begin();
        for number in first..first + BATCH {
            let labels = labels(number);
            let spelling = transaction.speller().spell(&key(&labels));
            let series = transaction.series(Some(spelling), &labels);
            transaction.sample(series, T0, number as f64, 0);
        }
        assert!(transaction.commit().expect("the disk has room").refused.is_empty());
    }
    eprintln!(
        "head of 1M series, a sample each: {} bytes a series",
        (memory() - before) / 1_000_000
    );
    let snapshot = store.snapshot();
    criterion.bench_function("select_4_matchers_of_1m_series", |bencher| {
        bencher.iter(|| snapshot.select(&matchers(), TimeRange::ALL).expect("the head is sound"));
    });
}

fn store(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let clock = Arc::new(ManualClock::new(T0));
    let store = open(dir.path(), &clock);
    let mut load = Load::new();
    let mut appender = store.appender();
    let before = memory();
    for number in 0..SERIES * ROUNDS / BATCH {
        load.batch(&mut appender, &clock);
        let samples = (number + 1) * BATCH / SERIES;
        if [1, 40, ROUNDS].contains(&samples) && ((number + 1) * BATCH).is_multiple_of(SERIES) {
            let bytes = (memory() - before) / SERIES as u64;
            eprintln!("head of 70k series, {samples} samples each: {bytes} bytes a series");
        }
    }

    let mut group = criterion.benchmark_group("store");
    group.sample_size(10);
    let snapshot = store.snapshot();
    let matchers = matchers();
    group.throughput(Throughput::Elements(1));
    group.bench_function("select_4_matchers", |bencher| {
        bencher.iter(|| snapshot.select(&matchers, TimeRange::ALL).expect("the head is sound"));
    });
    let selected = snapshot.select(&matchers, TimeRange::ALL).expect("the head is sound");
    let mut points = Points::default();
    snapshot.read(&selected[0], TimeRange::ALL, &mut points).expect("the head is sound");
    group.throughput(Throughput::Elements(points.len() as u64));
    group.bench_function("read_one_series", |bencher| {
        bencher.iter(|| snapshot.read(&selected[0], TimeRange::ALL, &mut points));
    });
    let (samples, log) = (store.status().head.samples, store.status().log.size_bytes);
    drop((snapshot, selected, appender, store));
    group.throughput(Throughput::Elements(samples));
    group.bench_function("open_after_crash", |bencher| {
        bencher.iter_batched(|| (), |()| open(dir.path(), &clock), BatchSize::PerIteration);
    });
    let store = open(dir.path(), &clock);
    group.bench_function("checkpoint", |bencher| {
        bencher.iter_batched(
            || load.batch(&mut store.appender(), &clock),
            |()| store.checkpoint().expect("the disk takes it"),
            BatchSize::PerIteration,
        );
    });
    store.checkpoint().expect("the disk takes it");
    drop(store);
    group.bench_function("open_after_checkpoint", |bencher| {
        bencher.iter_batched(|| (), |()| open(dir.path(), &clock), BatchSize::PerIteration);
    });
    // Last, since it adds as many samples as there is time for.
    let store = open(dir.path(), &clock);
    let mut appender = store.appender();
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("commit_2k_samples_of_70k_known_series", |bencher| {
        bencher.iter(|| load.batch(&mut appender, &clock));
    });
    group.finish();
    eprintln!("log: {:.2} bytes a sample", log as f64 / samples as f64);
}

criterion_group!(benches, store, million);
criterion_main!(benches);
