//! Names of expressions: `let NAME = …`, and what stands for them below.

use std::collections::BTreeMap;

use super::ast::{Query, Spanned};
use crate::lang::{Diagnostic, Span};
use crate::promql::{self, AggregateOp, Expr, Paren, RangeMode, VectorSelector};

/// The most nodes that an expression may have once names are replaced: a chain of names that each
/// use the one above twice grows without end.
const NODES_MAX: usize = 4_000;
/// The most levels that it may have.
const LEVELS_MAX: usize = 512;

const KEYWORDS: [&str; 14] = [
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "offset",
    "inf",
    "nan",
];

/// The names known at a place in a file.
#[derive(Debug, Default)]
pub(super) struct Scope {
    names: BTreeMap<String, Named>,
}

#[derive(Debug)]
struct Named {
    expr: Expr,
    nodes: usize,
}

impl Scope {
    /// Says what is wrong with taking this name, if anything is.
    pub(super) fn refuse(&self, name: &Spanned<String>) -> Option<Diagnostic> {
        let text = name.node.as_str();
        let error = |message: String| Some(Diagnostic::error("R015", name.span, message));
        if self.names.contains_key(text) {
            return error(format!("`{text}` is the name of a `let` above"));
        }
        let lower = text.to_ascii_lowercase();
        let aggregation = AggregateOp::ALL.iter().any(|(_, known)| *known == lower);
        if aggregation || KEYWORDS.contains(&lower.as_str()) || promql::function(text).is_some() {
            return error(format!("`{text}` is a word of PromQL and cannot be a name"));
        }
        None
    }

    pub(super) fn add(&mut self, name: String, expr: Expr) {
        let nodes = count(&expr);
        self.names.insert(name, Named { expr, nodes });
    }

    /// Replaces the names in an expression, and checks its types.
    pub(super) fn resolve(&self, query: &Query) -> Result<Expr, Vec<Diagnostic>> {
        let (mut nodes, mut found) = (0usize, Vec::new());
        query.expr.walk(&mut |expr| {
            let named = selector(expr).and_then(|selector| self.named(selector));
            nodes = nodes.saturating_add(named.map_or(1, |named| named.nodes));
            found.extend(named.and_then(|_| misuse(expr)));
        });
        if nodes > NODES_MAX {
            let message = "with its names replaced the expression is too large";
            found.push(Diagnostic::error("R004", query.span, message));
        }
        if !found.is_empty() {
            return Err(found);
        }
        let expr = query.expr.rewrite(&mut |expr| {
            let named = self.named(selector(expr)?)?;
            let paren = Paren { expr: Box::new(named.expr.clone()), span: expr.span() };
            Some(Expr::Paren(paren))
        });
        if levels(&expr) > LEVELS_MAX {
            let message = "with its names replaced the expression is nested too deep";
            return Err(vec![Diagnostic::error("R004", query.span, message)]);
        }
        match promql::check(&expr) {
            found if found.is_empty() => Ok(expr),
            found => Err(found),
        }
    }

    fn named(&self, selector: &VectorSelector) -> Option<&Named> {
        self.names.get(selector.name.as_ref()?)
    }
}

fn selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::Vector(selector) => Some(selector),
        Expr::Matrix(matrix) => Some(&matrix.vector),
        _ => None,
    }
}

/// What is wrong with a name used like this, if anything is.
fn misuse(expr: &Expr) -> Option<Diagnostic> {
    let error = |span: Span, what: &str, help: &str| {
        let message = format!("the name of a `let` cannot take {what}");
        Some(Diagnostic::error("R016", span, message).with_help(help))
    };
    let selector = selector(expr)?;
    match expr {
        Expr::Matrix(matrix) => {
            error(matrix.span, "a range", "write a subquery, such as `[1h:5m]`")
        }
        _ if !selector.matchers.is_empty() => {
            error(selector.span, "matchers", "put them into the `let`")
        }
        _ if !selector.offset.is_zero() || selector.at.is_some() => {
            error(selector.span, "`offset` or `@`", "put it into the `let`")
        }
        _ if selector.mode != RangeMode::Plain => {
            error(selector.span, "`anchored` or `smoothed`", "put it into the `let`")
        }
        _ => None,
    }
}

fn count(expr: &Expr) -> usize {
    let mut nodes = 0;
    expr.walk(&mut |_| nodes += 1);
    nodes
}

fn levels(expr: &Expr) -> usize {
    1 + expr.children().into_iter().map(levels).max().unwrap_or(0)
}
