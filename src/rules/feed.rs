//! History to learners: what was stored before a rule was loaded, what was missed, and what lies
//! between evaluations.

use std::collections::BTreeMap;

use super::EvalError;
use super::ask::{Ask, Track};
use super::budget::Outside;
use super::circle::{Circle, Count, Seat};
use super::cohort::Cohorts;
use super::join::Joined;
use super::program::{GateProgram, Limit, Program, UntilProgram};
use super::watch::{Watch, only};
use super::watched::{Sample, Watched, normal_step_ms};
use super::witness::Witness;
use crate::series::Labels;

/// How many instants are read from the store at a time.
const CHUNK_INSTANTS: i64 = 2_048;
/// How many instants of history are read at their own step when a rule is loaded, and how many at
/// most of what lies before.
const NEAR_INSTANTS: i64 = 2_880;
const FAR_INSTANTS_MAX: i64 = 20_160;
/// For how many of the latest missed instants conditions are brought up to date too.
const REMEMBERED_INSTANTS: i64 = 240;

/// What one learning step has to be fed: from where on, in which strides at first, and from where
/// on each instant, and conditions with it.
#[expect(clippy::struct_field_names, reason = "units stand last in a name")]
struct Stretch {
    step_ms: i64,
    next_ms: i64,
    far_ms: i64,
    near_from_ms: i64,
    remember_from_ms: i64,
}

impl Watch {
    /// Feeds the learners every instant before `at_ms` that they have not seen, from the store: at
    /// first all of the history that they use, its far part in larger strides, later what was missed
    /// or lies between evaluations. Where one series takes the place of another, all that lies
    /// before is fed first.
    pub(super) fn catch_up(&mut self, ask: Ask<'_>, at_ms: i64) -> Result<(), EvalError> {
        let mut stretches = self.stretches(at_ms);
        let step_ms = normal_step_ms(self.every_ms);
        let oldest_ms = stretches.iter().map(|stretch| stretch.next_ms).min().unwrap_or(at_ms);
        let next_ms = self.succession.followed_ms.map(|followed_ms| followed_ms + step_ms);
        let mut start_ms = match next_ms {
            // After a long silence only what learners see anyway.
            Some(next_ms) => next_ms.max(self.schedule.first_on_grid(oldest_ms, step_ms)),
            None => self.schedule.first_on_grid(oldest_ms, step_ms),
        };
        // Those that a failure left over.
        self.take_over(ask, &mut stretches)?;
        while start_ms < at_ms {
            let last_ms = start_ms + (at_ms - 1 - start_ms) / step_ms * step_ms;
            let end_ms = last_ms.min(start_ms + (CHUNK_INSTANTS - 1) * step_ms);
            let tracks = ask.tracks("signal", &self.program.signal, (start_ms, end_ms, step_ms))?;
            let times = |track: &Track| track.samples.iter().map(|(at_ms, _)| *at_ms).collect();
            let there: Vec<(Labels, Vec<i64>)> =
                tracks.iter().map(|track| (track.labels.clone(), times(track))).collect();
            let there = there.iter().map(|(labels, times_ms)| (labels, times_ms.as_slice()));
            self.upcoming.extend(self.succession.follow(there, (start_ms, end_ms)));
            self.take_over(ask, &mut stretches)?;
            start_ms = end_ms + step_ms;
        }
        self.feed_until(ask, &mut stretches, at_ms)
    }

    /// Lets series take the place of others, in order, each once all that lies before is fed.
    fn take_over(&mut self, ask: Ask<'_>, stretches: &mut [Stretch]) -> Result<(), EvalError> {
        while let Some(at_ms) = self.upcoming.front().map(|handover| handover.at_ms) {
            self.feed_until(ask, stretches, at_ms)?;
            if let Some(handover) = self.upcoming.pop_front() {
                self.hand_over(handover);
            }
        }
        Ok(())
    }

