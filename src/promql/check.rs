//! The type check: what the grammar alone cannot say.

use crate::lang::{Diagnostic, Span};
use crate::series::METRIC_NAME;

use super::ast::{Aggregate, Binary, Call, Cardinality, Expr, ValueType, VectorSelector};

/// Checks types, argument counts and selectors; nothing found means that the expression can be
/// evaluated. [`parse`](super::parse) has done it; needed again only after a rewrite.
pub fn check(expr: &Expr) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    check_tree(expr, false, &mut found);
    found
}

/// `lenient`: a selector may match everything, as the second argument of `info` may.
fn check_tree(expr: &Expr, lenient: bool, found: &mut Vec<Diagnostic>) {
    check_node(expr, lenient, found);
    let selects_info = matches!(expr, Expr::Call(call) if call.function.name == "info");
    for (index, child) in expr.children().into_iter().enumerate() {
        check_tree(child, selects_info && index == 1, found);
    }
}

fn check_node(expr: &Expr, lenient: bool, found: &mut Vec<Diagnostic>) {
    match expr {
        Expr::Number(_) | Expr::String(_) | Expr::Paren(_) => {}
        Expr::Vector(selector) => check_selector(selector, lenient, found),
        Expr::Matrix(selector) => check_selector(&selector.vector, false, found),
        Expr::Subquery(subquery) => {
            let inner = subquery.expr.value_type();
            if inner != ValueType::Vector {
                found.push(type_error(
                    subquery.span,
                    format!("subquery is only allowed on instant vector, got {inner} instead"),
                ));
            }
        }
        Expr::Unary(unary) => {
            let inner = unary.expr.value_type();
            if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                found.push(type_error(
                    unary.span,
                    format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got \"{inner}\""
                    ),
                ));
            }
        }
        Expr::Binary(binary) => check_binary(binary, found),
        Expr::Aggregate(aggregate) => check_aggregate(aggregate, found),
        Expr::Call(call) => check_call(call, found),
    }
}

fn type_error(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("P004", span, message)
}

fn expected(span: Span, want: ValueType, place: &str, got: ValueType) -> Diagnostic {
    type_error(span, format!("expected type {want} in {place}, got {got}"))
}

fn check_selector(selector: &VectorSelector, lenient: bool, found: &mut Vec<Diagnostic>) {
    let named_again = selector.matchers.iter().find(|matcher| *matcher.name == *METRIC_NAME);
    if let (Some(name), Some(again)) = (&selector.name, named_again) {
        found.push(Diagnostic::error(
            "P005",
            selector.span,
            format!("metric name must not be set twice: {name:?} or {:?}", again.value),
        ));
    }
    let selects = selector.name.is_some() || selector.matchers.iter().any(|m| !m.matches_empty());
    if !selects && !lenient {
        found.push(
            Diagnostic::error(
                "P005",
                selector.span,
                "vector selector must contain at least one non-empty matcher",
            )
            .with_help("name a metric, or give a matcher that an absent label does not satisfy"),
        );
    }
}

fn check_binary(binary: &Binary, found: &mut Vec<Diagnostic>) {
    let (left, right) = (binary.left.value_type(), binary.right.value_type());
    let op = binary.op;
    let op_span = Span { start: binary.left.span().end, end: binary.right.span().start };
    if binary.returns_bool && !op.is_comparison() {
        found.push(type_error(op_span, "bool modifier can only be used on comparison operators"));
    }
    let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
    if op.is_comparison() && !binary.returns_bool && scalars {
        found.push(
            type_error(op_span, "comparisons between scalars must use BOOL modifier")
                .with_help(format!("write `{op} bool`: the result is 0 or 1")),
        );
    }
    let matching = &binary.matching;
    for label in matching.labels.iter().filter(|label| matching.include.contains(label)) {
        if matching.on {
            found.push(type_error(
                op_span,
                format!("label {label:?} must not occur in ON and GROUP clause at once"),
            ));
        }
    }
    for (side, side_type) in [(&binary.left, left), (&binary.right, right)] {
        if !matches!(side_type, ValueType::Scalar | ValueType::Vector) {
            found.push(type_error(
                side.span(),
                "binary expression must contain only scalar and instant vector types",
            ));
        }
    }
    let fills = matching.fill.left.is_some() || matching.fill.right.is_some();
    if left == ValueType::Vector && right == ValueType::Vector {
        if op.is_set() && matching.cardinality != Cardinality::OneToOne {
            found.push(type_error(
                binary.span,
                format!("no grouping allowed for \"{op}\" operation"),
            ));
        }
        if op.is_set() && fills {
            found.push(type_error(
                binary.span,
                "filling in missing series not allowed for set operators",
            ));
        }
        return;
    }
    if !matching.labels.is_empty() {
        found.push(type_error(binary.span, "vector matching only allowed between instant vectors"));
    }
    if fills {
        found.push(type_error(
            binary.span,
            "filling in missing series only allowed between instant vectors",
        ));
    }
    if op.is_set() {
        found.push(type_error(
            binary.span,
            format!("set operator \"{op}\" not allowed in binary scalar expression"),
        ));
    }
}

fn check_aggregate(aggregate: &Aggregate, found: &mut Vec<Diagnostic>) {
    let inner = aggregate.expr.value_type();
    if inner != ValueType::Vector {
        let place = "aggregation expression";
        found.push(expected(aggregate.expr.span(), ValueType::Vector, place, inner));
    }
    if let (Some(want), Some(parameter)) = (aggregate.op.parameter(), &aggregate.parameter) {
        let got = parameter.value_type();
        if got != want {
            found.push(expected(parameter.span(), want, "aggregation parameter", got));
        }
    }
}

fn check_call(call: &Call, found: &mut Vec<Diagnostic>) {
    let function = call.function;
    let (name, given) = (function.name, call.args.len());
    let (least, most) = function.arg_counts();
    if given < least || most.is_some_and(|most| given > most) {
        let words = match most {
            Some(most) if most == least => format!("{least}"),
            Some(most) if given > most => format!("at most {most}"),
            _ => format!("at least {least}"),
        };
        found.push(
            type_error(
                call.span,
                format!("expected {words} argument(s) in call to {name:?}, got {given}"),
            )
            .with_help(function.usage()),
        );
    }
    if name == "info"
        && let Some(selector) = call.args.get(1)
    {
        let labels_only = matches!(selector, Expr::Vector(vector) if vector.name.is_none());
        if !labels_only {
            found.push(type_error(selector.span(), "expected label selectors only"));
        }
    }
    for (index, arg) in call.args.iter().enumerate() {
        let Some(&want) = function.args.get(index).or(function.args.last()) else { return };
        let got = arg.value_type();
        if got != want {
            found.push(
                expected(arg.span(), want, &format!("call to function {name:?}"), got)
                    .with_help(function.usage()),
            );
        }
    }
}
