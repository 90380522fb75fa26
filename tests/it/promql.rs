//! PromQL: our own scripts, upstream's where they are at hand, and what scripts cannot say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forewarn::env::{Clock, ManualClock};
use forewarn::promql::testing::run_script;
use forewarn::promql::{
    CancelToken, Engine, EngineOptions, QueryError, QueryOptions, QueryValue, RangeQuery, Value,
    parse,
};
use forewarn::series::Labels;
use forewarn::store::Store;

/// Upstream's 852 cases of floats in the stable language must all pass, and nearly all others.
const UPSTREAM_PASSED_LEAST: usize = 2213;

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
    // A subquery with more steps than could ever be held is refused before it is begun.
    for text in ["count_over_time(vector(1)[200y:1ms])", "max_over_time(up[10000d:1ms])"] {
        assert!(matches!(query(text), Err(QueryError::TooManySamples { .. })), "{text}");
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
    assert!(matches!(slow(50), Err(QueryError::Timeout)));
    assert!(slow(1000).is_ok());
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