    /// What each learning step has to be fed until `at_ms`.
    fn stretches(&self, at_ms: i64) -> Vec<Stretch> {
        let stretch = |(step_ms, history_ms): (i64, i64)| {
            let oldest_ms = self.schedule.first_on_grid(at_ms - history_ms, step_ms);
            let fed_ms = self.fed.get(&step_ms).map(|fed_ms| fed_ms + step_ms);
            let next_ms = fed_ms.map_or(oldest_ms, |next_ms| next_ms.max(oldest_ms));
            let counts = self.feeds.counting.is_some() && self.feeds.feeds_hours(step_ms);
            let far_strides = if counts || self.feeds.needs_each_instant(step_ms) {
                1
            } else {
                (history_ms / step_ms + FAR_INSTANTS_MAX - 1) / FAR_INSTANTS_MAX
            };
            Stretch {
                step_ms,
                next_ms,
                far_ms: step_ms * far_strides,
                near_from_ms: match fed_ms {
                    Some(_) => next_ms,
                    None => at_ms.saturating_sub(NEAR_INSTANTS.saturating_mul(step_ms)),
                },
                remember_from_ms: at_ms.saturating_sub(REMEMBERED_INSTANTS.saturating_mul(step_ms)),
            }
        };
        self.feeds.steps().into_iter().map(stretch).collect()
    }

    /// Feeds what lies before a time.
    fn feed_until(
        &mut self,
        ask: Ask<'_>,
        stretches: &mut [Stretch],
        before_ms: i64,
    ) -> Result<(), EvalError> {
        for stretch in stretches {
            let Stretch { step_ms, near_from_ms, .. } = *stretch;
            while stretch.next_ms < before_ms {
                let start_ms = stretch.next_ms;
                let (stride_ms, until_ms) = if start_ms < near_from_ms {
                    (stretch.far_ms, near_from_ms.min(before_ms))
                } else {
                    (step_ms, before_ms)
                };
                let last_ms = start_ms + (CHUNK_INSTANTS - 1) * stride_ms;
                let end_ms =
                    last_ms.min(start_ms + (until_ms - 1 - start_ms) / stride_ms * stride_ms);
                let times = (start_ms, end_ms, stride_ms);
                self.feed(ask, step_ms, times, stretch.remember_from_ms)?;
                self.fed.insert(step_ms, end_ms);
                stretch.next_ms = end_ms + stride_ms;
            }
        }
        Ok(())
    }

    fn feed(
        &mut self,
        ask: Ask<'_>,
        step_ms: i64,
        times: (i64, i64, i64),
        remember_from_ms: i64,
    ) -> Result<(), EvalError> {
        let mut tracks = ask.tracks("signal", &self.program.signal, times)?;
        tracks.retain(|track| !track.samples.is_empty());
        let limits = match &self.program.limit {
            Some(Limit::Moving(expr)) if self.feeds.uses_moving_limit(step_ms) => {
                Some(by_labels(ask.tracks("limit", expr, times)?))
            }
            _ => None,
        };
        let feeds = &self.feeds;
        let feeds_habits = feeds.needs_each_instant(step_ms);
        let mut witness = Witness::new(ask, self.schedule, step_ms);
        for track in &tracks {
            let Some((first_ms, _)) = track.samples.first() else { continue };
            let limits: Vec<&Vec<(i64, f64)>> =
                limits.iter().flat_map(|limits| limits.of(&track.labels)).collect();
            let watched = self
                .series
                .entry(track.labels.clone())
                .or_insert_with(|| Watched::new(feeds, *first_ms));
            for (time_ms, value) in track.samples.iter().copied() {
                let limit = only(limits.iter().filter_map(|limit| at(limit, time_ms)));
                let sample = Sample { time_ms, value, limit };
                let asked = time_ms >= remember_from_ms;
                watched.seen(time_ms);
                if feeds_habits {
                    watched.learn_habits(feeds, &track.labels, (time_ms, value), &mut witness)?;
                }
                watched.learn_crossings(feeds, step_ms, sample, asked);
            }
        }
        if feeds.feeds_hours(step_ms) {
            self.feed_hours(ask, &tracks, times, remember_from_ms)?;
        }
        Ok(())
    }

    /// Asks once when the series were first seen, where `until` looks further back than the
    /// learners have.
    pub(super) fn learn_history(&mut self, ask: Ask<'_>, at_ms: i64) -> Result<(), EvalError> {
        let Some(until) = &self.program.until else { return Ok(()) };
        let covered_ms = self.feeds.steps().iter().map(|(_, history_ms)| *history_ms).max();
        if self.knows_history || covered_ms.is_some_and(|covered| covered >= until.history_ms) {
            return Ok(());
        }
        let step_ms = (until.history_ms / 512 / self.every_ms + 1) * self.every_ms;
        let start_ms = at_ms - until.history_ms - step_ms;
        for track in ask.tracks("signal", &self.program.signal, (start_ms, at_ms, step_ms))? {
            let (Some(first), Some(last)) = (track.samples.first(), track.samples.last()) else {
                continue;
            };
            let feeds = &self.feeds;
            let new = || Watched::new(feeds, first.0);
            let watched = self.series.entry(track.labels).or_insert_with(new);
            watched.seen(first.0);
            watched.seen(last.0);
        }
        self.knows_history = true;
        Ok(())
    }

