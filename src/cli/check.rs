use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Outcome;
use crate::alerts::template::{self, Vocabulary};
use crate::rules::{self, FileDiagnostic, LoadOptions, RuleSource, TemplatePlace};

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
    let (groups, diagnostics) = rules::load(&sources, &load_options(args.interval));
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
