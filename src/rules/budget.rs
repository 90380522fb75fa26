//! `budget`: how many pages a rule may raise, and the narrowest band that keeps to it.
//!
//! Beside the rule's own alerts run nine machines for each series, one for each edge that the band
//! may have. They count the pages that would have started firing there, and never change what is
//! learned: an edge is a threshold, and one reading of a value has a score at each of them.

use std::collections::BTreeMap;

use super::clocks::{AlertState, Clocks, Evidence};
use super::memory::is_outside;
use super::program::{BudgetPlan, GateProgram, Program, Test, UntilProgram};
use super::{Dialect, Truth};
use crate::learn::Reading;

/// How many edges there are to choose from.
pub(super) const EDGES: usize = 9;
const DAY_MS: i64 = 86_400_000;
/// A series' pages count once it has been seen for so long.
const LEARNING_MS: i64 = 7 * DAY_MS;
/// So many days are looked back, and nothing is chosen before so many have been counted.
const DAYS_MAX: i64 = 28;
const DAYS_MIN: f64 = 7.0;

/// By how much the surprise at an edge is more than by default.
pub(super) fn above_default(edge: usize) -> f64 {
    0.25 * edge as f64
}

/// Counts a rule's pages at each edge, and chooses one.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    /// By day since 1970-01-01 UTC.
    counts: BTreeMap<i64, [u32; EDGES]>,
    /// The first instant at which the pages of some series counted, ms.
    since_ms: Option<i64>,
    chosen: Option<Chosen>,
}

/// What was chosen last.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    day: i64,
    /// Pages at the widest band, in so many days, of which so many were allowed.
    exceeded: Option<(u32, f64, f64)>,
}

impl Budget {
    /// Notes that the pages of some series count at an instant, and at which edges one fires anew.
    fn count(&mut self, at_ms: i64, fired: impl Iterator<Item = usize>) {
        self.since_ms.get_or_insert(at_ms);
        for edge in fired {
            let day = self.counts.entry(at_ms.div_euclid(DAY_MS)).or_default();
            day[edge] = day[edge].saturating_add(1);
        }
    }

    /// Whether an edge is to be chosen: when nothing was yet, and at 00:00 UTC.
    pub(super) fn is_due(&self, at_ms: i64) -> bool {
        self.chosen.is_none_or(|chosen| chosen.day != at_ms.div_euclid(DAY_MS))
    }

    /// Forgets what was chosen, but not what was counted.
    pub(super) fn reconsider(&mut self) {
        self.chosen = None;
    }

    /// Chooses the least edge at which the pages counted until now are within the budget, and
    /// returns it: the default while too little has been counted, the widest where none is.
    /// `step_ms` is the time between learning instants.
    pub(super) fn choose(&mut self, plan: &BudgetPlan, at_ms: i64, step_ms: i64) -> usize {
        let day = at_ms.div_euclid(DAY_MS);
        self.counts = self.counts.split_off(&(day - DAYS_MAX));
        let window_ms = (day - DAYS_MAX) * DAY_MS;
        let since_ms = self.since_ms.map_or(at_ms, |since_ms| since_ms.max(window_ms));
        let days = (at_ms - since_ms + step_ms) as f64 / DAY_MS as f64;
        let periods = (days * DAY_MS as f64 / plan.per_ms as f64).max(1.0);
        let allowed = plan.pages as f64 * periods;
        let total = |edge: usize| -> u32 {
            self.counts.values().fold(0, |sum, day| sum.saturating_add(day[edge]))
        };
        let is_known = days >= DAYS_MIN;
        let found = (0..EDGES).find(|edge| !is_known || f64::from(total(*edge)) <= allowed);
        let edge = found.unwrap_or(EDGES - 1);
        let exceeded = found.is_none().then(|| (total(edge), days, allowed));
        self.chosen = Some(Chosen { day, exceeded });
        edge
    }

    /// Says that no band keeps to the budget, if so.
    pub(super) fn warning(&self) -> Option<String> {
        let Chosen { exceeded, .. } = self.chosen?;
        let (count, days, allowed) = exceeded?;
        Some(format!(
            "budget: even the widest band pages {count} times in {days:.0} days, of which \
             {allowed:.0} are allowed; it pages on"
        ))
    }
}

