//! Prometheus' template functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number;
use super::value::{TEXT_BYTES_MAX, Value, too_long};
use super::{TemplateContext, escape};

type Answer = Result<Value, String>;

/// Containers within containers that `args` makes; printing them must end.
const ARGS_DEPTH_MAX: usize = 4;

/// Reads a text argument; an absent one is empty.
pub(super) fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Absent => Ok(""),
        other => Err(format!("wants a string, not {}", other.kind())),
    }
}

/// Reads a number as Prometheus does: numbers, texts of numbers, durations and times in seconds.
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Integer(number) => Ok(*number as f64),
        Value::Duration(ns) => Ok(*ns as f64 / 1e9),
        Value::Time(time_ms) => Ok(*time_ms as f64 / 1e3),
        Value::Text(text) => crate::series::parse_float(text)
            .ok_or_else(|| format!("cannot read {text:?} as a number")),
        other => Err(format!("cannot convert a {} to a number", other.kind())),
    }
}

/// Applies a function to a number; what is absent stays absent.
fn of_number(value: &Value, apply: impl FnOnce(f64) -> Answer) -> Answer {
    match value {
        Value::Absent => Ok(Value::Absent),
        value => apply(number(value)?),
    }
}

fn samples(value: &Value) -> Result<&Arc<[Value]>, String> {
    match value {
        Value::List(list) => Ok(list),
        other => Err(format!("wants the result of a query, not {}", other.kind())),
    }
}

fn sample_label<'a>(sample: &'a Value, name: &str) -> Result<&'a str, String> {
    let no_sample = || format!("wants an element of a query's result, not {}", sample.kind());
    let Value::Record(fields) = sample else { return Err(no_sample()) };
    let labels = fields.iter().find_map(|(_, value)| match value {
        Value::Labels(labels) => Some(labels),
        _ => None,
    });
    Ok(labels.ok_or_else(no_sample)?.value_or_empty(name))
}

pub(super) fn query(context: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let samples = (context.query)(text(&arguments[0])?)?;
    let samples = samples.into_iter().map(|(labels, value)| Value::sample(labels, value));
    Ok(Value::List(samples.collect()))
}

pub(super) fn first(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let first = samples(&arguments[0])?.first().cloned();
    first.ok_or_else(|| "called on a vector with no elements".to_owned())
}

pub(super) fn label(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(sample_label(&arguments[1], text(&arguments[0])?)?))
}

pub(super) fn value(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    sample_label(&arguments[0], "")?;
    arguments[0].field("Value", &[])
}

pub(super) fn strvalue(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(sample_label(&arguments[0], "__value__")?))
}

pub(super) fn sort_by_label(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let name = text(&arguments[0])?;
    let mut keyed = samples(&arguments[1])?
        .iter()
        .map(|sample| Ok((sample_label(sample, name)?, sample)))
        .collect::<Result<Vec<_>, String>>()?;
    keyed.sort_by_key(|(key, _)| *key);
    Ok(Value::List(keyed.into_iter().map(|(_, sample)| sample.clone()).collect()))
}

pub(super) fn humanize(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    of_number(&arguments[0], |number| Ok(Value::text(number::humanize(number))))
}

pub(super) fn humanize_1024(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    of_number(&arguments[0], |number| Ok(Value::text(number::humanize_1024(number))))
}

pub(super) fn humanize_duration(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    of_number(&arguments[0], |number| Ok(Value::text(number::humanize_duration(number))))
}

pub(super) fn humanize_percentage(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    of_number(&arguments[0], |number| Ok(Value::text(number::humanize_percentage(number))))
}

pub(super) fn humanize_timestamp(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    of_number(&arguments[0], |number| {
        if !number.is_finite() {
            return Ok(Value::Text(number::format_general(number, Some(4)).into()));
        }
        Ok(Value::text(number::go_time(number::time_of_seconds(number)?)))
    })
}

pub(super) fn to_time(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    of_number(&arguments[0], |number| Ok(Value::Time(number::time_of_seconds(number)?)))
}

pub(super) fn to_duration(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    of_number(&arguments[0], |number| Ok(Value::Duration(number::nanoseconds(number)?)))
}

pub(super) fn now(context: &TemplateContext<'_>, _: &[Value]) -> Answer {
    Ok(Value::Float(context.at_ms as f64 / 1e3))
}

