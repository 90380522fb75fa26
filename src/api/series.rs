use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::app::App;
use super::error::ApiError;
use super::json::{push_labels, push_list};
use super::request::{Call, percent_decode};
use super::response::{Notes, Reply};
use super::route::Answer;
use crate::promql;
use crate::series::{Labels, Matcher};

/// `/series`: the label sets that match.
pub(super) fn series(app: &App, call: &Call) -> Answer {
    let (limit, range) = (call.parameters.limit()?, call.range()?);
    let selectors = selectors(call)?;
    if selectors.is_empty() {
        return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
    }
    let snapshot = app.store.snapshot();
    let mut found: Vec<Labels> = Vec::new();
    for matchers in &selectors {
        found.extend(snapshot.select(matchers, range)?.into_iter().map(|series| series.labels));
    }
    if selectors.len() > 1 {
        found.sort_unstable();
        found.dedup();
    }
    let (shown, notes) = cut(found, limit);
    Ok(Reply::written(&notes, |out| {
        push_list(out, &shown, |out, labels: &Labels| push_labels(out, labels));
    }))
}

/// `/labels`: the names that there are.
pub(super) fn names(app: &App, call: &Call) -> Answer {
    let (limit, range) = (call.parameters.limit()?, call.range()?);
    let snapshot = app.store.snapshot();
    let found = union(&selectors(call)?, |matchers| snapshot.label_names(matchers, range))?;
    let (shown, notes) = cut(found, limit);
    Ok(Reply::data_with(&shown, &notes))
}

/// `/label/<name>/values`: the values of one label.
pub(super) fn values(app: &App, call: &Call) -> Answer {
    let name = label_name(&call.part)?;
    let (limit, range) = (call.parameters.limit()?, call.range()?);
    let snapshot = app.store.snapshot();
    let found = union(&selectors(call)?, |matchers| snapshot.label_values(&name, matchers, range))?;
    let (shown, notes) = cut(found, limit);
    Ok(Reply::data_with(&shown, &notes))
}

/// `/metadata`: type, help and unit of metrics.
pub(super) fn metadata(app: &App, call: &Call) -> Answer {
    let number = |name: &str| match call.parameters.get(name) {
        None => Ok(0),
        Some(text) => {
            text.parse::<i64>().map_err(|_| ApiError::BadData(format!("{name} must be a number")))
        }
    };
    let limit = usize::try_from(number("limit")?).ok().filter(|limit| *limit > 0);
    number("limit_per_metric")?; // There is one for each metric.
    let wanted = call.parameters.get("metric");
    let all = app.store.metadata();
    let found = all.iter().filter(|(metric, _)| wanted.is_none_or(|wanted| wanted == metric));
    let shown = found.take(limit.unwrap_or(usize::MAX)).map(|(metric, metadata)| {
        let value = json!([{
            "type": metadata.kind.as_str(), "help": metadata.help, "unit": metadata.unit,
        }]);
        (metric.clone(), value)
    });
    Ok(Reply::data(&shown.collect::<Map<String, Value>>()))
}

/// Returns the parsed parameters `match[]`.
pub(super) fn selectors(call: &Call) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let parse = |text: &str| {
        promql::parse_selector(text).map_err(|diagnostics| ApiError::Parameter {
            name: "match[]",
            message: promql::error_text(text, &diagnostics),
        })
    };
    call.parameters.all("match[]").map(parse).collect()
}

/// Asks once for each selector, or once for everything if there is none.
fn union<E>(
    selectors: &[Vec<Matcher>],
    ask: impl Fn(&[Matcher]) -> Result<Vec<String>, E>,
) -> Result<BTreeSet<String>, E> {
    if selectors.is_empty() {
        return Ok(ask(&[])?.into_iter().collect());
    }
    let mut found = BTreeSet::new();
    for matchers in selectors {
        found.extend(ask(matchers)?);
    }
    Ok(found)
}

fn cut<T>(found: impl IntoIterator<Item = T>, limit: Option<usize>) -> (Vec<T>, Notes) {
    let mut found = found.into_iter();
    let shown = found.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    (shown, Notes::truncated(found.next().is_some()))
}

/// Decodes a label name in a path: percent-encoded, or with `U__` as legacy clients escape UTF-8.
fn label_name(part: &str) -> Result<String, ApiError> {
    let wrong = |shown: &str| ApiError::BadData(format!("invalid label name: {shown:?}"));
    let name = String::from_utf8(percent_decode(part.as_bytes(), false))
        .map_err(|error| wrong(&String::from_utf8_lossy(error.as_bytes())))?;
    let name = unescape(&name).unwrap_or(name);
    if name.is_empty() { Err(wrong("")) } else { Ok(name) }
}

/// Undoes `U__`: `__` is `_`, `_hex_` is that code point. `None` where that is not how it is written.
fn unescape(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut text = String::new();
    while let Some(at) = rest.find('_') {
        text.push_str(&rest[..at]);
        let (code, after) = rest[at + 1..].split_once('_')?;
        match code {
            "" => text.push('_'),
            hex if hex.len() <= 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                text.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
            }
            _ => return None,
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_in_paths() {
        for (part, expected) in [
            ("job", Some("job")),
            ("U__a_2e_b", Some("a.b")),
            ("U__a__b_1F600_", Some("a_b😀")),
            ("U__a_zz_b", Some("U__a_zz_b")),
            ("U__a_", Some("U__a_")),
            ("U__a_D800_", Some("U__a_D800_")),
            ("a.b%20c", Some("a.b c")),
            ("%C3%A4", Some("ä")),
            ("%ff", None),
            ("", None),
            ("U__", None),
        ] {
            assert_eq!(label_name(part).ok().as_deref(), expected, "{part}");
        }
    }
}