/// What the page's conditions are asked at one instant, for one series.
#[derive(Clone, Copy, Default)]
pub(super) struct Question {
    pub(super) value: Option<f64>,
    /// What the series' own normal says.
    pub(super) normal: Option<Reading>,
    /// What its peers say, and at which edges nobody is odd, since half of them would be: a bit each.
    pub(super) beside: Option<Reading>,
    pub(super) nobody: u16,
    pub(super) outside: Outside,
}

/// What other expressions say of a series at an instant.
#[derive(Clone, Copy, Default)]
pub(super) struct Outside {
    /// A gate with an expression holds.
    pub(super) is_gated: bool,
    /// The expression of `until` has an element.
    pub(super) until: bool,
}

/// The machines of one series.
#[derive(Clone, Debug)]
pub(super) struct Machines {
    /// For each learned condition, at which edges it is on: a bit each.
    on: Box<[u16]>,
    clocks: [Option<Box<Clocks>>; EDGES],
}

/// What a rule's machines have in common.
#[derive(Clone, Debug)]
pub(super) struct Counting {
    pub(super) plan: BudgetPlan,
    program: Program,
    /// The learned conditions, by slot.
    remembering: Vec<Test>,
    thresholds: [f64; EDGES],
}

impl Counting {
    /// Returns what counts the pages of a program with a budget, whose bands have this edge by
    /// default.
    pub(super) fn new(program: &Program, default: f64) -> Option<Counting> {
        Some(Counting {
            plan: program.budget?,
            remembering: program.remembering().into_iter().cloned().collect(),
            thresholds: std::array::from_fn(|edge| default + above_default(edge)),
            program: program.clone(),
        })
    }

    pub(super) fn thresholds(&self) -> &[f64; EDGES] {
        &self.thresholds
    }

    pub(super) fn machines(&self) -> Machines {
        Machines { on: vec![0; self.remembering.len()].into(), clocks: Default::default() }
    }

    /// Moves the machines of a series on by a learning instant, and counts where a page fires anew.
    /// `first_ms` is when the series was first seen.
    pub(super) fn advance(
        &self,
        machines: &mut Machines,
        question: &Question,
        (at_ms, first_ms): (i64, i64),
        budget: &mut Budget,
    ) {
        let rests = machines.clocks.iter().all(Option::is_none);
        if question.value.is_none() && rests {
            return;
        }
        machines.remember(self, question);
        let seen_ms = at_ms.saturating_sub(first_ms);
        let is_gated = question.outside.is_gated || self.is_gated(question);
        let cold = self.cold(question, seen_ms);
        let mut fired = 0u16;
        for edge in 0..EDGES {
            let (holds, clears) = match cold {
                _ if is_gated => (Truth::False, Truth::True),
                Some(holds) => (holds, !holds),
                None => self.page(machines, question, edge),
            };
            let evidence = Evidence { at_ms, holds, clears, outranked: false };
            if machines.step(edge, evidence, &self.plan) {
                fired |= 1 << edge;
            }
        }
        if seen_ms >= LEARNING_MS {
            budget.count(at_ms, (0..EDGES).filter(|edge| fired >> edge & 1 == 1));
        }
    }

    /// Whether a gate on the numbers holds.
    fn is_gated(&self, question: &Question) -> bool {
        let Some(value) = question.value else { return false };
        self.program.gates.iter().any(|gate| match gate {
            GateProgram::Below(bound) => value < *bound,
            GateProgram::Above(bound) => value > *bound,
            GateProgram::Under(distance) => self.reading(question).is_some_and(|reading| {
                (value - reading.expected).abs() < distance.of(reading.expected)
            }),
            GateProgram::While(_) => false,
        })
    }

    /// What the cold start says, while the series is judged by that alone.
    fn cold(&self, question: &Question, seen_ms: i64) -> Option<Truth> {
        let until = self.program.until.as_ref().filter(|until| seen_ms < until.history_ms)?;
        Some(match (&until.test, question.value) {
            (_, None) => Truth::Unknown,
            (UntilProgram::Value(compare, bound), Some(value)) => {
                compare.holds(value, *bound).into()
            }
            (UntilProgram::Query(_), Some(_)) => question.outside.until.into(),
        })
    }

