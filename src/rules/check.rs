//! Syntax tree to checked rules: what the grammar alone cannot say.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::amount::{Amount, agreed_unit};
use super::ast::{
    BudgetClause, Clause, ClauseKind, EndingClause, File, Item, NormalClause, Pairs, PeersClause,
    Query, Rule, Sensitivity, SeverityClause, Spanned, Target,
};
use super::compile::{self, Compiler};
use super::holidays;
use super::kinship::Kinship;
use super::lets::Scope;
use super::program::{BudgetPlan, CalendarPlan, Limit, NormalPlan};
use super::spec::Task;
use super::{
    AlertClause, AlertRule, AlertSpec, Dialect, Ending, Expectation, GroupSpec, LoadOptions,
    RecordRule, RuleSource, RuleSpec, TemplatePlace, TestSpec, test_block,
};
use crate::lang::{Diagnostic, Severity, Span};
use crate::learn::Calendar;
use crate::promql::{Expr, ValueType};
use crate::series::{METRIC_NAME, is_legacy_label_name};

/// Labels that an alert or a written series has from us.
const RESERVED_LABELS: [&str; 4] = ["rule", "severity", "phase", "alertname"];
/// How many peers there have to be where the rule does not say, and at least.
const PEERS_DEFAULT: u64 = 5;
const PEERS_MIN: u64 = 3;
/// What a file of holidays is.
const HOLIDAYS_HELP: &str =
    "holidays are the all-day events of an iCalendar file, once or FREQ=YEARLY";
/// What to do about a missing severity.
const SEVERITIES_HELP: &str = "add `page when …`, `ticket when …` or `note when …`";

/// The checked group of a file, and every rule's name with its place.
pub(super) struct Checked {
    pub(super) group: GroupSpec,
    pub(super) names: Vec<Spanned<String>>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Checks a parsed file.
pub(super) fn check(source: &RuleSource, file: &File, options: &LoadOptions) -> Checked {
    let stem = Path::new(&source.name).file_stem();
    let group = stem.map_or_else(|| source.name.clone(), |stem| stem.to_string_lossy().into());
    let mut checker = Checker {
        source,
        options,
        group,
        scope: Scope::default(),
        defaults: Defaults::default(),
        diagnostics: Vec::new(),
    };
    let (mut rules, mut names, mut tests) = (Vec::new(), Vec::new(), Vec::new());
    let mut recorded: BTreeSet<(String, Vec<(String, String)>)> = BTreeSet::new();
    for (index, item) in file.items.iter().enumerate() {
        match item {
            Item::Defaults { word, clauses } => {
                if index > 0 {
                    checker.error(
                        "R023",
                        *word,
                        "`defaults` stands once, as the file's first item",
                    );
                }
                checker.take_defaults(clauses);
            }
            Item::Let { name, query } => checker.take_let(name, query),
            Item::Record { name, query, labels, span } => {
                let Some(record) = checker.record(name, query, labels.as_ref(), *span) else {
                    continue;
                };
                if recorded.insert((record.name.clone(), record.labels.clone())) {
                    rules.push(RuleSpec::Record(record));
                } else {
                    checker.error(
                        "R015",
                        name.span,
                        "recorded above already, with the same labels",
                    );
                }
            }
            Item::Rule(rule) => {
                names.push(rule.name.clone());
                rules.extend(checker.rule(rule).map(RuleSpec::Alert));
            }
            Item::Test { name, lines } => tests.push((name, lines)),
        }
    }
    let known: Vec<&str> = names.iter().map(|name: &Spanned<String>| name.node.as_str()).collect();
    let test = |(name, lines): (&Spanned<String>, &Vec<Spanned<String>>)| {
        let (test, diagnostics) = test_block::check(&source.text, &name.node, lines, &known);
        checker.diagnostics.extend(diagnostics);
        test
    };
    let tests: Vec<TestSpec> = tests.into_iter().map(test).collect();
    let group = GroupSpec {
        tests,
        name: checker.group,
        file: source.name.clone(),
        interval_ms: checker.defaults.every_ms,
        query_offset_ms: None,
        limit: 0,
        rules,
    };
    Checked { group, names, diagnostics: checker.diagnostics }
}

/// What stands in for clauses that a rule lacks.
#[derive(Default)]
struct Defaults {
    every_ms: Option<i64>,
    labels: Vec<(String, String)>,
    normal: Option<NormalPlan>,
    forecast_ms: Option<i64>,
    budget: Option<BudgetClause>,
    /// Other values of `severity`, by rank.
    severities: [Option<String>; 3],
}

struct Checker<'a> {
    source: &'a RuleSource,
    options: &'a LoadOptions,
    group: String,
    scope: Scope,
    defaults: Defaults,
    diagnostics: Vec<Diagnostic>,
}

