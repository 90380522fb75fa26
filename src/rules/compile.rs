//! Conditions, gates and cold starts of one rule to a [`Program`].

use super::Unit;
use super::amount::{Amount, Kind};
use super::ast::{
    Atom, Cond, EndingClause, Gate, Query, Reaches, Sensitivity, SeverityClause, Spanned, UntilTest,
};
use super::kinship::Kinship;
use super::program::{
    BudgetPlan, CalendarPlan, ClauseProgram, CrossingPlan, Distance, GateProgram, HabitPlan, Hold,
    Limit, NormalPlan, PeersPlan, Program, Test, Until, UntilProgram,
};
use crate::lang::{Diagnostic, Span};
use crate::learn::{Direction, Season};
use crate::promql::Expr;

const DAY_MS: i64 = 86_400_000;
/// From how much history normal is learned where the rule does not say.
pub(super) const NORMAL_FROM_MS: i64 = 28 * DAY_MS;
/// The same for forecasts.
const FORECAST_FROM_MS: i64 = 14 * DAY_MS;

/// Gathers the parts of a program and what is wrong with them.
pub(super) struct Compiler {
    unit: Unit,
    limit: Option<Limit>,
    /// A `limit` stands there, though it may be wrong.
    has_limit: bool,
    pub(super) normal: Option<NormalPlan>,
    pub(super) forecast_ms: Option<i64>,
    /// The labels of `peers within`, and how many there have to be.
    pub(super) peers: Option<(Vec<String>, usize)>,
    pub(super) sensitivity: Option<Sensitivity>,
    pub(super) budget: Option<BudgetPlan>,
    pub(super) identity: Kinship,
    /// The labels of `share by`.
    pub(super) share: Option<Vec<String>>,
    pub(super) uses_limit: bool,
    pub(super) uses: Uses,
    habits: HabitPlan,
    slots: usize,
    clauses: Vec<ClauseProgram>,
    gates: Vec<GateProgram>,
    until: Option<Until>,
    crossings: Vec<CrossingPlan>,
    diagnostics: Vec<Diagnostic>,
}

/// What of a band a rule asks for.
#[derive(Default)]
pub(super) struct Uses {
    normal: bool,
    pub(super) peers: bool,
    /// A gate asks how far from what is expected, be that normal or the peers'.
    expected: bool,
}

/// The side of a clause on which a condition stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    When { sticky: bool },
    Clear { crossing: Option<usize> },
}

