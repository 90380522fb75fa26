/// What a baseline says of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// What was expected, in the signal's unit; always within the band.
    pub expected: f64,
    /// Lower edge of the band.
    pub lower: f64,
    /// Upper edge of the band.
    pub upper: f64,
    /// How rare the value is: about once per 10^surprise samples.
    pub surprise: f64,
    /// Surprise over threshold: 0 as expected, 1 at the band's edge. At least 1 if and only if the
    /// value is outside the band.
    pub score: f64,
    /// On which side of `expected` the value lies.
    pub side: Side,
    /// What the verdict rests on.
    pub phase: Phase,
    /// The share of what is known that comes from the series' family: 1 when it was
    /// [inherited](super::Baseline::inherit), 0 from a week later on.
    pub borrowed: f64,
    /// The change point, if there is one and its level is not accepted as normal yet.
    pub shift: Option<Shift>,
    /// Whether a new level was accepted as normal within the last day.
    pub relearned: bool,
}

/// How unusual a value is, at any threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// What was expected, in the signal's unit.
    pub expected: f64,
    /// How rare the value is: about once per 10^surprise samples.
    pub surprise: f64,
    /// On which side of `expected` the value lies.
    pub side: Side,
    /// The change point, as in a [`Verdict`].
    pub shift: Option<Shift>,
    /// No score is larger.
    pub(in crate::learn) score_max: f64,
}

/// No threshold is less.
pub(super) const THRESHOLD_MIN: f64 = 0.1;

impl Reading {
    /// Returns the score that a verdict has at this threshold.
    pub fn score(&self, threshold: f64) -> f64 {
        (self.surprise / threshold.max(THRESHOLD_MIN)).min(self.score_max)
    }
}

/// A lasting change of a series' level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// When it began, ms.
    pub since_ms: i64,
    /// What would be expected now had it not changed, in the signal's unit.
    pub from: f64,
    /// Where the level lies now.
    pub to: f64,
}

/// A side of what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Larger than expected.
    Above,
    /// Smaller than expected.
    Below,
}

/// How much a baseline knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Too little to judge.
    Cold,
    /// The level.
    Level,
    /// The time of day.
    Day,
    /// The hour of the week.
    Week,
}

/// Returns the surprise threshold T that is used where nothing else is asked: 2.62 at a
/// sample a minute, 0.19 lower for each factor of ten in the step.
pub fn default_threshold(step_ms: i64) -> f64 {
    2.62 - 0.19 * libm::log10((step_ms as f64 / 60_000.0).max(1.0))
}

/// Returns the band (lower, expected, upper) as far as it agrees with the score of a value, and the
/// score: the edges are found to within a rounding, the score decides.
pub(in crate::learn) fn agreed(
    (lower, expected, upper): (f64, f64, f64),
    value: f64,
    score: f64,
) -> (f64, f64, f64) {
    if score < 1.0 {
        (lower.min(value), upper.max(value), score)
    } else if value == expected {
        (lower, upper, 1.0f64.next_down())
    } else if value > expected {
        (lower, upper.min(value.next_down()).max(expected), score)
    } else {
        (lower.max(value.next_up()).min(expected), upper, score)
    }
}