const RANKS: [&str; 3] = ["note", "ticket", "page"];

impl Checker<'_> {
    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(code, span, message));
    }

    fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// Notes the diagnostic of a part that could not be read.
    fn note<T>(&mut self, found: Result<T, Diagnostic>) -> Option<T> {
        found.map_err(|diagnostic| self.diagnostics.push(diagnostic)).ok()
    }

    fn take_defaults(&mut self, clauses: &[Clause]) {
        self.refuse_repeated(clauses);
        for clause in clauses {
            match &clause.kind {
                ClauseKind::Every { every_ms } => self.defaults.every_ms = Some(*every_ms),
                ClauseKind::Labels(pairs) => self.defaults.labels = self.labels(pairs),
                ClauseKind::Normal(normal) => self.defaults.normal = self.normal(normal),
                ClauseKind::Forecast { from_ms } => self.defaults.forecast_ms = Some(*from_ms),
                ClauseKind::Budget(budget) => self.defaults.budget = Some(*budget),
                ClauseKind::SeverityNames(pairs) => self.take_severities(pairs),
                _ => {}
            }
        }
    }

    fn take_severities(&mut self, pairs: &Pairs) {
        for (name, value) in pairs {
            match RANKS.iter().position(|rank| *rank == name.node) {
                Some(rank) => self.defaults.severities[rank] = Some(value.node.clone()),
                None => {
                    self.error("R013", name.span, "severities are `page`, `ticket` and `note`");
                }
            }
        }
        let names: BTreeSet<String> = (0..3).map(|rank| self.severity_name(rank)).collect();
        if names.len() < 3
            && let Some((name, _)) = pairs.last()
        {
            self.error(
                "R019",
                name.span,
                "two severities with one name: their alerts would be one",
            );
        }
    }

    fn severity_name(&self, rank: u8) -> String {
        let rank = usize::from(rank);
        self.defaults.severities[rank].clone().unwrap_or_else(|| RANKS[rank].to_owned())
    }

    fn take_let(&mut self, name: &Spanned<String>, query: &Query) {
        if let Some(refusal) = self.scope.refuse(name) {
            self.diagnostics.push(refusal);
        } else if let Some(expr) = self.resolve(query) {
            self.scope.add(name.node.clone(), expr);
        }
    }

    fn record(
        &mut self,
        name: &Spanned<String>,
        query: &Query,
        labels: Option<&Pairs>,
        span: Span,
    ) -> Option<RecordRule> {
        let before = self.errors();
        if let Some(refusal) = self.scope.refuse(name) {
            // A recorded metric may be called like a function; nobody has to write it alone.
            if !refusal.message.contains("word of PromQL") {
                self.diagnostics.push(refusal);
            }
        }
        if let Some(message) = refuse_metric_name(&name.node) {
            self.error("R015", name.span, message);
        }
        let expr = self.query_of(query, "record")?;
        let mut pairs = Vec::new();
        for (label, value) in labels.into_iter().flatten() {
            if !is_legacy_label_name(&label.node) || label.node == METRIC_NAME {
                self.error("R019", label.span, format!("`{}` cannot be a label", label.node));
            }
            pairs.push((label.node.clone(), value.node.clone()));
        }
        (self.errors() == before).then(|| RecordRule {
            name: name.node.clone(),
            expr_text: expr.to_string(),
            source_text: span.of(&self.source.text).trim_end().to_owned(),
            labels: pairs,
            expr,
        })
    }

    fn resolve(&mut self, query: &Query) -> Option<Expr> {
        let found = self.scope.resolve(query);
        found.map_err(|diagnostics| self.diagnostics.extend(diagnostics)).ok()
    }

    /// Resolves an expression that must yield elements.
    fn query_of(&mut self, query: &Query, place: &str) -> Option<Expr> {
        let expr = self.resolve(query)?;
        match expr.value_type() {
            ValueType::Vector | ValueType::Scalar => Some(expr),
            other => {
                let message = format!("`{place}` needs an instant vector, this is a {other}");
                let help = match other {
                    ValueType::Matrix => "put a function around it, such as `rate(…)`",
                    _ => "write an expression that has a value for each series",
                };
                self.diagnostics
                    .push(Diagnostic::error("R022", query.span, message).with_help(help));
                None
            }
        }
    }

    fn normal(&mut self, clause: &NormalClause) -> Option<NormalPlan> {
        let holidays = match &clause.holidays {
            Some(file) => self.holidays(file)?,
            None => Vec::new(),
        };
        if let Some(zone) = &clause.zone
            && Calendar::zone(&zone.node).is_none()
        {
            let message = format!("unknown time zone {:?}", zone.node);
            self.diagnostics.push(
                Diagnostic::error("R013", zone.span, message)
                    .with_help("names are as in the IANA table, such as \"Europe/Berlin\""),
            );
            return None;
        }
        Some(NormalPlan {
            season: clause.season,
            calendar: CalendarPlan {
                zone: clause.zone.as_ref().map(|zone| zone.node.clone()),
                holidays: holidays.into(),
            },
            from_ms: clause.from_ms.unwrap_or(compile::NORMAL_FROM_MS),
            share: Kinship::default(),
        })
    }

    /// The days of a file, whose path is relative to the rule file.
    fn holidays(&mut self, file: &Spanned<String>) -> Option<Vec<i32>> {
        let folder = Path::new(&self.source.name).parent().unwrap_or(Path::new(""));
        let path = folder.join(&file.node);
        let error = |message: String| Diagnostic::error("R025", file.span, message);
        let found = match (self.options.read_file)(&path) {
            Ok(text) => holidays::days(&text).map_err(|fault| {
                let place = format!("{}:{}", path.display(), fault.line);
                error(format!("{place}: {}", fault.message)).with_help(HOLIDAYS_HELP)
            }),
            Err(reason) => Err(error(format!("{} cannot be read: {reason}", path.display()))
                .with_help("the path is relative to the rule file")),
        };
        self.note(found)
    }

    /// Labels of alerts: names that may be used, values that are templates and never change.
    fn labels(&mut self, pairs: &Pairs) -> Vec<(String, String)> {
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            let text = name.node.as_str();
            if RESERVED_LABELS.contains(&text) {
                let message = format!("the label `{text}` is set by us");
                self.diagnostics.push(Diagnostic::error("R019", name.span, message).with_help(
                    "choose another name; other severities are named by `defaults { severity … }`",
                ));
            } else if !is_legacy_label_name(text) || text == METRIC_NAME {
                self.error("R019", name.span, format!("`{text}` cannot be a label"));
            } else if labels.iter().any(|(known, _)| known == text) {
                self.error("R010", name.span, format!("`{text}` stands twice"));
            }
            self.template(value, TemplatePlace::Label);
            labels.push((text.to_owned(), value.node.clone()));
        }
        labels
    }

    fn template(&mut self, text: &Spanned<String>, place: TemplatePlace) {
        if let Err(reason) = (self.options.check_template)(&text.node, place) {
            self.error("R020", text.span, format!("the template does not parse: {reason}"));
        }
    }

    /// Each clause stands once, but for those that add up.
    fn refuse_repeated(&mut self, clauses: &[Clause]) {
        let mut seen: Vec<&str> = Vec::new();
        for clause in clauses {
            let word = clause.word.node;
            if seen.contains(&word) && !matches!(word, "ignore" | "override" | "expect") {
                self.error("R010", clause.word.span, format!("`{word}` stands twice"));
            }
            seen.push(word);
        }
    }

    fn rule(&mut self, rule: &Rule) -> Option<AlertSpec> {
        let before = self.errors();
        self.refuse_repeated(&rule.clauses);
        let mut parts = Parts::default();
        for clause in &rule.clauses {
            self.collect(clause, &mut parts);
        }
        parts.severities.sort_by_key(|(_, clause)| std::cmp::Reverse(clause.rank));
        if !rule.broken {
            self.require(rule, &parts);
        }
        let amounts = parts.amounts();
        let unit = match parts.unit {
            Some(unit) => Some(unit),
            None => self.note(agreed_unit(&amounts)),
        };
        let (Some(signal), Some(unit)) = (parts.signal.take(), unit) else { return None };
        let limit = match parts.limit {
            None => None,
            Some(Target::Amount(amount)) => self.note(amount.convert(unit)).map(Limit::Fixed),
            Some(Target::Query(query)) => self.query_of(query, "limit").map(Limit::Moving),
        };
        let mut compiler = Compiler::new(unit, limit, parts.limit.is_some());
        compiler.normal = parts.normal.take().or_else(|| self.defaults.normal.clone());
        compiler.forecast_ms = parts.forecast_ms.or(self.defaults.forecast_ms);
        compiler.peers = parts.peers.take();
        compiler.identity = parts.identity.clone().unwrap_or_default();
        compiler.share = parts.share.as_ref().map(|(labels, _)| labels.clone());
        compiler.sensitivity = parts.sensitivity.map(|(sensitivity, _)| sensitivity);
        for (_, clause) in &parts.severities {
            compiler.severity(clause);
        }
        for gate in &parts.gates {
            let query = compile::gate_query(gate).map(|query| self.query_of(query, "while"));
            compiler.gate(gate, query.flatten());
        }
        if let Some((history_ms, test)) = parts.until {
            let query = compile::until_query(test).map(|query| self.query_of(query, "until"));
            compiler.until(history_ms, test, query.flatten());
        }
        compiler.budget = self.budget(&parts, &compiler);
        self.warn_unused(&parts, &compiler);
        let (program, diagnostics) = compiler.finish(signal.clone());
        self.diagnostics.extend(diagnostics);
        self.check_every(&parts);
        if self.errors() > before || rule.broken || parts.not_yet {
            return None;
        }
        Some(AlertSpec {
            every_ms: parts.every.map(|(every_ms, _)| every_ms),
            expectations: parts.expectations.clone(),
            rule: Arc::new(AlertRule {
                name: rule.name.node.clone(),
                file: self.source.name.clone(),
                group: self.group.clone(),
                source_text: rule.span.of(&self.source.text).to_owned(),
                expr_text: signal.to_string(),
                dialect: Dialect::Forewarn,
                clauses: self.alert_clauses(&parts),
                limit: 0,
            }),
            task: Task::Forewarn(Box::new(program)),
        })
    }

    fn collect<'a>(&mut self, clause: &'a Clause, parts: &mut Parts<'a>) {
        let word = clause.word.span;
        match &clause.kind {
            ClauseKind::Signal(query) => {
                parts.has_signal = true;
                parts.signal = self.query_of(query, "signal");
            }
            ClauseKind::Unit(unit) => parts.unit = Some(*unit),
            ClauseKind::Limit(target) => {
                parts.limit = Some(target);
                parts.limit_word = word;
            }
            ClauseKind::Severity(severity) => parts.severities.push((word, severity)),
            ClauseKind::Normal(normal) => {
                parts.normal = self.normal(normal);
                parts.normal_word = Some(word);
            }
            ClauseKind::Forecast { from_ms } => {
                parts.forecast_ms = Some(*from_ms);
                parts.forecast_word = Some(word);
            }
            ClauseKind::Peers(peers) => {
                parts.peers = Some(self.peers(peers));
                parts.peers_word = Some(word);
            }
            ClauseKind::Expect(expectation) => parts.expectations.push(expectation.clone()),
            ClauseKind::Identity(identity) => parts.identity = Some(identity.clone()),
            ClauseKind::Share(labels) => parts.share = Some((labels.clone(), word)),
            ClauseKind::Budget(budget) => parts.budget = Some((*budget, word)),
            ClauseKind::Sensitivity(sensitivity) => parts.sensitivity = Some((*sensitivity, word)),
            ClauseKind::Ignore(gates) => parts.gates.extend(gates),
            ClauseKind::Until { history_ms, test } => {
                parts.until = Some((*history_ms, test));
                parts.until_word = word;
            }
            ClauseKind::Labels(pairs) => parts.labels.extend(self.labels(pairs)),
            ClauseKind::Annotations(pairs) => {
                for (name, value) in pairs {
                    self.annotation(parts, &name.node, name.span, value);
                }
            }
            ClauseKind::Text(text) => match clause.word.node {
                "owner" => {
                    self.template(text, TemplatePlace::Label);
                    parts.owner = Some((word, text.node.clone()));
                }
                "say" => self.annotation(parts, "summary", word, text),
                "describe" => self.annotation(parts, "description", word, text),
                _ => self.annotation(parts, "runbook_url", word, text),
            },
            ClauseKind::Every { every_ms } => parts.every = Some((*every_ms, word)),
            ClauseKind::SeverityNames(_) => {}
            ClauseKind::NotYet => parts.not_yet = true,
        }
    }

    /// The budget of a rule, or the default one where it can use that: with a `page` that a learned
    /// band decides.
    fn budget(&mut self, parts: &Parts<'_>, compiler: &Compiler) -> Option<BudgetPlan> {
        let highest = parts.severities.first().map(|(_, clause)| *clause);
        let page = highest.filter(|clause| clause.rank == 2);
        let when = compiler.highest().filter(|when| page.is_some() && when.asks_band());
        let own = parts.budget.map(|(_, word)| word);
        if let (Some(word), Some((_, sensitivity))) = (own, parts.sensitivity) {
            let message = "`sensitivity` says where the band's edge is, and so does `budget`";
            self.diagnostics.push(
                Diagnostic::error(
                    "R024",
                    if word.start > sensitivity.start { word } else { sensitivity },
                    message,
                )
                .with_help("choose one of the two"),
            );
        }
        let (Some(page), Some(when)) = (page, when) else {
            if let Some(word) = own
                && !parts.severities.is_empty()
            {
                let message = "`budget` needs a `page` that asks for a learned band";
                self.diagnostics.push(
                    Diagnostic::error("R021", word, message)
                        .with_help("such as `page when above normal`, or `differs from peers`"),
                );
            }
            return None;
        };
        if let Some(word) = own
            && when.asks_beyond_band()
        {
            let message = "`budget` counts what the band alone decides: forecasts, `is missing` \
                           and `is late` count as unknown";
            self.diagnostics.push(Diagnostic::warning("R041", word, message));
        }
        let budget = parts.budget.map(|(budget, _)| budget);
        let default = self.defaults.budget.filter(|_| parts.sensitivity.is_none());
        let BudgetClause { pages, per_ms } = budget.or(default)?;
        Some(BudgetPlan { pages, per_ms, for_ms: page.for_ms, ending: ending(page) })
    }

    fn peers(&mut self, clause: &PeersClause) -> (Vec<String>, usize) {
        if let Some(at_least) = &clause.at_least
            && at_least.node < PEERS_MIN
        {
            let message = format!("peers are at least {PEERS_MIN}");
            self.diagnostics.push(
                Diagnostic::error("R005", at_least.span, message)
                    .with_help("of two that differ nobody can say which is the odd one"),
            );
        }
        let at_least = clause.at_least.as_ref().map_or(PEERS_DEFAULT, |at_least| at_least.node);
        (clause.within.clone(), usize::try_from(at_least).unwrap_or(usize::MAX))
    }

    fn annotation(
        &mut self,
        parts: &mut Parts<'_>,
        name: &str,
        place: Span,
        value: &Spanned<String>,
    ) {
        self.template(value, TemplatePlace::Annotation);
        if parts.annotations.iter().any(|(known, _)| known == name) {
            self.error("R010", place, format!("the annotation `{name}` stands twice"));
        } else if name == "why" {
            self.error("R019", place, "the annotation `why` is written by us");
        }
        parts.annotations.push((name.to_owned(), value.node.clone()));
    }

    fn require(&mut self, rule: &Rule, parts: &Parts<'_>) {
        let name = &rule.name;
        if !parts.has_signal {
            self.diagnostics.push(
                Diagnostic::error("R011", name.span, format!("`{}` has no `signal`", name.node))
                    .with_help("add `signal` and the expression that it watches"),
            );
        }
        if parts.severities.is_empty() {
            let message = format!("`{}` says nowhere what is wrong", name.node);
            self.diagnostics
                .push(Diagnostic::error("R011", name.span, message).with_help(SEVERITIES_HELP));
        }
    }

    fn warn_unused(&mut self, parts: &Parts<'_>, compiler: &Compiler) {
        let mut warn = |span: Span, message: &str| {
            self.diagnostics.push(Diagnostic::warning("R040", span, message));
        };
        if parts.limit.is_some() && !compiler.uses_limit {
            warn(parts.limit_word, "`limit` is not used: no severity says `reaches limit`");
        }
        if let Some(word) = parts.normal_word
            && !compiler.uses_hours()
        {
            warn(word, "`normal` is not used: no severity and no gate asks what is normal");
        }
        if let Some(word) = parts.peers_word
            && !compiler.uses.peers
        {
            warn(word, "`peers` is not used: no severity says `differs from peers`");
        }
        if let Some((_, word)) = parts.share
            && !compiler.uses_normal()
        {
            warn(word, "`share` is not used: no severity and no gate asks what is normal");
        }
        if let Some((_, word)) = parts.sensitivity
            && !compiler.uses_band()
        {
            warn(word, "`sensitivity` is not used: no severity asks for a learned band");
        }
        if let Some(word) = parts.forecast_word
            && !compiler.uses_forecast()
        {
            warn(word, "`forecast` is not used: no severity says `reaches …`");
        }
        if parts.until.is_some() && !compiler.uses_hours() && !compiler.uses_forecast() {
            warn(parts.until_word, "`until` is not needed: nothing in this rule is learned");
        }
    }

    fn check_every(&mut self, parts: &Parts<'_>) {
        let Some((every_ms, word)) = parts.every else { return };
        let group_ms = self.defaults.every_ms.unwrap_or(self.options.default_interval_ms);
        if every_ms % group_ms.max(1) != 0 {
            let group = crate::series::format_duration(group_ms);
            let message = format!("`every` must be a multiple of the file's own interval, {group}");
            self.diagnostics.push(
                Diagnostic::error("R018", word, message)
                    .with_help("the file's interval is set by `defaults { every … }`"),
            );
        }
    }

    fn alert_clauses(&self, parts: &Parts<'_>) -> Vec<AlertClause> {
        let mut labels = self.defaults.labels.clone();
        let own = parts.labels.iter().cloned();
        let owner = parts.owner.iter().map(|(_, owner)| ("owner".to_owned(), owner.clone()));
        for (name, value) in own.chain(owner) {
            match labels.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => labels.push((name, value)),
            }
        }
        let clause = |clause: &SeverityClause| AlertClause {
            severity: Some(self.severity_name(clause.rank)),
            rank: clause.rank,
            for_ms: clause.for_ms,
            ending: ending(clause),
            labels: labels.clone(),
            annotations: parts.annotations.clone(),
        };
        parts.severities.iter().map(|(_, severity)| clause(severity)).collect()
    }
}

