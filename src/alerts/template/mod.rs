//! Go's text templates with Prometheus' functions, for an alert's labels and annotations.
//!
//! Entry points: [`parse`] reads a template and finds every unknown name; [`Template::expand`]
//! fills one in for one alert.
//!
//! Invariants: no text panics; output, nesting and steps are bounded; a number that the alert does
//! not have prints as nothing, also through the humanize functions.
//!
//! Absent on purpose: HTML (contextual escaping belongs to console templates, which we do not
//! serve), Go's complex numbers, and functions as values.

mod ast;
#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one shape")]
mod builtin;
mod escape;
mod exec;
mod functions;
mod lex;
mod number;
mod parse;
mod printf;
#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one shape")]
mod prometheus;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use crate::rules::Numbers;
use crate::series::Labels;

pub(super) use escape::url_query;

use value::Value;

/// A template that does not parse, or fails for one alert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is no template.
    #[error("{line}:{column}: {message}")]
    Syntax {
        /// Line from 1.
        line: usize,
        /// Column from 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// It cannot be filled in.
    #[error("{line}:{column}: {message}")]
    Run {
        /// Line from 1.
        line: usize,
        /// Column from 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl TemplateError {
    fn syntax(source: &str, at: usize, message: impl Into<String>) -> TemplateError {
        let (line, column) = crate::lang::Span::new(at, at).line_column(source);
        TemplateError::Syntax { line, column, message: message.into() }
    }

    fn run(source: &str, at: usize, message: impl Into<String>) -> TemplateError {
        let (line, column) = crate::lang::Span::new(at, at).line_column(source);
        TemplateError::Run { line, column, message: message.into() }
    }
}

/// Which variables a template may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// `$labels`, `$externalLabels`, `$externalURL`: labels of an alert of ours, which never
    /// change.
    Labels,
    /// These and `$value`: what Prometheus rules know.
    Prometheus,
    /// These and the numbers of a finding: annotations of a rule of ours.
    Forewarn,
}

/// All variables; the first three are those of [`Vocabulary::Labels`], the first four those of
/// [`Vocabulary::Prometheus`].
const VARIABLES: [&str; 15] = [
    "labels",
    "externalLabels",
    "externalURL",
    "value",
    "expected",
    "lower",
    "upper",
    "score",
    "probability",
    "eta",
    "eta_low",
    "eta_high",
    "limit",
    "since",
    "unit",
];

impl Vocabulary {
    fn names(self) -> &'static [&'static str] {
        match self {
            Vocabulary::Labels => &VARIABLES[..3],
            Vocabulary::Prometheus => &VARIABLES[..4],
            Vocabulary::Forewarn => &VARIABLES,
        }
    }
}

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    tree: parse::Tree,
}

/// Parses a template in which these variables are known.
pub fn parse(text: &str, vocabulary: Vocabulary) -> Result<Template, TemplateError> {
    let tree = parse::parse(text, vocabulary.names())?;
    Ok(Template { source: text.to_owned(), tree })
}

/// Answers a template's `query "…"` with the elements of an instant vector.
pub type Query<'a> = &'a dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String>;

/// What a template is filled in with. Numbers that the alert does not have are `None`.
#[derive(Clone, Copy)]
pub struct TemplateContext<'a> {
    /// Labels of the series.
    pub labels: &'a Labels,
    /// Labels that this server adds to every alert.
    pub external_labels: &'a Labels,
    /// Where users reach this server, without a slash at the end.
    pub external_url: &'a str,
    /// The evaluation's time, ms.
    pub at_ms: i64,
    /// Evaluates an expression at that time.
    pub query: Query<'a>,
    /// The numbers of the finding; a Prometheus rule has only the value.
    pub numbers: Numbers,
    /// Since when the alert has been active, ms.
    pub since_ms: Option<i64>,
}

impl Template {
    /// Fills the template in.
    pub fn expand(&self, context: &TemplateContext<'_>) -> Result<String, TemplateError> {
        let number = |number: Option<f64>| number.map_or(Value::Absent, Value::Float);
        let labels = Value::Labels(context.labels.clone());
        let external_labels = Value::Labels(context.external_labels.clone());
        let external_url = Value::text(context.external_url);
        let numbers = &context.numbers;
        let value = number(numbers.value);
        let dot = Value::Record(Arc::new([
            ("Labels", labels.clone()),
            ("ExternalLabels", external_labels.clone()),
            ("ExternalURL", external_url.clone()),
            ("Value", value.clone()),
        ]));
        let values = [
            labels,
            external_labels,
            external_url,
            value,
            number(numbers.expected),
            number(numbers.lower),
            number(numbers.upper),
            number(numbers.score),
            number(numbers.probability),
            number(numbers.eta_s),
            number(numbers.eta_low_s),
            number(numbers.eta_high_s),
            number(numbers.limit),
            context.since_ms.map_or(Value::Absent, Value::Time),
            Value::text(numbers.unit.word()),
        ];
        let variables = VARIABLES.iter().map(|&name| name.to_owned()).zip(values).collect();
        exec::run(&self.source, &self.tree, context, variables, &dot)
    }
}
