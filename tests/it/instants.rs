//! An instant query, much of which is answered without decoding a sample, says what a range query
//! says at that step.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewarn::env::ManualClock;
use forewarn::promql::{Engine, EngineOptions, QueryOptions, QueryValue, RangeQuery, Value, parse};
use forewarn::series::{Histogram, Labels, Matcher, STALE_NAN, TimeRange, format_float};
use forewarn::store::Store;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Eight hours of series that end, come late, are deleted, are histograms or both, most of it in
/// blocks by then.
fn filled(seed: u64) -> (Store, Arc<ManualClock>, i64) {
    let start_ms = 400_000 * HOUR;
    let clock = Arc::new(ManualClock::new(start_ms));
    let store = Store::in_memory(clock.clone());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut appender = store.appender();
    let mut now_ms = start_ms;
    for minute in 0..8 * 60 {
        now_ms = start_ms + minute * MINUTE;
        clock.set(now_ms);
        let mut transaction = appender.begin();
        for n in 0..20usize {
            let kind = ["steady", "gaps", "late", "histogram", "mixed"][n % 5];
            let labels =
                Labels::from_pairs([("__name__", "m"), ("kind", kind), ("n", &n.to_string())]);
            if kind != "steady" && random.u8(0..10) == 0 {
                continue;
            }
            let late_ms = if kind == "late" { random.i64(0..4) * MINUTE } else { 0 };
            let series = transaction.series(None, &labels);
            let time_ms = now_ms - late_ms + n as i64;
            if kind == "histogram" || kind == "mixed" && minute % 7 < 3 {
                let count = f64::from(random.u8(1..200));
                let sum = if random.u8(0..20) == 0 { STALE_NAN } else { count };
                let histogram = Histogram { count, zero_count: count, sum, ..Histogram::default() };
                transaction.histogram(series, time_ms, histogram, 0);
            } else {
                let ends = kind == "gaps" && random.u8(0..20) == 0;
                let value = if ends { STALE_NAN } else { f64::from(random.u8(..)) };
                transaction.sample(series, time_ms, value, 0);
            }
        }
        transaction.commit().unwrap();
        if minute == 200 {
            store.maintain().unwrap();
        }
    }
    store.maintain().unwrap();
    let gone = TimeRange::new(now_ms - 10 * MINUTE, now_ms);
    store.delete_series(&[Matcher::equal("n", "10")], gone).unwrap();
    (store, clock, now_ms)
}

#[test]
fn an_instant_is_the_step_of_a_range() {
    let exprs = [
        "m",
        "m offset 7m",
        "m{kind=~\"late|gaps\"}",
        "count(m)",
        "count by (kind) (m)",
        "count by (kind, nothing) (m{n!=\"3\"})",
        "count by (n) (m offset 3m)",
        "count without (n) (m)",
        "group by (__name__) (m)",
        "sum by (kind) (m)",
        "count(nothing)",
    ];
    for seed in 1..=3 {
        let (store, clock, now_ms) = filled(seed);
        assert!(!store.status().blocks.is_empty());
        let engine = Engine::new(EngineOptions::default(), clock);
        let (snapshot, options) = (store.snapshot(), QueryOptions::default());
        let mut random = fastrand::Rng::with_seed(seed);
        for number in 0..80 {
            // Half of them where the head alone answers.
            let oldest = if number % 2 == 0 { 20 * MINUTE } else { 8 * HOUR };
            let time_ms = now_ms - random.i64(-2 * MINUTE..oldest);
            for text in exprs {
                let expr = parse(text).unwrap();
                let instant = engine.instant(&snapshot, &expr, time_ms, &options).unwrap().value;
                let range = RangeQuery { start_ms: time_ms - 1, end_ms: time_ms, step_ms: 1 };
                let range = engine.range(&snapshot, &expr, range, &options).unwrap().value;
                assert_eq!(at(&instant, time_ms), at(&range, time_ms), "{text} at {time_ms}");
            }
        }
    }
}

/// Returns what an answer says of a time.
fn at(value: &QueryValue, time_ms: i64) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::Float(value) => format_float(*value),
        Value::Histogram(histogram) => histogram.to_string(),
    };
    match value {
        QueryValue::Vector(elements) => {
            elements.iter().map(|one| (one.labels.to_string(), text(&one.value))).collect()
        }
        QueryValue::Matrix(matrix) => {
            let series = matrix.clone().into_series();
            let values = series.iter().flat_map(|one| {
                let floats = one.points.times_ms.iter().zip(&one.points.values);
                let floats = floats.map(|(time_ms, value)| (*time_ms, Value::Float(*value)));
                let histograms = one.points.histograms.iter();
                let histograms = histograms
                    .map(|point| (point.time_ms, Value::Histogram(point.histogram.clone())));
                floats
                    .chain(histograms)
                    .map(|(at_ms, value)| (one.labels.to_string(), at_ms, value))
            });
            values
                .filter(|(_, at_ms, _)| *at_ms == time_ms)
                .map(|(labels, _, value)| (labels, text(&value)))
                .collect()
        }
        other => panic!("{other:?}"),
    }
}
