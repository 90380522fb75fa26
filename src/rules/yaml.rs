//! Rule files in Prometheus' shape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::check::refuse_metric_name;
use super::spec::Task;
use super::{
    AlertClause, AlertRule, AlertSpec, Dialect, Ending, GroupSpec, LoadOptions, RecordRule,
    RuleSource, RuleSpec, TemplatePlace,
};
use crate::lang::{Diagnostic, Span};
use crate::promql::{self, Expr, ValueType};
use crate::series::{METRIC_NAME, parse_duration};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    groups: Option<Vec<GroupShape>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupShape {
    name: Option<Scalar>,
    interval: Option<Scalar>,
    limit: Option<i64>,
    query_offset: Option<Scalar>,
    labels: Option<BTreeMap<String, Scalar>>,
    rules: Option<Vec<RuleShape>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleShape {
    record: Option<Scalar>,
    alert: Option<Scalar>,
    expr: Option<Scalar>,
    #[serde(rename = "for")]
    for_: Option<Scalar>,
    keep_firing_for: Option<Scalar>,
    labels: Option<BTreeMap<String, Scalar>>,
    annotations: Option<BTreeMap<String, Scalar>>,
}

/// Text, also where YAML reads the unquoted text as something else (`severity: 1`).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Bool(bool),
    Integer(i64),
    Float(f64),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Scalar::Text(text) => text.clone(),
            Scalar::Bool(value) => value.to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Float(value) => value.to_string(),
        }
    }
}

/// Loads the first document of a file.
pub(super) fn load(
    source: &RuleSource,
    options: &LoadOptions,
) -> (Vec<GroupSpec>, Vec<Diagnostic>) {
    let document = serde_yaml_ng::Deserializer::from_str(&source.text).next();
    let shape = document.map(Option::<FileShape>::deserialize).transpose();
    let shape = match shape {
        Ok(shape) => shape.flatten(),
        Err(error) => {
            let at = error.location().map_or(0, |location| location.index());
            let at = at.min(source.text.len());
            let message = format!("not a rule file in Prometheus' shape: {error}");
            return (Vec::new(), vec![Diagnostic::error("R030", Span::new(at, at), message)]);
        }
    };
    let mut loader = Loader {
        source,
        options,
        places: expression_places(&source.text),
        rule_index: 0,
        place: Span::default(),
        diagnostics: Vec::new(),
    };
    let mut names = BTreeSet::new();
    let mut groups = Vec::new();
    for shape in shape.and_then(|shape| shape.groups).unwrap_or_default() {
        let group = loader.group(&shape);
        if group.name.is_empty() {
            loader.error("R030", "a group has no name");
        } else if !names.insert(group.name.clone()) {
            loader.error("R030", format!("the group `{}` stands twice", group.name));
        }
        groups.push(group);
    }
    (groups, loader.diagnostics)
}

struct Loader<'a> {
    source: &'a RuleSource,
    options: &'a LoadOptions,
    /// Where the value of each `expr:` begins, in their order.
    places: Vec<usize>,
    rule_index: usize,
    /// Where the present rule's expression stands.
    place: Span,
    diagnostics: Vec<Diagnostic>,
}

