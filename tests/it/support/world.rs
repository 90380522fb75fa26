//! A server without sockets: store, rules and alerts on a clock that the test moves.

use std::sync::Arc;

use forewarn::alerts::{Manager, ManagerOptions, NotifiableAlert, Sink};
use forewarn::env::{Clock, ManualClock};
use forewarn::promql::{self, Engine, EngineOptions, QueryOptions, QueryValue, VectorElement};
use forewarn::rules::{self, GroupSpec, LoadOptions, LocalEvaluator, RuleSource};
use forewarn::series::Labels;
use forewarn::store::Store;
use parking_lot::Mutex;

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// A whole minute.
pub(crate) const START: i64 = 1_700_000_040_000;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) manager: Manager,
    pub(crate) sent: Arc<Mutex<Vec<NotifiableAlert>>>,
}

impl World {
    /// Loads rule files, (name, text), at [`START`].
    #[track_caller]
    pub(crate) fn new(files: &[(&str, &str)]) -> World {
        let clock = Arc::new(ManualClock::new(START));
        let store = Store::in_memory(Arc::clone(&clock) as _);
        World::over(store, clock, files)
    }

    /// The same over a store that is there, at the clock's time.
    #[track_caller]
    pub(crate) fn over(store: Store, clock: Arc<ManualClock>, files: &[(&str, &str)]) -> World {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let mut manager = manager_over(&store, &clock, ear(&sent));
        manager.load(parse(files), clock.now_ms());
        World { clock, store, manager, sent }
    }

    /// Stores a sample now.
    #[track_caller]
    pub(crate) fn write(&self, series: &[(&str, &str)], value: f64) {
        write(
            &self.store,
            &[(&Labels::from_pairs(series.iter().copied()), self.clock.now_ms(), value)],
        );
    }

    /// Evaluates what is due until now, instant by instant.
    pub(crate) fn evaluate(&mut self) {
        let now_ms = self.clock.now_ms();
        while let Some(due_ms) = self.manager.next_due().filter(|due_ms| *due_ms <= now_ms) {
            self.manager.evaluate_due(due_ms);
        }
    }

    /// Asks for a vector now; one line for each element.
    #[track_caller]
    pub(crate) fn query(&self, text: &str) -> Vec<String> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let engine = Engine::new(EngineOptions::default(), clock);
        let expr = promql::parse(text).unwrap();
        let (snapshot, now_ms) = (self.store.snapshot(), self.clock.now_ms());
        let result = engine.instant(&snapshot, &expr, now_ms, &QueryOptions::default());
        let QueryValue::Vector(elements) = result.unwrap().value else { panic!("no vector") };
        let shown = |element: &VectorElement| {
            format!("{} {}", element.labels, element.value.as_float().unwrap())
        };
        elements.iter().map(shown).collect()
    }
}

/// Stores samples in one transaction; all must be accepted.
#[track_caller]
pub(crate) fn write(store: &Store, samples: &[(&Labels, i64, f64)]) {
    let mut appender = store.appender();
    let mut transaction = appender.begin();
    for (labels, time_ms, value) in samples {
        let series = transaction.series(None, labels);
        transaction.sample(series, *time_ms, *value, 0);
    }
    let committed = transaction.commit().unwrap();
    assert!(committed.refused.is_empty(), "{:?}", committed.refused);
}

/// Parses rule files that are without fault.
#[track_caller]
pub(crate) fn parse(files: &[(&str, &str)]) -> Vec<GroupSpec> {
    let source = |(name, text): &(&str, &str)| RuleSource {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    let sources: Vec<_> = files.iter().map(source).collect();
    let options = LoadOptions {
        check_template: |_, _| Ok(()),
        read_file: |path| std::fs::read_to_string(path),
        default_interval_ms: MINUTE,
    };
    let (groups, diagnostics) = rules::load(&sources, &options);
    let rendered: Vec<_> = diagnostics.iter().map(|found| found.render(&sources)).collect();
    assert!(rendered.is_empty(), "{}", rendered.join("\n"));
    groups
}

pub(crate) fn manager_over(store: &Store, clock: &Arc<ManualClock>, sink: Sink) -> Manager {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let engine = Engine::new(EngineOptions::default(), Arc::clone(&clock));
    let evaluator = Arc::new(LocalEvaluator::new(store.clone(), engine));
    let options = ManagerOptions {
        external_url: "http://forewarn.example".to_owned(),
        external_labels: Labels::from_pairs([("region", "eu")]),
        ..ManagerOptions::default()
    };
    Manager::new(options, evaluator, store.clone(), clock, sink)
}

/// Hears what a manager sends.
pub(crate) fn ear(sent: &Arc<Mutex<Vec<NotifiableAlert>>>) -> Sink {
    let sent = Arc::clone(sent);
    Box::new(move |alerts| sent.lock().extend(alerts))
}
