//! Text of a `.rules` file to its syntax tree: files, items, and how parsing goes on after a
//! mistake. Clauses are in [`clause`](super::clause), conditions in
//! [`condition`](super::condition).

use super::ast::{Clause, File, Item, Query, Rule, Spanned};
use super::clause::{CLAUSES, Place};
use super::cursor::Cursor;
use crate::lang::{Diagnostic, Span, nearest};
use crate::promql;

const ITEMS: [&str; 5] = ["defaults", "let", "record", "rule", "test"];

/// The diagnostic has been noted; what was begun cannot be built.
#[derive(Debug)]
pub(super) struct Failed;

pub(super) type Parsed<T> = Result<T, Failed>;

/// Parses a whole file. Every mistake is reported, and what was understood is returned beside.
pub(super) fn parse(text: &str) -> (File, Vec<Diagnostic>) {
    let mut parser = Parser { cursor: Cursor::new(text), diagnostics: Vec::new() };
    let mut file = File::default();
    while !parser.cursor.is_end() {
        match parser.item() {
            Ok(item) => file.items.push(item),
            Err(Failed) => parser.skip_to_item(),
        }
    }
    (file, parser.diagnostics)
}

pub(super) struct Parser<'t> {
    pub(super) cursor: Cursor<'t>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'t> Parser<'t> {
    fn item(&mut self) -> Parsed<Item> {
        let Some(word) = self.cursor.word() else {
            let here = self.cursor.here();
            return self.fail(
                Diagnostic::error("R001", here, "expected an item of a rule file")
                    .with_help("a file holds `defaults`, `let`, `record`, `rule` and `test`"),
            );
        };
        Ok(match word.node {
            "defaults" => {
                self.expect("{")?;
                let (clauses, _, _) = self.clauses(Place::Defaults);
                Item::Defaults { word: word.span, clauses }
            }
            "let" => {
                let name = self.name("a name for the expression")?;
                self.expect("=")?;
                Item::Let { name, query: self.query()? }
            }
            "record" => self.record(word.span)?,
            "rule" => {
                let name = self.name("the name of the alert")?;
                self.expect("{")?;
                let (clauses, end, broken) = self.clauses(Place::Rule);
                Item::Rule(Rule { name, clauses, span: word.span.to(end), broken })
            }
            "test" => {
                let name = self.string()?;
                self.expect("{")?;
                Item::Test { name, lines: self.test_lines()? }
            }
            unknown => {
                let help = match nearest(unknown, ITEMS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if CLAUSES.contains(&unknown) => {
                        format!("`{unknown}` is a clause: it stands inside `rule NAME {{ … }}`")
                    }
                    None => "a file holds `defaults`, `let`, `record`, `rule` and `test`".into(),
                };
                return self.fail(
                    Diagnostic::error("R002", word.span, format!("unknown item `{unknown}`"))
                        .with_help(help),
                );
            }
        })
    }

    /// The lines up to one that is `}` and nothing else.
    fn test_lines(&mut self) -> Parsed<Vec<Spanned<String>>> {
        let text = self.cursor.text;
        let first = text[self.cursor.at..].lines().next().unwrap_or("");
        if !first.trim().is_empty() && !first.trim_start().starts_with('#') {
            return self.expected("the end of the line");
        }
        let mut lines = Vec::new();
        let mut at = self.cursor.at + first.len();
        while let Some(end) = text[at..].find('\n') {
            let start = at + end + 1;
            let line = text[start..].lines().next().unwrap_or("");
            let node = line.trim().to_owned();
            let indent = line.len() - line.trim_start().len();
            let span = Span::new(start + indent, start + indent + node.len());
            if node == "}" {
                self.cursor.at = start + indent + 1;
                return Ok(lines);
            }
            lines.push(Spanned { node, span });
            at = start + line.len();
        }
        self.cursor.at = text.len();
        let end = Span::new(text.len(), text.len());
        self.fail(
            Diagnostic::error("R003", end, "`}` is missing before this")
                .with_help("a test ends with a line that is `}`"),
        )
    }

    fn record(&mut self, word: Span) -> Parsed<Item> {
        let name = match self.cursor.metric() {
            Some(name) => Spanned { node: name.node.to_owned(), span: name.span },
            None => self.string()?,
        };
        self.expect("=")?;
        let query = self.query()?;
        let labels = if self.cursor.eat_word("labels") { Some(self.pairs()?) } else { None };
        let end = Span::new(self.cursor.at, self.cursor.at);
        Ok(Item::Record { name, query, labels, span: word.to(end) })
    }

    /// Clauses up to the closing brace; returns them, where the brace is, and whether a part was
    /// not understood.
    fn clauses(&mut self, place: Place) -> (Vec<Clause>, Span, bool) {
        let (mut clauses, mut broken) = (Vec::new(), false);
        loop {
            if let Some(brace) = self.cursor.eat_symbol("}") {
                return (clauses, brace, broken);
            }
            let here = self.cursor.here();
            if self.cursor.is_end() || self.at_item() {
                self.diagnostics.push(
                    Diagnostic::error("R003", here, "`}` is missing before this")
                        .with_help("close the block above"),
                );
                return (clauses, here, true);
            }
            if let Ok(clause) = self.clause(place) {
                clauses.push(clause);
            } else {
                broken = true;
                if !self.skip_to_clause() {
                    return (clauses, here, true);
                }
            }
        }
    }

    /// Whether a line begins here with the word of an item, so that the block above was not closed.
    fn at_item(&self) -> bool {
        let Some(word) = self.cursor.peek_word() else { return false };
        let line = &self.cursor.text[..word.span.start as usize];
        let line = &line[line.rfind('\n').map_or(0, |at| at + 1)..];
        line.trim().is_empty() && ITEMS.contains(&word.node)
    }

    /// Goes to the next line that begins with a clause's word, or nearly, or with `}`. False when an
    /// item or the end comes first, which then ends the block.
    fn skip_to_clause(&mut self) -> bool {
        while let Some(first) = self.next_line() {
            let word = first_word(first);
            if first.starts_with('}') || CLAUSES.contains(&word) || word == "severity" {
                return true;
            }
            if ITEMS.contains(&word) {
                return false;
            }
            // Short words are near to too much.
            if word.len() > 4 && nearest(word, CLAUSES).is_some() {
                return true;
            }
        }
        false
    }

    fn skip_to_item(&mut self) {
        while let Some(first) = self.next_line() {
            if ITEMS.contains(&first_word(first)) {
                return;
            }
        }
    }

    /// Goes to the first character of the next line, and returns the text from there.
    fn next_line(&mut self) -> Option<&'t str> {
        let text = self.cursor.text;
        let Some(line_end) = text[self.cursor.at..].find('\n') else {
            self.cursor.at = text.len();
            return None;
        };
        let line = &text[self.cursor.at + line_end + 1..];
        let content = line.trim_start_matches([' ', '\t', '\r']);
        self.cursor.at = text.len() - content.len();
        Some(content.lines().next().unwrap_or(""))
    }

    // Parts that several places share.

    pub(super) fn fail<T>(&mut self, diagnostic: Diagnostic) -> Parsed<T> {
        self.diagnostics.push(diagnostic);
        Err(Failed)
    }

    /// Notes the error of a token.
    pub(super) fn note<T>(&mut self, found: Result<T, Diagnostic>) -> Parsed<T> {
        found.or_else(|diagnostic| self.fail(diagnostic))
    }

    pub(super) fn not_yet(&mut self, span: Span, what: &str) {
        self.diagnostics.push(
            Diagnostic::error("R014", span, format!("`{what}` is not there yet"))
                .with_label("known, but this version cannot do it")
                .with_help("leave it out for now"),
        );
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<Span> {
        match self.cursor.eat_symbol(symbol) {
            Some(span) => Ok(span),
            None => self.expected(&format!("`{symbol}`")),
        }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.cursor.eat_word(word) { Ok(()) } else { self.expected(&format!("`{word}`")) }
    }

    pub(super) fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        let here = self.cursor.here();
        self.fail(Diagnostic::error("R001", here, format!("expected {what} here")))
    }

    fn name(&mut self, what: &str) -> Parsed<Spanned<String>> {
        match self.cursor.word() {
            Some(name) => Ok(Spanned { node: name.node.to_owned(), span: name.span }),
            None => self.expected(what),
        }
    }

    pub(super) fn string(&mut self) -> Parsed<Spanned<String>> {
        let found = self.cursor.string();
        self.note(found)
    }

    /// As much as PromQL can take from here.
    pub(super) fn query(&mut self) -> Parsed<Query> {
        let here = self.cursor.here();
        let (expr, end, diagnostics) = promql::parse_prefix(self.cursor.text, here.start as usize);
        self.cursor.at = end.max(self.cursor.at);
        self.diagnostics.extend(diagnostics);
        match expr {
            Some(expr) => Ok(Query { span: expr.span(), expr }),
            None => Err(Failed),
        }
    }
}

fn first_word(line: &str) -> &str {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let (word, after) = line.split_at(end.unwrap_or(line.len()));
    let ends = after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == '{');
    if ends { word } else { "" }
}
