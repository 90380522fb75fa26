//! A series' habit within a rule: what counts as an event, and when absence counts.

use super::witness::Witness;
use super::{EvalError, Truth};
use crate::learn::{Calendar, Due, Habit};
use crate::series::Labels;

/// What makes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any sample: for `is missing`.
    Sample,
    /// The signal is above 0 after being 0 or absent: for `is late`.
    Rise,
}

/// A habit of one series, fed at learning instants.
#[derive(Clone, Debug)]
pub(super) struct Habitual {
    kind: Kind,
    habit: Habit,
    /// The next event has not come in time, though others were heard all the time until then.
    is_overdue: bool,
    /// The last learning instant at which the signal was above 0.
    above_ms: Option<i64>,
    /// What was said last.
    pub(super) truth: Truth,
}

impl Habitual {
    pub(super) fn new(kind: Kind, calendar: Calendar, step_ms: i64) -> Habitual {
        let habit = Habit::new(calendar, step_ms);
        Habitual { kind, habit, is_overdue: false, above_ms: None, truth: Truth::Unknown }
    }

    pub(super) fn due(&self) -> Option<Due> {
        self.habit.due()
    }

    pub(super) fn habit(&self) -> &Habit {
        &self.habit
    }

    /// Learns from a sample at a learning instant.
    pub(super) fn learn(
        &mut self,
        series: &Labels,
        (time_ms, value): (i64, f64),
        step_ms: i64,
        witness: &mut Witness<'_>,
    ) -> Result<(), EvalError> {
        if self.kind == Kind::Rise {
            let is_above = value > 0.0;
            let was_above = self.above_ms.is_some_and(|above_ms| time_ms - above_ms <= step_ms);
            self.above_ms = if is_above { Some(time_ms) } else { self.above_ms };
            if was_above || !is_above {
                return Ok(());
            }
        }
        self.settle(series, time_ms, witness)?;
        let is_open = !self.is_overdue && self.due().is_some_and(|due| due.latest_ms < time_ms);
        if is_open {
            // Nobody was heard since before it was due: it may have come then.
            self.habit.lost(time_ms);
        }
        self.habit.event(time_ms);
        self.is_overdue = false;
        Ok(())
    }

    /// Says whether the next event is overdue at an instant, whose samples have been learned from.
    /// `is_there`: the series itself has a sample.
    pub(super) fn ask(
        &mut self,
        series: &Labels,
        at_ms: i64,
        is_there: bool,
        witness: &mut Witness<'_>,
    ) -> Result<(), EvalError> {
        self.settle(series, at_ms, witness)?;
        let is_overdue = self.is_overdue;
        self.truth = match self.due() {
            Some(due) if at_ms <= due.latest_ms => Truth::False,
            Some(_) if is_overdue && (is_there || witness.is_heard(series, at_ms)?) => Truth::True,
            _ => Truth::Unknown,
        };
        Ok(())
    }

    /// Decides, once the latest time for the next event has passed, whether it is overdue. If
    /// nobody was heard at some instant since the last event, it may have come unseen: then it is
    /// due anew, as of when somebody was heard again. Live and at load the same instants are
    /// looked at.
    fn settle(
        &mut self,
        series: &Labels,
        at_ms: i64,
        witness: &mut Witness<'_>,
    ) -> Result<(), EvalError> {
        while !self.is_overdue {
            let (Some(due), Some(last_ms)) = (self.habit.due(), self.habit.last_ms()) else {
                return Ok(());
            };
            let decides_ms = witness.after(due.latest_ms);
            if decides_ms > at_ms {
                return Ok(());
            }
            let Some(unheard_ms) = witness.last_unheard(series, last_ms, decides_ms)? else {
                self.is_overdue = true;
                return Ok(());
            };
            let Some(heard_ms) = witness.first_heard(series, unheard_ms, at_ms)? else {
                return Ok(());
            };
            self.habit.lost(heard_ms);
        }
        Ok(())
    }
}
