//! Expressions as upstream prints them: in rules, generator URLs and `/format_query`.

use std::fmt::{self, Display, Formatter};

use crate::series::{METRIC_NAME, MatchOp, Matcher, format_duration, is_legacy_label_name};

use super::ast::{
    Aggregate, At, Binary, Cardinality, DurationExpr, DurationOp, Expr, Grouping, MatrixSelector,
    NumberLiteral, RangeMode, Subquery, TimeSpan, UnaryOp, VectorMatching, VectorSelector,
};
use super::literal::quote;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Number(number) => number.fmt(f),
            Expr::String(string) => f.write_str(&quote(&string.value)),
            Expr::Vector(selector) => selector.fmt(f),
            Expr::Matrix(selector) => selector.fmt(f),
            Expr::Subquery(subquery) => subquery.fmt(f),
            Expr::Paren(paren) => write!(f, "({})", paren.expr),
            Expr::Unary(unary) => {
                let sign = if unary.op == UnaryOp::Minus { "-" } else { "+" };
                write!(f, "{sign}{}", unary.expr)
            }
            Expr::Binary(binary) => binary.fmt(f),
            Expr::Aggregate(aggregate) => aggregate.fmt(f),
            Expr::Call(call) => {
                write!(f, "{}({})", call.function.name, Joined(&call.args, ", "))
            }
        }
    }
}

/// Longer expressions are broken into lines.
const WIDTH_MAX: usize = 100;

impl Expr {
    /// Formats the expression over several lines where it is long, as upstream's `/format_query`.
    pub fn pretty(&self) -> String {
        self.pretty_at(0)
    }

    fn pretty_at(&self, level: usize) -> String {
        let (indent, text) = ("  ".repeat(level), self.to_string());
        if text.len() <= WIDTH_MAX {
            return indent + &text;
        }
        let inside = |parts: &[&Expr]| {
            let parts: Vec<String> = parts.iter().map(|part| part.pretty_at(level + 1)).collect();
            format!("(\n{}\n{indent})", parts.join(",\n"))
        };
        match self {
            Expr::Paren(paren) => indent.clone() + &inside(&[&paren.expr]),
            Expr::Call(call) => {
                let args: Vec<&Expr> = call.args.iter().collect();
                format!("{indent}{}{}", call.function.name, inside(&args))
            }
            Expr::Aggregate(aggregate) => {
                format!("{indent}{}{}", AggregateHead(aggregate), inside(&self.children()))
            }
            Expr::Binary(binary) => format!(
                "{}\n{indent}{}{}{}\n{}",
                binary.left.pretty_at(level + 1),
                binary.op,
                if binary.returns_bool { " bool" } else { "" },
                binary.matching,
                binary.right.pretty_at(level + 1)
            ),
            Expr::Unary(unary) => {
                let sign = if unary.op == UnaryOp::Minus { "-" } else { "+" };
                format!("{indent}{sign}{}", unary.expr.pretty_at(level).trim_start())
            }
            Expr::Subquery(subquery) => {
                let inner = subquery.expr.to_string();
                subquery.expr.pretty_at(level) + &text[inner.len()..]
            }
            Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => indent + &text,
        }
    }
}

/// The aggregation with its labels, without what is aggregated.
struct AggregateHead<'a>(&'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.op.fmt(f)?;
        match &self.0.grouping {
            Grouping::Without(names) => write!(f, " without ({}) ", labels(names)),
            Grouping::By(names) if names.is_empty() => Ok(()),
            Grouping::By(names) => write!(f, " by ({}) ", labels(names)),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.duration {
            return f.write_str(&format_duration((self.value * 1000.0).round() as i64));
        }
        f.write_str(&plain_number(self.value))
    }
}

/// Decimal digits without an exponent, as many as are needed.
fn plain_number(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        v => v.to_string(),
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(self, f)?;
        write_at(self.at, f)?;
        write_mode(self.mode, f)?;
        write_offset(&self.offset, f)
    }
}

fn write_series(selector: &VectorSelector, f: &mut Formatter<'_>) -> fmt::Result {
    let name = selector.name.as_deref().unwrap_or("");
    f.write_str(name)?;
    let says_name_again = |matcher: &&Matcher| {
        *matcher.name == *METRIC_NAME
            && matcher.op == MatchOp::Equal
            && *matcher.value == *name
            && !name.is_empty()
    };
    let mut matchers: Vec<String> =
        selector.matchers.iter().filter(|m| !says_name_again(m)).map(matcher).collect();
    matchers.sort_unstable();
    if matchers.is_empty() {
        return if name.is_empty() { f.write_str("{}") } else { Ok(()) };
    }
    write!(f, "{{{}}}", matchers.join(","))
}

