//! One rule of our language while it runs: what it watches and what it has learned.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ask::Ask;
use super::budget::{Budget, Outside, above_default};
use super::circle::{Circle, Count, Instant, Seat};
use super::cohort::Cohorts;
use super::decide::Facts;
use super::join::Joined;
use super::program::{GateProgram, Limit, Program, UntilProgram};
use super::schedule::Schedule;
use super::succession::{Handover, Succession};
use super::watched::{Feeds, Sample, Watched, normal_step_ms};
use super::why::Words;
use super::witness::Witness;
use super::written;
use super::{AlertRule, EvalError, Finding, Numbers, Truth};
use crate::learn::{Outlook, Verdict};
use crate::series::Labels;

/// For how long a series that is gone is still reported as unknown.
const GONE_REPORTED_MS: i64 = 10 * 60_000;

pub(super) struct Watch {
    pub(super) program: Program,
    pub(super) feeds: Feeds,
    words: Words,
    pub(super) schedule: Schedule,
    pub(super) every_ms: i64,
    pub(super) series: BTreeMap<Labels, Watched>,
    /// The last instant that was fed, by learning step.
    pub(super) fed: BTreeMap<i64, i64>,
    /// When each series was first seen has been asked as far back as `until` needs.
    pub(super) knows_history: bool,
    /// Counts pages, for a rule that has a budget.
    pub(super) budget: Budget,
    pub(super) succession: Succession,
    /// Who is to take the place of whom, once all that lies before is fed.
    pub(super) upcoming: VecDeque<Handover>,
    /// What alerts have not been told of yet.
    handovers: Vec<(Labels, Labels)>,
}

/// What one evaluation of a rule yields.
#[derive(Debug, Default)]
pub(super) struct Evaluation {
    pub(super) findings: Vec<Finding>,
    /// Series to be stored.
    pub(super) written: Vec<(Labels, f64)>,
    pub(super) warnings: Vec<String>,
    /// Series that took the place of others, (from, to), in order.
    pub(super) handovers: Vec<(Labels, Labels)>,
}

/// The answers to everything that a rule asks at an instant.
struct Answers {
    signal: BTreeMap<Labels, Option<f64>>,
    /// The limit that moves.
    limit: Option<Joined<f64>>,
    /// For each gate its elements, if it has an expression.
    gates: Vec<Option<Joined<()>>>,
    until: Option<Joined<()>>,
}

/// One series at the instant, judged.
struct Judged {
    value: Option<f64>,
    verdict: Option<Verdict>,
    limit: Option<f64>,
    is_gated: bool,
    /// Whether the cold start's own condition holds, while the series is judged by that alone.
    cold: Option<Truth>,
}

impl Watch {
    pub(super) fn new(program: Program, schedule: Schedule, every_ms: i64) -> Watch {
        Watch {
            feeds: Feeds::new(&program, every_ms),
            words: Words::new(&program),
            schedule,
            every_ms,
            series: BTreeMap::new(),
            fed: BTreeMap::new(),
            knows_history: false,
            budget: Budget::default(),
            succession: Succession::new(program.identity.clone(), normal_step_ms(every_ms)),
            upcoming: VecDeque::new(),
            handovers: Vec::new(),
            program,
        }
    }

    /// Takes over what another version of the rule learned, if that serves.
    pub(super) fn carry_over(&mut self, old: Watch) {
        let same_times = old.every_ms == self.every_ms && old.schedule == self.schedule;
        if !same_times || !old.program.learns_like(&self.program) {
            return;
        }
        // What was not counted has to be, from the store, and in step with what is learned.
        if self.program.budget.is_some() && !old.program.counts_like(&self.program) {
            return;
        }
        self.budget = old.budget;
        self.budget.reconsider();
        self.series = old.series;
        (self.succession, self.upcoming) = (old.succession, old.upcoming);
        self.handovers = old.handovers;
        self.fed = old.fed;
        self.knows_history = old.knows_history && old.program.until == self.program.until;
        if old.program.clauses != self.program.clauses {
            let feeds = &self.feeds;
            self.series.values_mut().for_each(|watched| watched.forget_conditions(feeds));
        }
    }

