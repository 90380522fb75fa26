//! Rules over stored history, on a clock that goes from one evaluation to the next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::alerts::{Manager, ManagerOptions, NotifiableAlert};
use crate::env::{Clock, SimDisk};
use crate::promql::{Engine, EngineOptions};
use crate::rules::{
    AlertSpec, EvalError, Evaluator, Expectation, GroupSpec, LocalEvaluator, RuleSpec,
};
use crate::series::Labels;
use crate::store::{OpenError, Store, StoreOptions, StoreStatus};

const DAY_MS: i64 = 86_400_000;
/// What a series raises before it has been seen for so long is not counted.
const LEARNING_MS: i64 = 7 * DAY_MS;
/// How far apart it is asked which series there were: as far as PromQL looks back.
const PRESENCE_STEP_MS: i64 = 5 * 60_000;
/// How often what rules store is thrown away, and how much of it is kept.
const SWEEP_MS: i64 = DAY_MS / 4;
/// Longer than any replay: each alert is heard of when it begins and when it ends.
const NEVER_MS: i64 = 100 * 365 * DAY_MS;

/// What rules would have said.
pub(in crate::cli) struct Replay {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(in crate::cli) rules: Vec<RuleReplay>,
}

/// What one alerting rule would have said.
pub(in crate::cli) struct RuleReplay {
    pub(in crate::cli) name: String,
    pub(super) series: usize,
    pub(in crate::cli) weeks: f64,
    pub(super) firings: Vec<Firing>,
    /// Those of a series' first week.
    pub(super) learning: Vec<Firing>,
    pub(super) expectations: Vec<(Expectation, Outcome)>,
    /// How many pages are allowed in this time, if any number is.
    pub(in crate::cli) allowed: Option<f64>,
    /// Why it could not be evaluated at the end, if so.
    pub(super) error: Option<String>,
}

/// From when to when an alert fired.
#[derive(Clone)]
pub(super) struct Firing {
    pub(super) labels: Labels,
    pub(super) severity: String,
    pub(super) is_page: bool,
    pub(super) start_ms: i64,
    /// None: it fires still.
    pub(super) end_ms: Option<i64>,
    pub(super) why: String,
}

/// What became of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Holds,
    Fails,
    /// That history is not stored.
    Skipped,
}

impl RuleReplay {
    pub(in crate::cli) fn pages(&self) -> usize {
        self.firings.iter().filter(|firing| firing.is_page).count()
    }

    pub(in crate::cli) fn exceeds_budget(&self) -> bool {
        self.allowed.is_some_and(|allowed| self.pages() as f64 > allowed)
    }

    /// Whether something is not as the rule's file wants it.
    pub(super) fn fails(&self) -> bool {
        self.exceeds_budget()
            || self.expectations.iter().any(|(_, outcome)| *outcome == Outcome::Fails)
    }
}

/// Replays what is stored from `since_ms` before its end on, and from a day before each expectation
/// that lies earlier; nothing where no sample is stored.
pub(super) fn replay(
    store: &Store,
    clock: &Arc<dyn Clock>,
    groups: Vec<GroupSpec>,
    since_ms: i64,
    interval_ms: i64,
) -> Result<Option<Replay>, OpenError> {
    let Some((oldest_ms, end_ms)) = extent(&store.status()) else { return Ok(None) };
    let start_ms = end_ms.saturating_sub(since_ms).max(oldest_ms);
    let specs: Vec<AlertSpec> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter_map(|rule| match rule {
            RuleSpec::Alert(alert) => Some(alert.clone()),
            RuleSpec::Record(_) => None,
        })
        .collect();
    let stored = |expectation: &&Expectation| {
        expectation.start_ms >= oldest_ms && expectation.end_ms <= end_ms
    };
    let expected = specs.iter().flat_map(|spec| &spec.expectations).filter(stored);
    let earliest_ms = expected.map(|expectation| expectation.start_ms - DAY_MS).min();
    let begin_ms = earliest_ms.map_or(start_ms, |ms| ms.min(start_ms)).max(oldest_ms);

    let engine = Engine::new(EngineOptions::default(), Arc::clone(clock));
    let evaluator = Arc::new(LocalEvaluator::new(store.clone(), engine));
    let heard = Arc::new(Mutex::new(BTreeMap::new()));
    let errors = run(&evaluator, clock, groups, interval_ms, (begin_ms, end_ms), &heard)?;
    let heard = std::mem::take(&mut *heard.lock());
    let mut rules = Vec::new();
    for spec in specs {
        let seen_ms = (start_ms - LEARNING_MS).max(oldest_ms);
        // Of a rule that cannot be evaluated nobody knows.
        let first = first_seen(&*evaluator, &spec, (seen_ms, end_ms)).ok();
        let all = firings(&spec, &heard, end_ms);
        let outcome = |expectation: &Expectation| {
            if !stored(&expectation) {
                return Outcome::Skipped;
            }
            let fires = all.iter().any(|firing| {
                firing.start_ms < expectation.end_ms
                    && firing.end_ms.is_none_or(|end_ms| end_ms > expectation.start_ms)
            });
            if fires == expectation.fires { Outcome::Holds } else { Outcome::Fails }
        };
        let expectations: Vec<(Expectation, Outcome)> =
            spec.expectations.iter().map(|found| (found.clone(), outcome(found))).collect();
        let is_young = |firing: &Firing| {
            let Some(first) = &first else { return false };
            let of = |(series, first_ms): &(Labels, i64)| {
                let carried = series.iter().all(|(name, value)| {
                    firing.labels.get(name) == Some(value)
                        || firing.labels.get(&format!("exported_{name}")) == Some(value)
                });
                carried.then_some((series.len(), *first_ms))
            };
            let first_ms = first.iter().filter_map(of).max().map(|(_, first_ms)| first_ms);
            let is_known = first_ms == Some(seen_ms) && seen_ms > oldest_ms;
            !is_known && first_ms.is_none_or(|first_ms| firing.start_ms - first_ms < LEARNING_MS)
        };
        let counted = all.into_iter().filter(|firing| firing.start_ms >= start_ms);
        let (learning, firings) = counted.partition(is_young);
        let time_ms = (end_ms - start_ms) as f64;
        rules.push(RuleReplay {
            name: spec.rule.name.clone(),
            series: first.as_ref().map_or(0, Vec::len),
            weeks: time_ms / (7 * DAY_MS) as f64,
            firings,
            learning,
            expectations,
            allowed: spec
                .budget()
                .map(|(pages, per_ms)| pages as f64 * (time_ms / per_ms as f64).max(1.0)),
            error: errors.get(&spec.rule.name).cloned(),
        });
    }
    Ok(Some(Replay { start_ms, end_ms, rules }))
}

