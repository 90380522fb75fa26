//! Whether conditions and gates hold, from the numbers of one series at one instant.

use super::Truth;
use super::program::{GateProgram, Test};
use super::watched::Watched;
use crate::learn::{Outlook, Verdict};

/// The numbers of a series at an instant.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    /// None: no sample.
    pub(super) value: Option<f64>,
    pub(super) verdict: Option<&'a Verdict>,
    pub(super) watched: &'a Watched,
}

impl Facts<'_> {
    pub(super) fn holds(&self, test: &Test) -> Truth {
        let Some(value) = self.value else { return Truth::Unknown };
        match test {
            Test::All(parts) => {
                parts.iter().fold(Truth::True, |all, part| all.and(self.holds(part)))
            }
            Test::Any(parts) => {
                parts.iter().fold(Truth::False, |any, part| any.or(self.holds(part)))
            }
            Test::Value(compare, bound) => compare.holds(value, *bound).into(),
            Test::Normal { hold, .. } | Test::Reaches { hold, .. } => {
                self.watched.remembered(hold.slot)
            }
            Test::Inside => {
                self.verdict.map_or(Truth::Unknown, |verdict| (verdict.score < 1.0).into())
            }
            Test::ProbabilityBelow { crossing, probability } => {
                match &self.watched.outlooks[*crossing] {
                    Outlook::Unknown => Truth::Unknown,
                    Outlook::Across => Truth::False,
                    Outlook::Ahead(ahead) => (ahead.p < *probability).into(),
                }
            }
        }
    }

    /// Whether a gate on the numbers holds; what is not known opens no gate.
    pub(super) fn is_gated(&self, gate: &GateProgram) -> bool {
        let Some(value) = self.value else { return false };
        match gate {
            GateProgram::Below(bound) => value < *bound,
            GateProgram::Above(bound) => value > *bound,
            GateProgram::Under(distance) => self.verdict.is_some_and(|verdict| {
                (value - verdict.expected).abs() < distance.of(verdict.expected)
            }),
            GateProgram::While(_) => false,
        }
    }
}
