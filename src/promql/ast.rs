//! The syntax tree.

use std::fmt;

use crate::lang::Span;
use crate::series::{METRIC_NAME, Matcher};

use super::functions::Function;

/// A PromQL expression.
///
/// Two expressions are equal when they print the same; spans do not count.
#[derive(Clone, Debug)]
pub enum Expr {
    /// `1.5`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `up{job="a"}`
    Vector(VectorSelector),
    /// `up[5m]`
    Matrix(MatrixSelector),
    /// `rate(up[5m])[1h:1m]`
    Subquery(Subquery),
    /// `(…)`
    Paren(Paren),
    /// `-x`
    Unary(Unary),
    /// `a + b`
    Binary(Binary),
    /// `sum by (job) (…)`
    Aggregate(Aggregate),
    /// `rate(…)`
    Call(Call),
}

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One number per step.
    Scalar,
    /// Text.
    String,
    /// Series with one value each per step.
    Vector,
    /// Series with a range of values each per step.
    Matrix,
}

/// A number.
#[derive(Clone, Debug)]
pub struct NumberLiteral {
    /// The number; of a duration the seconds.
    pub value: f64,
    /// Written as a duration.
    pub duration: bool,
    /// Where.
    pub span: Span,
}

/// A string.
#[derive(Clone, Debug)]
pub struct StringLiteral {
    /// The text without quotes and escapes.
    pub value: String,
    /// Where.
    pub span: Span,
}

/// A selector of series: `name{matchers} @ time offset duration`.
#[derive(Clone, Debug)]
pub struct VectorSelector {
    /// The name written before the braces.
    pub name: Option<String>,
    /// The matchers in the braces; [`VectorSelector::all_matchers`] adds the name.
    pub matchers: Vec<Matcher>,
    /// How far back in time to look.
    pub offset: Offset,
    /// The fixed time to look at.
    pub at: Option<At>,
    /// `anchored` or `smoothed`.
    pub mode: RangeMode,
    /// Where.
    pub span: Span,
}

/// A selector with a range.
#[derive(Clone, Debug)]
pub struct MatrixSelector {
    /// Which series, with `@` and offset.
    pub vector: VectorSelector,
    /// How much of them.
    pub range: TimeSpan,
    /// Where.
    pub span: Span,
}

/// An expression evaluated at regular times within a range.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Box<Expr>,
    /// How far back.
    pub range: TimeSpan,
    /// How often; default: the engine's.
    pub step: Option<TimeSpan>,
    /// How far the whole lies back.
    pub offset: Offset,
    /// The fixed end.
    pub at: Option<At>,
    /// Where.
    pub span: Span,
}

/// A parenthesised expression.
#[derive(Clone, Debug)]
pub struct Paren {
    /// What is inside.
    pub expr: Box<Expr>,
    /// Where, parentheses included.
    pub span: Span,
}

/// `+x` or `-x`.
#[derive(Clone, Debug)]
pub struct Unary {
    /// Plus or minus.
    pub op: UnaryOp,
    /// Of what.
    pub expr: Box<Expr>,
    /// Where.
    pub span: Span,
}

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// Two operands and what joins them.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub left: Box<Expr>,
    /// Right operand.
    pub right: Box<Expr>,
    /// `bool`: a comparison yields 0 or 1 and drops nothing.
    pub returns_bool: bool,
    /// How elements of two vectors are matched.
    pub matching: VectorMatching,
    /// Where, both operands included.
    pub span: Span,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    /// `</`: cuts a histogram above.
    TrimUpper,
    /// `>/`: cuts a histogram below.
    TrimLower,
    And,
    Or,
    Unless,
}

/// `on`, `ignoring`, `group_left`, `group_right`, `fill…`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// How many elements of each side may meet.
    pub cardinality: Cardinality,
    /// `on` (true) or `ignoring`.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels that `group_left` or `group_right` copies from the "one" side.
    pub include: Vec<String>,
    /// What stands in for a missing element.
    pub fill: Fill,
}

/// Values for missing elements of either side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fill {
    /// Where the left side has none.
    pub left: Option<f64>,
    /// Where the right side has none.
    pub right: Option<f64>,
}

/// How many elements of each side may meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One with one.
    #[default]
    OneToOne,
    /// `group_left`: several on the left with one on the right.
    ManyToOne,
    /// `group_right`: one on the left with several on the right.
    OneToMany,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// The parameter of `topk`, `quantile`, `count_values`, …
    pub parameter: Option<Box<Expr>>,
    /// What is aggregated.
    pub expr: Box<Expr>,
    /// `by` and `without`.
    pub grouping: Grouping,
    /// Where.
    pub span: Span,
}