/// What was heard of alerts, by labels and when they began: when they end, and why they began.
type Heard = BTreeMap<(Labels, i64), (i64, String)>;

/// Evaluates everything that is due; returns the rules that could not be evaluated at the end.
fn run(
    evaluator: &Arc<LocalEvaluator>,
    clock: &Arc<dyn Clock>,
    groups: Vec<GroupSpec>,
    interval_ms: i64,
    (begin_ms, end_ms): (i64, i64),
    heard: &Arc<Mutex<Heard>>,
) -> Result<BTreeMap<String, String>, OpenError> {
    let options = StoreOptions {
        dir: PathBuf::from("scratch"),
        retention_ms: SWEEP_MS,
        ..StoreOptions::default()
    };
    let scratch = Store::open(options, Arc::new(SimDisk::new()), Arc::clone(clock))?;
    let ear = Arc::clone(heard);
    let sink = Box::new(move |alerts: Vec<NotifiableAlert>| {
        let mut heard = ear.lock();
        for alert in alerts {
            let why = alert.annotations.get("why").unwrap_or("").to_owned();
            let told = heard.entry((alert.labels, alert.starts_at_ms));
            told.or_insert((alert.ends_at_ms, why)).0 = alert.ends_at_ms;
        }
    });
    let options = ManagerOptions {
        resend_delay_ms: NEVER_MS,
        default_interval_ms: interval_ms,
        ..ManagerOptions::default()
    };
    let evaluator = Arc::clone(evaluator);
    let mut manager = Manager::new(options, evaluator, scratch.clone(), Arc::clone(clock), sink);
    manager.load(groups, begin_ms);
    let mut sweep_ms = begin_ms;
    while let Some(due_ms) = manager.next_due().filter(|due_ms| *due_ms <= end_ms) {
        manager.evaluate_due(due_ms);
        if due_ms >= sweep_ms {
            sweep_ms = due_ms + SWEEP_MS;
            if let Err(error) = scratch.maintain() {
                tracing::warn!(%error, "What the rules stored could not be thrown away.");
            }
        }
    }
    let view = manager.view();
    let rules = view.groups.iter().flat_map(|group| &group.rules);
    Ok(rules.filter_map(|rule| Some((rule.name.clone(), rule.last_error.clone()?))).collect())
}

/// The alerts of one rule, in order of when they began.
fn firings(spec: &AlertSpec, heard: &Heard, end_ms: i64) -> Vec<Firing> {
    let of_rule = |labels: &Labels| labels.get("alertname") == Some(spec.rule.name.as_str());
    let mut firings: Vec<Firing> = heard
        .iter()
        .filter(|((labels, _), _)| of_rule(labels))
        .map(|((labels, start_ms), (ends_ms, why))| {
            let severity = labels.get("severity").unwrap_or("").to_owned();
            let is_page = spec.rule.clauses.iter().any(|clause| {
                clause.rank == 2 && clause.severity.as_deref() == Some(severity.as_str())
            });
            let (labels, why) = (labels.clone(), why.clone());
            let end_ms = (*ends_ms <= end_ms).then_some(*ends_ms);
            Firing { labels, severity, is_page, start_ms: *start_ms, end_ms, why }
        })
        .collect();
    firings.sort_by(|a, b| (a.start_ms, &a.labels).cmp(&(b.start_ms, &b.labels)));
    firings
}

/// When each watched series was first there.
fn first_seen(
    evaluator: &dyn Evaluator,
    spec: &AlertSpec,
    (start_ms, end_ms): (i64, i64),
) -> Result<Vec<(Labels, i64)>, EvalError> {
    let found = evaluator.range(spec.signal(), start_ms, end_ms, PRESENCE_STEP_MS)?;
    let first = found.into_iter().filter_map(|series| {
        let first_ms = *series.points.times_ms.first()?;
        Some((series.labels.without_metric_name(), first_ms))
    });
    Ok(first.collect())
}

/// The times of the oldest and of the newest stored sample.
fn extent(status: &StoreStatus) -> Option<(i64, i64)> {
    let blocks = || status.blocks.iter();
    let oldest = blocks().map(|block| block.min_time_ms).chain(status.head.min_time_ms).min()?;
    let newest =
        blocks().map(|block| block.max_time_ms - 1).chain(status.head.max_time_ms).max()?;
    Some((oldest, newest))
}
