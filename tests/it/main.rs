//! The integration tests, one binary, a module for each capability.

mod alerts;
mod api;
mod crash;
mod demo;
mod ingest;
mod learn;
mod peers;
mod promql;
mod rules;
mod store;
mod support;
mod tidy;
