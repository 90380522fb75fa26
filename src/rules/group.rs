use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::ask::Ask;
use super::schedule::Schedule;
use super::spec::Task;
use super::watch::{Evaluation, Watch};
use super::{
    EvalError, Evaluator, Finding, GroupSpec, Numbers, RecordRule, RuleFindings, RuleSpec, Truth,
};
use crate::env::Clock;
use crate::promql::{Expr, Value};
use crate::series::{Labels, LabelsBuilder, METRIC_NAME, STALE_NAN};
use crate::store::Appender;

/// What a group needs beside its rules.
#[derive(Clone)]
pub struct GroupOptions {
    /// The interval of groups that name none, ms.
    pub default_interval_ms: i64,
    /// How far back groups that do not say are evaluated, ms.
    pub query_offset_ms: i64,
    /// Whether groups are evaluated at whole multiples of their interval, instead of spread out.
    pub is_aligned: bool,
    /// Measures how long evaluations take.
    pub clock: Arc<dyn Clock>,
}

/// A running group: its rules with what they have learned, and the series that they write.
///
/// Given the same store, rules and instants, every run yields the same, live or later.
pub struct Group {
    spec: GroupSpec,
    schedule: Schedule,
    query_offset_ms: i64,
    evaluator: Arc<dyn Evaluator>,
    appender: Appender,
    clock: Arc<dyn Clock>,
    rules: Vec<Running>,
    /// Series of rules that are gone, to be ended at the next evaluation.
    orphans: HashSet<Labels>,
}

/// One rule at work.
struct Running {
    every_ms: i64,
    watch: Option<Watch>,
    /// The series that it wrote last time.
    live: HashSet<Labels>,
}

/// How one evaluation of a group went.
#[derive(Clone, Debug)]
pub struct GroupReport {
    /// The instant, ms.
    pub at_ms: i64,
    /// How long it took.
    pub duration: Duration,
    /// Samples stored.
    pub samples: usize,
    /// Each rule, in order; none where the rule was not due.
    pub rules: Vec<Option<RuleReport>>,
}

/// How one evaluation of a rule went.
#[derive(Clone, Debug)]
pub struct RuleReport {
    /// Why it failed, if it did: health is `err` then.
    pub error: Option<EvalError>,
    /// What is probably not meant, for the rule's page.
    pub warnings: Vec<String>,
    /// How long it took.
    pub duration: Duration,
    /// Samples stored.
    pub samples: usize,
}