    /// Evaluates at an instant; after an error nothing has been learned of it.
    pub(super) fn evaluate(
        &mut self,
        ask: Ask<'_>,
        rule: &AlertRule,
        at_ms: i64,
    ) -> Result<Evaluation, EvalError> {
        let answers = self.ask(ask, at_ms)?;
        self.catch_up(ask, at_ms)?;
        self.learn_history(ask, at_ms)?;
        self.series.retain(|_, watched| at_ms <= watched.forget_ms());
        self.keep_budget(at_ms);
        self.see(&answers, at_ms);
        self.succeed(&answers, at_ms);
        self.keep_habits(ask, &answers, at_ms)?;
        self.compare(&answers, at_ms);
        let mut evaluation = Evaluation::default();
        let mut several_limits = None;
        for labels in self.reported(&answers, at_ms) {
            let judged = self.judge(&labels, &answers, at_ms, &mut several_limits);
            self.report(rule, &labels, &judged, at_ms, &mut evaluation);
        }
        for (step_ms, _) in self.feeds.steps() {
            if self.schedule.is_on_grid(at_ms, step_ms) {
                self.fed.insert(step_ms, at_ms);
            }
        }
        evaluation.warnings = Watch::warnings(&answers, several_limits);
        evaluation.warnings.extend(self.budget.warning());
        evaluation.handovers = std::mem::take(&mut self.handovers);
        Ok(evaluation)
    }

    fn ask(&self, ask: Ask<'_>, at_ms: i64) -> Result<Answers, EvalError> {
        let mut signal = BTreeMap::new();
        for (labels, value) in ask.samples("signal", &self.program.signal, at_ms)? {
            if signal.insert(labels.clone(), value).is_some() {
                return Err(EvalError::DuplicateSeries { labels: labels.to_string() });
            }
        }
        let limit = match &self.program.limit {
            Some(Limit::Moving(expr)) => {
                let samples = ask.samples("limit", expr, at_ms)?.into_iter();
                Some(Joined::new(samples.filter_map(|(labels, value)| Some((labels, value?)))))
            }
            _ => None,
        };
        let gate = |gate: &GateProgram| match gate {
            GateProgram::While(expr) => ask.applying("gate", expr, at_ms).map(Some),
            _ => Ok(None),
        };
        let gates = self.program.gates.iter().map(gate).collect::<Result<_, _>>()?;
        let until = match self.program.until.as_ref().map(|until| &until.test) {
            Some(UntilProgram::Query(expr)) => Some(ask.applying("until", expr, at_ms)?),
            _ => None,
        };
        Ok(Answers { signal, limit, gates, until })
    }

    /// Chooses the edge of the band by the pages counted, at load and at 00:00 UTC.
    fn keep_budget(&mut self, at_ms: i64) {
        let Some(counting) = &self.feeds.counting else { return };
        if !self.budget.is_due(at_ms) {
            return;
        }
        let step_ms = normal_step_ms(self.every_ms);
        let edge = self.budget.choose(&counting.plan, at_ms, step_ms);
        let above_default = above_default(edge);
        if self.feeds.above_default != above_default {
            self.feeds.above_default = above_default;
            let feeds = &self.feeds;
            self.series.values_mut().for_each(|watched| watched.move_edge(feeds, edge));
        }
    }

    /// Notes which series have a sample.
    fn see(&mut self, answers: &Answers, at_ms: i64) {
        let feeds = &self.feeds;
        for labels in answers.signal.iter().filter_map(|(labels, value)| value.map(|_| labels)) {
            let watched = self.series.get_mut(labels);
            match watched {
                Some(watched) => watched.seen(at_ms),
                None => drop(self.series.insert(labels.clone(), Watched::new(feeds, at_ms))),
            }
        }
    }

    /// At a learning instant, lets series that begin take over from those that ended.
    fn succeed(&mut self, answers: &Answers, at_ms: i64) {
        if !self.schedule.is_on_grid(at_ms, normal_step_ms(self.every_ms)) {
            return;
        }
        let now = [at_ms];
        let there = answers.signal.iter().filter(|(_, value)| value.is_some());
        let there = there.map(|(labels, _)| (labels, &now[..]));
        for handover in self.succession.follow(there, (at_ms, at_ms)) {
            self.hand_over(handover);
        }
    }

    /// Gives all that is known of one series to another, whose own short past is forgotten.
    pub(super) fn hand_over(&mut self, Handover { from, to, .. }: Handover) {
        if let Some(mut watched) = self.series.remove(&from) {
            if let Some(young) = self.series.remove(&to) {
                watched.seen(young.last_ms);
            }
            self.series.insert(to.clone(), watched);
        }
        self.handovers.push((from, to));
    }

    /// Lets habits learn the samples of an instant, and asks them of every series, there or not.
    fn keep_habits(
        &mut self,
        ask: Ask<'_>,
        answers: &Answers,
        at_ms: i64,
    ) -> Result<(), EvalError> {
        let Some(feed) = &self.feeds.habits else { return Ok(()) };
        let is_fed = self.schedule.is_on_grid(at_ms, feed.step_ms);
        let mut witness = Witness::new(ask, self.schedule, feed.step_ms);
        for (labels, watched) in &mut self.series {
            let value = answers.signal.get(labels).copied().flatten();
            if let Some(value) = value.filter(|_| is_fed) {
                watched.learn_habits(&self.feeds, labels, (at_ms, value), &mut witness)?;
            }
            watched.ask_habits(labels, at_ms, &mut witness)?;
        }
        Ok(())
    }

