//! PromQL: our own scripts, upstream's where they are at hand, and what scripts cannot say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forewarn::env::{Clock, ManualClock};
use forewarn::promql::testing::run_script;
use forewarn::promql::{
    CancelToken, Engine, EngineOptions, Features, QueryError, QueryOptions, QueryValue, RangeQuery,
    Value, parse,
};
use forewarn::series::Labels;
use forewarn::store::Store;

/// Upstream's 852 cases of floats in the stable language must all pass, and nearly all others.
const UPSTREAM_PASSED_LEAST: usize = 2214;

fn scripts(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut scripts: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "test")).collect();
    scripts.sort();
    scripts
}

/// Runs scripts; returns how many cases passed and what differs.
fn run(paths: &[PathBuf]) -> (usize, Vec<String>) {
    let (mut passed, mut differences) = (0, Vec::new());
    for path in paths {
        let report = run_script(&std::fs::read_to_string(path).unwrap());
        for (line, error) in report.errors {
            differences.push(format!("{}:{line}: {error}", path.display()));
        }
        for case in report.cases {
            match case.difference {
                None => passed += 1,
                Some(difference) => differences.push(format!(
                    "{}:{}: {}\n    {difference}",
                    path.display(),
                    case.line,
                    case.expr
                )),
            }
        }
    }
    (passed, differences)
}

#[test]
fn our_scripts_pass() {
    let paths = scripts(Path::new("testdata/promql"));
    assert!(paths.len() >= 4);
    let (passed, differences) = run(&paths);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(passed > 30);
}

#[test]
fn upstreams_scripts_pass() {
    let paths = scripts(Path::new("../shared/acceptance/promqltest/testdata"));
    if paths.is_empty() {
        println!("skipped: upstream's scripts are not at ../shared/acceptance/promqltest");
        return;
    }
    let (passed, differences) = run(&paths);
    assert!(passed >= UPSTREAM_PASSED_LEAST, "{passed} passed\n{}", differences.join("\n"));
}

struct Fixture {
    store: Store,
    engine: Engine,
}

/// A store with `series` series of one sample a minute for an hour, and an engine.
fn fixture(series: usize, options: EngineOptions) -> Fixture {
    let clock = Arc::new(ManualClock::new(3_600_000));
    let store = Store::in_memory(clock.clone());
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    for minute in 0..60 {
        for index in 0..series {
            let labels = [("__name__", "up".to_owned()), ("i", index.to_string())];
            let id = transaction.series(None, &Labels::from_pairs(labels));
            transaction.sample(id, minute * 60_000, minute as f64, 0);
        }
    }
    transaction.commit().unwrap();
    drop(appender);
    Fixture { store, engine: Engine::new(options, clock) }
}

const HOUR: RangeQuery = RangeQuery { start_ms: 0, end_ms: 3_540_000, step_ms: 60_000 };

#[test]
fn a_query_holds_no_more_samples_than_it_may() {
    let options = EngineOptions { max_samples: 100, ..EngineOptions::default() };
    let f = fixture(10, options);
    let snapshot = f.store.snapshot();
    let query = |text: &str| {
        let expr = parse(text).unwrap();
        f.engine.range(&snapshot, &expr, HOUR, &QueryOptions::default())
    };
    assert!(matches!(query("up"), Err(QueryError::TooManySamples { limit: 100 })));
    assert!(query("up{i=\"1\"}").is_ok());
    // Every step makes a series of its own here.
    let result = query("count_values(\"v\", up{i=\"1\"} + 0)");
    assert!(matches!(result, Err(QueryError::TooManySamples { .. })));
    let billion = RangeQuery { start_ms: 0, end_ms: i64::MAX / 2, step_ms: 1 };
    let expr = parse("1 + time()").unwrap();
    let result = f.engine.range(&snapshot, &expr, billion, &QueryOptions::default());
    assert!(matches!(result, Err(QueryError::TooManySamples { .. })));
    // Labels that double grow no further than a mebibyte each, nor than the limit together.
    let doubled = |times: usize| {
        let mut text = "label_replace(up, \"a\", \"xx\", \"\", \"\")".to_owned();
        for _ in 0..times {
            text = format!("label_replace({text}, \"a\", \"$1$1\", \"a\", \"(.*)\")");
        }
        f.engine.instant(&snapshot, &parse(&text).unwrap(), 0, &QueryOptions::default())
    };
    assert!(doubled(5).is_ok());
    assert!(matches!(doubled(12), Err(QueryError::TooManySamples { .. })));
    let joined =
        format!("label_join(up, \"a\", \"{}\", {})", "-".repeat(10_000), ["\"b\""; 200].join(", "));
    let joined = parse(&joined).unwrap();
    let joined = f.engine.instant(&snapshot, &joined, 0, &QueryOptions::default());
    assert!(matches!(joined, Err(QueryError::Execution(text)) if text.contains("\"a\"")));
    // A subquery with more steps than could ever be held is refused before it is begun.
    for text in ["count_over_time(vector(1)[200y:1ms])", "max_over_time(up[10000d:1ms])"] {
        assert!(matches!(query(text), Err(QueryError::TooManySamples { .. })), "{text}");
    }
}

