//! The integration tests, one binary, a module for each capability.

#![allow(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails the test")]
#![allow(clippy::print_stdout, reason = "what a test measured; shown with --nocapture")]

mod alerts;
mod api;
mod crash;
mod demo;
mod differential;
mod import;
mod ingest;
mod instants;
mod learn;
mod peers;
mod promql;
mod quality;
mod rules;
mod store;
mod support;
mod tidy;
mod tsdb;
