use std::sync::Arc;

use super::{AlertRule, EvalError, Unit};
use crate::series::Labels;

/// What one evaluation found about one watched series and one clause of a rule.
///
/// A rule in our language yields one for every watched series and clause at each evaluation, also
/// when nothing is wrong. A Prometheus rule yields one for each element of its result; a series
/// without one does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Index into [`AlertRule::clauses`].
    pub clause: usize,
    /// The watched series, without `__name__`.
    pub series: Labels,
    /// Whether the clause's condition holds; gates are applied already.
    pub holds: Truth,
    /// Whether the condition of `clear when` holds; [`Truth::False`] where there is none.
    pub clears: Truth,
    /// The numbers behind it, in the signal's own unit.
    pub numbers: Numbers,
    /// One sentence made from the numbers that decided it.
    pub why: String,
}

/// Three-valued truth. Unknown is what is said without a sample, a warm learner or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Truth {
    /// Returns whether both hold: false where one is false, else unknown where one is unknown.
    #[must_use]
    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::True, Truth::True) => Truth::True,
            _ => Truth::Unknown,
        }
    }

    /// Returns whether one holds: true where one is true, else unknown where one is unknown.
    #[must_use]
    pub fn or(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::True, _) | (_, Truth::True) => Truth::True,
            (Truth::False, Truth::False) => Truth::False,
            _ => Truth::Unknown,
        }
    }
}

impl std::ops::Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Truth {
        if holds { Truth::True } else { Truth::False }
    }
}

/// The numbers of one watched series at one evaluation, as far as the rule has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// The signal.
    pub value: Option<f64>,
    /// What is normal at this time.
    pub expected: Option<f64>,
    /// Lower edge of the learned band.
    pub lower: Option<f64>,
    /// Upper edge of the learned band.
    pub upper: Option<f64>,
    /// Distance from normal: 0 as expected, 1 at the band's edge.
    pub score: Option<f64>,
    /// Probability, 0 to 1, that the signal crosses within the clause's time.
    pub probability: Option<f64>,
    /// Seconds from now to the crossing, median.
    pub eta_s: Option<f64>,
    /// Seconds to the crossing, early end (10 %).
    pub eta_low_s: Option<f64>,
    /// Seconds to the crossing, late end (90 %).
    pub eta_high_s: Option<f64>,
    /// The limit that `reaches` means.
    pub limit: Option<f64>,
    /// How the signal's values are shown.
    pub unit: Unit,
}

/// What one evaluation of one alerting rule found; handed to the alerts room.
#[derive(Clone, Copy, Debug)]
pub struct RuleFindings<'a> {
    /// The rule.
    pub rule: &'a Arc<AlertRule>,
    /// The evaluation's instant, ms.
    pub at_ms: i64,
    /// The rule's evaluation interval, ms.
    pub interval_ms: i64,
    /// Series that took the place of others since it was told last, (from, to), in order: their
    /// alerts go on as the others'.
    pub handovers: &'a [(Labels, Labels)],
    /// What was found, or why nothing could be: then alerts keep their state.
    pub outcome: Result<&'a [Finding], &'a EvalError>,
}
