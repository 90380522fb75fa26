//! What a rule knows of one series: its learners, and what its conditions remember.

use super::ast::{Sensitivity, Side};
use super::budget::{Counting, Machines};
use super::habitual::{Habitual, Kind};
use super::kinship::{FORGET_AFTER_MS, Kinship, Settling};
use super::memory::Memory;
use super::program::{CrossingPlan, HabitPlan, Limit, NormalPlan, PeersPlan, Program, Test};
use super::witness::Witness;
use super::{EvalError, Truth};
use crate::learn::{
    Baseline, Calendar, Crossing, Outlook, Reading, Verdict, bucket_ms, default_threshold,
};
use crate::series::Labels;

/// The most learning instants that a baseline is fed from the store: two weeks of minutes.
const INSTANTS_MAX: i64 = 20_160;
/// How many buckets of history a forecast uses at most.
const BUCKETS_MAX: i64 = 4_032;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// From how much history habits are learned: each weekday five times.
const HABIT_HISTORY_MS: i64 = 35 * DAY_MS;

/// How the learners of a rule are made and fed.
#[derive(Clone, Debug)]
pub(super) struct Feeds {
    pub(super) normal: Option<NormalFeed>,
    pub(super) crossings: Vec<CrossingFeed>,
    pub(super) peers: Option<PeersFeed>,
    pub(super) habits: Option<HabitFeed>,
    /// The learned conditions of the program, by the memory that is their own.
    remembering: Vec<Test>,
    /// By how much the surprise at the edge of a band is more than by default.
    pub(super) above_default: f64,
    /// What counts the pages at each edge that a budget may choose.
    pub(super) counting: Option<Counting>,
}

#[derive(Clone, Debug)]
pub(super) struct NormalFeed {
    pub(super) plan: NormalPlan,
    pub(super) calendar: Calendar,
    pub(super) step_ms: i64,
    pub(super) history_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) struct PeersFeed {
    pub(super) plan: PeersPlan,
    calendar: Calendar,
    pub(super) step_ms: i64,
    pub(super) history_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) struct HabitFeed {
    plan: HabitPlan,
    calendar: Calendar,
    pub(super) step_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) struct CrossingFeed {
    pub(super) plan: CrossingPlan,
    /// The limit, where it does not move.
    pub(super) fixed: Option<f64>,
    pub(super) step_ms: i64,
    pub(super) history_ms: i64,
}

impl Feeds {
    pub(super) fn new(program: &Program, every_ms: i64) -> Feeds {
        let step_ms = normal_step_ms(every_ms);
        let history_ms = |plan: &NormalPlan| plan.from_ms.min(INSTANTS_MAX.saturating_mul(step_ms));
        let normal = program.normal.as_ref().map(|plan| NormalFeed {
            plan: plan.clone(),
            calendar: plan.calendar.calendar(),
            step_ms,
            history_ms: history_ms(plan),
        });
        let peers = program.peers.as_ref().map(|plan| PeersFeed {
            plan: plan.clone(),
            calendar: plan.normal.calendar.calendar(),
            step_ms,
            history_ms: history_ms(&plan.normal),
        });
        let habits = program.habits.is_any().then(|| HabitFeed {
            plan: program.habits.clone(),
            calendar: program.habits.calendar.calendar(),
            step_ms,
        });
        let crossings = program.crossings.iter().map(|plan| {
            let step_ms = crossing_step_ms(every_ms, plan.within_ms);
            let buckets_ms = BUCKETS_MAX.saturating_mul(bucket_ms(plan.within_ms));
            CrossingFeed {
                plan: plan.clone(),
                fixed: plan.amount.or(match program.limit {
                    Some(Limit::Fixed(limit)) => Some(limit),
                    _ => None,
                }),
                step_ms,
                history_ms: plan.history_ms.min(buckets_ms),
            }
        });
        Feeds {
            normal,
            crossings: crossings.collect(),
            peers,
            habits,
            remembering: program.remembering().into_iter().cloned().collect(),
            // A surprise of T comes about once per 10^T samples: a half is a factor of three.
            above_default: match program.sensitivity {
                Some(Sensitivity::Low) => 0.5,
                Some(Sensitivity::High) => -0.5,
                None => 0.0,
            },
            counting: Counting::new(program, default_threshold(step_ms)),
        }
    }

