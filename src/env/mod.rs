//! The outside world behind small traits, so that tests can be the world.
//!
//! Entry points: [`Clock`] with [`SystemClock`] and [`ManualClock`]; [`Disk`] with [`RealDisk`] and
//! [`SimDisk`], which fails on demand and can lose power.
//!
//! Absent on purpose: network (tests use loopback) and randomness (callers pass seeds).

mod clock;
mod disk;

pub use clock::{Clock, ManualClock, SystemClock};
pub use disk::{DirEntry, Disk, DiskFile, DiskLock, Fault, FileBytes, RealDisk, SimDisk};