/// Judges what a rule found: moves its alerts on, and returns the series that tell of them.
pub type Judge<'a> = &'a mut dyn FnMut(&RuleFindings<'_>) -> Vec<(Labels, f64)>;

/// What one rule wants to store at an instant.
type Results = Vec<(Labels, Value)>;

impl Group {
    /// Returns the group of `spec`, which has learned nothing yet: that happens at its first
    /// evaluation, from what is stored.
    pub fn new(
        spec: GroupSpec,
        evaluator: Arc<dyn Evaluator>,
        appender: Appender,
        options: &GroupOptions,
    ) -> Group {
        let interval_ms = spec.interval_ms.unwrap_or(options.default_interval_ms).max(1);
        let schedule = if options.is_aligned {
            Schedule::aligned(interval_ms)
        } else {
            Schedule::new(&spec.file, &spec.name, interval_ms)
        };
        let rules = spec.rules.iter().map(|rule| Running::new(rule, schedule)).collect();
        Group {
            schedule,
            query_offset_ms: spec.query_offset_ms.unwrap_or(options.query_offset_ms),
            evaluator,
            appender,
            clock: Arc::clone(&options.clock),
            rules,
            orphans: HashSet::new(),
            spec,
        }
    }

    /// Takes over what a group of the same file and name had: series that it wrote go on or are
    /// ended, and rules of the same name keep what they learned if they still learn the same.
    pub fn carry_over(&mut self, mut old: Group) {
        for (spec, running) in self.spec.rules.iter().zip(&mut self.rules) {
            let same = |other: &RuleSpec| {
                other.name() == spec.name() && other.alert().is_some() == spec.alert().is_some()
            };
            let Some(index) = old.spec.rules.iter().position(same) else { continue };
            old.spec.rules.remove(index);
            let before = old.rules.remove(index);
            running.live = before.live;
            if let (Some(watch), Some(before)) = (&mut running.watch, before.watch) {
                watch.carry_over(before);
            }
        }
        self.orphans.extend(old.rules.into_iter().flat_map(|rule| rule.live));
        self.orphans.extend(old.orphans);
    }

    /// Returns the rules as they were loaded.
    pub fn spec(&self) -> &GroupSpec {
        &self.spec
    }

    /// Returns the group's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Returns the file that the group stands in.
    pub fn file(&self) -> &str {
        &self.spec.file
    }

    /// Returns how often the group is evaluated, ms.
    pub fn interval_ms(&self) -> i64 {
        self.schedule.interval_ms
    }

    /// Returns how often a rule of the group is evaluated, ms.
    pub fn rule_interval_ms(&self, rule: usize) -> i64 {
        self.rules.get(rule).map_or(self.interval_ms(), |rule| rule.every_ms)
    }

    /// Returns the first instant of evaluation later than `after_ms`.
    pub fn next_due(&self, after_ms: i64) -> i64 {
        self.schedule.next(after_ms)
    }

    /// Evaluates all rules that are due at an instant, in order: each sees what those above have
    /// stored. `judge` is called once for each alerting rule.
    pub fn evaluate(&mut self, at_ms: i64, judge: Judge<'_>) -> GroupReport {
        let started = self.clock.elapsed();
        let mut reports = Vec::with_capacity(self.rules.len());
        for index in 0..self.rules.len() {
            let due = self.schedule.is_on_grid(at_ms, self.rules[index].every_ms);
            reports.push(due.then(|| self.evaluate_rule(index, at_ms, judge)));
        }
        let samples = reports.iter().flatten().map(|report| report.samples).sum();
        self.end_orphans(at_ms);
        let duration = self.clock.elapsed().saturating_sub(started);
        GroupReport { at_ms, duration, samples, rules: reports }
    }

    /// Ends every series that the group writes, for a group that was removed.
    pub fn retire(mut self, at_ms: i64) {
        for rule in &mut self.rules {
            self.orphans.extend(rule.live.drain());
        }
        self.end_orphans(at_ms);
    }

    fn evaluate_rule(&mut self, index: usize, at_ms: i64, judge: Judge<'_>) -> RuleReport {
        let started = self.clock.elapsed();
        let evaluator = Arc::clone(&self.evaluator);
        let ask = Ask { evaluator: &*evaluator, offset_ms: self.query_offset_ms };
        let (results, warnings, error) = match &self.spec.rules[index] {
            RuleSpec::Record(record) => match recorded(ask, record, self.spec.limit, at_ms) {
                Ok(results) => (Some(results), Vec::new(), None),
                Err(error) => (None, Vec::new(), Some(error)),
            },
            RuleSpec::Alert(alert) => {
                let rule = Arc::clone(&alert.rule);
                let running = &mut self.rules[index];
                let found = match &mut running.watch {
                    Some(watch) => watch.evaluate(ask, &rule, at_ms),
                    None => elements(ask, alert.task.expr(), at_ms),
                };
                let outcome = found.as_ref().map(|found| found.findings.as_slice());
                let handovers = found.as_ref().map_or(&[][..], |found| &found.handovers);
                let interval_ms = running.every_ms;
                let told =
                    judge(&RuleFindings { rule: &rule, at_ms, interval_ms, handovers, outcome });
                match found {
                    Ok(found) => {
                        let written = found.written.into_iter().chain(told);
                        let results = written.map(|(labels, value)| (labels, Value::Float(value)));
                        (Some(results.collect()), found.warnings, None)
                    }
                    Err(error) => (None, Vec::new(), Some(error)),
                }
            }
        };
        let (samples, stored) = match results {
            Some(results) => self.store(index, results, at_ms),
            None => (0, Ok(())),
        };
        let error = error.or(stored.err());
        let duration = self.clock.elapsed().saturating_sub(started);
        RuleReport { error, warnings, duration, samples }
    }

    /// Stores what a rule yields, and ends the series that it yielded last time and does not any
    /// more.
    fn store(
        &mut self,
        index: usize,
        results: Results,
        at_ms: i64,
    ) -> (usize, Result<(), EvalError>) {
        let time_ms = at_ms - self.query_offset_ms;
        let live: HashSet<Labels> = results.iter().map(|(labels, _)| labels.clone()).collect();
        let ended: Vec<Labels> = self.rules[index].live.difference(&live).cloned().collect();
        self.orphans.retain(|labels| !live.contains(labels));
        if results.is_empty() && ended.is_empty() {
            return (0, Ok(()));
        }
        let mut transaction = self.appender.begin();
        for (labels, value) in results {
            let series = transaction.series(None, &labels);
            match value {
                Value::Float(value) => transaction.sample(series, time_ms, value, 0),
                Value::Histogram(histogram) => {
                    transaction.histogram(series, time_ms, Arc::unwrap_or_clone(histogram), 0);
                }
            }
        }
        for labels in &ended {
            let series = transaction.series(None, labels);
            transaction.sample(series, time_ms, STALE_NAN, 0);
        }
        match transaction.commit() {
            Ok(committed) => {
                self.rules[index].live = live;
                let refused = committed.refused.first().map(|refused| EvalError::Store {
                    reason: format!("{}: {}", refused.labels, refused.reason),
                });
                (committed.samples + committed.histograms, refused.map_or(Ok(()), Err))
            }
            Err(error) => (0, Err(EvalError::Store { reason: error.to_string() })),
        }
    }

    fn end_orphans(&mut self, at_ms: i64) {
        if self.orphans.is_empty() {
            return;
        }
        let mut transaction = self.appender.begin();
        for labels in &self.orphans {
            let series = transaction.series(None, labels);
            transaction.sample(series, at_ms - self.query_offset_ms, STALE_NAN, 0);
        }
        if transaction.commit().is_ok() {
            self.orphans.clear();
        }
    }
}

impl Running {
    fn new(rule: &RuleSpec, schedule: Schedule) -> Running {
        let own_ms = match rule {
            RuleSpec::Alert(alert) => alert.every_ms,
            RuleSpec::Record(_) => None,
        };
        // Rounded up where the configured interval turned out not to divide it.
        let interval_ms = schedule.interval_ms;
        let times = own_ms.map_or(1, |own_ms| (own_ms + interval_ms - 1) / interval_ms);
        let every_ms = interval_ms.saturating_mul(times.max(1));
        let watch = match rule {
            RuleSpec::Alert(alert) => match &alert.task {
                Task::Forewarn(program) => {
                    Some(Watch::new((**program).clone(), schedule, every_ms))
                }
                Task::Prometheus(_) => None,
            },
            RuleSpec::Record(_) => None,
        };
        Running { every_ms, watch, live: HashSet::new() }
    }
}

/// The results of a recording rule, labelled as it says.
fn recorded(
    ask: Ask<'_>,
    record: &RecordRule,
    limit: usize,
    at_ms: i64,
) -> Result<Results, EvalError> {
    let elements = ask.elements("expr", &record.expr, at_ms)?;
    let mut seen = HashSet::new();
    let mut results = Vec::with_capacity(elements.len());
    for element in elements {
        let mut builder = LabelsBuilder::from(&element.labels);
        builder.set(METRIC_NAME, &record.name);
        for (name, value) in &record.labels {
            builder.set(name, value);
        }
        let labels = builder.build();
        if !seen.insert(labels.clone()) {
            return Err(EvalError::DuplicateRecorded);
        }
        results.push((labels, element.value));
    }
    if limit > 0 && results.len() > limit {
        return Err(EvalError::Limit { limit, count: results.len(), what: "series" });
    }
    Ok(results)
}

/// The findings of a Prometheus rule: each element of its result holds.
fn elements(ask: Ask<'_>, expr: &Expr, at_ms: i64) -> Result<Evaluation, EvalError> {
    let elements = ask.elements("expr", expr, at_ms)?;
    let finding = |element: crate::promql::VectorElement| {
        let value = element.value.as_float();
        let why = match value {
            Some(value) => format!("value {}", super::Unit::None.format(value)),
            None => "value is a histogram".to_owned(),
        };
        Finding {
            clause: 0,
            series: element.labels.without_metric_name(),
            holds: Truth::True,
            clears: Truth::False,
            numbers: Numbers { value, ..Numbers::default() },
            why,
        }
    };
    let findings = elements.into_iter().map(finding).collect();
    Ok(Evaluation { findings, ..Evaluation::default() })
}