/// Series of two names with hosts, modes and a label that few have.
fn fleet(series: i64) -> Fixture {
    let clock = Arc::new(ManualClock::new(3_600_000));
    let store = Store::in_memory(clock.clone());
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    for number in 0..series {
        let labels = [
            ("__name__", if number % 2 == 0 { "a_total" } else { "b_total" }.to_owned()),
            ("host", format!("h{:03}", number / 2 % (series / 12))),
            ("mode", format!("m{}", number * 6 / series)),
            ("rare", if number % 7 == 0 { "yes".to_owned() } else { String::new() }),
        ];
        let id = transaction.series(None, &Labels::from_pairs(labels));
        for n in 0..24 {
            // Some end, some are reset, some come late.
            let end = if number % 11 == 0 { f64::from_bits(0x7ff0_0000_0000_0002) } else { 1.0 };
            let value = if n == 23 { end } else { (n * number % 97) as f64 / 8.0 };
            transaction.sample(id, 3_000_000 + n * 15_000 + number % 3, value, 0);
        }
    }
    transaction.commit().unwrap();
    drop(appender);
    Fixture { store, engine: Engine::new(EngineOptions::default(), clock) }
}

fn elements(f: &Fixture, text: &str) -> Vec<(String, f64)> {
    let expr = parse(text).unwrap();
    let options = QueryOptions::default();
    let result = f.engine.instant(&f.store.snapshot(), &expr, 3_350_000, &options).unwrap();
    let QueryValue::Vector(elements) = result.value else { panic!("{text}") };
    let value = |value: &Value| value.as_float().unwrap();
    elements.iter().map(|one| (one.labels.to_string(), value(&one.value))).collect()
}

#[test]
fn an_aggregation_may_leave_out_labels_and_says_the_same() {
    let f = fleet(600);
    let mut asked = 0;
    for op in ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"] {
        for grouping in [
            "by (mode)",
            "by (rare, host)",
            "by ()",
            "without (host)",
            "without (host, mode, rare)",
        ] {
            for inner in [
                "a_total",
                "{__name__=~\".+\"}",
                "rate(a_total[5m])",
                "max_over_time(b_total{mode!=\"m1\"}[2m])",
            ] {
                let parameter = if op == "quantile" { "0.3, " } else { "" };
                let short = elements(&f, &format!("{op} {grouping} ({parameter}{inner})"));
                // An operator in between sees all labels.
                let mut long =
                    elements(&f, &format!("{op} {grouping} ({parameter}{inner} or vector(1) > 2)"));
                let mut sorted = short.clone();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                long.sort_by(|a, b| a.0.cmp(&b.0));
                assert_eq!(sorted.len(), long.len(), "{op} {grouping} {inner}");
                for ((labels, value), (expected_labels, expected)) in sorted.iter().zip(&long) {
                    let near = (value - expected).abs() <= 1e-12 * expected.abs();
                    assert!(
                        labels == expected_labels && near,
                        "{op} {grouping} {inner}: {labels} {value} {expected}"
                    );
                }
                assert_eq!(short, elements(&f, &format!("{op} {grouping} ({parameter}{inner})")));
                asked += long.len();
            }
        }
    }
    assert!(asked > 1_000, "{asked}");
    // Series that differ only in their names are an error once these are gone.
    let rate = parse("sum(rate({__name__=~\".+\"}[5m]))").unwrap();
    let result = f.engine.instant(&f.store.snapshot(), &rate, 3_350_000, &QueryOptions::default());
    assert!(matches!(result, Err(QueryError::Execution(text)) if text.contains("same labelset")));
}

