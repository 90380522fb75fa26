//! Series beside their peers: judged and fed together, an instant at a time.

use super::budget::EDGES;
use super::circle::{Instant, Seat};
use super::watched::{Feeds, PeersFeed};
use crate::learn::{Peers, Reading, Verdict, of_member, reading_of_member};

/// A score that is half way to odd.
const ODD: f64 = 0.5;

/// Compares the members of one cohort after the other; holds nothing but memory to work in.
pub(super) struct Cohorts<'a> {
    feeds: &'a Feeds,
    feed: &'a PeersFeed,
    peers: Peers,
    members: Vec<(usize, f64)>,
    departures: Vec<(usize, f64)>,
    verdicts: Vec<(usize, Verdict)>,
    readings: Vec<(usize, Reading)>,
}

impl<'a> Cohorts<'a> {
    pub(super) fn new(feeds: &'a Feeds, feed: &'a PeersFeed) -> Cohorts<'a> {
        Cohorts {
            feeds,
            feed,
            peers: Peers::new(feed.plan.at_least),
            members: Vec::new(),
            departures: Vec::new(),
            verdicts: Vec::new(),
            readings: Vec::new(),
        }
    }

    /// Judges the members of one cohort, then lets each learn its departure.
    pub(super) fn at(&mut self, seats: &mut [Seat<'_>], cohort: &[usize], instant: Instant) {
        self.members.clear();
        let values = cohort.iter().map(|index| (*index, seats[*index].value));
        self.members.extend(values.filter_map(|(index, value)| Some((index, value?))));
        let median = self.peers.departures(&self.members, &mut self.departures);
        if instant.asked {
            self.judge(seats, cohort, median, instant.time_ms);
        }
        if let Some(counting) = self.feeds.counting.as_ref().filter(|_| instant.learned) {
            self.read(seats, cohort, (median, instant.time_ms), counting.thresholds());
        }
        if instant.learned {
            for (member, by) in &self.departures {
                seats[*member].watched.learn_peers(instant.time_ms, *by);
            }
        }
    }

    /// Says how unusual each member is at every edge that a budget may choose, as
    /// [`Cohorts::judge`] does at one.
    fn read(
        &mut self,
        seats: &mut [Seat<'_>],
        cohort: &[usize],
        (median, time_ms): (Option<f64>, i64),
        thresholds: &[f64; EDGES],
    ) {
        self.readings.clear();
        for (member, by) in &self.departures {
            let seat = &seats[*member];
            let reading = seat.watched.read_departure(time_ms, *by);
            if let (Some(median), Some(reading), Some(value)) = (median, reading, seat.value) {
                self.readings.push((*member, reading_of_member(median, value, &reading)));
            }
        }
        let mut nobody = 0u16;
        for (edge, threshold) in thresholds.iter().enumerate() {
            let is_odd = |reading: &Reading| reading.score(*threshold) >= ODD;
            let odd = self.readings.iter().filter(|(_, reading)| is_odd(reading)).count();
            nobody |= u16::from(2 * odd >= self.departures.len()) << edge;
        }
        for index in cohort {
            (seats[*index].beside, seats[*index].nobody) = (None, nobody);
        }
        for (member, reading) in &self.readings {
            seats[*member].beside = Some(*reading);
        }
    }

    /// Where half of the members or more are at least half way to odd at once, it is the cohort that has changed, or
    /// that is two: of none can be said that it differs.
    fn judge(
        &mut self,
        seats: &mut [Seat<'_>],
        cohort: &[usize],
        median: Option<f64>,
        time_ms: i64,
    ) {
        let threshold = self.feeds.threshold(self.feed.step_ms);
        self.verdicts.clear();
        for (member, by) in &self.departures {
            let seat = &seats[*member];
            let verdict = seat.watched.departure(time_ms, *by, threshold);
            if let (Some(median), Some(verdict), Some(value)) = (median, verdict, seat.value) {
                self.verdicts.push((*member, of_member(median, value, &verdict)));
            }
        }
        let odd = self.verdicts.iter().filter(|(_, verdict)| verdict.score >= ODD).count();
        let nobody = 2 * odd >= self.departures.len();
        let mut verdicts = self.verdicts.iter().filter(|_| !nobody).peekable();
        for index in cohort.iter().copied() {
            let verdict = verdicts.next_if(|(member, _)| *member == index);
            let verdict = verdict.map(|(_, verdict)| *verdict);
            let seat = &mut seats[index];
            seat.watched.judged_by_peers(self.feeds, seat.value, verdict);
        }
    }
}
