//! Forewarn takes Prometheus remote write into its own store, learns what is normal for each
//! series and where it is heading, warns through Alertmanager before something breaks, and answers
//! PromQL.
//!
//! Data walks through rooms; each module below is one, and its own page says what it is for, its
//! entry points, its invariants and what is deliberately absent. Read them in this order:
//!
//! ```text
//!    remote-write POST                                  query / rules / alerts GET, pages
//!          │                                                       │
//!         api ─────────────────────────────────────────────────────┤
//!          ▼                                                       ▼
//!       ingest ──samples──▶ store ◀──Snapshot── promql ◀──Expr── rules ──Finding──▶ alerts ──▶ Alertmanager
//!                             ▲                           learn ──┘ │
//!                             └────────── recorded series ──────────┘
//! ```
//!
//! Nobody imports `api` or `cli`. `tests/it/tidy.rs` holds the table of who may import whom.

pub mod series;

pub mod env;

pub mod lang;

pub mod ingest;

pub mod store;

pub mod promql;

pub mod learn;

pub mod rules;

pub mod alerts;

pub mod config;

pub mod api;

pub mod cli;
