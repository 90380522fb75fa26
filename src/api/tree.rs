use serde_json::{Value, json};

use super::app::App;
use super::query::expression;
use super::request::Call;
use super::response::Reply;
use super::route::Answer;
use crate::promql::{
    At, Cardinality, Expr, Grouping, TimeSpan, UnaryOp, ValueType, VectorMatching, VectorSelector,
};
use crate::series::{METRIC_NAME, format_float};

/// `/parse_query`: the syntax tree in the shape of Prometheus' own pages.
pub(super) fn parse(_: &App, call: &Call) -> Answer {
    Ok(Reply::data(&node(&expression(call)?)))
}

fn node(expr: &Expr) -> Value {
    match expr {
        Expr::Number(number) => {
            json!({ "type": "numberLiteral", "val": format_float(number.value) })
        }
        Expr::String(string) => json!({ "type": "stringLiteral", "val": string.value }),
        Expr::Paren(paren) => json!({ "type": "parenExpr", "expr": node(&paren.expr) }),
        Expr::Unary(unary) => {
            let op = if unary.op == UnaryOp::Minus { "-" } else { "+" };
            json!({ "type": "unaryExpr", "op": op, "expr": node(&unary.expr) })
        }
        Expr::Vector(selector) => selector_node("vectorSelector", selector),
        Expr::Matrix(matrix) => {
            let mut json = selector_node("matrixSelector", &matrix.vector);
            json["range"] = ms(&matrix.range);
            json
        }
        Expr::Subquery(subquery) => {
            let (timestamp, start_or_end) = at(subquery.at);
            json!({
                "type": "subquery",
                "expr": node(&subquery.expr),
                "range": ms(&subquery.range),
                "step": subquery.step.as_ref().map_or(json!(0), ms),
                "offset": ms(&subquery.offset),
                "timestamp": timestamp,
                "startOrEnd": start_or_end,
            })
        }
        Expr::Binary(binary) => json!({
            "type": "binaryExpr",
            "op": binary.op.to_string(),
            "lhs": node(&binary.left),
            "rhs": node(&binary.right),
            "matching": matching(&binary.matching, binary.op.is_set()),
            "bool": binary.returns_bool,
        }),
        Expr::Aggregate(aggregate) => {
            let (without, grouping) = match &aggregate.grouping {
                Grouping::By(labels) => (false, labels),
                Grouping::Without(labels) => (true, labels),
            };
            json!({
                "type": "aggregation",
                "op": aggregate.op.to_string(),
                "expr": node(&aggregate.expr),
                "param": aggregate.parameter.as_ref().map(|parameter| node(parameter)),
                "grouping": grouping,
                "without": without,
            })
        }
        Expr::Call(call) => json!({
            "type": "call",
            "func": {
                "name": call.function.name,
                "argTypes": call.function.args.iter().map(|kind| type_name(*kind)).collect::<Vec<_>>(),
                "variadic": call.function.variadic,
                "returnType": type_name(call.function.returns),
            },
            "args": call.args.iter().map(node).collect::<Vec<_>>(),
        }),
    }
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

fn selector_node(kind: &str, selector: &VectorSelector) -> Value {
    let (timestamp, start_or_end) = at(selector.at);
    let matchers = selector.all_matchers();
    let name = matchers.iter().find(|matcher| &*matcher.name == METRIC_NAME);
    let matchers: Vec<Value> = matchers
        .iter()
        .map(|m| json!({ "name": m.name, "value": m.value, "type": m.op.to_string() }))
        .collect();
    json!({
        "type": kind,
        "name": selector.name.as_deref().or(name.map(|name| &*name.value)).unwrap_or(""),
        "offset": ms(&selector.offset),
        "matchers": matchers,
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
    })
}

fn at(at: Option<At>) -> (Option<i64>, Option<&'static str>) {
    match at {
        None => (None, None),
        Some(At::Time(time_ms)) => (Some(time_ms), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    }
}

/// What has to be computed first has no number yet.
fn ms(span: &TimeSpan) -> Value {
    match span {
        TimeSpan::Ms(ms) => json!(ms),
        TimeSpan::Computed(_) => Value::Null,
    }
}

fn matching(matching: &VectorMatching, is_set: bool) -> Value {
    let cardinality = match matching.cardinality {
        _ if is_set => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    };
    json!({
        "card": cardinality,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill.left, "rhs": matching.fill.right },
    })
}
