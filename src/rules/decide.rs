//! Whether conditions and gates hold, from the numbers of one series at one instant.

use super::Truth;
use super::habitual::Habitual;
use super::program::{GateProgram, Test};
use super::watched::Watched;
use crate::learn::{Outlook, Shift, Verdict};

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
        match test {
            Test::All(parts) => {
                parts.iter().fold(Truth::True, |all, part| all.and(self.holds(part)))
            }
            Test::Any(parts) => {
                parts.iter().fold(Truth::False, |any, part| any.or(self.holds(part)))
            }
            // Only these speak of absence.
            Test::Missing => truth(self.watched.samples.as_ref()),
            Test::Late => truth(self.watched.events.as_ref()),
            _ => self.value.map_or(Truth::Unknown, |value| self.holds_of(test, value)),
        }
    }

    fn holds_of(&self, test: &Test, value: f64) -> Truth {
        match test {
            Test::Value(compare, bound) => compare.holds(value, *bound).into(),
            Test::Normal { hold, .. } | Test::Reaches { hold, .. } | Test::Differs { hold, .. } => {
                self.watched.remembered(hold.slot)
            }
            Test::Inside => {
                self.verdict.map_or(Truth::Unknown, |verdict| (verdict.score < 1.0).into())
            }
            Test::Shifts { by } => self.verdict.map_or(Truth::Unknown, |verdict| {
                let far = |shift: Shift| (shift.to - shift.from).abs() >= by.of(shift.from);
                verdict.shift.is_some_and(far).into()
            }),
            Test::ProbabilityBelow { crossing, probability } => {
                match &self.watched.outlooks[*crossing] {
                    Outlook::Unknown => Truth::Unknown,
                    Outlook::Across => Truth::False,
                    Outlook::Ahead(ahead) => (ahead.p < *probability).into(),
                }
            }
            Test::All(_) | Test::Any(_) | Test::Missing | Test::Late => self.holds(test),
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

fn truth(habit: Option<&Habitual>) -> Truth {
    habit.map_or(Truth::Unknown, |habit| habit.truth)
}
