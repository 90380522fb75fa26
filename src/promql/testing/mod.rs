//! Runs PromQL test scripts (upstream's `load` and `eval` language) through a store of its own.
//!
//! Entry point: [`run_script`], or a [`Session`] for several in a row. A script is text that a user can read and write: series with their
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
use crate::store::Store;

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
    Session::new().run(text)
}

/// Returns what cannot be read of a script, with the line, without running it.
pub fn check_script(text: &str) -> Vec<(usize, String)> {
    let bad = |(line, command)| match command {
        script::Command::Bad(reason) | script::Command::BadEval { reason, .. } => {
            Some((line, reason))
        }
        script::Command::Clear | script::Command::Load(_) | script::Command::Eval(_) => None,
    };
    script::commands(text).into_iter().filter_map(bad).collect()
}

/// Scripts that are run one after the other: what one loads the next has.
pub struct Session {
    engine: Engine,
    stores: Stores,
}

impl Default for Session {
    fn default() -> Session {
        Session::new()
    }
}

impl Session {
    /// Returns a session in which nothing is loaded.
    pub fn new() -> Session {
        // No sample of a script may lie in the clock's future.
        let clock = Arc::new(ManualClock::new(i64::MAX / 4));
        let options = EngineOptions {
            max_samples: 10_000,
            timeout: Duration::from_secs(100),
            features: Features::ALL,
            ..EngineOptions::default()
        };
        Session { engine: Engine::new(options, clock.clone()), stores: Stores::new(clock) }
    }

    /// Returns a store of its own with all that was loaded.
    pub fn copy(&self) -> Result<Store, String> {
        self.stores.copy()
    }

    /// Runs a script.
    pub fn run(&mut self, text: &str) -> ScriptReport {
        let mut report = ScriptReport::default();
        for (line, command) in script::commands(text) {
            match command {
                script::Command::Clear => self.stores.clear(),
                script::Command::Load(load) => {
                    if let Err(error) = self.stores.load(load) {
                        report.errors.push((line, error));
                    }
                }
                script::Command::Eval(case) => {
                    let from_head = case.run(&self.engine, &self.stores.in_head);
                    let difference = from_head.and_then(|()| {
                        let from_block = case.run(&self.engine, self.stores.in_block()?);
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
}