    /// Whether the page's condition holds and clears at an edge.
    fn page(&self, machines: &Machines, question: &Question, edge: usize) -> (Truth, Truth) {
        let Some(page) = self.program.clauses.first() else {
            return (Truth::Unknown, Truth::False);
        };
        let of = |test: &Test| self.holds(machines, question, edge, test);
        (of(&page.when), page.clear.as_ref().map_or(Truth::False, of))
    }

    fn holds(&self, machines: &Machines, question: &Question, edge: usize, test: &Test) -> Truth {
        let of = |part: &Test| self.holds(machines, question, edge, part);
        let Some(value) = question.value else { return Truth::Unknown };
        match test {
            Test::All(parts) => parts.iter().fold(Truth::True, |all, part| all.and(of(part))),
            Test::Any(parts) => parts.iter().fold(Truth::False, |any, part| any.or(of(part))),
            Test::Value(compare, bound) => compare.holds(value, *bound).into(),
            Test::Normal { hold, .. } => match question.normal {
                Some(_) => machines.is_on(hold.slot, edge).into(),
                None => Truth::Unknown,
            },
            Test::Differs { hold, .. } => match question.beside_at(edge) {
                Some(_) => machines.is_on(hold.slot, edge).into(),
                None => Truth::Unknown,
            },
            Test::Inside => match self.reading_at(question, edge) {
                Some(reading) => (reading.score(self.thresholds[edge]) < 1.0).into(),
                None => Truth::Unknown,
            },
            Test::Shifts { by } => match self.reading_at(question, edge) {
                Some(reading) => reading
                    .shift
                    .is_some_and(|shift| (shift.to - shift.from).abs() >= by.of(shift.from))
                    .into(),
                None => Truth::Unknown,
            },
            // Only a band counts; a forecast is asked at its own instants.
            Test::Reaches { .. } | Test::ProbabilityBelow { .. } | Test::Missing | Test::Late => {
                Truth::Unknown
            }
        }
    }

    /// Of normal, or of the peers where only these are asked.
    fn reading_at(&self, question: &Question, edge: usize) -> Option<Reading> {
        match self.program.normal {
            Some(_) => question.normal,
            None => question.beside_at(edge),
        }
    }

    fn reading(&self, question: &Question) -> Option<Reading> {
        self.reading_at(question, 0)
    }
}

impl Question {
    fn beside_at(&self, edge: usize) -> Option<Reading> {
        self.beside.filter(|_| self.nobody >> edge & 1 == 0)
    }
}

impl Machines {
    /// Whether a learned condition is on at an edge.
    pub(super) fn is_on(&self, slot: usize, edge: usize) -> bool {
        self.on.get(slot).is_some_and(|on| on >> edge & 1 == 1)
    }

    /// Remembers at which edges each learned condition is on, as [`Memory`](super::Memory) does at
    /// one.
    fn remember(&mut self, counting: &Counting, question: &Question) {
        let Some(value) = question.value else { return };
        for (on, test) in self.on.iter_mut().zip(&counting.remembering) {
            for (edge, threshold) in counting.thresholds.iter().enumerate() {
                let (reading, what, hold) = match test {
                    Test::Normal { side, by, hold } => (question.normal, (*side, *by), hold),
                    Test::Differs { by, hold } => {
                        (question.beside_at(edge), (super::ast::Side::Either, *by), hold)
                    }
                    _ => break,
                };
                let Some(reading) = reading else { continue };
                let goes_on = hold.sticky && *on >> edge & 1 == 1;
                let score = reading.score(*threshold);
                let is_on =
                    is_outside(value, (reading.expected, reading.side, score), what, goes_on);
                *on = *on & !(1 << edge) | u16::from(is_on) << edge;
            }
        }
    }