    /// The surprise at the edge of a band that is learned at this step.
    pub(super) fn threshold(&self, step_ms: i64) -> f64 {
        default_threshold(step_ms) + self.above_default
    }

    /// Every learning step of the rule with the longest history that a learner of that step uses.
    pub(super) fn steps(&self) -> Vec<(i64, i64)> {
        let normal = self.normal.iter().map(|feed| (feed.step_ms, feed.history_ms));
        let crossings = self.crossings.iter().map(|feed| (feed.step_ms, feed.history_ms));
        let peers = self.peers.iter().map(|feed| (feed.step_ms, feed.history_ms));
        let habits = self.habits.iter().map(|feed| (feed.step_ms, HABIT_HISTORY_MS));
        let mut steps: Vec<(i64, i64)> =
            normal.chain(crossings).chain(peers).chain(habits).collect();
        steps.sort_by_key(|(step_ms, history_ms)| (*step_ms, std::cmp::Reverse(*history_ms)));
        steps.dedup_by_key(|(step_ms, _)| *step_ms);
        steps
    }

    /// Whether this is the step of what is learned of the hour: normal, alone and beside peers.
    pub(super) fn feeds_hours(&self, step_ms: i64) -> bool {
        let normal = self.normal.as_ref().map(|feed| feed.step_ms);
        normal.or(self.peers.as_ref().map(|feed| feed.step_ms)) == Some(step_ms)
    }

    /// Which series may depend on one another in what they learn of the hour.
    pub(super) fn kinship(&self) -> Option<Kinship> {
        let share = self.normal.as_ref().map(|feed| feed.plan.share.clone());
        let within = self.peers.as_ref().map(|feed| Kinship::By(feed.plan.within.clone()));
        match (share, within) {
            (Some(share), Some(within)) => Some(share.or(&within)),
            (share, within) => share.or(within),
        }
    }

    /// Whether the learners of this step have to see every instant: a habit knows times only.
    pub(super) fn needs_each_instant(&self, step_ms: i64) -> bool {
        self.habits.as_ref().is_some_and(|feed| feed.step_ms == step_ms)
    }

    /// Whether a forecast of this step needs the limit that moves.
    pub(super) fn uses_moving_limit(&self, step_ms: i64) -> bool {
        self.crossings.iter().any(|feed| feed.step_ms == step_ms && feed.fixed.is_none())
    }
}

/// One series of a rule.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) baseline: Option<Baseline>,
    /// Until the series is known well enough to take after its family.
    pub(super) settling: Option<Settling>,
    /// What its own normal says of the last sample.
    pub(super) verdict: Option<Verdict>,
    crossings: Vec<Crossing>,
    /// Of the departure from the peers.
    peers: Option<Baseline>,
    /// What the peers say of the last sample.
    pub(super) beside_peers: Option<Verdict>,
    /// For `is missing` and for `is late`.
    pub(super) samples: Option<Habitual>,
    pub(super) events: Option<Habitual>,
    pub(super) memories: Vec<Memory>,
    pub(super) machines: Option<Box<Machines>>,
    /// The latest forecasts.
    pub(super) outlooks: Vec<Outlook>,
    /// When it was first and last seen, ms.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

/// A sample, with the moving limit of its series at that time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) time_ms: i64,
    pub(super) value: f64,
    pub(super) limit: Option<f64>,
}

impl Watched {
    pub(super) fn new(feeds: &Feeds, first_ms: i64) -> Watched {
        let baseline = |feed: &NormalFeed| Baseline::new(feed.plan.season, feed.calendar.clone());
        let crossing =
            |feed: &CrossingFeed| Crossing::new(feed.plan.from, feed.step_ms, feed.plan.within_ms);
        let peers =
            |feed: &PeersFeed| Baseline::new(feed.plan.normal.season, feed.calendar.clone());
        let habitual = |kind: Kind, is_wanted: fn(&HabitPlan) -> bool| {
            let feed = feeds.habits.as_ref().filter(|feed| is_wanted(&feed.plan));
            feed.map(|feed| Habitual::new(kind, feed.calendar.clone(), feed.step_ms))
        };
        Watched {
            baseline: feeds.normal.as_ref().map(baseline),
            settling: feeds.normal.as_ref().map(|_| Settling::default()),
            verdict: None,
            crossings: feeds.crossings.iter().map(crossing).collect(),
            peers: feeds.peers.as_ref().map(peers),
            beside_peers: None,
            samples: habitual(Kind::Sample, |plan| plan.samples),
            events: habitual(Kind::Rise, |plan| plan.events),
            memories: vec![Memory::new(); feeds.remembering.len()],
            machines: feeds.counting.as_ref().map(|counting| Box::new(counting.machines())),
            outlooks: vec![Outlook::Unknown; feeds.crossings.len()],
            first_ms,
            last_ms: first_ms,
        }
    }

