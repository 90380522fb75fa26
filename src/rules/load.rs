use std::collections::BTreeMap;
use std::path::Path;

use super::ast::Spanned;
use super::{GroupSpec, check, parse, yaml};
use crate::lang::{Diagnostic, Severity, Source};

/// A rule file's text and its name.
#[derive(Clone, Debug)]
pub struct RuleSource {
    /// The path as the user wrote it; its ending helps to tell YAML.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// What loading needs from outside this room.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Says what is wrong with a template.
    pub check_template: fn(&str, TemplatePlace) -> Result<(), String>,
    /// Reads a file that a rule file names.
    pub read_file: fn(&Path) -> std::io::Result<String>,
    /// The evaluation interval of groups that name none, ms.
    pub default_interval_ms: i64,
}

/// Where a template stands, which decides what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplatePlace {
    /// A label of a rule in our language: nothing that changes while the alert lives.
    Label,
    /// An annotation of a rule in our language.
    Annotation,
    /// A label or annotation of a Prometheus rule.
    Prometheus,
}

/// A message about one place in one rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiagnostic {
    /// The name of the [`RuleSource`].
    pub file: String,
    /// What is wrong, and where in its text.
    pub diagnostic: Diagnostic,
}

impl FileDiagnostic {
    /// Returns whether the file cannot be used.
    pub fn is_error(&self) -> bool {
        self.diagnostic.severity == Severity::Error
    }

    /// Renders the message with its source line; `sources` are those that were loaded.
    pub fn render(&self, sources: &[RuleSource]) -> String {
        let source = sources.iter().find(|source| source.name == self.file);
        let text = source.map_or("", |source| source.text.as_str());
        self.diagnostic.render(Source { name: &self.file, text })
    }
}

/// Parses and checks rule files of both languages.
///
/// A file with an error yields none of its groups. Whoever reloads keeps the old rules, all of
/// them, if any of the diagnostics [is an error](FileDiagnostic::is_error).
pub fn load(
    sources: &[RuleSource],
    options: &LoadOptions,
) -> (Vec<GroupSpec>, Vec<FileDiagnostic>) {
    let (mut groups, mut diagnostics) = (Vec::new(), Vec::new());
    let mut alerts: BTreeMap<String, String> = BTreeMap::new();
    for source in sources {
        let (found, mut messages) = if is_yaml(source) {
            yaml::load(source, options)
        } else {
            let (file, mut messages) = parse::parse(&source.text);
            let checked = check::check(source, &file, options);
            messages.extend(checked.diagnostics);
            messages.extend(repeated(source, checked.names, &mut alerts));
            (vec![checked.group], messages)
        };
        messages.sort_by_key(|message| message.span.start);
        if messages.iter().all(|message| message.severity == Severity::Warning) {
            groups.extend(found);
        }
        let file = || source.name.clone();
        diagnostics.extend(
            messages.into_iter().map(|diagnostic| FileDiagnostic { file: file(), diagnostic }),
        );
    }
    (groups, diagnostics)
}

/// The names of alerts that another rule of our language has already.
fn repeated(
    source: &RuleSource,
    names: Vec<Spanned<String>>,
    alerts: &mut BTreeMap<String, String>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for name in names {
        let (line, _) = name.span.line_column(&source.text);
        let here = format!("{}:{line}", source.name);
        if let Some(there) = alerts.insert(name.node.clone(), here) {
            let message = format!("a rule `{}` stands in {there} already", name.node);
            found.push(
                Diagnostic::error("R015", name.span, message)
                    .with_help("an alert is known by its rule's name: choose another"),
            );
        }
    }
    found
}

/// Which files are in Prometheus' shape: by ending, or by what comes first in them.
fn is_yaml(source: &RuleSource) -> bool {
    let ending = Path::new(&source.name).extension();
    if ending.is_some_and(|ending| ending == "yml" || ending == "yaml") {
        return true;
    }
    let first = source.text.lines().map(str::trim_start);
    let first = first.filter(|line| !line.is_empty() && !line.starts_with('#') && *line != "---");
    first.take(1).any(|line| line.starts_with("groups:") || line.starts_with('{'))
}
