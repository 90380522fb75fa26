//! Series that may depend on one another: judged and fed together, an instant at a time, live and
//! from the store alike.

use std::collections::BTreeMap;

use super::ask::Track;
use super::budget::{Budget, Counting, Outside, Question};
use super::cohort::Cohorts;
use super::kinship::take_after;
use super::watched::{Feeds, Watched};
use crate::learn::Reading;
use crate::series::Labels;

/// A series in its circle, with its value at the instant, if it has one.
pub(super) struct Seat<'a> {
    pub(super) labels: &'a Labels,
    pub(super) watched: &'a mut Watched,
    pub(super) value: Option<f64>,
    /// For a budget, what its peers say of it: [`Question::beside`].
    pub(super) beside: Option<Reading>,
    pub(super) nobody: u16,
}

impl<'a> Seat<'a> {
    pub(super) fn new(
        labels: &'a Labels,
        watched: &'a mut Watched,
        value: Option<f64>,
    ) -> Seat<'a> {
        Seat { labels, watched, value, beside: None, nobody: 0 }
    }
}

/// Counts pages for a rule with a budget; what other expressions say, by seat and time.
pub(super) struct Count<'a> {
    pub(super) counting: &'a Counting,
    pub(super) budget: &'a mut Budget,
    pub(super) outside: &'a dyn Fn(usize, i64) -> Outside,
}

/// What is done at an instant: judged, learned, or both, in this order.
#[derive(Clone, Copy)]
pub(super) struct Instant {
    pub(super) time_ms: i64,
    pub(super) asked: bool,
    pub(super) learned: bool,
}

/// Some series in order of labels: no other has to do with how they are judged and fed.
pub(super) struct Circle<'a> {
    seats: Vec<Seat<'a>>,
    /// Who may take after whom, and who is compared with whom.
    families: Vec<Vec<usize>>,
    cohorts: Vec<Vec<usize>>,
}

impl<'a> Circle<'a> {
    /// Returns a circle of these, which are in order of labels.
    pub(super) fn new(feeds: &Feeds, seats: Vec<Seat<'a>>) -> Circle<'a> {
        let grouped = |by: &dyn Fn(&Labels) -> Labels| -> Vec<Vec<usize>> {
            let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
            for (index, seat) in seats.iter().enumerate() {
                groups.entry(by(seat.labels)).or_default().push(index);
            }
            groups.into_values().collect()
        };
        let family = feeds.normal.as_ref().map(|feed| &feed.plan.share);
        let families = family.map_or(Vec::new(), |share| grouped(&|labels| share.of(labels)));
        let cohort = feeds.peers.as_ref().map(|feed| &feed.plan.within);
        let cohorts = cohort.map_or(Vec::new(), |within| grouped(&|labels| labels.keep(within)));
        Circle { seats, families, cohorts }
    }

    /// Walks through the times of tracks, one for each seat that has samples there.
    pub(super) fn walk(
        &mut self,
        feeds: &Feeds,
        cohorts: &mut Option<Cohorts<'_>>,
        tracks: &[Option<&Track>],
        (start_ms, end_ms, step_ms): (i64, i64, i64),
        remember_from_ms: i64,
        mut count: Option<Count<'_>>,
    ) {
        let samples = tracks.iter().map(|track| track.map(|track| track.samples.as_slice()));
        let mut ahead: Vec<&[(i64, f64)]> = samples.map(Option::unwrap_or_default).collect();
        let mut time_ms = start_ms;
        while time_ms <= end_ms {
            for (seat, ahead) in self.seats.iter_mut().zip(&mut ahead) {
                let next = ahead.split_first().filter(|((at_ms, _), _)| *at_ms == time_ms);
                seat.value = next.map(|((_, value), rest)| {
                    *ahead = rest;
                    *value
                });
            }
            let asked = time_ms >= remember_from_ms;
            self.at(feeds, cohorts, Instant { time_ms, asked, learned: true }, count.as_mut());
            time_ms += step_ms;
        }
    }

    /// Judges what the seats have, then lets them learn it.
    pub(super) fn at(
        &mut self,
        feeds: &Feeds,
        cohorts: &mut Option<Cohorts<'_>>,
        instant: Instant,
        count: Option<&mut Count<'_>>,
    ) {
        if instant.learned {
            for family in &self.families {
                take_after(&mut self.seats, family, instant.time_ms);
            }
        }
        if let Some(cohorts) = cohorts {
            for cohort in &self.cohorts {
                cohorts.at(&mut self.seats, cohort, instant);
            }
        }
        if let Some(count) = count.filter(|_| instant.learned) {
            self.count(count, instant.time_ms);
        }
        for seat in &mut self.seats {
            if instant.asked {
                seat.watched.judge(feeds, instant.time_ms, seat.value);
            }
            if let Some(value) = seat.value.filter(|_| instant.learned) {
                seat.watched.learn_normal(instant.time_ms, value);
            }
        }
    }

    /// Asks what the page would do at each edge.
    fn count(&mut self, count: &mut Count<'_>, time_ms: i64) {
        for (index, seat) in self.seats.iter_mut().enumerate() {
            let Some(mut machines) = seat.watched.machines.take() else { continue };
            let baseline = seat.watched.baseline.as_ref();
            let normal = baseline
                .zip(seat.value)
                .and_then(|(baseline, value)| baseline.read(time_ms, value));
            let question = Question {
                value: seat.value,
                normal,
                beside: seat.beside,
                nobody: seat.nobody,
                outside: (count.outside)(index, time_ms),
            };
            let times_ms = (time_ms, seat.watched.first_ms);
            count.counting.advance(&mut machines, &question, times_ms, count.budget);
            seat.watched.machines = Some(machines);
        }
    }
}