    /// Judges each series by what is normal for it, alone and beside its peers, then lets it learn.
    fn compare(&mut self, answers: &Answers, at_ms: i64) {
        let feeds = &self.feeds;
        let mut cohorts = feeds.peers.as_ref().map(|feed| Cohorts::new(feeds, feed));
        let counting = feeds.counting.as_ref();
        let outside = |labels: &Labels| Outside {
            is_gated: answers.gates.iter().flatten().any(|gate| gate.of(labels).next().is_some()),
            until: answers.until.iter().any(|until| until.of(labels).next().is_some()),
        };
        let counted = self.series.keys().filter(|_| counting.is_some());
        let outsides: Vec<Outside> = counted.map(outside).collect();
        let at = |seat: usize, _: i64| outsides[seat];
        let budget = &mut self.budget;
        let mut count = counting.map(|counting| Count { counting, budget, outside: &at });
        let seats = self.series.iter_mut().map(|(labels, watched)| {
            let value = answers.signal.get(labels).copied().flatten();
            Seat::new(labels, watched, value)
        });
        let mut circle = Circle::new(feeds, seats.collect());
        let mut steps = feeds.steps().into_iter().map(|(step_ms, _)| step_ms);
        let step_ms = steps.find(|step_ms| feeds.feeds_hours(*step_ms));
        let learned = step_ms.is_some_and(|step_ms| self.schedule.is_on_grid(at_ms, step_ms));
        let instant = Instant { time_ms: at_ms, asked: true, learned };
        circle.at(feeds, &mut cohorts, instant, count.as_mut());
    }

    /// The series that are there, and those that were a short while ago; where absence is asked
    /// for, as long as they are not forgotten.
    fn reported(&self, answers: &Answers, at_ms: i64) -> BTreeSet<Labels> {
        let gone_ms = GONE_REPORTED_MS.max(3 * self.every_ms);
        let absence = self.feeds.habits.is_some();
        let is_reported = |watched: &Watched| absence || at_ms - watched.last_ms <= gone_ms;
        let gone = self.series.iter().filter(|(_, watched)| is_reported(watched));
        answers.signal.keys().chain(gone.map(|(labels, _)| labels)).cloned().collect()
    }

    /// Asks the learners of one series about its sample, then lets them learn it.
    fn judge(
        &mut self,
        labels: &Labels,
        answers: &Answers,
        at_ms: i64,
        several_limits: &mut Option<Labels>,
    ) -> Judged {
        let value = answers.signal.get(labels).copied().flatten();
        let limit = match &self.program.limit {
            Some(Limit::Fixed(limit)) => Some(*limit),
            Some(Limit::Moving(_)) => {
                let found: Vec<f64> =
                    answers.limit.iter().flat_map(|limit| limit.of(labels)).copied().collect();
                if found.len() > 1 {
                    several_limits.get_or_insert_with(|| labels.clone());
                }
                only(found.into_iter())
            }
            None => None,
        };
        let feeds = &self.feeds;
        let watched =
            self.series.entry(labels.clone()).or_insert_with(|| Watched::new(feeds, at_ms));
        if let Some(value) = value {
            let sample = Sample { time_ms: at_ms, value, limit };
            for (step_ms, _) in feeds.steps() {
                if self.schedule.is_on_grid(at_ms, step_ms) {
                    watched.learn_crossings(feeds, step_ms, sample, true);
                }
            }
        }
        let verdict = if feeds.normal.is_some() { watched.verdict } else { watched.beside_peers };
        let facts = Facts { value, verdict: verdict.as_ref(), watched };
        let gates = self.program.gates.iter().zip(&answers.gates);
        let is_gated = gates.into_iter().any(|(gate, elements)| match elements {
            Some(elements) => elements.of(labels).next().is_some(),
            None => facts.is_gated(gate),
        });
        let until = self.program.until.as_ref();
        let until = until.filter(|until| at_ms - watched.first_ms < until.history_ms);
        let cold = until.map(|until| match (&until.test, value, &answers.until) {
            (_, None, _) => Truth::Unknown,
            (UntilProgram::Value(compare, bound), Some(value), _) => {
                compare.holds(value, *bound).into()
            }
            (UntilProgram::Query(_), _, elements) => {
                elements.as_ref().is_some_and(|found| found.of(labels).next().is_some()).into()
            }
        });
        Judged { value, verdict, limit, is_gated, cold }
    }

