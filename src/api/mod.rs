//! The HTTP server: Prometheus' API and ours over the other rooms, the pages, `/metrics`.
//!
//! Entry points: [`Server::start`] listens at once, so that health can be asked while the log is
//! replayed; [`Server::open`] hands it the [`App`], and from then on everything is served. `Plot`
//! says where values over time lie in an SVG, for the pages and for `forewarn learn --svg`.
//!
//! Invariants: a handler runs on the blocking pool, never on an async worker; a body is never held
//! beyond its limit; a client that goes away cancels its query; whatever a handler does, also a
//! panic, the client gets an answer in the shape that the endpoint promises. Errors of the other
//! rooms become status codes here and nowhere else.
//!
//! Absent on purpose: TLS and authentication (a proxy's work until `--web.config.file` is served),
//! and judging or storing anything: that is done by the rooms asked.

mod admin;
mod app;
mod server;

mod dispatch;
mod route;

mod body;
mod error;
mod http_counters;
mod json;
mod outgoing;
mod request;
mod response;

mod manage;
mod query;
mod rules;
mod series;
mod status;
mod tree;
mod write;

mod exposition;
mod metrics;
mod process;

mod chart;
mod html;
mod pages;
mod plot;

pub use app::{App, Command, Control, ReloadState};
pub(crate) use html::{Escaped, put};
pub use http_counters::HttpCounters;
pub(crate) use plot::{Extent, Plot};
pub use server::{BindError, Server};