    pub(super) fn seen(&mut self, time_ms: i64) {
        self.first_ms = self.first_ms.min(time_ms);
        self.last_ms = self.last_ms.max(time_ms);
    }

    /// Judges a value by what was learned before, and remembers what was said.
    pub(super) fn judge(&mut self, feeds: &Feeds, time_ms: i64, value: Option<f64>) {
        self.verdict = None;
        let (Some(baseline), Some(feed), Some(value)) = (&self.baseline, &feeds.normal, value)
        else {
            return;
        };
        let threshold = feeds.threshold(feed.step_ms);
        self.verdict = baseline.judge(time_ms, value, threshold);
        for (memory, test) in self.memories.iter_mut().zip(&feeds.remembering) {
            if let Test::Normal { side, by, hold } = test {
                memory.judged(value, self.verdict.as_ref(), (*side, *by), hold.sticky);
            }
        }
    }

    /// Lets the baseline learn a sample.
    pub(super) fn learn_normal(&mut self, time_ms: i64, value: f64) {
        if let Some(baseline) = &mut self.baseline {
            baseline.learn(time_ms, value);
        }
    }

    /// Lets each learned condition go on from where it would be had the band's edge always been
    /// where it is.
    pub(super) fn move_edge(&mut self, feeds: &Feeds, edge: usize) {
        let Some(machines) = &self.machines else { return };
        let memories = self.memories.iter_mut().zip(&feeds.remembering).enumerate();
        for (slot, (memory, test)) in memories {
            if matches!(test, Test::Normal { .. } | Test::Differs { .. }) {
                memory.set_on(machines.is_on(slot, edge));
            }
        }
    }

    /// Asks how unusual a departure is for the series.
    pub(super) fn read_departure(&self, time_ms: i64, by: f64) -> Option<Reading> {
        self.peers.as_ref()?.read(time_ms, by)
    }

    /// Asks what the series' own departures make of one.
    pub(super) fn departure(&self, time_ms: i64, by: f64, threshold: f64) -> Option<Verdict> {
        self.peers.as_ref()?.judge(time_ms, by, threshold)
    }

    /// Remembers what was said of a value beside its peers.
    pub(super) fn judged_by_peers(
        &mut self,
        feeds: &Feeds,
        value: Option<f64>,
        verdict: Option<Verdict>,
    ) {
        self.beside_peers = verdict;
        let Some(value) = value else { return };
        for (memory, test) in self.memories.iter_mut().zip(&feeds.remembering) {
            if let Test::Differs { by, hold } = test {
                memory.judged(value, verdict.as_ref(), (Side::Either, *by), hold.sticky);
            }
        }
    }

    pub(super) fn learn_peers(&mut self, time_ms: i64, by: f64) {
        if let Some(baseline) = &mut self.peers {
            baseline.learn(time_ms, by);
        }
    }

    /// Lets the habits learn a sample at a learning instant.
    pub(super) fn learn_habits(
        &mut self,
        feeds: &Feeds,
        series: &Labels,
        sample: (i64, f64),
        witness: &mut Witness<'_>,
    ) -> Result<(), EvalError> {
        let Some(feed) = &feeds.habits else { return Ok(()) };
        let mut habits = self.samples.iter_mut().chain(&mut self.events);
        habits.try_for_each(|habit| habit.learn(series, sample, feed.step_ms, witness))
    }

    /// Asks the habits whether something is overdue at an instant.
    pub(super) fn ask_habits(
        &mut self,
        series: &Labels,
        at_ms: i64,
        witness: &mut Witness<'_>,
    ) -> Result<(), EvalError> {
        let is_there = self.last_ms == at_ms;
        let mut habits = self.samples.iter_mut().chain(&mut self.events);
        habits.try_for_each(|habit| habit.ask(series, at_ms, is_there, witness))
    }