fn ending(clause: &SeverityClause) -> Ending {
    match &clause.ending {
        EndingClause::AtOnce => Ending::AtOnce,
        EndingClause::Keep(ms) => Ending::Keep(*ms),
        EndingClause::Clear { for_ms, .. } => Ending::Clear { for_ms: *for_ms },
    }
}

/// The clauses of one rule, sorted out.
#[derive(Default)]
struct Parts<'a> {
    has_signal: bool,
    signal: Option<Expr>,
    unit: Option<super::Unit>,
    limit: Option<&'a Target>,
    limit_word: Span,
    severities: Vec<(Span, &'a SeverityClause)>,
    normal: Option<NormalPlan>,
    normal_word: Option<Span>,
    forecast_ms: Option<i64>,
    forecast_word: Option<Span>,
    peers: Option<(Vec<String>, usize)>,
    peers_word: Option<Span>,
    sensitivity: Option<(Sensitivity, Span)>,
    budget: Option<(BudgetClause, Span)>,
    share: Option<(Vec<String>, Span)>,
    identity: Option<Kinship>,
    expectations: Vec<Expectation>,
    gates: Vec<&'a super::ast::Gate>,
    until: Option<(i64, &'a super::ast::UntilTest)>,
    until_word: Span,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    owner: Option<(Span, String)>,
    every: Option<(i64, Span)>,
    not_yet: bool,
}

impl Parts<'_> {
    /// Every amount that is a value of the signal.
    fn amounts(&self) -> Vec<Amount> {
        let mut amounts = Vec::new();
        if let Some(Target::Amount(amount)) = self.limit {
            amounts.push(*amount);
        }
        for (_, severity) in &self.severities {
            compile::amounts_of_severity(severity, &mut amounts);
        }
        for gate in &self.gates {
            compile::amounts_of_gate(gate, &mut amounts);
        }
        if let Some((_, super::ast::UntilTest::Value(_, amount))) = self.until {
            amounts.push(*amount);
        }
        amounts
    }
}

/// Says why a metric cannot be called so, if it cannot.
pub(super) fn refuse_metric_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("the name of a metric cannot be empty");
    }
    name.contains(['{', '}']).then_some("the name of a metric cannot hold braces")
}
