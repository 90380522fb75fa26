//! What a checked rule does at each evaluation.

use std::sync::Arc;

use super::ast::{Compare, Sensitivity, Side};
use super::kinship::Kinship;
use super::{Ending, Unit};
use crate::learn::{Calendar, Direction, Season};
use crate::promql::Expr;

/// A checked rule of our language.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Program {
    pub(super) signal: Expr,
    pub(super) unit: Unit,
    pub(super) limit: Option<Limit>,
    /// One for each severity, in the order of [`AlertRule::clauses`](super::AlertRule).
    pub(super) clauses: Vec<ClauseProgram>,
    pub(super) gates: Vec<GateProgram>,
    pub(super) until: Option<Until>,
    /// What is learned of the signal's normal, if anything asks.
    pub(super) normal: Option<NormalPlan>,
    /// Each forecast that a clause asks for, once.
    pub(super) crossings: Vec<CrossingPlan>,
    /// How the series are compared with one another, if anything asks.
    pub(super) peers: Option<PeersPlan>,
    pub(super) habits: HabitPlan,
    /// Which series are the same thing, one after the other.
    pub(super) identity: Kinship,
    /// Where the edge of a learned band lies; none: where it does by default, or where the budget
    /// has it.
    pub(super) sensitivity: Option<Sensitivity>,
    pub(super) budget: Option<BudgetPlan>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Limit {
    Fixed(f64),
    Moving(Expr),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClauseProgram {
    pub(super) when: Test,
    pub(super) clear: Option<Test>,
    /// The forecast of this clause's `reaches`, an index into [`Program::crossings`].
    pub(super) crossing: Option<usize>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Value(Compare, f64),
    Normal { side: Side, by: Distance, hold: Hold },
    Inside,
    Reaches { crossing: usize, probability: f64, hold: Hold },
    ProbabilityBelow { crossing: usize, probability: f64 },
    Differs { by: Distance, hold: Hold },
    Shifts { by: Distance },
    Missing,
    Late,
}

impl Test {
    /// Whether a condition in it is decided by more than one sample and its band.
    pub(super) fn asks_beyond_band(&self) -> bool {
        match self {
            Test::All(parts) | Test::Any(parts) => parts.iter().any(Test::asks_beyond_band),
            Test::Reaches { .. } | Test::ProbabilityBelow { .. } | Test::Missing | Test::Late => {
                true
            }
            Test::Value(..)
            | Test::Normal { .. }
            | Test::Inside
            | Test::Differs { .. }
            | Test::Shifts { .. } => false,
        }
    }

    /// Whether a condition in it depends on where the edge of a learned band is.
    pub(super) fn asks_band(&self) -> bool {
        match self {
            Test::All(parts) | Test::Any(parts) => parts.iter().any(Test::asks_band),
            Test::Normal { .. } | Test::Inside | Test::Differs { .. } => true,
            Test::Value(..)
            | Test::Reaches { .. }
            | Test::ProbabilityBelow { .. }
            | Test::Shifts { .. }
            | Test::Missing
            | Test::Late => false,
        }
    }
}

/// How a learned condition remembers: which of the series' memories is its own, and whether it
/// goes on below the point where it began (not where `clear when` says how it ends).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hold {
    pub(super) slot: usize,
    pub(super) sticky: bool,
}

/// A distance from what is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Distance {
    Absolute(f64),
    /// Of |expected|.
    Share(f64),
}

impl Distance {
    pub(super) fn of(self, expected: f64) -> f64 {
        match self {
            Distance::Absolute(distance) => distance,
            Distance::Share(share) => share * expected.abs(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum GateProgram {
    Below(f64),
    Above(f64),
    Under(Distance),
    While(Expr),
}

/// The cold start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Until {
    pub(super) history_ms: i64,
    pub(super) test: UntilProgram,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum UntilProgram {
    Value(Compare, f64),
    Query(Expr),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct NormalPlan {
    pub(super) season: Season,
    pub(super) calendar: CalendarPlan,
    pub(super) from_ms: i64,
    /// Which series are a family, whose eldest a new one takes after.
    pub(super) share: Kinship,
}

/// Which hour it is on the wall, and which days are holidays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CalendarPlan {
    /// Name of the time zone; UTC where none.
    pub(super) zone: Option<String>,
    /// Days since 1970-01-01.
    pub(super) holidays: Arc<[i32]>,
}

impl CalendarPlan {
    /// A zone that is not known was refused when the rule was checked.
    pub(super) fn calendar(&self) -> Calendar {
        let zone = self.zone.as_deref().and_then(Calendar::zone);
        zone.unwrap_or_else(Calendar::utc).with_holidays(self.holidays.iter().copied())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct CrossingPlan {
    /// None: the rule's limit.
    pub(super) amount: Option<f64>,
    pub(super) from: Direction,
    pub(super) within_ms: i64,
    pub(super) history_ms: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct PeersPlan {
    /// Series that agree on these labels are compared.
    pub(super) within: Vec<String>,
    pub(super) at_least: usize,
    /// How each series' own departure is learned.
    pub(super) normal: NormalPlan,
}

/// How many pages a rule may raise, and how its page begins and ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BudgetPlan {
    pub(super) pages: u64,
    pub(super) per_ms: i64,
    pub(super) for_ms: i64,
    pub(super) ending: Ending,
}

/// Which habits are learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HabitPlan {
    /// For `is missing`: when samples come.
    pub(super) samples: bool,
    /// For `is late`: when the signal rises above 0.
    pub(super) events: bool,
    pub(super) calendar: CalendarPlan,
}

impl HabitPlan {
    pub(super) fn is_any(&self) -> bool {
        self.samples || self.events
    }
}

impl Program {
    /// Every learned condition that remembers, by the memory that is its own.
    pub(super) fn remembering(&self) -> Vec<&Test> {
        fn gather<'a>(test: &'a Test, into: &mut Vec<&'a Test>) {
            match test {
                Test::All(parts) | Test::Any(parts) => {
                    for part in parts {
                        gather(part, into);
                    }
                }
                Test::Normal { .. } | Test::Reaches { .. } | Test::Differs { .. } => {
                    into.push(test);
                }
                Test::Value(..)
                | Test::Inside
                | Test::ProbabilityBelow { .. }
                | Test::Shifts { .. }
                | Test::Missing
                | Test::Late => {}
            }
        }
        let mut found = Vec::new();
        for clause in &self.clauses {
            gather(&clause.when, &mut found);
            clause.clear.iter().for_each(|clear| gather(clear, &mut found));
        }
        found
    }

    /// Returns whether pages that were counted under `self` serve `other` too.
    pub(super) fn counts_like(&self, other: &Program) -> bool {
        let timing = |budget: &BudgetPlan| (budget.for_ms, budget.ending);
        self.budget.as_ref().map(timing) == other.budget.as_ref().map(timing)
            && self.clauses == other.clauses
            && self.gates == other.gates
            && self.until == other.until
    }

    /// Returns whether what was learned under `self` serves `other` too.
    pub(super) fn learns_like(&self, other: &Program) -> bool {
        self.signal == other.signal
            && self.normal == other.normal
            && self.crossings == other.crossings
            && self.limit == other.limit
            && self.peers == other.peers
            && self.habits == other.habits
            && self.identity == other.identity
    }
}
