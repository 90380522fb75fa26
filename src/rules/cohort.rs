//! Series beside their peers: judged and fed together, an instant at a time.

use std::collections::BTreeMap;

use super::ask::Track;
use super::watched::{Feeds, PeersFeed, Watched};
use crate::learn::{Peers, Verdict, of_member};
use crate::series::Labels;

/// A member of a cohort, with its value at the instant, if it has one.
pub(super) struct Seat<'a> {
    pub(super) watched: &'a mut Watched,
    pub(super) value: Option<f64>,
}

/// What is done at an instant: judged, learned, or both, in this order.
#[derive(Clone, Copy)]
pub(super) struct Instant {
    pub(super) time_ms: i64,
    pub(super) asked: bool,
    pub(super) learned: bool,
}

/// Compares the members of one cohort after the other; holds nothing but memory to work in.
pub(super) struct Cohorts<'a> {
    feeds: &'a Feeds,
    feed: &'a PeersFeed,
    peers: Peers,
    members: Vec<(usize, f64)>,
    departures: Vec<(usize, f64)>,
    verdicts: Vec<(usize, Verdict)>,
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
        }
    }

    /// Groups series that are to be compared.
    pub(super) fn group<'s, T>(
        &self,
        series: impl Iterator<Item = (&'s Labels, T)>,
    ) -> BTreeMap<Labels, Vec<T>> {
        let mut groups: BTreeMap<Labels, Vec<T>> = BTreeMap::new();
        for (labels, member) in series {
            groups.entry(labels.keep(&self.feed.plan.within)).or_default().push(member);
        }
        groups
    }

    /// Walks through the times of the tracks of one cohort together.
    pub(super) fn walk(
        &mut self,
        members: Vec<(&mut Watched, &Track)>,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
        remember_from_ms: i64,
    ) {
        let mut ahead: Vec<&[(i64, f64)]> =
            members.iter().map(|(_, track)| track.samples.as_slice()).collect();
        let mut seats: Vec<Seat<'_>> =
            members.into_iter().map(|(watched, _)| Seat { watched, value: None }).collect();
        let mut time_ms = start_ms;
        while time_ms <= end_ms {
            for (seat, ahead) in seats.iter_mut().zip(&mut ahead) {
                let next = ahead.split_first().filter(|((at_ms, _), _)| *at_ms == time_ms);
                seat.value = next.map(|((_, value), rest)| {
                    *ahead = rest;
                    *value
                });
            }
            let asked = time_ms >= remember_from_ms;
            self.at(&mut seats, Instant { time_ms, asked, learned: true });
            time_ms += step_ms;
        }
    }

    /// Judges the members of one cohort, then lets each learn its departure.
    pub(super) fn at(&mut self, seats: &mut [Seat<'_>], instant: Instant) {
        self.members.clear();
        let values = seats.iter().enumerate();
        self.members.extend(values.filter_map(|(index, seat)| Some((index, seat.value?))));
        let median = self.peers.departures(&self.members, &mut self.departures);
        if instant.asked {
            self.judge(seats, median, instant.time_ms);
        }
        if instant.learned {
            for (member, by) in &self.departures {
                seats[*member].watched.learn_peers(instant.time_ms, *by);
            }
        }
    }

    /// Where half of the members or more are at least half way to odd at once, it is the cohort that has changed, or
    /// that is two: of none can be said that it differs.
    fn judge(&mut self, seats: &mut [Seat<'_>], median: Option<f64>, time_ms: i64) {
        let threshold = self.feeds.threshold(self.feed.step_ms);
        self.verdicts.clear();
        for (member, by) in &self.departures {
            let seat = &seats[*member];
            let verdict = seat.watched.departure(time_ms, *by, threshold);
            if let (Some(median), Some(verdict), Some(value)) = (median, verdict, seat.value) {
                self.verdicts.push((*member, of_member(median, value, &verdict)));
            }
        }
        let odd = self.verdicts.iter().filter(|(_, verdict)| verdict.score >= 0.5).count();
        let nobody = 2 * odd >= self.departures.len();
        let mut verdicts = self.verdicts.iter().filter(|_| !nobody).peekable();
        for (index, seat) in seats.iter_mut().enumerate() {
            let verdict = verdicts.next_if(|(member, _)| *member == index);
            let verdict = verdict.map(|(_, verdict)| *verdict);
            seat.watched.judged_by_peers(self.feeds, seat.value, verdict);
        }
    }
}
