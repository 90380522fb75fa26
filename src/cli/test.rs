//! `forewarn test`: runs test scripts and the tests of rule files, and says what differs.

mod blocks;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Outcome;
use super::check::load_options;
use crate::promql::testing::{CaseReport, ScriptReport, run_script};
use crate::rules::{self, RuleSource};

/// How often rules are evaluated whose file does not say.
const INTERVAL_MS: i64 = 60_000;

/// Which scripts to run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// PromQL test scripts (`load` and `eval`), and rule files (`*.rules`) with `test` blocks.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A table of the cases (file, line, kind, tier, …) for counts per tier.
    #[arg(long, value_name = "TSV")]
    cases: Option<PathBuf>,
}

/// How many passed and how many did not.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    passed: usize,
    failed: usize,
}

impl Count {
    fn add(&mut self, case: &CaseReport) {
        match case.difference {
            None => self.passed += 1,
            Some(_) => self.failed += 1,
        }
    }
}

/// Runs the scripts; prints each difference, a count per file and per tier, and the sum.
#[expect(clippy::print_stdout, reason = "the report is what the command is for")]
pub fn run(args: &Args) -> Outcome {
    let tiers = args.cases.as_deref().map(read_tiers).transpose()?.unwrap_or_default();
    let (mut all, mut broken) = (Count::default(), 0);
    let mut by_tier: BTreeMap<String, Count> = BTreeMap::new();
    for path in &args.files {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        let is_rules = path.extension().is_some_and(|ending| ending == "rules");
        let report = if is_rules { of_rules(path, &text)? } else { run_script(&text) };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (line, error) in &report.errors {
            println!("{}:{line}: {error}", path.display());
            broken += 1;
        }
        let mut of_file = Count::default();
        for case in &report.cases {
            of_file.add(case);
            if let Some(tier) = tiers.get(&(name.clone(), case.line)) {
                by_tier.entry(tier.clone()).or_default().add(case);
            }
            if let Some(difference) = &case.difference {
                println!("{}:{}: {}\n    {difference}", path.display(), case.line, case.expr);
            }
        }
        println!("{name}: {} / {}", of_file.passed, of_file.passed + of_file.failed);
        all.passed += of_file.passed;
        all.failed += of_file.failed;
    }
    for (tier, count) in by_tier {
        println!("tier {tier}: {} / {}", count.passed, count.passed + count.failed);
    }
    // A command that cannot be read counts as a failure too: something was not tested.
    let failed = all.failed + broken;
    println!("{} passed, {failed} failed", all.passed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests of a rule file.
fn of_rules(path: &Path, text: &str) -> Result<ScriptReport, String> {
    let sources = [RuleSource { name: path.display().to_string(), text: text.to_owned() }];
    let (groups, diagnostics) = rules::load(&sources, &load_options(INTERVAL_MS));
    let errors = diagnostics.iter().filter(|found| found.is_error());
    let errors: Vec<String> = errors.map(|error| error.render(&sources)).collect();
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    let mut report = ScriptReport::default();
    for group in &groups {
        for test in &group.tests {
            let mut found = blocks::run(group, test);
            report.cases.append(&mut found.cases);
            report.errors.append(&mut found.errors);
        }
    }
    Ok(report)
}

/// Reads the tier of each case, by file name and line.
fn read_tiers(path: &Path) -> Result<HashMap<(String, usize), String>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    let mut tiers = HashMap::new();
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [file, line, _, tier, ..] = columns[..] else { continue };
        if let Ok(line) = line.parse() {
            tiers.insert((file.to_owned(), line), tier.to_owned());
        }
    }
    Ok(tiers)
}
