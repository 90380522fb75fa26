//! Any text as a query, at an instant and over a range, of a small store with floats and histograms.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use forewarn::env::{ManualClock, SystemClock};
use forewarn::promql::{
    Engine, EngineOptions, Features, QueryOptions, QueryValue, RangeQuery, parse,
};
use forewarn::series::{Histogram, Labels, Span};
use forewarn::store::Store;
use libfuzzer_sys::fuzz_target;

const T0: i64 = 1_700_000_000_000;

static STORE: LazyLock<Store> = LazyLock::new(|| {
    let store = Store::in_memory(Arc::new(ManualClock::new(T0 + 3_600_000)));
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    for series in 0..8 {
        for (name, label) in [("up", "job"), ("x_bucket", "le"), ("h", "job")] {
            let labels = [
                ("__name__", name),
                (label, &*format!("{}", series % 4)),
                ("i", &*series.to_string()),
            ];
            let id = transaction.series(None, &Labels::from_pairs(labels));
            for n in 0..60 {
                let (time_ms, value) = (T0 + n * 60_000, (n % 23 * (series + 1)) as f64);
                if name != "h" {
                    transaction.sample(id, time_ms, value, 0);
                    continue;
                }
                let histogram = Histogram {
                    schema: (series % 4) as i32,
                    count: 3.0 * value,
                    sum: value,
                    positive_spans: vec![Span { offset: 0, len: 2 }],
                    positive_buckets: vec![value, 2.0 * value],
                    ..Histogram::default()
                };
                transaction.histogram(id, time_ms, histogram, 0);
            }
        }
    }
    transaction.commit().expect("memory has room");
    drop(appender);
    store
});

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let options = EngineOptions {
        max_samples: 100_000,
        timeout: Duration::from_secs(2),
        features: Features::ALL,
        ..EngineOptions::default()
    };
    Engine::new(options, Arc::new(SystemClock::new()))
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(expr) = parse(text) else { return };
    let printed = expr.to_string();
    assert_eq!(parse(&printed).expect("what was printed is an expression").to_string(), printed);
    let (snapshot, options) = (STORE.snapshot(), QueryOptions::default());
    let _ = ENGINE.instant(&snapshot, &expr, T0 + 1_800_000, &options);
    let times = RangeQuery { start_ms: T0, end_ms: T0 + 3_600_000, step_ms: 300_000 };
    if let Ok(result) = ENGINE.range(&snapshot, &expr, times, &options)
        && let QueryValue::Matrix(matrix) = result.value
    {
        assert!(matrix.iter().all(|series| !series.points.is_empty()));
    }
});
