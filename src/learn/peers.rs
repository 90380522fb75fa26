//! How far each of several equals stands from their middle: [`Peers`].

use super::baseline::agreed;
use super::{Reading, Side, Verdict};

/// What a departure is at least, as a share of what is expected.
const DEPARTURE_MIN: f64 = 0.01;

/// Compares the members of a cohort with one another.
///
/// departure = x - median, the member itself included. Without it, of five members the median
/// would be the mean of the middle two of four: one that is always far off and one that becomes so
/// would move it for all. With it two of five may be anywhere; what it costs is that a member which
/// crosses the middle moves the median to its neighbour. A member that is no number, or beyond
/// 1e300, is none.
///
/// Cost: a sort of the members, then nothing per member. No state; the memory for sorting is
/// used again. See benches/learn.rs.
#[derive(Clone, Debug)]
pub struct Peers {
    at_least: usize,
    sorted: Vec<f64>,
}

impl Peers {
    /// Returns a comparison that says nothing of cohorts of fewer than `at_least` members, nor of
    /// fewer than three.
    pub fn new(at_least: usize) -> Peers {
        Peers { at_least: at_least.max(3), sorted: Vec::new() }
    }

    /// Writes how far each member stands above the median to `into`, which is emptied before, in
    /// their order, and returns the median; both in the signal's unit. Nothing where there are too
    /// few members. A baseline of each member learns from its departures what its own usual offset
    /// is.
    pub fn departures<I: Copy>(
        &mut self,
        members: &[(I, f64)],
        into: &mut Vec<(I, f64)>,
    ) -> Option<f64> {
        into.clear();
        self.sorted.clear();
        self.sorted.extend(members.iter().map(|(_, x)| *x).filter(|x| is_member(*x)));
        let count = self.sorted.len();
        if count < self.at_least {
            return None;
        }
        self.sorted.sort_unstable_by(f64::total_cmp);
        let median = f64::midpoint(self.sorted[(count - 1) / 2], self.sorted[count / 2]);
        let members = members.iter().filter(|(_, x)| is_member(*x));
        into.extend(members.map(|(member, x)| (*member, x - median)));
        Some(median)
    }
}

/// Turns what a member's baseline says of its departure into a verdict on its value.
///
/// expected, lower and upper = the median + the baseline's. The band reaches at
/// least 1 % of what is expected to either side: equals are often equal to many digits, and
/// nobody is to be woken by the last of them.
pub fn of_member(median: f64, value: f64, verdict: &Verdict) -> Verdict {
    let expected = median + verdict.expected;
    let least = DEPARTURE_MIN * expected.abs();
    let distance = (value - expected).abs();
    let score = if distance < least { verdict.score.min(distance / least) } else { verdict.score };
    let lower = (median + verdict.lower).min(expected - least);
    let upper = (median + verdict.upper).max(expected + least);
    // The score decides, whatever rounding did to the sums.
    let (lower, upper, score) = agreed((lower, expected, upper), value, score);
    let side = if value < expected { Side::Below } else { Side::Above };
    Verdict { expected, lower, upper, score, side, shift: None, ..*verdict }
}

/// The same for a reading: at each threshold the score of [`of_member`]'s verdict.
pub fn reading_of_member(median: f64, value: f64, reading: &Reading) -> Reading {
    let expected = median + reading.expected;
    let least = DEPARTURE_MIN * expected.abs();
    let distance = (value - expected).abs();
    let mut score_max = reading.score_max;
    if distance < least {
        score_max = score_max.min(distance / least);
    }
    if value == expected {
        score_max = score_max.min(1.0f64.next_down());
    }
    let side = if value < expected { Side::Below } else { Side::Above };
    Reading { expected, side, shift: None, score_max, ..*reading }
}

fn is_member(x: f64) -> bool {
    x.abs() <= 1e300
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::*;

    fn departures(at_least: usize, values: &[f64]) -> Option<(f64, Vec<f64>)> {
        let members: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
        let mut found = vec![(9, 9.0)];
        let median = Peers::new(at_least).departures(&members, &mut found);
        let by: Vec<f64> = found.iter().map(|(_, by)| *by).collect();
        assert_eq!(median.is_none(), by.is_empty());
        median.map(|median| (median, by))
    }

    #[test]
    fn each_is_compared_with_the_middle() {
        assert_eq!(
            departures(5, &[4.0, 100.0, 2.0, 3.0, 1.0]),
            Some((3.0, vec![1.0, 97.0, -1.0, 0.0, -2.0]))
        );
        // Two of five may be anywhere.
        assert_eq!(departures(5, &[1.0, 1.0, 1.0, 50.0, 99.0]).unwrap().0, 1.0);
        // Two halves that disagree: each is as far from the middle.
        let halves = departures(4, &[1.0, 9.0, 1.0, 9.0]);
        assert_eq!(halves, Some((5.0, vec![-4.0, 4.0, -4.0, 4.0])));
    }

    #[test]
    fn what_is_no_number_is_no_member() {
        let values = [1.0, f64::NAN, 2.0, f64::INFINITY, 3.0, f64::NEG_INFINITY, 2e300];
        assert_eq!(departures(3, &values), Some((2.0, vec![-1.0, 0.0, 1.0])));
        assert_eq!(departures(4, &values), None);
        assert_eq!(departures(0, &[1.0, 2.0]), None, "of two nobody knows which is odd");
        let (median, by) = departures(3, &[1e300, -1e300, 1e300, -1e300]).unwrap();
        assert!(median == 0.0 && by.iter().all(|by| by.abs() == 1e300), "{by:?}");
        assert_eq!(departures(3, &[1e300; 4]), Some((1e300, vec![0.0; 4])));
    }

    #[test]
    fn the_band_is_around_the_median_and_never_narrower_than_a_percent() {
        let verdict = Verdict {
            expected: 30.0,
            lower: 29.5,
            upper: 40.0,
            surprise: 3.0,
            score: 1.5,
            side: Side::Below,
            phase: Phase::Day,
            borrowed: 0.0,
            shift: None,
            relearned: false,
        };
        // 129.4 is outside what the baseline says, and within a percent of 130.
        let near = of_member(100.0, 129.4, &verdict);
        assert_eq!((near.expected, near.lower, near.upper), (130.0, 128.7, 140.0));
        assert!(near.score < 0.5 && near.side == Side::Below, "{near:?}");
        let zero = Verdict { expected: 0.0, lower: 0.0, upper: 0.0, ..verdict };
        let none = of_member(0.0, 0.0, &zero);
        assert!(none.score < 1.0, "what is expected is inside: {none:?}");
        let far = of_member(100.0, 120.0, &verdict);
        assert_eq!((far.score, far.lower), (1.5, 128.7));
    }
}
