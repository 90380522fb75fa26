//! The clauses of a rule, one function for each form.

use super::Expectation;
use super::ast::{
    BudgetClause, Clause, ClauseKind, Compare, EndingClause, Gate, NormalClause, Pairs,
    PeersClause, Sensitivity, SeverityClause, Spanned, Target, UntilTest,
};
use super::kinship::Kinship;
use super::parse::{Failed, Parsed, Parser};
use super::unit::UNITS;
use crate::lang::{Diagnostic, Span, nearest};
use crate::learn::Season;

/// Every word that begins a clause, those of later versions too.
pub(super) const CLAUSES: [&str; 31] = [
    "signal",
    "unit",
    "limit",
    "page",
    "ticket",
    "note",
    "normal",
    "forecast",
    "peers",
    "ignore",
    "until",
    "budget",
    "sensitivity",
    "share",
    "identity",
    "override",
    "labels",
    "annotations",
    "say",
    "describe",
    "runbook",
    "owner",
    "every",
    "expect",
    "canary",
    "do",
    "cause",
    "during",
    "changes",
    "pattern",
    "resembles",
];

/// What may stand in `defaults`.
const IN_DEFAULTS: [&str; 6] = ["every", "labels", "budget", "normal", "forecast", "severity"];

/// The block in which a clause stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Rule,
    Defaults,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Place::Rule => "rule",
            Place::Defaults => "defaults",
        }
    }

    fn known(self) -> &'static [&'static str] {
        match self {
            Place::Rule => &CLAUSES,
            Place::Defaults => &IN_DEFAULTS,
        }
    }
}

