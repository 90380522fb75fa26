//! The outside world behind small traits, so that tests can be the world.
//!
//! Entry point: [`Clock`] with [`SystemClock`] and [`ManualClock`].
//!
//! Absent on purpose: network (tests use loopback) and randomness (callers pass seeds).

mod clock;

pub use clock::{Clock, ManualClock, SystemClock};
