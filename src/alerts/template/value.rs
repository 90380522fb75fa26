//! What a template computes with, and how Go prints it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use crate::series::Labels;

use super::number::{format_general, go_duration, go_time};

/// A value within a template; cloning is cheap.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Go's nil.
    Nil,
    /// A number that the alert does not have; prints as nothing, and so does what is made of it.
    Absent,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
    /// ms since the epoch.
    Time(i64),
    /// ns.
    Duration(i64),
    /// A label set: a name that it lacks is the empty text.
    Labels(Labels),
    /// What `args` makes: a name that it lacks is nil.
    Map(Arc<BTreeMap<String, Value>>),
    /// Named fields; others are an error.
    Record(Arc<[(&'static str, Value)]>),
    List(Arc<[Value]>),
}

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    /// Returns an element of a query's result.
    pub(super) fn sample(labels: Labels, value: f64) -> Value {
        Value::Record(Arc::new([("Labels", Value::Labels(labels)), ("Value", Value::Float(value))]))
    }

    /// Returns whether `if` and `with` take it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nil | Value::Absent => false,
            Value::Bool(value) => *value,
            Value::Integer(value) | Value::Duration(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Labels(labels) => !labels.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Time(_) | Value::Record(_) => true,
        }
    }

    /// Returns what it is, as messages call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Absent => "absent number",
            Value::Bool(_) => "bool",
            Value::Integer(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::Time(_) => "time",
            Value::Duration(_) => "duration",
            Value::Labels(_) | Value::Map(_) => "map",
            Value::Record(_) => "struct",
            Value::List(_) => "list",
        }
    }

    /// Returns a field, or the result of a method, as `.Name` asks for it.
    pub(super) fn field(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let takes = match (self, name) {
            (Value::Time(_), "Format") => 1,
            _ => 0,
        };
        if arguments.len() != takes {
            return Err(format!("{name} takes {takes} arguments, not {}", arguments.len()));
        }
        match self {
            Value::Absent => Ok(Value::Absent),
            Value::Labels(labels) => Ok(Value::text(labels.value_or_empty(name))),
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
            Value::Record(fields) => fields
                .iter()
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value.clone())
                .ok_or_else(|| format!("no field {name}")),
            Value::Time(time_ms) => time_method(*time_ms, name, arguments),
            Value::Duration(ns) => duration_method(*ns, name),
            other => Err(format!("no field {name} in a {}", other.kind())),
        }
    }
}

fn time_method(time_ms: i64, name: &str, arguments: &[Value]) -> Result<Value, String> {
    let time = super::number::utc(time_ms);
    Ok(match name {
        "Format" => match &arguments[0] {
            Value::Text(layout) => Value::text(super::number::format_time(time_ms, layout)),
            other => return Err(format!("Format wants a string, not {}", other.kind())),
        },
        "Unix" => Value::Integer(time_ms.div_euclid(1000)),
        "UnixMilli" => Value::Integer(time_ms),
        "Year" => Value::Integer(time.year().into()),
        "Month" => Value::text(time.strftime("%B").to_string()),
        "Day" => Value::Integer(time.day().into()),
        "Hour" => Value::Integer(time.hour().into()),
        "Minute" => Value::Integer(time.minute().into()),
        "Second" => Value::Integer(time.second().into()),
        "YearDay" => Value::Integer(time.day_of_year().into()),
        "Weekday" => Value::text(time.strftime("%A").to_string()),
        "UTC" => Value::Time(time_ms),
        "String" => Value::text(go_time(time_ms)),
        _ => return Err(format!("no method {name} of a time")),
    })
}

fn duration_method(ns: i64, name: &str) -> Result<Value, String> {
    Ok(match name {
        "Hours" => Value::Float(ns as f64 / 3.6e12),
        "Minutes" => Value::Float(ns as f64 / 6e10),
        "Seconds" => Value::Float(ns as f64 / 1e9),
        "Milliseconds" => Value::Integer(ns / 1_000_000),
        "String" => Value::text(go_duration(ns)),
        _ => return Err(format!("no method {name} of a duration")),
    })
}

/// As Go's `%v`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("<no value>"),
            Value::Absent => Ok(()),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(value) => f.write_str(&format_general(*value, None)),
            Value::Text(text) => f.write_str(text),
            Value::Time(time_ms) => f.write_str(&go_time(*time_ms)),
            Value::Duration(ns) => f.write_str(&go_duration(*ns)),
            Value::Labels(labels) => write_map(f, labels.iter()),
            Value::Map(map) => write_map(f, map.iter()),
            Value::Record(fields) => {
                f.write_char('{')?;
                write_spaced(f, fields.iter().map(|(_, value)| value))?;
                f.write_char('}')
            }
            Value::List(list) => {
                f.write_char('[')?;
                write_spaced(f, list.iter())?;
                f.write_char(']')
            }
        }
    }
}

fn write_map<N: fmt::Display, V: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    pairs: impl Iterator<Item = (N, V)>,
) -> fmt::Result {
    f.write_str("map[")?;
    for (index, (name, value)) in pairs.enumerate() {
        let separator = if index > 0 { " " } else { "" };
        write!(f, "{separator}{name}:{value}")?;
    }
    f.write_char(']')
}

fn write_spaced<'a>(
    f: &mut fmt::Formatter<'_>,
    values: impl Iterator<Item = &'a Value>,
) -> fmt::Result {
    for (index, value) in values.enumerate() {
        let separator = if index > 0 { " " } else { "" };
        write!(f, "{separator}{value}")?;
    }
    Ok(())
}

/// An alert's text is read by people; what is longer than this is a loop.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Prints something, and stops where it gets too long: a short template can name a value that
/// prints as gigabytes.
pub(super) fn bounded(what: fmt::Arguments<'_>) -> Result<String, String> {
    let mut text = BoundedText::default();
    match text.write_fmt(what) {
        Ok(()) => Ok(text.0),
        Err(fmt::Error) => Err(too_long()),
    }
}

/// Says that a text is too long.
pub(super) fn too_long() -> String {
    format!("the text is longer than {TEXT_BYTES_MAX} bytes")
}

/// A text that refuses what would make it longer than [`TEXT_BYTES_MAX`].
#[derive(Default)]
pub(super) struct BoundedText(pub(super) String);

impl Write for BoundedText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > TEXT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}