    /// Until when the state is kept though the series is gone: 7 days, which count from when its
    /// next event would have been overdue. Who has no habit yet may still be learning a rare one.
    pub(super) fn forget_ms(&self) -> i64 {
        let of = |habit: &Habitual| match habit.due() {
            Some(due) => due.latest_ms.saturating_add(FORGET_AFTER_MS),
            None => self.last_ms.saturating_add(HABIT_HISTORY_MS),
        };
        let missing = self.samples.as_ref().and_then(Habitual::due);
        let missing = missing.map(|due| due.latest_ms.saturating_add(FORGET_AFTER_MS));
        let late = self.events.as_ref().map(of);
        missing.max(late).unwrap_or(i64::MIN).max(self.last_ms + FORGET_AFTER_MS)
    }

    /// Lets the forecasts of this step learn a sample, and says where it is heading if asked.
    pub(super) fn learn_crossings(
        &mut self,
        feeds: &Feeds,
        step_ms: i64,
        sample: Sample,
        asked: bool,
    ) {
        for (index, feed) in feeds.crossings.iter().enumerate() {
            if feed.step_ms != step_ms {
                continue;
            }
            let limit = feed.fixed.or(sample.limit).unwrap_or(f64::NAN);
            let (time_ms, value) = (sample.time_ms, sample.value);
            if !asked {
                self.crossings[index].learn(time_ms, value, limit);
                continue;
            }
            let outlook = self.crossings[index].observe(time_ms, value, limit);
            for (memory, test) in self.memories.iter_mut().zip(&feeds.remembering) {
                if let Test::Reaches { crossing, probability, hold } = test
                    && *crossing == index
                {
                    memory.foreseen(&outlook, *probability, hold.sticky);
                }
            }
            self.outlooks[index] = outlook;
        }
    }

    /// Forgets what conditions remembered, for a rule whose conditions have changed.
    pub(super) fn forget_conditions(&mut self, feeds: &Feeds) {
        self.memories = vec![Memory::new(); feeds.remembering.len()];
    }

    /// Returns what a learned condition says as of the last sample.
    pub(super) fn remembered(&self, slot: usize) -> Truth {
        self.memories.get(slot).map_or(Truth::Unknown, |memory| memory.truth)
    }
}

/// The least multiple of `every_ms` that is at least a minute.
pub(super) fn normal_step_ms(every_ms: i64) -> i64 {
    let every_ms = every_ms.max(1);
    let times = (MINUTE_MS + every_ms - 1) / every_ms;
    every_ms.saturating_mul(times.max(1))
}

/// A part of `every_ms` that is fine enough for a forecast over `within_ms`: a 48th of it, from a
/// second to ten, so that a rule that is evaluated each minute knows a fast drain soon; a minute
/// for what ends in days. The instants between evaluations are read from the store.
fn crossing_step_ms(every_ms: i64, within_ms: i64) -> i64 {
    let coarsest_ms = if within_ms <= 12 * HOUR_MS { 10_000 } else { MINUTE_MS };
    let wanted_ms = (within_ms / 48).clamp(1_000, coarsest_ms);
    if every_ms <= wanted_ms {
        return every_ms;
    }
    let parts = (every_ms + wanted_ms - 1) / wanted_ms;
    let divides = (parts..parts.saturating_mul(4)).find(|parts| every_ms % parts == 0);
    divides.map_or(every_ms, |parts| every_ms / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_steps_fit_the_interval() {
        assert_eq!(
            [1_000, 15_000, 60_000, 90_000].map(normal_step_ms),
            [60_000, 60_000, 60_000, 90_000]
        );
        for (every_ms, within_ms, expected) in [
            (1_000, 600_000, 1_000),
            (15_000, 600_000, 7_500),
            (60_000, 600_000, 10_000),
            (60_000, 12 * HOUR_MS, 10_000),
            (300_000, 12 * HOUR_MS, 10_000),
            (300_000, 13 * HOUR_MS, 60_000),
            (60_000, 1_000, 1_000),
            (61_001, 1_000, 61_001),
        ] {
            assert_eq!(crossing_step_ms(every_ms, within_ms), expected, "{every_ms} {within_ms}");
        }
    }
}