pub(super) fn parse_duration(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let written = text(&arguments[0])?;
    let (sign, rest) = match written.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, written),
    };
    let duration_ms = crate::series::parse_duration(rest).map_err(|error| error.to_string())?;
    Ok(Value::Float(sign * duration_ms as f64 / 1e3))
}

pub(super) fn title(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let mut titled = String::new();
    let mut within_word = false;
    for c in text(&arguments[0])?.chars() {
        if within_word {
            titled.push(c);
        } else {
            titled.extend(c.to_uppercase());
        }
        within_word = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    Ok(Value::text(titled))
}

pub(super) fn to_upper(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(text(&arguments[0])?.to_uppercase()))
}

pub(super) fn to_lower(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(text(&arguments[0])?.to_lowercase()))
}

/// Splits `host:port` and `[v6]:port`; `None` where there is no port, or more than one colon.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(v6) => Some((v6.strip_suffix(']')?, port)),
        None if host.contains(':') || host.contains(']') => None,
        None => Some((host, port)),
    }
}

pub(super) fn strip_port(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let address = text(&arguments[0])?;
    Ok(Value::text(host_and_port(address).map_or(address, |(host, _)| host)))
}

pub(super) fn strip_domain(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let address = text(&arguments[0])?;
    let (host, port) = host_and_port(address).unwrap_or((address, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(Value::text(address));
    }
    let host = host.split('.').next().unwrap_or(host);
    Ok(Value::text(if port.is_empty() { host.to_owned() } else { format!("{host}:{port}") }))
}

pub(super) fn url_query_escape(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(escape::url_query(text(&arguments[0])?)))
}

fn regex(pattern: &Value) -> Result<regex::Regex, String> {
    let pattern = text(pattern)?;
    regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("{pattern:?} is no regular expression, or too large a one"))
}

pub(super) fn is_match(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::Bool(regex(&arguments[0])?.is_match(text(&arguments[1])?)))
}

pub(super) fn replace_all(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    let (regex, replacement) = (regex(&arguments[0])?, text(&arguments[1])?);
    let source = text(&arguments[2])?;
    let (mut replaced, mut copied) = (String::new(), 0);
    for captures in regex.captures_iter(source) {
        let whole = captures.get_match();
        replaced.push_str(&source[copied..whole.start()]);
        captures.expand(replacement, &mut replaced);
        copied = whole.end();
        if replaced.len() > TEXT_BYTES_MAX {
            return Err(too_long());
        }
    }
    replaced.push_str(&source[copied..]);
    Ok(Value::text(replaced))
}

pub(super) fn args(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    if arguments.iter().map(depth).max().unwrap_or(0) >= ARGS_DEPTH_MAX {
        return Err(format!("args within args deeper than {ARGS_DEPTH_MAX}"));
    }
    let named = arguments.iter().enumerate().map(|(at, value)| (format!("arg{at}"), value.clone()));
    Ok(Value::Map(Arc::new(named.collect::<BTreeMap<_, _>>())))
}

/// Returns how many containers are within each other; only `args` makes deep ones, and it bounds
/// them.
fn depth(value: &Value) -> usize {
    match value {
        Value::Map(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn link(expression: &Value, tab: u8) -> Answer {
    Ok(Value::text(format!("/graph?g0.expr={}&g0.tab={tab}", escape::url_query(text(expression)?))))
}

pub(super) fn graph_link(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    link(&arguments[0], 0)
}

pub(super) fn table_link(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    link(&arguments[0], 1)
}

pub(super) fn external_url(context: &TemplateContext<'_>, _: &[Value]) -> Answer {
    Ok(Value::text(context.external_url))
}

pub(super) fn path_prefix(context: &TemplateContext<'_>, _: &[Value]) -> Answer {
    let after_scheme = context.external_url.split_once("://").map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
    Ok(Value::text(path))
}

pub(super) fn safe_html(_: &TemplateContext<'_>, arguments: &[Value]) -> Answer {
    Ok(Value::text(text(&arguments[0])?))
}

pub(super) fn tmpl(_: &TemplateContext<'_>, _: &[Value]) -> Answer {
    Err("can be called in console templates only; use `template`".to_owned())
}
