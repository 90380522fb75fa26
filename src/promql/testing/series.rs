//! Series with their values in one line: `http_requests{job="a"} 0+10x5 _ stale {{sum:3 count:2}}`.

use std::sync::Arc;

use crate::promql::literal::unquote;
use crate::series::{
    Histogram, Labels, LabelsBuilder, METRIC_NAME, ResetHint, STALE_NAN, Span, parse_duration,
};

/// A line of a script: a series and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Which series.
    pub labels: Labels,
    /// Its values, one for each step.
    pub values: Vec<SequenceValue>,
}

/// What a series has at one step.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// Nothing.
    Blank,
    /// A float; the staleness marker too.
    Float(f64),
    /// A native histogram, and whether its counter reset hint is written out.
    Histogram(Arc<Histogram>, bool),
}

/// How many values one line may have.
const VALUES_MAX: usize = 1_000_000;

/// Reads a series and its values.
pub fn describe(line: &str) -> Result<Description, String> {
    let (labels, rest) = label_set(line)?;
    let mut values = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        let (items, after) = item(rest)?;
        if values.len() + items.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values in {line:?}"));
        }
        values.extend(items);
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(format!("expected a space before {after:?} in {line:?}"));
        }
        rest = after.trim_start();
    }
    Ok(Description { labels, values })
}

/// Reads a label set at the start of a text; returns what follows.
pub(super) fn label_set(text: &str) -> Result<(Labels, &str), String> {
    let text = text.trim_start();
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let name_end = text.find(|c| !part(c)).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(name_end);
    let mut builder = LabelsBuilder::default();
    builder.set(METRIC_NAME, name);
    let Some(inside) = rest.strip_prefix('{') else {
        if name.is_empty() {
            return Err(format!("expected a series in {text:?}"));
        }
        return Ok((builder.build(), rest));
    };
    rest = inside.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((builder.build(), after));
        }
        let quoted = rest.starts_with(['"', '\'', '`']);
        let (label, after) = if quoted {
            string(rest)?
        } else {
            let end = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        let after = after.trim_start();
        rest = match after.strip_prefix('=') {
            Some(value) => {
                let (value, after) = string(value.trim_start())?;
                builder.set(&label, &value);
                after
            }
            None if quoted => {
                builder.set(METRIC_NAME, &label);
                after
            }
            None => return Err(format!("expected \"=\" at {after:?}")),
        };
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err(format!("expected \",\" or \"}}\" at {rest:?}")),
        }
    }
}

fn string(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().ok_or("expected a string at the end")?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return Ok((unquote(&text[..=at])?, &text[at + 1..]));
        }
    }
    Err(format!("expected a string at {text:?}"))
}

/// Reads one item of a sequence; returns its values and what follows.
fn item(text: &str) -> Result<(Vec<SequenceValue>, &str), String> {
    if text.starts_with("{{") {
        return histograms(text);
    }
    if let Some(rest) = text.strip_prefix('_') {
        let (count, rest) = times(rest)?;
        return Ok((vec![SequenceValue::Blank; count.unwrap_or(1)], rest));
    }
    if let Some(rest) = text.strip_prefix("stale") {
        let (count, rest) = times(rest)?;
        return Ok((vec![SequenceValue::Float(STALE_NAN); count.map_or(1, |n| n + 1)], rest));
    }
    let (start, rest) = number(text)?;
    let (step, rest) = if rest.starts_with(['+', '-']) { number(rest)? } else { (0.0, rest) };
    let stepped = step != 0.0;
    let (count, rest) = times(rest)?;
    if stepped && count.is_none() {
        return Err(format!("expected a repetition such as x10 at {rest:?}"));
    }
    let mut value = start;
    let mut values = Vec::new();
    for _ in 0..count.map_or(1, |count| count + 1) {
        values.push(SequenceValue::Float(value));
        if step != 0.0 {
            value += step;
        }
    }
    Ok((values, rest))
}

