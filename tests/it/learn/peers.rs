//! Cohorts: the odd one out is found against its own usual offset, and what all do together is no
//! departure.

use forewarn::learn::{Baseline, Calendar, Peers, Season, Verdict, default_threshold, of_member};

use super::support::{MINUTE_MS, START_MS, busy, noise};

/// As few as are compared where a rule does not say.
const HOSTS: usize = 5;

/// Hosts with their baselines, a sample of each every five minutes.
struct Cohort {
    peers: Peers,
    baselines: Vec<Baseline>,
    departures: Vec<(usize, f64)>,
    now_ms: i64,
}

impl Cohort {
    fn new() -> Cohort {
        Cohort {
            peers: Peers::new(5),
            baselines: vec![Baseline::new(Season::HourOfWeek, Calendar::utc()); HOSTS],
            departures: Vec::new(),
            now_ms: START_MS,
        }
    }

    /// Feeds so many instants; returns which host was outside when, and the verdicts.
    fn feed(
        &mut self,
        instants: i64,
        mut value: impl FnMut(usize, i64) -> f64,
    ) -> Vec<(usize, i64, Verdict)> {
        let mut outside = Vec::new();
        let threshold = default_threshold(5 * MINUTE_MS);
        for _ in 0..instants {
            let now_ms = self.now_ms;
            let members: Vec<(usize, f64)> = (0..HOSTS).map(|h| (h, value(h, now_ms))).collect();
            let median = self.peers.departures(&members, &mut self.departures).unwrap();
            for (member, by) in &self.departures {
                let verdict = self.baselines[*member].observe(now_ms, *by, threshold);
                let Some(verdict) = verdict else { continue };
                let x = members[*member].1;
                let verdict = of_member(median, x, &verdict);
                assert!(verdict.lower <= verdict.expected && verdict.expected <= verdict.upper);
                assert_eq!(x < verdict.lower || x > verdict.upper, verdict.score >= 1.0);
                if verdict.score >= 1.0 {
                    outside.push((*member, now_ms, verdict));
                }
            }
            self.now_ms += 5 * MINUTE_MS;
        }
        outside
    }
}

const DAY: i64 = 288;

/// A day's cycle that all share, and the first host always 30 % above it.
fn load(host: usize, at_ms: i64, rng: &mut fastrand::Rng) -> f64 {
    let own = if host == 0 { 1.3 } else { 1.0 };
    own * busy(at_ms) + 2.0 * noise(rng)
}

#[test]
fn the_odd_one_is_found_and_a_usual_offset_is_not_odd() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut cohort = Cohort::new();
    cohort.feed(21 * DAY, |host, at_ms| load(host, at_ms, &mut rng));
    let quiet = cohort.feed(14 * DAY, |host, at_ms| load(host, at_ms, &mut rng));
    // One sample in a thousand, as of any series.
    assert!(quiet.len() as i64 <= 14 * DAY * HOSTS as i64 / 1000, "{}", quiet.len());

    // All of them go up by half: nobody is odd.
    let mut together = cohort.baselines.clone();
    let start_ms = cohort.now_ms;
    let outside = cohort.feed(DAY / 4, |host, at_ms| load(host, at_ms, &mut rng) + 60.0);
    assert!(outside.len() <= 2, "{outside:?}");
    std::mem::swap(&mut cohort.baselines, &mut together);
    cohort.now_ms = start_ms;

    // One goes up by less than the first host always has.
    let outside = cohort.feed(DAY / 4, |host, at_ms| {
        load(host, at_ms, &mut rng) + if host == 4 { 25.0 } else { 0.0 }
    });
    let first = outside.iter().find(|(host, ..)| *host == 4).expect("the odd one");
    assert!(first.1 - start_ms <= 15 * MINUTE_MS, "{first:?}");
    assert!(outside.iter().all(|(host, ..)| *host == 4), "it moves no other");
    let usual = busy(first.1);
    assert!((first.2.expected - usual).abs() < 8.0, "{:?} {usual}", first.2);
}

#[test]
fn equals_to_many_digits_are_not_odd_by_the_last_of_them() {
    let mut rng = fastrand::Rng::with_seed(2);
    let mut cohort = Cohort::new();
    cohort.feed(7 * DAY, |_, _| 100.0 + 0.01 * noise(&mut rng));
    let tenths = |host| if host == 3 { 100.9 } else { 100.0 };
    assert_eq!(cohort.feed(20, |host, _| tenths(host)).len(), 0, "less than a percent");
    let outside = cohort.feed(20, |host, _| if host == 3 { 103.0 } else { 100.0 });
    assert!(!outside.is_empty() && outside.iter().all(|(host, ..)| *host == 3));
}