    /// Adds the findings of one series and what is stored of it.
    fn report(
        &self,
        rule: &AlertRule,
        labels: &Labels,
        judged: &Judged,
        at_ms: i64,
        into: &mut Evaluation,
    ) {
        let watched = &self.series[labels];
        let facts = Facts { value: judged.value, verdict: judged.verdict.as_ref(), watched };
        let mut probabilities = Vec::new();
        for (clause, program) in self.program.clauses.iter().enumerate() {
            let outlook = program.crossing.map(|crossing| &watched.outlooks[crossing]);
            let mut numbers = self.numbers(judged);
            if let Some(outlook) = outlook.filter(|_| judged.value.is_some()) {
                let crossing = program.crossing.map(|at| &self.program.crossings[at]);
                numbers.limit = crossing.and_then(|plan| plan.amount).or(judged.limit);
                foresee(&mut numbers, outlook);
                probabilities.push((clause, numbers.probability, numbers.eta_s));
            }
            let (mut holds, mut clears) = match judged.cold {
                // The highest severity speaks, the lower ones rest.
                Some(holds) if clause == 0 => (holds, !holds),
                Some(_) => (Truth::False, Truth::True),
                None => {
                    let clears = program.clear.as_ref().map(|clear| facts.holds(clear));
                    (facts.holds(&program.when), clears.unwrap_or(Truth::False))
                }
            };
            if judged.is_gated {
                (holds, clears) = (Truth::False, Truth::True);
            }
            let why = match judged.cold {
                Some(_) => self.words.cold(&self.program, &numbers),
                None => self.words.why(&self.program, clause, &facts, &numbers, at_ms),
            };
            let why = if judged.is_gated { format!("{why}; ignored by a gate") } else { why };
            let series = labels.clone();
            into.findings.push(Finding { clause, series, holds, clears, numbers, why });
        }
        if judged.value.is_some() {
            written::numbers(
                rule,
                labels,
                &self.numbers(judged),
                &probabilities,
                &mut into.written,
            );
            if self.feeds.normal.is_some()
                || self.feeds.peers.is_some()
                || !self.feeds.crossings.is_empty()
                || self.program.until.is_some()
            {
                let borrows = judged.verdict.is_some_and(|verdict| verdict.borrowed > 0.0);
                let seen_ms = at_ms - watched.first_ms;
                let phase = written::phase(judged.cold.is_some(), borrows, seen_ms);
                into.written.push(written::phase_series(rule, labels, phase));
            }
        }
    }

    fn numbers(&self, judged: &Judged) -> Numbers {
        let verdict = judged.verdict.as_ref();
        Numbers {
            value: judged.value,
            expected: verdict.map(|verdict| verdict.expected),
            lower: verdict.map(|verdict| verdict.lower),
            upper: verdict.map(|verdict| verdict.upper),
            score: verdict.map(|verdict| verdict.score),
            unit: self.program.unit,
            ..Numbers::default()
        }
    }

    fn warnings(answers: &Answers, several_limits: Option<Labels>) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(labels) = several_limits {
            warnings.push(format!(
                "limit: several elements apply to the series {labels}, which has none therefore; \
                 aggregate the limit"
            ));
        }
        let joins = |joined: &Joined<f64>| {
            answers.signal.keys().any(|labels| joined.of(labels).next().is_some())
        };
        if let Some(limit) = &answers.limit
            && !limit.is_empty()
            && !answers.signal.is_empty()
            && !joins(limit)
        {
            warnings.push(
                "limit: its elements apply to no series of the signal, since they carry labels \
                 that the signal does not; aggregate the limit"
                    .to_owned(),
            );
        }
        warnings
    }
}

fn foresee(numbers: &mut Numbers, outlook: &Outlook) {
    match outlook {
        Outlook::Unknown => {}
        Outlook::Across => {
            numbers.probability = Some(1.0);
            (numbers.eta_s, numbers.eta_low_s, numbers.eta_high_s) =
                (Some(0.0), Some(0.0), Some(0.0));
        }
        Outlook::Ahead(ahead) => {
            numbers.probability = Some(ahead.p);
            numbers.eta_s = ahead.eta_p50_s;
            (numbers.eta_low_s, numbers.eta_high_s) = (ahead.eta_p10_s, ahead.eta_p90_s);
        }
    }
}

/// The one element, if it is the only one.
pub(super) fn only<T>(mut elements: impl Iterator<Item = T>) -> Option<T> {
    elements.next().filter(|_| elements.next().is_none())
}
