//! What is normal, and where it is heading.
//!
//! Entry points: [`Baseline`] judges a value against what is usual for its time and learns from it;
//! [`Crossing`] says how likely a series crosses a limit within a time ahead, and when;
//! [`Profile`] foretells how a series of hours goes on through the next days; [`Peers`] says how
//! far each of several equals stands from their middle; [`Habit`] says until when the next of a
//! series' events has to come.
//!
//! Invariants: each learner is a state of bounded size fed one sample at a time, a pure function of
//! (samples in order, configuration). No clock, no randomness, no I/O; `exp` and `ln` come from
//! libm, so every machine gives the same bits. A sample is judged by what was learned before it.
//! "Nobody can tell" is a value of its own (`None`, [`Outlook::Unknown`]), never a number.
//!
//! Absent on purpose: thresholds of alerts, hysteresis and gates (they are the rule's, and never
//! change what is learned), and the store: callers feed.

mod baseline;
mod calendar;
mod crossing;
mod habit;
mod peers;
mod profile;
mod state;

pub use baseline::{Baseline, Phase, Reading, Shift, Side, Verdict, default_threshold};
pub use calendar::{Calendar, Season};
pub use crossing::{
    Ahead, Bend, Crossing, Direction, FEATURES, Outlook, Question, Steady, Trust, bucket_ms,
};
pub use habit::{Due, Habit};
pub use peers::{Peers, of_member, reading_of_member};
pub use profile::{Foreseen, Profile};
pub use state::RestoreError;