/// Reads a repetition, `x10`, if there is one.
fn times(text: &str) -> Result<(Option<usize>, &str), String> {
    let Some(rest) = text.strip_prefix('x') else { return Ok((None, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let count: usize =
        rest[..end].parse().map_err(|_| format!("expected a repetition at {text:?}"))?;
    if count > VALUES_MAX {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    Ok((Some(count), &rest[end..]))
}

/// Reads a decimal number with an optional sign; returns what follows.
fn number(text: &str) -> Result<(f64, &str), String> {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let sign = usize::from(text.starts_with(['+', '-']));
    let word = text.get(sign..sign + 3).unwrap_or("").to_ascii_lowercase();
    let mut end = sign + 3;
    if word != "inf" && word != "nan" {
        end = digits(sign);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            end = digits(end + 1 + signed);
        }
    }
    let value = text[..end].parse().map_err(|_| format!("expected a number at {text:?}"))?;
    Ok((value, &text[end..]))
}

fn histograms(text: &str) -> Result<(Vec<SequenceValue>, &str), String> {
    let (start, hint, rest) = histogram(text)?;
    let next = rest.get(1..).filter(|next| next.starts_with("{{"));
    let Some(next) = next.filter(|_| rest.starts_with(['+', '-'])) else {
        let (count, rest) = times(rest)?;
        let value = SequenceValue::Histogram(Arc::new(start), hint);
        return Ok((vec![value; count.map_or(1, |count| count + 1)], rest));
    };
    let (mut step, step_hint, after) = histogram(next)?;
    let (count, after) = times(after)?;
    let count = count.ok_or_else(|| format!("expected a repetition such as x10 at {after:?}"))?;
    if start.schema > step.schema && !start.has_custom_bounds() {
        return Err("the schema of the step must not be below that of the start".to_owned());
    }
    let adds = rest.starts_with('+');
    step.reset_hint = if step_hint { step.reset_hint } else { start.reset_hint };
    let mut current = start.clone();
    current.reset_hint = if step_hint { step.reset_hint } else { current.reset_hint };
    let mut values = vec![SequenceValue::Histogram(Arc::new(start), hint && step_hint)];
    for _ in 0..count {
        let combined = if adds { current.plus(&step) } else { current.minus(&step) };
        current = combined.map_err(|error| error.to_string())?.0;
        let hint = step_hint.then_some(step.reset_hint);
        current.reset_hint = hint.unwrap_or(current.reset_hint);
        values.push(SequenceValue::Histogram(Arc::new(current.clone()), step_hint));
    }
    Ok((values, after))
}

/// Reads a histogram; returns whether its hint is written, and what follows.
fn histogram(text: &str) -> Result<(Histogram, bool, &str), String> {
    let inside = text.strip_prefix("{{").ok_or("expected {{")?;
    let end = inside.find("}}").ok_or_else(|| format!("expected }}}} in {text:?}"))?;
    let (mut inside, rest) = (inside[..end].trim(), &inside[end + 2..]);
    let mut histogram = Histogram::default();
    let (mut hint, mut offset, mut n_offset) = (false, 0, 0);
    while !inside.is_empty() {
        let (key, after) =
            inside.split_once(':').ok_or_else(|| format!("expected key:value at {inside:?}"))?;
        let list = after.starts_with('[');
        let value_end = if list {
            after.find(']').ok_or_else(|| format!("expected \"]\" in {after:?}"))? + 1
        } else {
            after.find(char::is_whitespace).unwrap_or(after.len())
        };
        let value = &after[..value_end];
        let bad = || format!("not a value of {key}: {value:?}");
        let float = || number(value).ok().filter(|(_, rest)| rest.is_empty()).map(|found| found.0);
        let integer = || value.parse::<i32>().map_err(|_| bad());
        match key.trim() {
            "schema" => histogram.schema = integer()?,
            "sum" => histogram.sum = float().ok_or_else(bad)?,
            "count" => histogram.count = float().ok_or_else(bad)?,
            "z_bucket" => histogram.zero_count = float().ok_or_else(bad)?,
            "z_bucket_w" => histogram.zero_threshold = float().ok_or_else(bad)?,
            "buckets" => histogram.positive_buckets = numbers(value)?,
            "n_buckets" => histogram.negative_buckets = numbers(value)?,
            "custom_values" => histogram.custom_bounds = numbers(value)?,
            "offset" => offset = integer()?,
            "n_offset" => n_offset = integer()?,
            "counter_reset_hint" => {
                hint = true;
                histogram.reset_hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => return Err(bad()),
                };
            }
            other => return Err(format!("bad histogram descriptor found: {other:?}")),
        }
        inside = after[value_end..].trim_start();
    }
    let spans = |offset: i32, buckets: &[f64]| {
        if buckets.is_empty() {
            Vec::new()
        } else {
            vec![Span { offset, len: buckets.len() as u32 }]
        }
    };
    histogram.positive_spans = spans(offset, &histogram.positive_buckets);
    histogram.negative_spans = spans(n_offset, &histogram.negative_buckets);
    Ok((histogram, hint, rest))
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    let inside = text.trim_start_matches('[').trim_end_matches(']');
    inside
        .split_whitespace()
        .map(|word| match number(word)? {
            (value, "") => Ok(value),
            (_, rest) => Err(format!("expected a number at {rest:?}")),
        })
        .collect()
}

/// Reads offsets of start timestamps: `-1m`, `-1mx5`, `-1m+30sx5`, `_`, `_x3`; ms, none for blanks.
pub(super) fn start_offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut offsets = Vec::new();
    for word in text.split_whitespace() {
        if let Some(rest) = word.strip_prefix('_') {
            let (count, _) = times(rest)?;
            offsets.extend(std::iter::repeat_n(None, count.unwrap_or(1)));
            continue;
        }
        let (start, rest) = offset(word)?;
        let (step, rest) = if rest.starts_with(['+', '-']) { offset(rest)? } else { (0, rest) };
        let (count, _) = times(rest)?;
        let count = count.map_or(1, |count| count + 1);
        offsets.extend((0..count as i64).map(|at| Some(start + at * step)));
    }
    Ok(offsets)
}

fn offset(text: &str) -> Result<(i64, &str), String> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let unsigned = text.trim_start_matches(['+', '-']);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let letters = unsigned[digits..]
        .find(|c: char| !"ywdhms".contains(c))
        .map_or(unsigned.len(), |len| digits + len);
    let ms = parse_duration(&unsigned[..letters]).map_err(|error| error.to_string())?;
    Ok((sign * ms, &unsigned[letters..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, labels: &str, values: &[f64]) {
        let described = describe(line).unwrap();
        assert_eq!(described.labels.to_string(), labels);
        let floats: Vec<f64> = described
            .values
            .iter()
            .map(|value| match value {
                SequenceValue::Float(value) => *value,
                SequenceValue::Blank => -1.0,
                SequenceValue::Histogram(histogram, _) => histogram.count,
            })
            .collect();
        assert_eq!(floats, values, "{line}");
    }

    #[test]
    fn reads_every_kind_of_item() {
        check("a{b=\"c\"} 1 2 3", "a{b=\"c\"}", &[1.0, 2.0, 3.0]);
        check(
            "a 0+10x2 _x2 5x1 1-1x2",
            "a",
            &[0.0, 10.0, 20.0, -1.0, -1.0, 5.0, 5.0, 1.0, 0.0, -1.0],
        );
        check(
            "{\"a b\", 'c'=`d`} 1e-2+1e-2x1 -Inf",
            "{\"a b\", c=\"d\"}",
            &[0.01, 0.02, f64::NEG_INFINITY],
        );
        check("a 3+0x10", "a", &[3.0; 11]);
        check(
            "a {{schema:1 count:2 sum:-0.5 buckets:[1 1]}}+{{schema:1 count:1}}x2",
            "a",
            &[2.0, 3.0, 4.0],
        );
        check("a{} {{}}x1", "a", &[0.0, 0.0]);
        for bad in ["a{", "a 1+", "a 1x", "a {{x:1}}", "a 1+1", "{a} 1", "a 1y"] {
            assert!(describe(bad).is_err(), "{bad}");
        }
        assert_eq!(
            start_offsets("-1m _ -1s-1sx1").unwrap(),
            [Some(-60_000), None, Some(-1000), Some(-2000)]
        );
    }
}