impl Loader<'_> {
    fn error(&mut self, code: &'static str, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(code, self.place, message));
    }

    fn group(&mut self, shape: &GroupShape) -> GroupSpec {
        let name = shape.name.as_ref().map(Scalar::text).unwrap_or_default();
        let group_labels = self.labels(shape.labels.as_ref(), &format!("group `{name}`"));
        let interval_ms = self.duration(shape.interval.as_ref(), "interval");
        let limit = usize::try_from(shape.limit.unwrap_or(0));
        if limit.is_err() {
            self.error("R030", format!("group `{name}`: `limit` cannot be negative"));
        }
        let mut group = GroupSpec {
            tests: Vec::new(),
            name,
            file: self.source.name.clone(),
            interval_ms: interval_ms.filter(|interval| *interval > 0),
            query_offset_ms: self.duration(shape.query_offset.as_ref(), "query_offset"),
            limit: limit.unwrap_or(0),
            rules: Vec::new(),
        };
        for rule in shape.rules.iter().flatten() {
            let rule = self.rule(rule, &group, &group_labels);
            group.rules.extend(rule);
        }
        group
    }

    fn rule(
        &mut self,
        shape: &RuleShape,
        group: &GroupSpec,
        group_labels: &[(String, String)],
    ) -> Option<RuleSpec> {
        let expr_text = shape.expr.as_ref().map(Scalar::text).unwrap_or_default();
        self.locate(&expr_text);
        let text_of = |scalar: &Option<Scalar>| scalar.as_ref().map(Scalar::text);
        let (record, alert) = (text_of(&shape.record), text_of(&shape.alert));
        let (name, records) = match (record, alert) {
            (Some(record), None) if !record.is_empty() => (record, true),
            (None, Some(alert)) if !alert.is_empty() => (alert, false),
            _ => {
                let message = "a rule has either `record` or `alert`, and not both";
                self.error("R030", format!("group `{}`: {message}", group.name));
                return None;
            }
        };
        let what = format!("rule `{name}` of group `{}`", group.name);
        let expr = self.expr(&expr_text, &what)?;
        let own = self.labels(shape.labels.as_ref(), &what);
        let mut labels = group_labels.to_vec();
        labels.retain(|(name, _)| own.iter().all(|(known, _)| known != name));
        labels.extend(own);
        labels.sort();
        if records {
            self.record(shape, name, &what, expr, labels).map(RuleSpec::Record)
        } else {
            Some(RuleSpec::Alert(self.alert(shape, name, &what, expr, &labels, group)))
        }
    }

    fn record(
        &mut self,
        shape: &RuleShape,
        name: String,
        what: &str,
        expr: Expr,
        labels: Vec<(String, String)>,
    ) -> Option<RecordRule> {
        let alert_only = [
            ("annotations", shape.annotations.is_some()),
            ("for", shape.for_.is_some()),
            ("keep_firing_for", shape.keep_firing_for.is_some()),
        ];
        if let Some((field, _)) = alert_only.into_iter().find(|(_, present)| *present) {
            self.error("R030", format!("{what}: a recording rule has no `{field}`"));
            return None;
        }
        if let Some(reason) = refuse_metric_name(&name) {
            self.error("R015", format!("{what}: {reason}"));
            return None;
        }
        let source_text = written("record", &name, &expr, shape, &labels);
        Some(RecordRule { name, expr_text: expr.to_string(), source_text, labels, expr })
    }

    fn alert(
        &mut self,
        shape: &RuleShape,
        name: String,
        what: &str,
        expr: Expr,
        labels: &[(String, String)],
        group: &GroupSpec,
    ) -> AlertSpec {
        let mut annotations = Vec::new();
        for (annotation, value) in shape.annotations.iter().flatten() {
            if annotation.is_empty() {
                self.error("R019", format!("{what}: an annotation has no name"));
            }
            annotations.push((annotation.clone(), value.text()));
        }
        for (_, template) in labels.iter().chain(&annotations) {
            if let Err(reason) = (self.options.check_template)(template, TemplatePlace::Prometheus)
            {
                self.error("R020", format!("{what}: a template does not parse: {reason}"));
            }
        }
        let for_ms = self.duration(shape.for_.as_ref(), "for").unwrap_or(0);
        let keep_ms = self.duration(shape.keep_firing_for.as_ref(), "keep_firing_for");
        let clause = AlertClause {
            severity: None,
            rank: 0,
            for_ms,
            ending: keep_ms.filter(|ms| *ms > 0).map_or(Ending::AtOnce, Ending::Keep),
            labels: labels.to_vec(),
            annotations,
        };
        let rule = AlertRule {
            file: group.file.clone(),
            group: group.name.clone(),
            source_text: written("alert", &name, &expr, shape, labels),
            name,
            expr_text: expr.to_string(),
            dialect: Dialect::Prometheus,
            clauses: vec![clause],
            limit: group.limit,
        };
        let rule = Arc::new(rule);
        let task = Task::Prometheus(expr);
        AlertSpec { rule, every_ms: None, expectations: Vec::new(), task }
    }

    fn expr(&mut self, text: &str, what: &str) -> Option<Expr> {
        if text.trim().is_empty() {
            self.error("R030", format!("{what}: `expr` is missing"));
            return None;
        }
        match promql::parse(text) {
            Ok(expr) if matches!(expr.value_type(), ValueType::Vector | ValueType::Scalar) => {
                Some(expr)
            }
            Ok(expr) => {
                let found = expr.value_type();
                self.error(
                    "R022",
                    format!("{what}: `expr` yields a {found}, not an instant vector"),
                );
                None
            }
            Err(found) => {
                let base = self.place;
                let verbatim = base.of(&self.source.text) == text;
                for mut diagnostic in found {
                    diagnostic.message = format!("{what}: {}", diagnostic.message);
                    let (start, end) = (diagnostic.span.start, diagnostic.span.end);
                    diagnostic.span = if verbatim {
                        Span { start: base.start + start, end: base.start + end }
                    } else {
                        base
                    };
                    self.diagnostics.push(diagnostic);
                }
                None
            }
        }
    }

    /// Finds where the next rule's expression stands in the text: all of it where it is written on
    /// one line as it is, else its first line.
    fn locate(&mut self, expr: &str) {
        let first = expr.trim().lines().next().unwrap_or("").trim_end();
        let Some(start) = self.places.get(self.rule_index).filter(|_| !first.is_empty()) else {
            return;
        };
        self.rule_index += 1;
        let after = &self.source.text[*start..];
        let offset = after.find(first).unwrap_or(0);
        let verbatim = after[offset..].starts_with(expr);
        let len = if verbatim { expr.len() } else { first.len() };
        self.place = Span::new(start + offset, start + offset + len);
    }

    fn labels(
        &mut self,
        shape: Option<&BTreeMap<String, Scalar>>,
        what: &str,
    ) -> Vec<(String, String)> {
        let mut labels = Vec::new();
        for (name, value) in shape.into_iter().flatten() {
            if name.is_empty() || name == METRIC_NAME {
                self.error("R019", format!("{what}: `{name}` cannot be a label"));
            }
            labels.push((name.clone(), value.text()));
        }
        labels
    }

    fn duration(&mut self, shape: Option<&Scalar>, field: &str) -> Option<i64> {
        let text = shape?.text();
        match parse_duration(&text) {
            Ok(ms) => Some(ms),
            Err(error) => {
                self.error("R008", format!("`{field}`: {error}"));
                None
            }
        }
    }
}

