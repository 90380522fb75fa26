//! How the clocks of an alert move. Pure: no labels, no templates, no I/O. The alerts room lets them
//! go live; a budget counts what they would do at other edges of the band.

use serde::{Deserialize, Serialize};

use super::{Dialect, Ending, Truth};

/// How long nobody may be able to tell whether a condition holds before its alert ends, ms.
const UNKNOWN_MS_MAX: i64 = 5 * 60_000;
/// How long a resolved alert is kept, and sent again, ms.
const RESOLVED_KEPT_MS: i64 = 15 * 60_000;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It has ended.
    Inactive,
    /// Its condition holds, for too short a time so far.
    Pending,
    /// It is sent.
    Firing,
}

impl AlertState {
    /// Returns the word of the API and of the label `alertstate`.
    pub fn word(self) -> &'static str {
        match self {
            AlertState::Inactive => "inactive",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
        }
    }
}

/// The clocks of one alert, ms since the epoch: all that a restart must not forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    pub state: AlertState,
    /// Since when the condition holds.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: Option<i64>,
    /// When it ended.
    pub resolved_at_ms: Option<i64>,
    /// Since when a firing alert goes on although its condition does not hold.
    pub keep_firing_since_ms: Option<i64>,
    /// Since when the condition of `clear when` has held without a break.
    pub clear_since_ms: Option<i64>,
    /// Since when nobody can tell.
    pub unknown_since_ms: Option<i64>,
    /// When it was last handed to the notifier.
    pub last_sent_ms: Option<i64>,
}

/// What one evaluation says to one alert.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    pub at_ms: i64,
    pub holds: Truth,
    pub clears: Truth,
    /// Whether a higher severity of the same series fires.
    pub outranked: bool,
}

impl Clocks {
    /// Returns the clocks of an alert whose condition holds for the first time.
    pub fn pending(at_ms: i64) -> Clocks {
        Clocks {
            state: AlertState::Pending,
            active_at_ms: at_ms,
            fired_at_ms: None,
            resolved_at_ms: None,
            keep_firing_since_ms: None,
            clear_since_ms: None,
            unknown_since_ms: None,
            last_sent_ms: None,
        }
    }

    /// Returns the clocks after an evaluation; none where the alert is forgotten.
    #[must_use]
    pub fn advance(
        mut self,
        evidence: Evidence,
        (for_ms, ending): (i64, Ending),
        dialect: Dialect,
    ) -> Option<Clocks> {
        if self.state == AlertState::Inactive {
            let resolved_at_ms = self.resolved_at_ms.unwrap_or(self.active_at_ms);
            let is_kept = evidence.at_ms.saturating_sub(resolved_at_ms) <= RESOLVED_KEPT_MS;
            return is_kept.then_some(self);
        }
        let at_ms = evidence.at_ms;
        match evidence.holds {
            Truth::True => {
                self.keep_firing_since_ms = None;
                self.clear_since_ms = None;
                self.unknown_since_ms = None;
                self.hold(evidence, for_ms, dialect);
                return Some(self);
            }
            Truth::Unknown => {
                if evidence.clears == Truth::False {
                    self.clear_since_ms = None;
                }
                let since_ms = *self.unknown_since_ms.get_or_insert(at_ms);
                if at_ms.saturating_sub(since_ms) < UNKNOWN_MS_MAX {
                    return Some(self);
                }
            }
            Truth::False => {
                self.unknown_since_ms = None;
                if self.state == AlertState::Firing && self.goes_on(evidence, ending) {
                    return Some(self);
                }
            }
        }
        if self.state == AlertState::Pending {
            return None;
        }
        self.state = AlertState::Inactive;
        self.resolved_at_ms = Some(at_ms);
        self.unknown_since_ms = None;
        Some(self)
    }

    fn hold(&mut self, evidence: Evidence, for_ms: i64, dialect: Dialect) {
        let held_long = evidence.at_ms.saturating_sub(self.active_at_ms) >= for_ms;
        match self.state {
            AlertState::Pending if held_long && !evidence.outranked => {
                self.state = AlertState::Firing;
                self.fired_at_ms = Some(evidence.at_ms);
            }
            // The rule was changed. In our language an alert that was sent goes on: nobody is told
            // "resolved" because a rule was edited.
            AlertState::Firing if !held_long && dialect == Dialect::Prometheus => {
                self.state = AlertState::Pending;
                self.fired_at_ms = None;
            }
            _ => {}
        }
    }

    /// Returns whether a firing alert goes on although its condition does not hold.
    fn goes_on(&mut self, evidence: Evidence, ending: Ending) -> bool {
        let at_ms = evidence.at_ms;
        match ending {
            Ending::AtOnce => false,
            Ending::Keep(keep_ms) => {
                let since_ms = *self.keep_firing_since_ms.get_or_insert(at_ms);
                at_ms.saturating_sub(since_ms) < keep_ms
            }
            Ending::Clear { for_ms } => {
                match evidence.clears {
                    Truth::False => self.clear_since_ms = None,
                    Truth::True => {
                        self.clear_since_ms.get_or_insert(at_ms);
                    }
                    Truth::Unknown => {}
                }
                self.clear_since_ms.is_none_or(|since_ms| at_ms.saturating_sub(since_ms) < for_ms)
            }
        }
    }

    /// Returns whether the alert is due to be sent, as upstream decides it.
    pub fn is_due(&self, at_ms: i64, resend_delay_ms: i64) -> bool {
        match (self.state, self.last_sent_ms) {
            (AlertState::Pending, _) => false,
            (_, None) => true,
            (_, Some(sent_ms)) => {
                self.resolved_at_ms.is_some_and(|resolved_ms| resolved_ms > sent_ms)
                    || sent_ms.saturating_add(resend_delay_ms) < at_ms
            }
        }
    }

    /// Returns the clocks as if an outage had not happened: what nobody saw does not count as held.
    #[must_use]
    pub fn after_outage(mut self, outage_ms: i64) -> Clocks {
        let later = |time_ms: &mut Option<i64>| {
            *time_ms = time_ms.map(|time_ms| time_ms.saturating_add(outage_ms));
        };
        match self.state {
            AlertState::Pending => {
                self.active_at_ms = self.active_at_ms.saturating_add(outage_ms);
            }
            // Alertmanager may think that it has ended: say at once that it has not.
            AlertState::Firing => self.last_sent_ms = None,
            AlertState::Inactive => {}
        }
        later(&mut self.keep_firing_since_ms);
        later(&mut self.clear_since_ms);
        later(&mut self.unknown_since_ms);
        self
    }
}
