//! Conditions of `when` and `clear when`.

use super::ast::{Atom, Compare, Cond, Reaches, Side, Spanned};
use super::parse::{Parsed, Parser};
use crate::lang::{Diagnostic, Span, nearest};
use crate::learn::Direction;

/// How deep parentheses may nest.
const NESTING_MAX: usize = 32;
/// The probability that `reaches` asks for where none is said.
const PROBABILITY_DEFAULT: f64 = 0.8;

const WORDS: [&str; 10] =
    ["value", "above", "below", "outside", "inside", "reaches", "p", "differs", "shifts", "is"];

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Parsed<Spanned<Cond>> {
        let start = self.cursor.here();
        let node = self.any(0)?;
        Ok(Spanned { node, span: self.since(start) })
    }

    fn any(&mut self, nesting: usize) -> Parsed<Cond> {
        let mut parts = vec![self.all(nesting)?];
        while self.cursor.eat_word("or") {
            parts.push(self.all(nesting)?);
        }
        Ok(alone_or(parts, Cond::Any))
    }

    fn all(&mut self, nesting: usize) -> Parsed<Cond> {
        let mut parts = vec![self.part(nesting)?];
        while self.cursor.eat_word("and") {
            parts.push(self.part(nesting)?);
        }
        Ok(alone_or(parts, Cond::All))
    }

    fn part(&mut self, nesting: usize) -> Parsed<Cond> {
        let Some(paren) = self.cursor.eat_symbol("(") else {
            let start = self.cursor.here();
            let node = self.atom()?;
            return Ok(Cond::Atom(Spanned { node, span: self.since(start) }));
        };
        if nesting == NESTING_MAX {
            let message = format!("more than {NESTING_MAX} parentheses inside one another");
            return self.fail(Diagnostic::error("R004", paren, message));
        }
        let inner = self.any(nesting + 1)?;
        self.expect(")")?;
        Ok(inner)
    }

    fn atom(&mut self) -> Parsed<Atom> {
        let Some(word) = self.cursor.word() else { return self.expected("a condition") };
        match word.node {
            "value" => {
                let compare = self.compare()?;
                Ok(Atom::Value(compare, self.amount()?))
            }
            "above" => self.normal(Side::Above),
            "below" => self.normal(Side::Below),
            "outside" => self.normal(Side::Either),
            "inside" => self.expect_word("normal").map(|()| Atom::InsideNormal),
            "reaches" => self.reaches(word.span),
            "p" => {
                self.expect("<")?;
                let found = self.cursor.percentage();
                self.note(found).map(Atom::ProbabilityBelow)
            }
            "differs" => {
                self.expect_word("from")?;
                self.expect_word("peers")?;
                Ok(Atom::Differs { by: self.by()? })
            }
            "shifts" => Ok(Atom::Shifts { by: self.by()? }),
            "is" if self.cursor.eat_word("missing") => Ok(Atom::IsMissing),
            "is" if self.cursor.eat_word("late") => Ok(Atom::IsLate),
            "is" => self.expected("`missing` or `late`"),
            unknown => {
                let help = match nearest(unknown, WORDS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "conditions are `value > 5`, `above normal`, `below normal`, \
                             `outside normal`, `inside normal`, `reaches limit within 4h`, \
                             `differs from peers`, `shifts`, `is missing`, `is late`"
                        .to_owned(),
                };
                let message = format!("unknown condition `{unknown}`");
                self.fail(Diagnostic::error("R013", word.span, message).with_help(help))
            }
        }
    }

    fn normal(&mut self, side: Side) -> Parsed<Atom> {
        if self.cursor.at_number() {
            let here = self.cursor.here();
            let sign = if side == Side::Below { "<" } else { ">" };
            return self.fail(
                Diagnostic::error("R001", here, "expected `normal` here")
                    .with_help(format!("to compare with an amount write `value {sign} …`")),
            );
        }
        self.expect_word("normal")?;
        Ok(Atom::Normal { side, by: self.by()? })
    }

    fn by(&mut self) -> Parsed<Option<super::amount::Amount>> {
        if self.cursor.eat_word("by") { self.amount().map(Some) } else { Ok(None) }
    }

    fn reaches(&mut self, word: Span) -> Parsed<Atom> {
        let amount = match self.cursor.eat_word("limit") {
            true => None,
            false if self.cursor.at_number() => Some(self.amount()?),
            false => return self.expected("`limit` or an amount"),
        };
        let from = match self.cursor.eat_word("from") {
            false => None,
            true if self.cursor.eat_word("above") => Some(Direction::FromAbove),
            true if self.cursor.eat_word("below") => Some(Direction::FromBelow),
            true => return self.expected("`above` or `below`"),
        };
        if !self.cursor.eat_word("within") {
            return self.fail(Diagnostic::error(
                "R007",
                self.since(word),
                "`reaches` needs a time: add `within 4h`",
            ));
        }
        let within_ms = self.duration()?;
        let mut probability = PROBABILITY_DEFAULT;
        if self.cursor.eat_symbol(",").is_some() {
            self.expect_word("p")?;
            self.expect(">=")?;
            let found = self.cursor.percentage();
            probability = self.note(found)?;
        }
        Ok(Atom::Reaches(Reaches { amount, from, within_ms, probability }))
    }

    pub(super) fn compare(&mut self) -> Parsed<Compare> {
        for (symbol, compare) in Compare::ALL {
            if self.cursor.eat_symbol(symbol).is_some() {
                return Ok(compare);
            }
        }
        self.expected("a comparison: > < >= <= == !=")
    }

    pub(super) fn amount(&mut self) -> Parsed<super::amount::Amount> {
        let found = self.cursor.amount();
        self.note(found)
    }

    pub(super) fn duration(&mut self) -> Parsed<i64> {
        let found = self.cursor.duration();
        self.note(found)
    }

    /// From the start of `start` to the end of what has been taken.
    pub(super) fn since(&self, start: Span) -> Span {
        Span::new(start.start as usize, self.cursor.at)
    }
}

fn alone_or(mut parts: Vec<Cond>, join: fn(Vec<Cond>) -> Cond) -> Cond {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}
