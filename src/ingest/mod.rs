//! Remote write: the bytes of a request become samples in the store, and the sender is told exactly
//! what became of each.
//!
//! Entry points: [`negotiate`] judges a request's headers before its body is read; a [`Receiver`]
//! hands out one [`Connection`] per sender, whose [`Connection::write`] stores a body and answers.
//! [`send::body`] makes a body, for senders of our own.
//!
//! The way of a request: `negotiate` → `snappy` → [`proto`] by hand over the raw bytes (`wire`,
//! `v1`, `v2`) → a transaction of the store → `report`. A series that the sender has sent before
//! is found by the bytes of its label section; labels are looked at (`labels`) only when it is new.
//!
//! Invariants
//! - What is malformed as a whole (compression, protobuf) stores nothing; a bad series, sample or
//!   exemplar costs only itself, and is named in the answer.
//! - An answer of 5xx has stored nothing, and a sender may repeat it; 4xx is final.
//! - No bytes from outside make it panic, or make it allocate more than the limits say.
//!
//! Absent on purpose: HTTP (`api`), what makes a sample too old or a duplicate (`store`).

mod negotiate;
mod receiver;
mod report;

mod snappy;
mod v1;
mod v2;

mod histogram;
mod labels;
mod sample;
mod wire;

pub mod proto;
pub mod send;

pub use negotiate::{Protocol, WriteHeaders, negotiate};
pub use receiver::{Connection, IngestLimits, Receiver, WriteAnswer, Written};