    /// Lets each series learn what is normal for it, alone and beside its peers, instant after
    /// instant: what is learned of one may depend on the others at that time.
    fn feed_hours(
        &mut self,
        ask: Ask<'_>,
        tracks: &[Track],
        times: (i64, i64, i64),
        remember_from_ms: i64,
    ) -> Result<(), EvalError> {
        let feeds = &self.feeds;
        let Some(kinship) = feeds.kinship() else { return Ok(()) };
        let outside = match &feeds.counting {
            Some(_) => Outsides::ask(&self.program, ask, times)?,
            None => Outsides::default(),
        };
        let mut cohorts = feeds.peers.as_ref().map(|feed| Cohorts::new(feeds, feed));
        // Both in order of labels.
        let mut tracks = tracks.iter().peekable();
        let mut circles: BTreeMap<Labels, (Vec<Seat<'_>>, Vec<Option<&Track>>)> = BTreeMap::new();
        for (labels, watched) in &mut self.series {
            let (seats, theirs) = circles.entry(kinship.of(labels)).or_default();
            seats.push(Seat::new(labels, watched, None));
            theirs.push(tracks.next_if(|track| track.labels == *labels));
        }
        for (seats, theirs) in circles.into_values() {
            if theirs.iter().any(Option::is_some) {
                let by_seat: Vec<_> = seats.iter().map(|seat| outside.of(seat.labels)).collect();
                let at = |seat: usize, at_ms: i64| by_seat[seat].at(at_ms);
                let budget = &mut self.budget;
                let count = feeds.counting.as_ref();
                let count = count.map(|counting| Count { counting, budget, outside: &at });
                let mut circle = Circle::new(feeds, seats);
                circle.walk(feeds, &mut cohorts, &theirs, times, remember_from_ms, count);
            }
        }
        Ok(())
    }
}

/// When the expressions of gates and of `until` have which elements.
#[derive(Default)]
struct Outsides {
    gates: Vec<Joined<Vec<i64>>>,
    until: Option<Joined<Vec<i64>>>,
}

/// Those of one series.
struct OutsideOf<'a> {
    gates: Vec<&'a Vec<i64>>,
    until: Vec<&'a Vec<i64>>,
}

impl Outsides {
    fn ask(program: &Program, ask: Ask<'_>, times: (i64, i64, i64)) -> Result<Outsides, EvalError> {
        let gate = |gate: &GateProgram| match gate {
            GateProgram::While(expr) => Some(ask.presence("gate", expr, times)),
            _ => None,
        };
        let until = match program.until.as_ref().map(|until| &until.test) {
            Some(UntilProgram::Query(expr)) => Some(ask.presence("until", expr, times)?),
            _ => None,
        };
        let gates = program.gates.iter().filter_map(gate).collect::<Result<_, _>>()?;
        Ok(Outsides { gates, until })
    }

    fn of(&self, series: &Labels) -> OutsideOf<'_> {
        OutsideOf {
            gates: self.gates.iter().flat_map(|gate| gate.of(series)).collect(),
            until: self.until.iter().flat_map(|until| until.of(series)).collect(),
        }
    }
}

impl OutsideOf<'_> {
    fn at(&self, at_ms: i64) -> Outside {
        let any = |elements: &[&Vec<i64>]| {
            elements.iter().any(|times_ms| times_ms.binary_search(&at_ms).is_ok())
        };
        Outside { is_gated: any(&self.gates), until: any(&self.until) }
    }
}

fn by_labels(tracks: Vec<Track>) -> Joined<Vec<(i64, f64)>> {
    Joined::new(tracks.into_iter().map(|track| (track.labels, track.samples)))
}

fn at(samples: &[(i64, f64)], time_ms: i64) -> Option<f64> {
    let found = samples.binary_search_by_key(&time_ms, |(time_ms, _)| *time_ms).ok()?;
    Some(samples[found].1)
}
