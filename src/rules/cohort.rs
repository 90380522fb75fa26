//! Series beside their peers: judged and fed together, an instant at a time.

use super::circle::{Instant, Seat};
use super::watched::{Feeds, PeersFeed};
use crate::learn::{Peers, Verdict, of_member};

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

    /// Judges the members of one cohort, then lets each learn its departure.
    pub(super) fn at(&mut self, seats: &mut [Seat<'_>], cohort: &[usize], instant: Instant) {
        self.members.clear();
        let values = cohort.iter().map(|index| (*index, seats[*index].value));
        self.members.extend(values.filter_map(|(index, value)| Some((index, value?))));
        let median = self.peers.departures(&self.members, &mut self.departures);
        if instant.asked {
            self.judge(seats, cohort, median, instant.time_ms);
        }
        if instant.learned {
            for (member, by) in &self.departures {
                seats[*member].watched.learn_peers(instant.time_ms, *by);
            }
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
        let odd = self.verdicts.iter().filter(|(_, verdict)| verdict.score >= 0.5).count();
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