/// Which elements an aggregation puts together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Those equal in these labels.
    By(Vec<String>),
    /// Those equal in all but these.
    Without(Vec<String>),
}

/// An aggregation operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

/// A function call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which function.
    pub function: &'static Function,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Where.
    pub span: Span,
}

/// The time after `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A time, ms since the epoch.
    Time(i64),
    /// `start()` of the query.
    Start,
    /// `end()` of the query.
    End,
}

/// How the ends of a range are met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeMode {
    /// Only the samples inside.
    #[default]
    Plain,
    /// From the last sample before the range on.
    Anchored,
    /// With values interpolated at the ends.
    Smoothed,
}

/// A positive length of time.
#[derive(Clone, Debug)]
pub enum TimeSpan {
    /// ms.
    Ms(i64),
    /// To be worked out when the query's step and range are known.
    Computed(DurationExpr),
}

/// The length of time of an `offset`; none is `Ms(0)`.
pub type Offset = TimeSpan;

/// An arithmetic expression for a length of time, in seconds.
#[derive(Clone, Debug)]
pub enum DurationExpr {
    /// A number of seconds or a duration.
    Number(NumberLiteral),
    /// `step()`: the query's step.
    Step(Span),
    /// `range()`: the query's end minus its start.
    Range(Span),
    /// `-x`
    Negative(Box<DurationExpr>, Span),
    /// `(x)`
    Paren(Box<DurationExpr>, Span),
    /// `a + b`, `min_of(a, b)`, …
    Two(DurationOp, Box<DurationExpr>, Box<DurationExpr>, Span),
}

/// An operator of [`DurationExpr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DurationOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    MinOf,
    MaxOf,
}

impl Expr {
    /// Returns where the expression stands.
    pub fn span(&self) -> Span {
        match self {
            Expr::Number(node) => node.span,
            Expr::String(node) => node.span,
            Expr::Vector(node) => node.span,
            Expr::Matrix(node) => node.span,
            Expr::Subquery(node) => node.span,
            Expr::Paren(node) => node.span,
            Expr::Unary(node) => node.span,
            Expr::Binary(node) => node.span,
            Expr::Aggregate(node) => node.span,
            Expr::Call(node) => node.span,
        }
    }

    /// Returns the type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Vector(_) | Expr::Aggregate(_) => ValueType::Vector,
            Expr::Matrix(_) | Expr::Subquery(_) => ValueType::Matrix,
            Expr::Paren(node) => node.expr.value_type(),
            Expr::Unary(node) => node.expr.value_type(),
            Expr::Call(node) => node.function.returns,
            Expr::Binary(node) => {
                let scalar = |side: &Expr| side.value_type() == ValueType::Scalar;
                if scalar(&node.left) && scalar(&node.right) {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
        }
    }

