//! PromQL: text to syntax tree, and syntax tree to answers.
//!
//! Entry points: [`parse`] for a whole expression, [`parse_prefix`] for one that stands inside a
//! rule file, [`parse_selector`] for `match[]`; [`Engine`] evaluates what they return; [`functions`]
//! is the one table of functions.
//!
//! Invariants: every node has a [`Span`](crate::lang::Span); no text makes the parser panic or
//! overflow the stack; an [`Expr`] that `parse` returned is type-checked.
//!
//! Absent on purpose: HTTP shapes (they are `api`'s) and everything that writes.

mod ast;
mod check;
mod display;
mod duration;
mod engine;
mod eval;
mod features;
mod functions;
mod literal;
mod matrix;
mod numeric;
mod parser;
pub mod testing;
mod token;

pub use ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, DurationOp,
    Expr, Fill, Grouping, MatrixSelector, NumberLiteral, Offset, Paren, RangeMode, StringLiteral,
    Subquery, TimeSpan, Unary, UnaryOp, ValueType, VectorMatching, VectorSelector,
};
pub use check::check;
pub use engine::{
    CancelToken, Engine, EngineOptions, Phases, QueryError, QueryOptions, QueryResult, QueryStats,
    QueryValue, RangeQuery, Series, Value, VectorElement,
};
pub use features::{Features, UnknownFeature};
pub use functions::{Function, function, functions};
pub use literal::{quote, unquote};
pub use matrix::Matrix;
pub use parser::{error_text, parse, parse_matchers, parse_prefix, parse_selector};
