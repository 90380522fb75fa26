//! The syntax tree of a `.rules` file: what was written, each part with its place. Whether it
//! makes sense is [`check`](super::check)'s.

use super::amount::Amount;
use super::kinship::Kinship;
use super::{Expectation, Unit};
use crate::lang::Span;
use crate::learn::{Direction, Season};
use crate::promql::Expr;

/// Something and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) node: T,
    pub(super) span: Span,
}

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) items: Vec<Item>,
}

#[derive(Debug)]
pub(super) enum Item {
    Defaults {
        word: Span,
        clauses: Vec<Clause>,
    },
    Let {
        name: Spanned<String>,
        query: Query,
    },
    Record {
        name: Spanned<String>,
        query: Query,
        labels: Option<Pairs>,
        span: Span,
    },
    Rule(Rule),
    /// A test's lines, each without the spaces around it.
    Test {
        name: Spanned<String>,
        lines: Vec<Spanned<String>>,
    },
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: Spanned<String>,
    pub(super) clauses: Vec<Clause>,
    /// From the word `rule` to the closing brace.
    pub(super) span: Span,
    /// A part was not understood and has been reported; what is missing may stand in there.
    pub(super) broken: bool,
}

/// One clause; `word` is where its first word stands.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) word: Spanned<&'static str>,
    pub(super) kind: ClauseKind,
}

#[derive(Debug)]
pub(super) enum ClauseKind {
    Signal(Query),
    Unit(Unit),
    Limit(Target),
    Severity(Box<SeverityClause>),
    Normal(NormalClause),
    Forecast {
        from_ms: i64,
    },
    Peers(PeersClause),
    Ignore(Vec<Gate>),
    Until {
        history_ms: i64,
        test: UntilTest,
    },
    Sensitivity(Sensitivity),
    Budget(BudgetClause),
    Identity(Kinship),
    Expect(Expectation),
    /// `share by (labels)`
    Share(Vec<String>),
    Labels(Pairs),
    Annotations(Pairs),
    /// `say`, `describe`, `runbook`, `owner`.
    Text(Spanned<String>),
    Every {
        every_ms: i64,
    },
    /// `defaults { severity page="critical" }`
    SeverityNames(Pairs),
    /// Reported as not there yet.
    NotYet,
}

/// An expression as parsed: names of `let` are not replaced and types not checked.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) expr: Expr,
    pub(super) span: Span,
}

pub(super) type Pairs = Vec<(Spanned<String>, Spanned<String>)>;

#[derive(Debug)]
pub(super) enum Target {
    Amount(Amount),
    Query(Query),
}

#[derive(Debug)]
pub(super) struct SeverityClause {
    pub(super) rank: u8,
    pub(super) when: Spanned<Cond>,
    pub(super) for_ms: i64,
    pub(super) ending: EndingClause,
}

#[derive(Debug)]
pub(super) enum EndingClause {
    AtOnce,
    Keep(i64),
    Clear { when: Spanned<Cond>, for_ms: i64 },
}

#[derive(Debug)]
pub(super) enum Cond {
    All(Vec<Cond>),
    Any(Vec<Cond>),
    Atom(Spanned<Atom>),
}

impl Cond {
    /// Calls `visit` for each atom, in the order in which they are written.
    pub(super) fn atoms<'a>(&'a self, visit: &mut dyn FnMut(&'a Spanned<Atom>)) {
        match self {
            Cond::All(parts) | Cond::Any(parts) => parts.iter().for_each(|part| part.atoms(visit)),
            Cond::Atom(atom) => visit(atom),
        }
    }
}

#[derive(Debug)]
pub(super) enum Atom {
    Value(Compare, Amount),
    Normal {
        side: Side,
        by: Option<Amount>,
    },
    InsideNormal,
    Reaches(Reaches),
    ProbabilityBelow(f64),
    /// `differs from peers`
    Differs {
        by: Option<Amount>,
    },
    Shifts {
        by: Option<Amount>,
    },
    IsMissing,
    IsLate,
}

#[derive(Debug)]
pub(super) struct Reaches {
    /// None: the rule's `limit`.
    pub(super) amount: Option<Amount>,
    pub(super) from: Option<Direction>,
    pub(super) within_ms: i64,
    pub(super) probability: f64,
}

/// How easily a learned band is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensitivity {
    /// A third as many alarms as by default.
    Low,
    /// Three times as many.
    High,
}

/// On which side of normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Above,
    Below,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Equal,
    NotEqual,
}

impl Compare {
    pub(super) const ALL: [(&'static str, Compare); 6] = [
        (">=", Compare::GreaterOrEqual),
        ("<=", Compare::LessOrEqual),
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        (">", Compare::Greater),
        ("<", Compare::Less),
    ];

    pub(super) fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Compare::Greater => value > bound,
            Compare::Less => value < bound,
            Compare::GreaterOrEqual => value >= bound,
            Compare::LessOrEqual => value <= bound,
            Compare::Equal => value == bound,
            Compare::NotEqual => value != bound,
        }
    }

    pub(super) fn word(self) -> &'static str {
        Compare::ALL.iter().find(|(_, compare)| *compare == self).map_or("?", |(word, _)| word)
    }
}

#[derive(Debug)]
pub(super) enum Gate {
    Below(Amount),
    Above(Amount),
    Under(Amount),
    While(Query),
}

#[derive(Debug)]
pub(super) enum UntilTest {
    Value(Compare, Amount),
    Query(Query),
}

/// `peers within (labels) [at least N]`
#[derive(Debug)]
pub(super) struct PeersClause {
    pub(super) within: Vec<String>,
    pub(super) at_least: Option<Spanned<u64>>,
}

/// `budget N pages per week`
#[derive(Clone, Copy, Debug)]
pub(super) struct BudgetClause {
    pub(super) pages: u64,
    pub(super) per_ms: i64,
}

#[derive(Debug)]
pub(super) struct NormalClause {
    pub(super) season: Season,
    pub(super) zone: Option<Spanned<String>>,
    pub(super) holidays: Option<Spanned<String>>,
    pub(super) from_ms: Option<i64>,
}