    /// Returns the direct parts, in the order in which they are written.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => Vec::new(),
            Expr::Subquery(node) => vec![&node.expr],
            Expr::Paren(node) => vec![&node.expr],
            Expr::Unary(node) => vec![&node.expr],
            Expr::Binary(node) => vec![&node.left, &node.right],
            Expr::Aggregate(node) => {
                node.parameter.iter().map(|p| &**p).chain([&*node.expr]).collect()
            }
            Expr::Call(node) => node.args.iter().collect(),
        }
    }

    /// Calls `visit` for this expression and every one inside, outer ones first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// Returns every selector inside, in the order in which they are written; those with a range
    /// too.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match expr {
            Expr::Vector(selector) => found.push(selector),
            Expr::Matrix(selector) => found.push(&selector.vector),
            _ => {}
        });
        found
    }

    /// Rebuilds the tree: where `change` returns an expression, that one stands instead (and is
    /// not looked into); elsewhere the parts are rebuilt. Call [`check`](super::check) on the result if
    /// types may have changed.
    #[must_use]
    pub fn rewrite(&self, change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Expr {
        if let Some(changed) = change(self) {
            return changed;
        }
        let mut copy = self.clone();
        match &mut copy {
            Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {}
            Expr::Subquery(node) => *node.expr = node.expr.rewrite(change),
            Expr::Paren(node) => *node.expr = node.expr.rewrite(change),
            Expr::Unary(node) => *node.expr = node.expr.rewrite(change),
            Expr::Binary(node) => {
                *node.left = node.left.rewrite(change);
                *node.right = node.right.rewrite(change);
            }
            Expr::Aggregate(node) => {
                if let Some(parameter) = &mut node.parameter {
                    **parameter = parameter.rewrite(change);
                }
                *node.expr = node.expr.rewrite(change);
            }
            Expr::Call(node) => {
                for arg in &mut node.args {
                    *arg = arg.rewrite(change);
                }
            }
        }
        copy
    }

    /// Returns the expression inside all parentheses around it.
    pub fn without_parens(&self) -> &Expr {
        let mut expr = self;
        while let Expr::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl VectorSelector {
    /// Returns the matchers, the name's included.
    pub fn all_matchers(&self) -> Vec<Matcher> {
        let name = self.name.iter().map(|name| Matcher::equal(METRIC_NAME, name));
        self.matchers.iter().cloned().chain(name).collect()
    }
}

impl TimeSpan {
    /// No time at all.
    pub const ZERO: TimeSpan = TimeSpan::Ms(0);

    /// Returns whether nothing was written.
    pub fn is_zero(&self) -> bool {
        matches!(self, TimeSpan::Ms(0))
    }
}

impl DurationExpr {
    /// Returns where the expression stands.
    pub fn span(&self) -> Span {
        match self {
            DurationExpr::Number(number) => number.span,
            DurationExpr::Step(span)
            | DurationExpr::Range(span)
            | DurationExpr::Negative(_, span)
            | DurationExpr::Paren(_, span)
            | DurationExpr::Two(_, _, _, span) => *span,
        }
    }
}

impl BinaryOp {
    /// Every operator with its text, longest first where one begins another.
    pub const ALL: [(BinaryOp, &'static str); 18] = [
        (BinaryOp::Add, "+"),
        (BinaryOp::Sub, "-"),
        (BinaryOp::Mul, "*"),
        (BinaryOp::Div, "/"),
        (BinaryOp::Mod, "%"),
        (BinaryOp::Pow, "^"),
        (BinaryOp::Atan2, "atan2"),
        (BinaryOp::Equal, "=="),
        (BinaryOp::NotEqual, "!="),
        (BinaryOp::Greater, ">"),
        (BinaryOp::Less, "<"),
        (BinaryOp::GreaterOrEqual, ">="),
        (BinaryOp::LessOrEqual, "<="),
        (BinaryOp::TrimUpper, "</"),
        (BinaryOp::TrimLower, ">/"),
        (BinaryOp::And, "and"),
        (BinaryOp::Or, "or"),
        (BinaryOp::Unless, "unless"),
    ];

    /// Returns how tightly it binds, and whether it groups from the right.
    pub(super) fn precedence(self) -> (u8, bool) {
        match self {
            BinaryOp::Or => (1, false),
            BinaryOp::And | BinaryOp::Unless => (2, false),
            BinaryOp::Add | BinaryOp::Sub => (4, false),
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => (5, false),
            BinaryOp::Pow => (6, true),
            _ => (3, false),
        }
    }

    /// Returns whether it compares.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterOrEqual | LessOrEqual)
    }

    /// Returns whether it works on sets of elements.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = BinaryOp::ALL.iter().find(|(op, _)| op == self).map_or("?", |(_, text)| text);
        f.write_str(text)
    }
}

impl AggregateOp {
    /// Every aggregation with its name.
    pub const ALL: [(AggregateOp, &'static str); 14] = [
        (AggregateOp::Sum, "sum"),
        (AggregateOp::Avg, "avg"),
        (AggregateOp::Count, "count"),
        (AggregateOp::Min, "min"),
        (AggregateOp::Max, "max"),
        (AggregateOp::Group, "group"),
        (AggregateOp::Stddev, "stddev"),
        (AggregateOp::Stdvar, "stdvar"),
        (AggregateOp::Topk, "topk"),
        (AggregateOp::Bottomk, "bottomk"),
        (AggregateOp::CountValues, "count_values"),
        (AggregateOp::Quantile, "quantile"),
        (AggregateOp::Limitk, "limitk"),
        (AggregateOp::LimitRatio, "limit_ratio"),
    ];

    /// Returns the type of the parameter, if it takes one.
    pub fn parameter(self) -> Option<ValueType> {
        use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Quantile, Topk};
        match self {
            Topk | Bottomk | Quantile | Limitk | LimitRatio => Some(ValueType::Scalar),
            CountValues => Some(ValueType::String),
            _ => None,
        }
    }

    /// Returns whether it is experimental.
    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }
}

impl fmt::Display for AggregateOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = AggregateOp::ALL.iter().find(|(op, _)| op == self).map_or("?", |(_, text)| text);
        f.write_str(text)
    }
}

/// As error messages name it.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        })
    }
}
