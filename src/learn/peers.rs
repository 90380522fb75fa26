//! How far each of several equals stands from the others: [`Peers`].

use super::{Side, Verdict};

/// What a departure is at least, as a share of what is expected.
const DEPARTURE_MIN: f64 = 0.01;

/// One member of a cohort at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure<I> {
    /// Which member.
    pub member: I,
    /// The median of the others, in the signal's unit.
    pub median: f64,
    /// How far the member stands above it, in the signal's unit. A baseline of that member learns
    /// from these what its own usual offset is.
    pub by: f64,
}

/// Compares the members of a cohort with one another.
///
/// departure = x - median of the *other* members: so what is expected of a member does not depend
/// on its own value, its band stands still while it moves, and one far-off member among five
/// counts in full. A member that is no number, or beyond 1e300, is none.
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

    /// Writes the departure of each member to `into`, which is emptied before, in their order.
    pub fn departures<I: Copy>(&mut self, members: &[(I, f64)], into: &mut Vec<Departure<I>>) {
        into.clear();
        self.sorted.clear();
        self.sorted.extend(members.iter().map(|(_, x)| *x).filter(|x| is_member(*x)));
        let count = self.sorted.len();
        if count < self.at_least {
            return;
        }
        self.sorted.sort_unstable_by(f64::total_cmp);
        // The middle of the sorted ones, and its neighbours.
        let [below, low, high, above] =
            [count / 2 - 1, (count - 1) / 2, count / 2, count.div_ceil(2)]
                .map(|rank| self.sorted[rank.min(count - 1)]);
        for (member, x) in members.iter().filter(|(_, x)| is_member(*x)) {
            let median = match count % 2 {
                // Of the others there are an odd number: the one of the two that it is not among.
                0 if *x <= low => high,
                0 => low,
                _ if *x < low => f64::midpoint(low, above),
                _ if *x > low => f64::midpoint(below, low),
                _ => f64::midpoint(below, above),
            };
            into.push(Departure { member: *member, median, by: x - median });
        }
    }
}

/// Turns what a member's baseline says of its departure into a verdict on its value.
///
/// expected, lower and upper = the median of the others + the baseline's. The band reaches at
/// least 1 % of what is expected to either side: equals are often equal to many digits, and
/// nobody is to be woken by the last of them.
pub fn of_member(median: f64, value: f64, verdict: &Verdict) -> Verdict {
    let expected = median + verdict.expected;
    let least = DEPARTURE_MIN * expected.abs();
    let distance = (value - expected).abs();
    let score = if distance < least { verdict.score.min(distance / least) } else { verdict.score };
    let mut lower = (median + verdict.lower).min(expected - least);
    let mut upper = (median + verdict.upper).max(expected + least);
    // The score decides, whatever rounding did to the sums.
    if score < 1.0 {
        (lower, upper) = (lower.min(value), upper.max(value));
    } else if value > expected {
        upper = upper.min(value.next_down()).max(expected);
    } else {
        lower = lower.max(value.next_up()).min(expected);
    }
    let side = if value < expected { Side::Below } else { Side::Above };
    Verdict { expected, lower, upper, score, side, shift: None, ..*verdict }
}

fn is_member(x: f64) -> bool {
    x.abs() <= 1e300
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::*;

    fn departures(at_least: usize, values: &[f64]) -> Vec<(f64, f64)> {
        let members: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
        let mut found = Vec::new();
        Peers::new(at_least).departures(&members, &mut found);
        found.iter().map(|departure| (departure.median, departure.by)).collect()
    }

    /// The median of all but one, the slow way.
    fn of_others(values: &[f64], without: usize) -> f64 {
        let mut others: Vec<f64> = values.to_vec();
        others.remove(without);
        others.sort_unstable_by(f64::total_cmp);
        let middle = others.len() / 2;
        match others.len() % 2 {
            0 => f64::midpoint(others[middle - 1], others[middle]),
            _ => others[middle],
        }
    }

    #[test]
    fn each_is_compared_with_the_others() {
        let mut rng = fastrand::Rng::with_seed(1);
        for count in 3..40 {
            let values: Vec<f64> = (0..count).map(|_| f64::from(rng.u8(..12))).collect();
            for (index, (median, by)) in departures(3, &values).into_iter().enumerate() {
                assert_eq!(median, of_others(&values, index), "{index} of {values:?}");
                assert_eq!(by, values[index] - median);
            }
        }
        // Among five, the far one counts in full, and does not move the others.
        assert_eq!(departures(5, &[1.0, 2.0, 3.0, 4.0, 100.0])[4], (2.5, 97.5));
        // Two halves that disagree: each member is odd to the others, by the same on either side.
        let by: Vec<f64> = departures(4, &[1.0, 1.0, 9.0, 9.0]).iter().map(|d| d.1).collect();
        assert_eq!(by, [-8.0, -8.0, 8.0, 8.0]);
    }

    #[test]
    fn what_is_no_number_is_no_member() {
        let values = [1.0, f64::NAN, 2.0, f64::INFINITY, 3.0, f64::NEG_INFINITY, 2e300];
        assert_eq!(departures(3, &values).len(), 3);
        assert_eq!(departures(4, &values), []);
        assert_eq!(departures(0, &[1.0, 2.0]), [], "of two nobody knows which is odd");
        let huge = departures(3, &[1e300, -1e300, 1e300, -1e300]);
        assert!(huge.iter().all(|(median, by)| median.is_finite() && by.is_finite()), "{huge:?}");
        assert_eq!(departures(3, &[1e300, 1e300, 1e300]), [(1e300, 0.0); 3]);
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
            shift: None,
            relearned: false,
        };
        // 129.4 is outside what the baseline says, and within a percent of 130.
        let near = of_member(100.0, 129.4, &verdict);
        assert_eq!((near.expected, near.lower, near.upper), (130.0, 128.7, 140.0));
        assert!(near.score < 0.5 && near.side == Side::Below, "{near:?}");
        let far = of_member(100.0, 120.0, &verdict);
        assert_eq!((far.score, far.lower), (1.5, 128.7));
    }
}