fn matcher(matcher: &Matcher) -> String {
    format!("{}{}{}", label(&matcher.name), matcher.op, quote(&matcher.value))
}

fn label(name: &str) -> String {
    if is_legacy_label_name(name) { name.to_owned() } else { quote(name) }
}

fn labels(names: &[String]) -> String {
    names.iter().map(|name| label(name)).collect::<Vec<_>>().join(", ")
}

fn write_at(at: Option<At>, f: &mut Formatter<'_>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
        Some(At::Time(time_ms)) => {
            let (sign, time) = (if time_ms < 0 { "-" } else { "" }, time_ms.unsigned_abs());
            write!(f, " @ {sign}{}.{:03}", time / 1000, time % 1000)
        }
    }
}

fn write_mode(mode: RangeMode, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(match mode {
        RangeMode::Plain => "",
        RangeMode::Anchored => " anchored",
        RangeMode::Smoothed => " smoothed",
    })
}

fn write_offset(offset: &TimeSpan, f: &mut Formatter<'_>) -> fmt::Result {
    if offset.is_zero() { Ok(()) } else { write!(f, " offset {offset}") }
}

impl Display for TimeSpan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TimeSpan::Ms(ms) => f.write_str(&format_duration(*ms)),
            TimeSpan::Computed(expr) => expr.fmt(f),
        }
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(&self.vector, f)?;
        write!(f, "[{}]", self.range)?;
        write_mode(self.vector.mode, f)?;
        write_at(self.vector.at, f)?;
        write_offset(&self.vector.offset, f)
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let step = self.step.as_ref().map(TimeSpan::to_string).unwrap_or_default();
        write!(f, "{}[{}:{step}]", self.expr, self.range)?;
        write_at(self.at, f)?;
        write_offset(&self.offset, f)
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let returns_bool = if self.returns_bool { " bool" } else { "" };
        write!(f, "{} {}{returns_bool}{} {}", self.left, self.op, self.matching, self.right)
    }
}

impl Display for VectorMatching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let grouped = self.cardinality != Cardinality::OneToOne;
        if !self.labels.is_empty() || self.on || grouped {
            let word = if self.on { "on" } else { "ignoring" };
            write!(f, " {word} ({})", labels(&self.labels))?;
        }
        match self.cardinality {
            Cardinality::OneToOne => {}
            Cardinality::ManyToOne => write!(f, " group_left ({})", labels(&self.include))?,
            Cardinality::OneToMany => write!(f, " group_right ({})", labels(&self.include))?,
        }
        match (self.fill.left, self.fill.right) {
            (Some(left), Some(right)) if left == right => {
                write!(f, " fill ({})", plain_number(left))
            }
            (left, right) => {
                for (word, value) in [("fill_left", left), ("fill_right", right)] {
                    if let Some(value) = value {
                        write!(f, " {word} ({})", plain_number(value))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        AggregateHead(self).fmt(f)?;
        match &self.parameter {
            Some(parameter) => write!(f, "({parameter}, {})", self.expr),
            None => write!(f, "({})", self.expr),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DurationExpr::Number(number) => number.fmt(f),
            DurationExpr::Step(_) => f.write_str("step()"),
            DurationExpr::Range(_) => f.write_str("range()"),
            DurationExpr::Negative(expr, _) => write!(f, "-{expr}"),
            DurationExpr::Paren(expr, _) => write!(f, "({expr})"),
            DurationExpr::Two(DurationOp::MinOf, a, b, _) => write!(f, "min_of({a}, {b})"),
            DurationExpr::Two(DurationOp::MaxOf, a, b, _) => write!(f, "max_of({a}, {b})"),
            DurationExpr::Two(op, a, b, _) => {
                let sign = match op {
                    DurationOp::Add => "+",
                    DurationOp::Sub => "-",
                    DurationOp::Mul => "*",
                    DurationOp::Div => "/",
                    DurationOp::Mod => "%",
                    _ => "^",
                };
                write!(f, "{a} {sign} {b}")
            }
        }
    }
}

struct Joined<'a, T>(&'a [T], &'a str);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}
