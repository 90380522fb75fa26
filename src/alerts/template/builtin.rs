//! Go's own template functions.

use std::cmp::Ordering;
use std::fmt::Write;

use super::prometheus::text;
use super::value::{BoundedText, Value, bounded, too_long};
use super::{TemplateContext, escape, printf};

type Answer = Result<Value, String>;

pub(super) fn not(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::Bool(!arguments[0].is_true()))
}

/// Compares numbers with numbers and texts with texts. Integers and floats compare too, unlike in
/// Go: `gt $value 10` has one meaning. `None` where one is NaN.
fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    Ok(match (a, b) {
        (Value::Integer(a), Value::Integer(b))
        | (Value::Duration(a), Value::Duration(b))
        | (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Integer(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Integer(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Absent, _) | (_, Value::Absent) => None,
        (a, b) => return Err(format!("cannot compare {} with {}", a.kind(), b.kind())),
    })
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Nil, Value::Nil) | (Value::Absent, Value::Absent) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        _ => Ok(order(a, b)? == Some(Ordering::Equal)),
    }
}

/// Whether the first equals one of the others.
pub(super) fn eq(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    for other in &arguments[1..] {
        if equal(&arguments[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn ne(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::Bool(!equal(&arguments[0], &arguments[1])?))
}

fn ordered(arguments: &[Value], holds: fn(Ordering) -> bool) -> Answer {
    Ok(Value::Bool(order(&arguments[0], &arguments[1])?.is_some_and(holds)))
}

pub(super) fn lt(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_lt)
}

pub(super) fn le(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_le)
}

pub(super) fn gt(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_gt)
}

pub(super) fn ge(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_ge)
}

pub(super) fn len(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let len = match &arguments[0] {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("a {} has no length", other.kind())),
    };
    Ok(Value::Integer(len as i64))
}

pub(super) fn index(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let mut item = arguments[0].clone();
    for key in &arguments[1..] {
        item = match (&item, key) {
            (Value::Labels(_) | Value::Map(_), Value::Text(name)) => item.field(name, &[])?,
            (Value::List(list), Value::Integer(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| list.get(at))
                .cloned()
                .ok_or_else(|| format!("{at} is out of range, there are {}", list.len()))?,
            (Value::Text(text), Value::Integer(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| text.as_bytes().get(at))
                .map(|byte| Value::Integer(i64::from(*byte)))
                .ok_or_else(|| format!("{at} is out of range, there are {}", text.len()))?,
            (item, key) => {
                return Err(format!("cannot index a {} with a {}", item.kind(), key.kind()));
            }
        };
    }
    Ok(item)
}

pub(super) fn slice(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let bound = |at: usize, otherwise: usize| match arguments.get(at) {
        None => Ok(otherwise),
        Some(Value::Integer(bound)) => {
            usize::try_from(*bound).map_err(|_| format!("{bound} is out of range"))
        }
        Some(other) => Err(format!("cannot slice by a {}", other.kind())),
    };
    let len = match &arguments[0] {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(format!("cannot slice a {}", other.kind())),
    };
    let (start, end) = (bound(1, 0)?, bound(2, len)?);
    let out_of_range = || format!("{start} to {end} is out of range, there are {len}");
    match &arguments[0] {
        Value::List(list) => list.get(start..end).map(|part| Value::List(part.into())),
        other => text(other)?.get(start..end).map(Value::text),
    }
    .ok_or_else(out_of_range)
}

/// Prints all; blanks stand between two of which none is a text.
fn printed(arguments: &[Value]) -> Result<String, String> {
    let mut printed = BoundedText::default();
    for (at, value) in arguments.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_) | Value::Absent);
        let spaced = at > 0 && !is_text(value) && !is_text(&arguments[at - 1]);
        write!(printed, "{}{value}", if spaced { " " } else { "" }).map_err(|_| too_long())?;
    }
    Ok(printed.0)
}

pub(super) fn print(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(printed(arguments)?))
}

pub(super) fn println(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let mut line = BoundedText::default();
    for (at, value) in arguments.iter().enumerate() {
        write!(line, "{}{value}", if at > 0 { " " } else { "" }).map_err(|_| too_long())?;
    }
    Ok(Value::text(bounded(format_args!("{}\n", line.0))?))
}

pub(super) fn printf(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(printf::format(text(&arguments[0])?, &arguments[1..])?))
}

pub(super) fn html(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(escape::html(&printed(arguments)?)))
}

pub(super) fn js(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(escape::js(&printed(arguments)?)))
}

pub(super) fn urlquery(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(escape::url_query(&printed(arguments)?)))
}

pub(super) fn call(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Err(format!("a {} is no function", arguments[0].kind()))
}