impl Compiler {
    pub(super) fn new(unit: Unit, limit: Option<Limit>, has_limit: bool) -> Compiler {
        Compiler {
            unit,
            limit,
            has_limit,
            normal: None,
            forecast_ms: None,
            peers: None,
            sensitivity: None,
            budget: None,
            identity: Kinship::default(),
            share: None,
            uses_limit: false,
            uses: Uses::default(),
            habits: HabitPlan::default(),
            slots: 0,
            clauses: Vec::new(),
            gates: Vec::new(),
            until: None,
            crossings: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    pub(super) fn uses_forecast(&self) -> bool {
        !self.crossings.is_empty()
    }

    /// Whether what is normal for the signal itself is learned.
    pub(super) fn uses_normal(&self) -> bool {
        // Where only the peers say what is expected, that is what a gate means.
        self.uses.normal || (self.uses.expected && !self.uses.peers)
    }

    /// Whether a condition asks where the edge of a learned band is.
    pub(super) fn uses_band(&self) -> bool {
        let clauses =
            self.clauses.iter().flat_map(|clause| [Some(&clause.when), clause.clear.as_ref()]);
        clauses.flatten().any(Test::asks_band)
    }

    /// The condition of the highest severity.
    pub(super) fn highest(&self) -> Option<&Test> {
        self.clauses.first().map(|clause| &clause.when)
    }

    /// Whether something is learned by the hour, for which `normal` says how.
    pub(super) fn uses_hours(&self) -> bool {
        self.uses.normal || self.uses.expected || self.uses.peers || self.habits.is_any()
    }

    pub(super) fn severity(&mut self, clause: &SeverityClause) {
        self.refuse_second_reaches(&clause.when);
        let clears = matches!(clause.ending, EndingClause::Clear { .. });
        let when = self.test(&clause.when.node, Role::When { sticky: !clears });
        let crossing = when.as_ref().and_then(crossing_of);
        let clear = match &clause.ending {
            EndingClause::Clear { when, .. } => self.test(&when.node, Role::Clear { crossing }),
            _ => None,
        };
        if let Some(when) = when {
            self.clauses.push(ClauseProgram { when, clear, crossing });
        }
    }

    pub(super) fn gate(&mut self, gate: &Gate, query: Option<Expr>) {
        let gate = match gate {
            Gate::Below(amount) => self.amount(*amount).map(GateProgram::Below),
            Gate::Above(amount) => self.amount(*amount).map(GateProgram::Above),
            Gate::Under(amount) => {
                self.uses.expected = true;
                self.distance(Some(*amount)).map(GateProgram::Under)
            }
            Gate::While(_) => query.map(GateProgram::While),
        };
        self.gates.extend(gate);
    }

    pub(super) fn until(&mut self, history_ms: i64, test: &UntilTest, query: Option<Expr>) {
        let test = match test {
            UntilTest::Value(compare, amount) => {
                self.amount(*amount).map(|bound| UntilProgram::Value(*compare, bound))
            }
            UntilTest::Query(_) => query.map(UntilProgram::Query),
        };
        self.until = test.map(|test| Until { history_ms, test });
    }

    pub(super) fn finish(self, signal: Expr) -> (Program, Vec<Diagnostic>) {
        let uses_normal = self.uses_normal();
        let mut normal = self.normal.unwrap_or_else(|| NormalPlan {
            season: Season::default(),
            calendar: CalendarPlan::default(),
            from_ms: NORMAL_FROM_MS,
            share: Kinship::default(),
        });
        normal.share = self.share.map_or_else(Kinship::default, Kinship::By);
        let peers = self.peers.filter(|_| self.uses.peers);
        let program = Program {
            signal,
            unit: self.unit,
            limit: self.limit.filter(|_| self.uses_limit),
            clauses: self.clauses,
            gates: self.gates,
            until: self.until,
            crossings: self.crossings,
            peers: peers.map(|(within, at_least)| PeersPlan {
                within,
                at_least,
                normal: normal.clone(),
            }),
            habits: HabitPlan {
                calendar: if self.habits.is_any() {
                    normal.calendar.clone()
                } else {
                    CalendarPlan::default()
                },
                ..self.habits
            },
            normal: uses_normal.then_some(normal),
            sensitivity: self.sensitivity,
            budget: self.budget,
            identity: self.identity,
        };
        (program, self.diagnostics)
    }

    fn refuse_second_reaches(&mut self, when: &Spanned<Cond>) {
        let mut found = Vec::new();
        when.node.atoms(&mut |atom| {
            if matches!(atom.node, Atom::Reaches(_)) {
                found.push(atom.span);
            }
        });
        if let Some(second) = found.get(1) {
            self.error(
                "R017",
                *second,
                "a clause holds at most one `reaches`",
                "use two severities",
            );
        }
    }

    fn test(&mut self, cond: &Cond, role: Role) -> Option<Test> {
        let mut parts = |parts: &[Cond]| -> Option<Vec<Test>> {
            let tests: Vec<_> = parts.iter().map(|part| self.test(part, role)).collect();
            tests.into_iter().collect()
        };
        match cond {
            Cond::All(all) => parts(all).map(Test::All),
            Cond::Any(any) => parts(any).map(Test::Any),
            Cond::Atom(atom) => self.atom(&atom.node, atom.span, role),
        }
    }

    fn atom(&mut self, atom: &Atom, span: Span, role: Role) -> Option<Test> {
        Some(match atom {
            Atom::Value(compare, amount) => Test::Value(*compare, self.amount(*amount)?),
            Atom::Normal { side, by } => {
                self.uses.normal = true;
                Test::Normal { side: *side, by: self.distance(*by)?, hold: self.hold(role) }
            }
            Atom::InsideNormal => {
                self.uses.normal = true;
                Test::Inside
            }
            Atom::Reaches(reaches) => self.reaches(reaches, span, role)?,
            Atom::ProbabilityBelow(probability) => self.probability(*probability, span, role)?,
            Atom::Differs { by } => {
                self.uses.peers = true;
                if self.peers.is_none() {
                    let help = "add the labels that make series equals: `peers within (job)`";
                    self.error("R021", span, "`differs from peers` needs `peers`", help);
                }
                Test::Differs { by: self.distance(*by)?, hold: self.hold(role) }
            }
            Atom::Shifts { by } => {
                self.uses.normal = true;
                Test::Shifts { by: self.distance(*by)? }
            }
            Atom::IsMissing => {
                self.habits.samples = true;
                Test::Missing
            }
            Atom::IsLate => {
                self.habits.events = true;
                Test::Late
            }
        })
    }

    fn hold(&mut self, role: Role) -> Hold {
        let slot = self.slots;
        self.slots += 1;
        Hold { slot, sticky: role == Role::When { sticky: true } }
    }

    fn reaches(&mut self, reaches: &Reaches, span: Span, role: Role) -> Option<Test> {
        if matches!(role, Role::Clear { .. }) {
            let help = "say how sure the forecast still is: `clear when p < 50%`";
            self.error("R017", span, "`reaches` cannot stand in `clear when`", help);
            return None;
        }
        let amount = if let Some(amount) = reaches.amount {
            Some(self.amount(amount)?)
        } else {
            self.uses_limit = true;
            if !self.has_limit {
                let help = "add a `limit` clause, or write the amount: `reaches 0 within 4h`";
                self.error("R021", span, "`reaches limit` needs a `limit`", help);
            }
            None
        };
        let target = amount.or(match self.limit {
            Some(Limit::Fixed(limit)) => Some(limit),
            _ => None,
        });
        let downwards = target == Some(0.0);
        let from = reaches.from.unwrap_or(if downwards {
            Direction::FromAbove
        } else {
            Direction::FromBelow
        });
        let plan = CrossingPlan {
            amount,
            from,
            within_ms: reaches.within_ms,
            history_ms: self.forecast_ms.unwrap_or(FORECAST_FROM_MS),
        };
        let known = self.crossings.iter().position(|known| *known == plan);
        let crossing = known.unwrap_or_else(|| {
            self.crossings.push(plan);
            self.crossings.len() - 1
        });
        Some(Test::Reaches { crossing, probability: reaches.probability, hold: self.hold(role) })
    }

    fn probability(&mut self, probability: f64, span: Span, role: Role) -> Option<Test> {
        let (message, help) = match role {
            Role::Clear { crossing: Some(crossing) } => {
                return Some(Test::ProbabilityBelow { crossing, probability });
            }
            Role::Clear { crossing: None } => {
                ("`p < …` needs a `reaches` in the same clause", "say when it is over otherwise")
            }
            Role::When { .. } => (
                "`p < …` stands only in `clear when`",
                "to ask for a sure forecast write `reaches limit within 4h, p >= 90%`",
            ),
        };
        self.error("R017", span, message, help);
        None
    }

    fn amount(&mut self, amount: Amount) -> Option<f64> {
        amount.convert(self.unit).map_err(|diagnostic| self.diagnostics.push(diagnostic)).ok()
    }

    /// After `by` and `under`: a percentage is a share of what is expected.
    fn distance(&mut self, amount: Option<Amount>) -> Option<Distance> {
        let Some(amount) = amount else { return Some(Distance::Absolute(0.0)) };
        if amount.value < 0.0 {
            let help = "write it without the sign";
            self.error("R005", amount.span, "a distance cannot be negative", help);
            return None;
        }
        match amount.kind {
            Kind::Percent => Some(Distance::Share(amount.value / 100.0)),
            _ => self.amount(amount).map(Distance::Absolute),
        }
    }

    fn error(&mut self, code: &'static str, span: Span, message: &str, help: &str) {
        self.diagnostics.push(Diagnostic::error(code, span, message).with_help(help));
    }
}

fn crossing_of(test: &Test) -> Option<usize> {
    match test {
        Test::All(parts) | Test::Any(parts) => parts.iter().find_map(crossing_of),
        Test::Reaches { crossing, .. } => Some(*crossing),
        _ => None,
    }
}

/// The expression of a gate, if it has one.
pub(super) fn gate_query(gate: &Gate) -> Option<&Query> {
    match gate {
        Gate::While(query) => Some(query),
        Gate::Below(_) | Gate::Above(_) | Gate::Under(_) => None,
    }
}

/// The expression of a cold start, if it has one.
pub(super) fn until_query(test: &UntilTest) -> Option<&Query> {
    match test {
        UntilTest::Query(query) => Some(query),
        UntilTest::Value(..) => None,
    }
}

/// Adds the amounts of a severity that are values of the signal.
pub(super) fn amounts_of_severity(clause: &SeverityClause, into: &mut Vec<Amount>) {
    let mut add = |atom: &Spanned<Atom>| match &atom.node {
        Atom::Value(_, amount) | Atom::Reaches(Reaches { amount: Some(amount), .. }) => {
            into.push(*amount);
        }
        Atom::Normal { by: Some(amount), .. }
        | Atom::Differs { by: Some(amount) }
        | Atom::Shifts { by: Some(amount) }
            if amount.kind != Kind::Percent =>
        {
            into.push(*amount);
        }
        _ => {}
    };
    clause.when.node.atoms(&mut add);
    if let EndingClause::Clear { when, .. } = &clause.ending {
        when.node.atoms(&mut add);
    }
}

/// Adds the amount of a gate if it is a value of the signal.
pub(super) fn amounts_of_gate(gate: &Gate, into: &mut Vec<Amount>) {
    match gate {
        Gate::Under(amount) if amount.kind == Kind::Percent => {}
        Gate::Below(amount) | Gate::Above(amount) | Gate::Under(amount) => into.push(*amount),
        Gate::While(_) => {}
    }
}