#[test]
fn what_several_processors_read_comes_in_order_and_whole() {
    let f = fleet(6_000);
    let expr = parse("{__name__=~\"a.*|b.*\"}").unwrap();
    let times = RangeQuery { start_ms: 3_000_000, end_ms: 3_345_000, step_ms: 15_000 };
    let options = QueryOptions::default();
    let result = f.engine.range(&f.store.snapshot(), &expr, times, &options).unwrap();
    assert_eq!((result.stats.series_read, result.stats.samples_read), (6_000, 6_000 * 24 - 4_000));
    let QueryValue::Matrix(matrix) = result.value else { panic!() };
    assert_eq!(matrix.len(), 6_000);
    let series = matrix.into_series();
    assert!(series.windows(2).all(|pair| pair[0].labels < pair[1].labels));
    let read = f.store.snapshot().select(&[], forewarn::series::TimeRange::ALL).unwrap();
    let mut points = forewarn::series::Points::default();
    for (read, series) in read.iter().zip(&series) {
        f.store.snapshot().read(read, forewarn::series::TimeRange::ALL, &mut points).unwrap();
        assert_eq!(read.labels, series.labels);
        // A sample that comes a little after the step is seen by the next one.
        let late = usize::from(points.times_ms[0] > 3_000_000);
        assert_eq!(series.points.values[..22 - late], points.values[..22 - late]);
    }
}

/// A clock on which every look takes a second.
#[derive(Default)]
struct SlowClock(AtomicU64);