impl Parser<'_> {
    pub(super) fn clause(&mut self, place: Place) -> Parsed<Clause> {
        let Some(found) = self.cursor.peek_word() else {
            return self.expected("a clause or `}`");
        };
        let Some(node) = place.known().iter().copied().find(|known| *known == found.node) else {
            let diagnostic = self.unknown_clause(found.node, found.span, place);
            self.cursor.word();
            return self.fail(diagnostic);
        };
        self.cursor.word();
        let word = Spanned { node, span: found.span };
        let kind = match node {
            "signal" => ClauseKind::Signal(self.query()?),
            "unit" => self.unit()?,
            "limit" => ClauseKind::Limit(self.limit()?),
            "page" => self.severity(2)?,
            "ticket" => self.severity(1)?,
            "note" => self.severity(0)?,
            "normal" => ClauseKind::Normal(self.normal_clause()?),
            "forecast" => {
                self.expect_word("from")?;
                ClauseKind::Forecast { from_ms: self.duration()? }
            }
            "peers" => ClauseKind::Peers(self.peers()?),
            "ignore" => ClauseKind::Ignore(self.gates()?),
            "until" => self.until()?,
            "expect" => ClauseKind::Expect(self.expectation(word.span)?),
            "identity" => ClauseKind::Identity(self.identity()?),
            "share" => {
                self.expect_word("by")?;
                ClauseKind::Share(self.list()?)
            }
            "budget" => ClauseKind::Budget(self.budget()?),
            "sensitivity" => ClauseKind::Sensitivity(self.sensitivity()?),
            "labels" => ClauseKind::Labels(self.pairs()?),
            "annotations" => ClauseKind::Annotations(self.pairs()?),
            "say" | "describe" | "runbook" | "owner" => ClauseKind::Text(self.string()?),
            "every" => ClauseKind::Every { every_ms: self.duration()? },
            "severity" => ClauseKind::SeverityNames(self.pairs()?),
            later => {
                self.not_yet(word.span, later);
                self.skip_later(later)?;
                ClauseKind::NotYet
            }
        };
        Ok(Clause { word, kind })
    }

    fn unknown_clause(&mut self, found: &str, span: Span, place: Place) -> Diagnostic {
        let diagnostic = |message: String| Diagnostic::error("R012", span, message);
        if CLAUSES.contains(&found) || found == "severity" {
            let help = match place {
                Place::Defaults => {
                    "`defaults` takes `every`, `labels`, `budget`, `normal`, `forecast` and \
                     `severity`"
                }
                Place::Rule => "`severity` stands in `defaults`; in a rule say `page when …`",
            };
            return diagnostic(format!("`{found}` cannot stand in `{}`", place.word()))
                .with_help(help);
        }
        let before = self.cursor.text[..span.start as usize].trim_end();
        let word_start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let last = &before[word_start.map_or(0, |at| at + 1)..];
        let help = if CLAUSES.contains(&last) {
            format!(
                "`{last}` was read as a metric: the expression above it ends in an operator that \
                 needs one more operand"
            )
        } else if let Some(near) = nearest(found, place.known().iter().copied()) {
            format!("did you mean `{near}`?")
        } else {
            format!("clauses are {}", place.known()[..24.min(place.known().len())].join(", "))
        };
        diagnostic(format!("unknown clause `{found}`"))
            .with_label(format!("not a clause of `{}`", place.word()))
            .with_help(help)
    }

    fn unit(&mut self) -> Parsed<ClauseKind> {
        let Some(word) = self.cursor.hyphened() else { return self.expected("a unit") };
        if let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == word.node) {
            return Ok(ClauseKind::Unit(*unit));
        }
        let known = UNITS.map(|(known, _)| known);
        let help = match nearest(word.node, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("units are {}", known.join(", ")),
        };
        let message = format!("unknown unit `{}`", word.node);
        self.fail(Diagnostic::error("R013", word.span, message).with_help(help))
    }

    fn limit(&mut self) -> Parsed<Target> {
        if self.cursor.at_number() {
            self.amount().map(Target::Amount)
        } else {
            self.query().map(Target::Query)
        }
    }

    fn severity(&mut self, rank: u8) -> Parsed<ClauseKind> {
        self.expect_word("when")?;
        let when = self.condition()?;
        let for_ms = self.optional_for()?;
        let ending = if self.cursor.eat_word("clear") {
            self.expect_word("when")?;
            let when = self.condition()?;
            EndingClause::Clear { when, for_ms: self.optional_for()? }
        } else if self.cursor.eat_word("keep") {
            EndingClause::Keep(self.duration()?)
        } else {
            EndingClause::AtOnce
        };
        Ok(ClauseKind::Severity(Box::new(SeverityClause { rank, when, for_ms, ending })))
    }

    fn optional_for(&mut self) -> Parsed<i64> {
        if self.cursor.eat_word("for") { self.duration() } else { Ok(0) }
    }

    fn normal_clause(&mut self) -> Parsed<NormalClause> {
        let mut season = Season::default();
        if self.cursor.eat_word("by") {
            self.expect_word("hour")?;
            self.expect_word("of")?;
            season = match () {
                () if self.cursor.eat_word("week") => Season::HourOfWeek,
                () if self.cursor.eat_word("day") => Season::HourOfDay,
                () => return self.expected("`week` or `day`"),
            };
        } else if self.cursor.eat_word("flat") {
            season = Season::Flat;
        }
        let zone = if self.cursor.eat_word("tz") { Some(self.string()?) } else { None };
        let holidays = if self.cursor.eat_word("holidays") { Some(self.string()?) } else { None };
        let from_ms = if self.cursor.eat_word("from") { Some(self.duration()?) } else { None };
        Ok(NormalClause { season, zone, holidays, from_ms })
    }

    fn peers(&mut self) -> Parsed<PeersClause> {
        self.expect_word("within")?;
        let within = self.list()?;
        if !self.cursor.eat_word("at") {
            return Ok(PeersClause { within, at_least: None });
        }
        self.expect_word("least")?;
        let here = self.cursor.here();
        let found = self.cursor.integer();
        let at_least = Some(Spanned { node: self.note(found)?, span: here });
        Ok(PeersClause { within, at_least })
    }

    /// `(a, b)`: names of labels; a comma may stand at the end.
    fn list(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut names = Vec::new();
        while let Some(name) = self.cursor.word() {
            names.push(name.node.to_owned());
            if self.cursor.eat_symbol(",").is_none() {
                break;
            }
        }
        self.expect(")")?;
        Ok(names)
    }

    fn gates(&mut self) -> Parsed<Vec<Gate>> {
        let mut gates = vec![self.gate()?];
        while self.cursor.eat_symbol(",").is_some() {
            gates.push(self.gate()?);
        }
        Ok(gates)
    }

    fn gate(&mut self) -> Parsed<Gate> {
        const GATES: [&str; 4] = ["below", "above", "under", "while"];
        let Some(word) = self.cursor.word() else { return self.expected("a gate") };
        Ok(match word.node {
            "below" => Gate::Below(self.amount()?),
            "above" => Gate::Above(self.amount()?),
            "under" => Gate::Under(self.amount()?),
            "while" => Gate::While(self.query()?),
            unknown => {
                let help = match nearest(unknown, GATES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "gates are `below 5`, `above 5`, `under 20%` and `while EXPRESSION`"
                        .to_owned(),
                };
                let message = format!("unknown gate `{unknown}`");
                return self.fail(Diagnostic::error("R013", word.span, message).with_help(help));
            }
        })
    }

    fn until(&mut self) -> Parsed<ClauseKind> {
        let history_ms = self.duration()?;
        self.expect_word("of")?;
        self.expect_word("history")?;
        self.expect_word("use")?;
        let before = self.cursor;
        let ours = self.cursor.eat_word("value")
            && Compare::ALL.iter().any(|(symbol, _)| self.cursor.peek_symbol(symbol));
        let test = if ours {
            let compare = self.compare()?;
            UntilTest::Value(compare, self.amount()?)
        } else {
            self.cursor = before;
            UntilTest::Query(self.query()?)
        };
        Ok(ClauseKind::Until { history_ms, test })
    }

    /// `fires 2026-03-04..2026-03-05T02:10Z "because"`
    fn expectation(&mut self, word: Span) -> Parsed<Expectation> {
        let fires = match () {
            () if self.cursor.eat_word("fires") => true,
            () if self.cursor.eat_word("quiet") => false,
            () => return self.expected("`fires` or `quiet`"),
        };
        let found = self.cursor.time_span();
        let (start_ms, end_ms) = self.note(found)?;
        let text = self.since(word).of(self.cursor.text).to_owned();
        let is_explained = ["\"", "'", "`"].iter().any(|quote| self.cursor.peek_symbol(quote));
        let why = if is_explained { Some(self.string()?.node) } else { None };
        Ok(Expectation { fires, start_ms, end_ms, text, why })
    }

    fn identity(&mut self) -> Parsed<Kinship> {
        match () {
            () if self.cursor.eat_word("by") => self.list().map(Kinship::By),
            () if self.cursor.eat_word("without") => self.list().map(Kinship::Without),
            () => self.expected("`by` or `without`"),
        }
    }

    fn budget(&mut self) -> Parsed<BudgetClause> {
        let here = self.cursor.here();
        let found = self.cursor.integer();
        let pages = self.note(found)?;
        if pages == 0 {
            let diagnostic = Diagnostic::error("R005", here, "a budget is one page at least");
            return self.fail(diagnostic.with_help("what shall never page is a `ticket`"));
        }
        if !self.cursor.eat_word("page") && !self.cursor.eat_word("pages") {
            return self.expected("`pages`");
        }
        self.expect_word("per")?;
        let days = match () {
            () if self.cursor.eat_word("day") => 1,
            () if self.cursor.eat_word("week") => 7,
            () if self.cursor.eat_word("month") => 30,
            () => return self.expected("`day`, `week` or `month`"),
        };
        Ok(BudgetClause { pages, per_ms: days * 86_400_000 })
    }

    fn sensitivity(&mut self) -> Parsed<Sensitivity> {
        match () {
            () if self.cursor.eat_word("low") => Ok(Sensitivity::Low),
            () if self.cursor.eat_word("high") => Ok(Sensitivity::High),
            () => self.expected("`low` or `high`"),
        }
    }

    /// `a="b", c="d"`: names and strings; commas may be left out.
    pub(super) fn pairs(&mut self) -> Parsed<Pairs> {
        let mut pairs = Vec::new();
        loop {
            let before = self.cursor;
            let name = self.cursor.word();
            let Some(name) = name.filter(|_| self.cursor.eat_symbol("=").is_some()) else {
                self.cursor = before;
                if pairs.is_empty() {
                    return self.expected("a pair such as team=\"platform\"");
                }
                return Ok(pairs);
            };
            let name = Spanned { node: name.node.to_owned(), span: name.span };
            pairs.push((name, self.string()?));
            self.cursor.eat_symbol(",");
        }
    }

    /// Passes over a clause that this version does not have, by its form.
    fn skip_later(&mut self, word: &str) -> Parsed<()> {
        match word {
            "override" => self.skip_block()?,
            _reserved => return Err(Failed),
        }
        Ok(())
    }

    /// Everything up to the brace that closes the next one.
    fn skip_block(&mut self) -> Parsed<()> {
        let mut depth = 0usize;
        loop {
            if self.cursor.is_end() {
                return self.expected("`}`");
            }
            if self.cursor.peek_symbol("\"") || self.cursor.peek_symbol("'") {
                self.string()?;
            } else if self.cursor.eat_symbol("{").is_some() {
                depth += 1;
            } else if self.cursor.eat_symbol("}").is_some() {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(());
                }
            } else {
                self.cursor.character();
            }
        }
    }
}
