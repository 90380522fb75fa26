//! Runs PromQL test scripts (upstream's `load` and `eval` language) through a store of its own.
//!
//! Entry point: [`run_script`]. A script is text that a user can read and write: series with their
//! values, then expressions with what they must give. `forewarn test` and our own tests both run
//! scripts through here.
//!
//! Invariants: a case that cannot be read is one failed case; the rest of the script still runs.
//!
//! Absent on purpose: files, and printing.

mod case;
mod compare;
mod load;
mod script;
mod series;

use std::sync::Arc;
use std::time::Duration;

use crate::env::{ManualClock, SimDisk};
use crate::store::{Store, StoreOptions, WalSync};

use super::engine::{Engine, EngineOptions};
use super::features::Features;

pub use series::{Description, SequenceValue, describe};

/// How the cases of a script went, in the order in which they stand.
#[derive(Clone, Debug, Default)]
pub struct ScriptReport {
    /// One for each `eval`.
    pub cases: Vec<CaseReport>,
    /// What is wrong with the script outside its cases, with the line.
    pub errors: Vec<(usize, String)>,
}

/// How one case went.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// Line of the `eval`, from 1.
    pub line: usize,
    /// The expression.
    pub expr: String,
    /// What differs; none: passed.
    pub difference: Option<String>,
}

/// Data far apart in time is loaded in any order of series: upstream's test storage spans a day.
const HEAD_RANGE_MS: i64 = 24 * 3_600_000;

/// Runs a script with every optional part of the language on.
pub fn run_script(text: &str) -> ScriptReport {
    // No sample of a script may lie in the clock's future.
    let clock = Arc::new(ManualClock::new(i64::MAX / 4));
    let options = EngineOptions {
        max_samples: 10_000,
        timeout: Duration::from_secs(100),
        features: Features::ALL,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, clock.clone());
    let new_store = || {
        let options = StoreOptions {
            out_of_order_window_ms: 0,
            block_range_ms: HEAD_RANGE_MS,
            wal_sync: WalSync::OnClose,
            ..StoreOptions::default()
        };
        Store::open(options, Arc::new(SimDisk::new()), clock.clone())
            .expect("an empty simulated disk that does not fail opens")
    };
    let mut store = new_store();
    let mut report = ScriptReport::default();
    for (line, command) in script::commands(text) {
        match command {
            script::Command::Clear => store = new_store(),
            script::Command::Load(load) => {
                if let Err(error) = load.store(&store) {
                    report.errors.push((line, error));
                }
            }
            script::Command::Eval(case) => report.cases.push(CaseReport {
                line,
                expr: case.expr.clone(),
                difference: case.run(&engine, &store).err(),
            }),
            script::Command::BadEval { expr, reason } => {
                report.cases.push(CaseReport { line, expr, difference: Some(reason) });
            }
            script::Command::Bad(reason) => report.errors.push((line, reason)),
        }
    }
    report
}