impl Clock for SlowClock {
    fn now_ms(&self) -> i64 {
        3_600_000
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

#[test]
fn a_query_stops_when_it_is_told_to_or_its_time_is_up() {
    let f = fixture(100, EngineOptions::default());
    let (snapshot, expr) = (f.store.snapshot(), parse("sum(up)").unwrap());
    let cancel = CancelToken::default();
    cancel.cancel();
    let options = QueryOptions { cancel, ..QueryOptions::default() };
    let result = f.engine.range(&snapshot, &expr, HOUR, &options);
    assert!(matches!(result, Err(QueryError::Canceled)));
    let slow = |timeout_s| {
        let timeout = Duration::from_secs(timeout_s);
        let options = EngineOptions { timeout, ..EngineOptions::default() };
        let engine = Engine::new(options, Arc::new(SlowClock::default()));
        engine.range(&snapshot, &expr, HOUR, &QueryOptions::default()).map(|result| result.value)
    };
    assert!(matches!(slow(6), Err(QueryError::Timeout)));
    assert!(slow(1000).is_ok());
}

#[test]
fn a_query_of_one_series_is_asked_on_its_way_whether_it_is_to_stop() {
    let f = fixture(1, EngineOptions::default());
    let expr = parse("quantile_over_time(0.5, up[1h])").unwrap();
    let looks = |step_ms| {
        let clock = Arc::new(SlowClock::default());
        let options =
            EngineOptions { timeout: Duration::from_secs(1000), ..EngineOptions::default() };
        let engine = Engine::new(options, clock.clone());
        let times = RangeQuery { start_ms: 3_600_000, end_ms: 7_200_000, step_ms };
        engine.range(&f.store.snapshot(), &expr, times, &QueryOptions::default()).unwrap();
        clock.0.load(Ordering::SeqCst)
    };
    // 144,000 steps see 30 samples on average.
    let (many, one) = (looks(25), looks(3_600_000));
    assert!(many >= one + 3, "{many} {one}");
}

#[test]
fn experimental_parts_need_their_flag_and_the_error_names_it() {
    let f = fixture(1, EngineOptions::default());
    let snapshot = f.store.snapshot();
    for (text, flag) in [
        ("limitk(1, up)", "promql-experimental-functions"),
        ("mad_over_time(up[5m])", "promql-experimental-functions"),
        ("rate(up[5m] anchored)", "promql-extended-range-selectors"),
        ("up + fill(0) up", "promql-binop-fill-modifiers"),
    ] {
        let expr = parse(text).unwrap();
        let result = f.engine.instant(&snapshot, &expr, 0, &QueryOptions::default());
        let Err(QueryError::Parse(diagnostics)) = result else { panic!("{text}") };
        assert!(diagnostics[0].help.as_ref().unwrap().contains(flag), "{diagnostics:?}");
    }
    assert!(
        f.engine
            .instant(&snapshot, &parse("up[2m*2]").unwrap(), 0, &QueryOptions::default())
            .is_ok()
    );
}

#[test]
fn names_go_at_once_unless_their_removal_is_delayed() {
    let f = fixture(1, EngineOptions::default());
    let expr = parse("abs(up)").unwrap();
    let result =
        f.engine.instant(&f.store.snapshot(), &expr, 60_000, &QueryOptions::default()).unwrap();
    let QueryValue::Vector(elements) = result.value else { panic!() };
    assert_eq!(elements.len(), 1);
    assert_eq!(elements[0].labels.to_string(), "{i=\"0\"}");
    assert_eq!(elements[0].value, Value::Float(1.0));
    assert_eq!((result.stats.samples_read, result.stats.series_read), (2, 1));
}

#[test]
fn type_and_unit_go_with_the_name_where_that_is_switched_on() {
    for (feature, expected) in
        [("", "{__type__=\"gauge\", __unit__=\"s\"}"), ("type-and-unit-labels", "{}")]
    {
        let features = Features::parse(feature).unwrap();
        let f = fixture(0, EngineOptions { features, ..EngineOptions::default() });
        let mut appender = f.store.appender();
        let mut transaction = appender.begin();
        let labels = [("__name__", "t"), ("__type__", "gauge"), ("__unit__", "s")];
        let id = transaction.series(None, &Labels::from_pairs(labels));
        (0..4).for_each(|n| transaction.sample(id, n * 15_000, 1.0, 0));
        transaction.commit().unwrap();
        for text in ["abs(t)", "rate(t[1m])", "-t", "t * 2", "sum without () (rate(t[1m]))"] {
            let found = f.engine.instant(
                &f.store.snapshot(),
                &parse(text).unwrap(),
                60_000,
                &QueryOptions::default(),
            );
            let QueryValue::Vector(elements) = found.unwrap().value else { panic!() };
            assert_eq!(elements[0].labels.to_string(), expected, "{text}");
        }
    }
}

mod random {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn number() -> impl Strategy<Value = String> {
        select(vec![
            "0",
            "1",
            "2.5",
            "-1",
            "NaN",
            "Inf",
            "-Inf",
            "1e300",
            "1e-320",
            "9e15",
            "0x7fffffffffffffff",
        ])
        .prop_map(str::to_owned)
    }

    fn selector() -> impl Strategy<Value = String> {
        let series = select(vec![
            "c_total",
            "g",
            "h",
            "mixed",
            "{job=\"a\"}",
            "c_total{i=~\"1|2\"}",
            "nothing",
            "b_bucket",
        ]);
        let suffix = select(vec![
            "",
            "",
            "",
            " offset 1m",
            " offset -2m",
            " @ 120",
            " @ start()",
            " @ end() offset 30s",
            " @ -9e15",
            " @ 9e15",
            " offset 290y",
            " offset -290y",
            " smoothed",
        ]);
        (series, suffix).prop_map(|(series, suffix)| format!("{series}{suffix}"))
    }

    fn range() -> impl Strategy<Value = String> {
        let series = select(vec!["c_total", "g", "h", "mixed", "c_total{i=\"1\"}", "b_bucket"]);
        let range = select(vec![
            "[1m]",
            "[5m]",
            "[90s]",
            "[1ms]",
            "[290y]",
            "[5m] anchored",
            "[3m] smoothed",
            "[step() + 1m]",
            "[5m] @ 120",
            "[5m] offset -1m",
            "[5m] @ end()",
        ]);
        (series, range).prop_map(|(series, range)| format!("{series}{range}"))
    }

    const OVER_RANGES: &[&str] = &[
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "resets",
        "changes",
        "deriv",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "stddev_over_time",
        "last_over_time",
        "first_over_time",
        "present_over_time",
        "absent_over_time",
        "mad_over_time",
        "ts_of_max_over_time",
        "ts_of_last_over_time",
    ];
    const OF_VECTORS: &[&str] = &[
        "abs",
        "ceil",
        "ln",
        "sgn",
        "sqrt",
        "round",
        "timestamp",
        "absent",
        "sort",
        "sort_desc",
        "minute",
        "days_in_month",
        "year",
        "histogram_count",
        "histogram_avg",
        "histogram_stddev",
        "info",
        "start_timestamp",
        "-",
        "+",
        "vector(scalar(g)) + ",
    ];

    /// Expressions of the whole language that give a vector.
    fn vector() -> impl Strategy<Value = String> {
        let over_range =
            (select(OVER_RANGES), range()).prop_map(|(name, range)| format!("{name}({range})"));
        let leaf = prop_oneof![
            selector(),
            over_range,
            (number(), range()).prop_map(|(q, range)| format!("quantile_over_time({q}, {range})")),
            (range(), number()).prop_map(|(range, t)| format!("predict_linear({range}, {t})")),
            (range(), number(), number()).prop_map(|(range, a, b)| format!(
                "double_exponential_smoothing({range}, {a}, {b})"
            )),
            number().prop_map(|number| format!("vector({number})")),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let op = select(vec![
                "+",
                "-",
                "*",
                "/",
                "%",
                "^",
                "atan2",
                "==",
                "> bool",
                "<=",
                "and",
                "or",
                "unless",
                "</",
                ">/",
                "* on (i) group_left ()",
                "/ ignoring (i) group_right (job)",
                "+ on (job, i) fill (1)",
                "and on ()",
                "- fill_left(0)",
            ]);
            let aggregation = select(vec![
                "sum",
                "avg",
                "count",
                "min",
                "max",
                "group",
                "stddev",
                "stdvar",
                "topk(2",
                "bottomk(1",
                "quantile(0.5",
                "count_values(\"v\"",
                "limitk(1",
                "limit_ratio(0.5",
                "topk(-1",
                "quantile(7",
            ]);
            let by = select(vec!["", " by (i)", " without (job)", " by (le, i)"]);
            let subquery =
                select(vec!["[5m:1m]", "[3m:]", "[1m:7s] offset 1m", "[5m:1m] @ 200", "[290y:1y]"]);
            prop_oneof![
                (inner.clone(), op, inner.clone())
                    .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
                (number(), inner.clone()).prop_map(|(number, a)| format!("{number} * ({a})")),
                (inner.clone(), number()).prop_map(|(a, number)| format!("({a}) </ {number}")),
                (aggregation, by, inner.clone()).prop_map(|(aggregation, by, a)| {
                    match aggregation.split_once('(') {
                        Some((name, parameter)) => format!("{name}{by}({parameter}, {a})"),
                        None => format!("{aggregation}{by}({a})"),
                    }
                }),
                (select(OF_VECTORS), inner.clone()).prop_map(|(name, a)| format!("{name}({a})")),
                (select(OVER_RANGES), inner.clone(), subquery)
                    .prop_map(|(name, a, subquery)| format!("{name}(({a}){subquery})")),
                (number(), inner.clone())
                    .prop_map(|(q, a)| format!("histogram_quantile({q}, {a})")),
                (number(), number(), inner.clone())
                    .prop_map(|(a, b, v)| format!("histogram_fraction({a}, {b}, {v})")),
                (number(), inner.clone()).prop_map(|(a, v)| format!("clamp({v}, {a}, 2)")),
                inner.clone().prop_map(|a| format!(
                    "label_replace({a}, \"x\", \"$1-${{2}}\", \"i\", \"(.)(.?).*\")"
                )),
                inner.prop_map(|a| format!("label_join({a}, \"__name__\", \"-\", \"i\", \"job\")")),
            ]
        })
    }

    const DATA: &str = "load 30s
  c_total{i=\"1\", job=\"a\"} 0+10x5 0+10x5
  c_total{i=\"2\", job=\"a\"} 0 1 stale _ 5 NaN Inf 3
  g{i=\"1\", job=\"a\"} -5+3x12
  h{i=\"1\", job=\"a\"} {{schema:0 count:4 sum:6 z_bucket:1 z_bucket_w:0.1 buckets:[1 2] n_buckets:[1]}}+{{schema:0 count:2 sum:3 buckets:[1 1]}}x6
  h{i=\"2\", job=\"a\"} {{schema:2 count:3 sum:NaN buckets:[1 1]}}x3 {{schema:-53 count:2 sum:1 custom_values:[1 2] buckets:[1 0 1]}}x3
  mixed{i=\"1\", job=\"a\"} 1 2 {{schema:1 count:1 sum:1 buckets:[1] counter_reset_hint:gauge}}x3 5
  b_bucket{i=\"1\", le=\"1\"} 0+1x10
  b_bucket{i=\"1\", le=\"+Inf\"} 0+2x10
  target_info{job=\"a\", instance=\"x\", version=\"1\"} 1x10
";

    /// Strips the query to what a script line can hold, and asks for it in all ways that a script
    /// case is run; the answer does not matter.
    #[track_caller]
    fn survives(text: &str) {
        let script = format!(
            "{DATA}\neval instant at 3m {text}\n\neval range from 0 to 6m step 45s {text}\n\neval range from 0 to 0 step 1s {text}\n"
        );
        let report = run_script(&script);
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        assert_eq!(report.cases.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn any_expression_gives_an_answer_or_an_error(text in vector()) {
            survives(&text);
        }
    }
}