    /// Moves the machine of one edge on, and returns whether its alert starts firing.
    fn step(&mut self, edge: usize, evidence: Evidence, plan: &BudgetPlan) -> bool {
        let clocks = &mut self.clocks[edge];
        if clocks.is_none() && evidence.holds != Truth::True {
            return false;
        }
        let before = clocks.take().map_or_else(|| Clocks::pending(evidence.at_ms), |known| *known);
        let after = before.advance(evidence, (plan.for_ms, plan.ending), Dialect::Forewarn);
        let after = after.filter(|after| after.state != AlertState::Inactive);
        let fires = |clocks: &Clocks| clocks.state == AlertState::Firing;
        let starts = after.as_ref().is_some_and(fires) && !fires(&before);
        *clocks = after.map(Box::new);
        starts
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::env::{Clock, ManualClock};
    use crate::promql::{Engine, EngineOptions};
    use crate::rules::ask::Ask;
    use crate::rules::schedule::Schedule;
    use crate::rules::spec::Task;
    use crate::rules::watch::Watch;
    use crate::rules::{
        AlertRule, AlertSpec, Ending, LoadOptions, LocalEvaluator, RuleSource, RuleSpec, load,
    };
    use crate::series::Labels;
    use crate::store::Store;

    const HOUR_MS: i64 = 3_600_000;

    fn plan(pages: u64, days: i64) -> BudgetPlan {
        BudgetPlan { pages, per_ms: days * DAY_MS, for_ms: 0, ending: Ending::AtOnce }
    }

    /// Pages each day at the first so many edges.
    fn counted(days: i64, edges: usize) -> Budget {
        let mut budget = Budget::default();
        for day in 0..days {
            budget.count(day * DAY_MS, 0..edges);
        }
        budget
    }

    #[test]
    fn the_narrowest_band_within_the_budget_is_chosen() {
        let chosen = |edges: usize, days: i64, plan: BudgetPlan| {
            let mut budget = counted(days, edges);
            let edge = budget.choose(&plan, days * DAY_MS - HOUR_MS, HOUR_MS);
            (edge, budget.warning().is_some())
        };
        assert_eq!(chosen(4, 10, plan(1, 7)), (4, false));
        assert_eq!(chosen(4, 10, plan(1, 1)), (0, false), "one a day is allowed");
        assert_eq!(chosen(4, 10, plan(10, 30)), (0, false), "a period counts in full");
        assert_eq!(chosen(4, 10, plan(9, 30)), (4, false));
        assert_eq!(chosen(9, 10, plan(1, 7)), (8, true), "even the widest band is over");
        assert_eq!(chosen(9, 6, plan(1, 7)), (0, false), "too little was counted");
        assert_eq!(chosen(9, 7, plan(1, 7)), (8, true));
        let mut none = Budget::default();
        assert_eq!(none.choose(&plan(1, 7), 100 * DAY_MS, HOUR_MS), 0);
    }

    #[test]
    fn only_the_last_28_days_count_and_each_day_is_a_new_choice() {
        let mut budget = counted(10, 9);
        let mut at = |day: i64| {
            assert!(budget.is_due(day * DAY_MS), "{day}");
            let edge = budget.choose(&plan(1, 7), day * DAY_MS, HOUR_MS);
            assert!(!budget.is_due((day + 1) * DAY_MS - 1), "{day}");
            edge
        };
        assert_eq!([at(10), at(20), at(33), at(34), at(35), at(40)], [8, 8, 8, 0, 0, 0]);
        assert!(budget.counts.is_empty());
    }

    const STEP_MS: i64 = 5 * 60_000;
    const DAYS: i64 = 16;

    /// Sixteen days of a busy service, with incidents of a quarter of an hour in the second week,
    /// from hardly one to a large one.
    fn incidents() -> Store {
        let clock = Arc::new(ManualClock::new(0));
        let store = Store::in_memory(Arc::clone(&clock) as Arc<dyn Clock>);
        let labels = Labels::from_pairs([("__name__", "requests")]);
        let mut random = fastrand::Rng::with_seed(6);
        for at_ms in (0..DAYS * DAY_MS).step_by(STEP_MS as usize) {
            let (day, in_day_ms) = (at_ms / DAY_MS, at_ms % DAY_MS);
            let begins_ms = day * 7 % 22 * HOUR_MS;
            let is_incident = (begins_ms..begins_ms + 3 * STEP_MS).contains(&in_day_ms);
            let size = match day {
                8..16 if is_incident => [3.5, 60.0, 4.5, 6.0, 8.0, 5.0, 30.0, 12.0],
                _ => [0.0; 8],
            };
            let more = size[(day % 8) as usize];
            clock.set(at_ms);
            let mut appender = store.appender();
            let mut transaction = appender.begin();
            let series = transaction.series(None, &labels);
            let value = 100.0 + more + random.f64() + random.f64() + random.f64();
            transaction.sample(series, at_ms, value, 0);
            transaction.commit().unwrap();
        }
        store
    }

    /// A rule at work, with its band's edge this much above the default.
    fn watch(rest: &str, above: f64) -> (Watch, Arc<AlertRule>) {
        let text = format!(
            "rule A {{ signal requests  page when above normal by 2 for 5m \
             clear when inside normal for 10m  ignore below 50  {rest} }}"
        );
        let options = LoadOptions {
            check_template: |_, _| Ok(()),
            read_file: |path| std::fs::read_to_string(path),
            default_interval_ms: STEP_MS,
        };
        let (groups, _) = load(&[RuleSource { name: "a.rules".to_owned(), text }], &options);
        let RuleSpec::Alert(AlertSpec { rule, task: Task::Forewarn(program), .. }) =
            &groups[0].rules[0]
        else {
            panic!("not a rule of ours")
        };
        let schedule = Schedule::aligned(STEP_MS);
        let mut watch = Watch::new((**program).clone(), schedule, STEP_MS);
        watch.feeds.above_default = above;
        (watch, Arc::clone(rule))
    }

    /// Evaluates from `start_ms` on; returns when a page starts firing that counts.
    fn run(store: &Store, (watch, rule): &mut (Watch, Arc<AlertRule>), start_ms: i64) -> Vec<i64> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
        let engine = Engine::new(EngineOptions::default(), clock);
        let evaluator = LocalEvaluator::new(store.clone(), engine);
        let ask = Ask { evaluator: &evaluator, offset_ms: 0 };
        let timing = (rule.clauses[0].for_ms, rule.clauses[0].ending);
        let (mut clocks, mut starts): (Option<Clocks>, Vec<i64>) = (None, Vec::new());
        for at_ms in (start_ms..DAYS * DAY_MS).step_by(STEP_MS as usize) {
            let evaluation = watch.evaluate(ask, rule, at_ms).unwrap();
            for finding in &evaluation.findings {
                let (holds, clears) = (finding.holds, finding.clears);
                let evidence = Evidence { at_ms, holds, clears, outranked: false };
                let known = clocks.take().filter(|clocks| clocks.state != AlertState::Inactive);
                let begins = (holds == Truth::True).then(|| Clocks::pending(at_ms));
                let Some(before) = known.or(begins) else { continue };
                clocks = before.advance(evidence, timing, Dialect::Forewarn);
                let fires = clocks.is_some_and(|clocks| clocks.state == AlertState::Firing);
                if fires && before.state != AlertState::Firing && at_ms >= LEARNING_MS {
                    starts.push(at_ms);
                }
            }
        }
        starts
    }

    #[test]
    fn what_is_counted_at_an_edge_is_what_would_page_there() {
        let store = incidents();
        let mut counted = watch("budget 1000 pages per day", 0.0);
        let found = run(&store, &mut counted, 0);
        let total = |budget: &Budget, edge: usize| -> usize {
            budget.counts.values().map(|day| day[edge] as usize).sum()
        };
        let mut totals = Vec::new();
        for edge in 0..EDGES {
            let paged = run(&store, &mut watch("", above_default(edge)), 0);
            assert_eq!(total(&counted.0.budget, edge), paged.len(), "at edge {edge}");
            totals.push(paged.len());
        }
        assert_eq!(found.len(), totals[0]);
        assert!(totals[0] > totals[8] && totals[8] > 0, "the edges differ: {totals:?}");
        // Whoever loads the rule at the end has counted the same.
        let mut late = watch("budget 1000 pages per day", 0.0);
        run(&store, &mut late, DAYS * DAY_MS - STEP_MS);
        assert_eq!(late.0.budget.counts, counted.0.budget.counts);
    }
}
