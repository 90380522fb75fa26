//! Learned conditions do not flap at their edge: what each remembers of a series.

use super::Truth;
use super::ast::Side;
use super::program::Distance;
use crate::learn::{self, Outlook, Verdict};

/// Where a condition on normal goes on, as a share of where it begins.
const NORMAL_GOES_ON: f64 = 0.7;
/// The same for a forecast's probability.
const REACHES_GOES_ON: f64 = 0.55;
/// So many in running that are far from it end it.
const UNSURE_MAX: u8 = 3;

/// What one learned condition of a rule remembers of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Whether it holds, as of the last sample.
    pub(super) truth: Truth,
    is_on: bool,
    /// The last three updates of a forecast, the latest in the lowest bit: was it sure enough?
    sure: u8,
    /// How many updates in running it has been far from sure.
    unsure_count: u8,
    /// Whether the last forecast found the series across its limit.
    was_across: bool,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// Returns the memory of a condition that has not held.
    pub fn new() -> Memory {
        Memory { truth: Truth::Unknown, is_on: false, sure: 0, unsure_count: 0, was_across: false }
    }

    /// Returns whether the condition holds, or did when it was last known.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// A value was judged: outside the band on that side and far enough from what is expected?
    pub(super) fn judged(
        &mut self,
        value: f64,
        verdict: Option<&Verdict>,
        (side, by): (Side, Distance),
        sticky: bool,
    ) {
        let Some(verdict) = verdict else {
            self.truth = Truth::Unknown;
            return;
        };
        let said = (verdict.expected, verdict.side, verdict.score);
        self.is_on = is_outside(value, said, (side, by), self.is_on && sticky);
        self.truth = self.is_on.into();
    }

    /// Sets whether it is on, for a band whose edge was moved.
    pub(super) fn set_on(&mut self, is_on: bool) {
        self.is_on = is_on;
    }

    /// A forecast was made: it begins when two of the last three were sure (on the limit: at once),
    /// and goes on until three in running are far from it. A series that comes off its limit has
    /// been off it for a while already: it goes on there only if that forecast is sure.
    pub fn foreseen(&mut self, outlook: &Outlook, probability: f64, sticky: bool) {
        let p = match outlook {
            Outlook::Unknown => {
                self.truth = Truth::Unknown;
                return;
            }
            Outlook::Across => 1.0,
            Outlook::Ahead(ahead) => ahead.p,
        };
        let is_across = *outlook == Outlook::Across;
        let comes_off = std::mem::replace(&mut self.was_across, is_across) && !is_across;
        let before = if comes_off { 0 } else { self.sure };
        self.sure = (before << 1 | u8::from(p >= probability)) & 0b111;
        let is_unsure = p < REACHES_GOES_ON * probability;
        self.unsure_count = if is_unsure { self.unsure_count.saturating_add(1) } else { 0 };
        let begins = self.sure.count_ones() >= 2 || is_across;
        let is_sure_again = !comes_off || p >= probability;
        let goes_on = self.is_on && sticky && is_sure_again && self.unsure_count < UNSURE_MAX;
        self.is_on = begins || goes_on;
        self.truth = self.is_on.into();
    }
}

/// Whether a value is outside its band on that side and far enough from what is expected;
/// `said` is what was expected, on which side the value is, and its score. `goes_on`: it was, and
/// needs less to be still.
pub(super) fn is_outside(
    value: f64,
    (expected, on, score): (f64, learn::Side, f64),
    (side, by): (Side, Distance),
    goes_on: bool,
) -> bool {
    let on_side = match side {
        Side::Above => on == learn::Side::Above,
        Side::Below => on == learn::Side::Below,
        Side::Either => true,
    };
    let share = if goes_on { NORMAL_GOES_ON } else { 1.0 };
    on_side && score >= share && (value - expected).abs() >= share * by.of(expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Ahead, Phase};

    fn ahead(p: f64) -> Ahead {
        let (eta_p10_s, eta_p50_s, eta_p90_s) = (None, None, None);
        let (slope_per_s, similar, resets) = (0.0, (0.0, 0.0), (0, 0));
        Ahead { p, eta_p10_s, eta_p50_s, eta_p90_s, slope_per_s, similar, resets }
    }

    fn foreseen(sticky: bool, ps: &[f64]) -> String {
        let mut memory = Memory::new();
        let mut on = |p: &f64| {
            memory.foreseen(&Outlook::Ahead(ahead(*p)), 0.8, sticky);
            if memory.truth == Truth::True { '#' } else { '.' }
        };
        ps.iter().map(&mut on).collect()
    }

    #[test]
    fn forecasts_begin_on_two_of_three_and_end_on_three_in_running() {
        assert_eq!(
            foreseen(true, &[0.9, 0.1, 0.9, 0.5, 0.4, 0.4, 0.5, 0.4, 0.4, 0.4]),
            "..#######."
        );
        assert_eq!(foreseen(false, &[0.9, 0.9, 0.5, 0.5, 0.9]), ".##..");
        let mut memory = Memory::new();
        memory.foreseen(&Outlook::Across, 0.8, true);
        assert_eq!(memory.truth, Truth::True);
        memory.foreseen(&Outlook::Unknown, 0.8, true);
        assert_eq!(memory.truth, Truth::Unknown);
        assert!(memory.is_on());
        memory.foreseen(&Outlook::Ahead(ahead(0.1)), 0.8, true);
        assert!(!memory.is_on(), "off the limit, and not on its way there");
        for (p, goes_on) in [(0.5, false), (0.8, true)] {
            memory.foreseen(&Outlook::Across, 0.8, true);
            memory.foreseen(&Outlook::Ahead(ahead(p)), 0.8, true);
            assert_eq!(memory.is_on(), goes_on, "off the limit, and {p} to be on it again");
        }
    }

    #[test]
    fn normal_goes_on_down_to_seven_tenths() {
        let run = |sticky: bool, by: f64, scores: &[(f64, f64)]| -> String {
            let mut memory = Memory::new();
            let mut on = |(score, value): &(f64, f64)| {
                let (expected, lower, upper, surprise) = (0.0, -1.0, 1.0, 1.0);
                let (side, phase) = (learn::Side::Above, Phase::Day);
                let (score, borrowed, shift, relearned) = (*score, 0.0, None, false);
                let verdict = Verdict {
                    expected,
                    lower,
                    upper,
                    surprise,
                    score,
                    side,
                    phase,
                    borrowed,
                    shift,
                    relearned,
                };
                let what = (Side::Above, Distance::Absolute(by));
                memory.judged(*value, Some(&verdict), what, sticky);
                if memory.truth == Truth::True { '#' } else { '.' }
            };
            scores.iter().map(&mut on).collect()
        };
        assert_eq!(run(true, 0.0, &[(0.9, 1.0), (1.0, 1.0), (0.7, 1.0), (0.6, 1.0)]), ".##.");
        assert_eq!(run(false, 0.0, &[(1.0, 1.0), (0.9, 1.0)]), "#.");
        assert_eq!(run(true, 2.0, &[(1.0, 1.9), (1.0, 2.0), (1.0, 1.4), (1.0, 1.3)]), ".##.");
    }
}