/// Where the value of each key `expr:` begins.
fn expression_places(text: &str) -> Vec<usize> {
    const KEY: &str = "expr:";
    let mut places = Vec::new();
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        let is_key = |at: usize| line[..at].ends_with([' ', '\t', '{', ',']) || at == 0;
        if !line.trim_start().starts_with('#') {
            let keys = line.match_indices(KEY).filter(|(at, _)| is_key(*at));
            places.extend(keys.map(|(at, key)| line_start + at + key.len()));
        }
        line_start += line.len();
    }
    places
}

/// The rule as a user would write it.
fn written(
    kind: &str,
    name: &str,
    expr: &Expr,
    shape: &RuleShape,
    labels: &[(String, String)],
) -> String {
    let mut text = format!("{kind}: {name}\nexpr: {expr}\n");
    let mut line = |indent: &str, key: &str, value: &str| {
        text.extend([indent, key, ": ", value, "\n"]);
    };
    for (key, value) in [("for", &shape.for_), ("keep_firing_for", &shape.keep_firing_for)] {
        if let Some(value) = value {
            line("", key, &value.text());
        }
    }
    if !labels.is_empty() {
        line("", "labels", "");
        for (name, value) in labels {
            line("  ", name, value);
        }
    }
    if let Some(annotations) = &shape.annotations {
        line("", "annotations", "");
        for (name, value) in annotations {
            line("  ", name, &value.text());
        }
    }
    text
}
