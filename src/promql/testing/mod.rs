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
mod stores;

use std::sync::Arc;
use std::time::Duration;

use crate::env::ManualClock;

use super::engine::{Engine, EngineOptions};
use super::features::Features;
use stores::Stores;

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
    let mut stores = Stores::new(clock);
    let mut report = ScriptReport::default();
    for (line, command) in script::commands(text) {
        match command {
            script::Command::Clear => stores.clear(),
            script::Command::Load(load) => {
                if let Err(error) = stores.load(load) {
                    report.errors.push((line, error));
                }
            }
            script::Command::Eval(case) => {
                let from_head = case.run(&engine, &stores.in_head);
                let difference = from_head.and_then(|()| {
                    let from_block = case.run(&engine, stores.in_block()?);
                    from_block.map_err(|difference| format!("read from a block: {difference}"))
                });
                let (expr, difference) = (case.expr.clone(), difference.err());
                report.cases.push(CaseReport { line, expr, difference });
            }
            script::Command::BadEval { expr, reason } => {
                report.cases.push(CaseReport { line, expr, difference: Some(reason) });
            }
            script::Command::Bad(reason) => report.errors.push((line, reason)),
        }
    }
    report
}
