use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::tsdb::Directory;
use super::{Outcome, backtest};
use crate::alerts::template::{self, Vocabulary};
use crate::lang::{Diagnostic, Span};
use crate::rules::{
    self, AlertRule, FileDiagnostic, GroupSpec, LoadOptions, RuleSource, RuleSpec, TemplatePlace,
};

/// How much of history is replayed for a budget, ms.
const SINCE_MS: i64 = 28 * 86_400_000;

/// Parse and check rule files without loading them.
///
/// Exit code 0: no errors; 1: errors; 2: a file cannot be read, or the command line is wrong.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rule files: our language (`*.rules`) or Prometheus' (`*.yml`, `*.yaml`).
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// The evaluation interval of files that set none.
    #[arg(long, default_value = "1m", value_parser = crate::series::parse_duration)]
    interval: i64,
    /// A data directory, of a server that is stopped or a snapshot: rules with a `budget` are
    /// replayed over its last 28 days, and those that exceed it are named in a warning.
    #[arg(long = "storage.tsdb.path", value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Checks the files, prints what is wrong with them, and sums up.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn run(args: &Args) -> Outcome {
    let mut sources = Vec::new();
    let mut unreadable = false;
    for path in &args.files {
        match std::fs::read_to_string(path) {
            Ok(text) => sources.push(RuleSource { name: path.display().to_string(), text }),
            Err(error) => {
                eprintln!("{}: cannot be read: {error}", path.display());
                unreadable = true;
            }
        }
    }
    if unreadable {
        return Ok(ExitCode::from(2));
    }
    let (groups, mut diagnostics) = rules::load(&sources, &load_options(args.interval));
    if let Some(path) = &args.directory
        && !diagnostics.iter().any(FileDiagnostic::is_error)
    {
        diagnostics.extend(over_budget(path, &groups, &sources, args.interval)?);
    }
    for diagnostic in &diagnostics {
        println!("{}", diagnostic.render(&sources));
    }
    let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
    let errors = diagnostics.iter().filter(|found| FileDiagnostic::is_error(found)).count();
    let warnings = diagnostics.len() - errors;
    let mut summary = format!("{}, {}", counted(rules, "rule"), counted(errors, "error"));
    if warnings > 0 {
        summary = format!("{summary}, {}", counted(warnings, "warning"));
    }
    println!("{summary}");
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Replays the rules that have a budget, and warns of those that exceed it.
fn over_budget(
    path: &Path,
    groups: &[GroupSpec],
    sources: &[RuleSource],
    interval_ms: i64,
) -> Result<Vec<FileDiagnostic>, Box<dyn Error + Send + Sync>> {
    let mut groups = groups.to_vec();
    for group in &mut groups {
        group.rules.retain(|rule| match rule {
            RuleSpec::Alert(alert) => alert.budget().is_some(),
            RuleSpec::Record(_) => false,
        });
    }
    let rules = groups.iter().flat_map(|group| &group.rules).filter_map(RuleSpec::alert);
    let rules: Vec<Arc<AlertRule>> = rules.cloned().collect();
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let directory = Directory { path: path.to_owned() };
    let replayed = backtest::replay(directory.existing()?, groups, SINCE_MS, interval_ms)?;
    let mut found = Vec::new();
    for replayed in replayed.rules.iter().filter(|replayed| replayed.exceeds_budget()) {
        let Some(rule) = rules.iter().find(|rule| rule.name == replayed.name) else { continue };
        let source = sources.iter().find(|source| source.name == rule.file);
        let start = source.and_then(|source| source.text.find(&rule.source_text)).unwrap_or(0);
        let span = Span::new(start, start + rule.source_text.find('{').unwrap_or(0));
        let (pages, days) = (replayed.pages(), 7.0 * replayed.weeks);
        let allowed = replayed.allowed.unwrap_or(0.0);
        let message = format!(
            "`{}` would have paged {pages} times in {days:.0} days, of which its budget allows \
             {allowed:.0}",
            rule.name
        );
        let diagnostic = Diagnostic::warning("R042", span, message)
            .with_help("`forewarn backtest` shows each of them with its reason");
        found.push(FileDiagnostic { file: rule.file.clone(), diagnostic });
    }
    Ok(found)
}

/// Returns how rule files are loaded, wherever that is.
pub(super) fn load_options(default_interval_ms: i64) -> LoadOptions {
    let read_file = |path: &Path| std::fs::read_to_string(path);
    LoadOptions { check_template, read_file, default_interval_ms }
}

/// Says what is wrong with a template; joins the rules room, which knows where one stands, with the
/// alerts room, which knows its language.
fn check_template(text: &str, place: TemplatePlace) -> Result<(), String> {
    let vocabulary = match place {
        TemplatePlace::Label => Vocabulary::Labels,
        TemplatePlace::Annotation => Vocabulary::Forewarn,
        TemplatePlace::Prometheus => Vocabulary::Prometheus,
    };
    template::parse(text, vocabulary).map(drop).map_err(|error| error.to_string())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
