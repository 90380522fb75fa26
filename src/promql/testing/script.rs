//! The commands of a script.

use super::case::{Case, Expectations, Kind, Wanted};
use super::load::Load;
use super::series::describe;
use crate::promql::literal::{number, unquote};
use crate::series::parse_duration;

/// One command.
pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Case>),
    /// An `eval` that cannot be read.
    BadEval {
        expr: String,
        reason: String,
    },
    /// Anything else that cannot be read.
    Bad(String),
}

/// Reads the commands with their line numbers.
pub(super) fn commands(text: &str) -> Vec<(usize, Command)> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let (number, line) = (at + 1, lines[at]);
        at += 1;
        if line.is_empty() {
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        if word == "clear" {
            commands.push((number, Command::Clear));
            continue;
        }
        let block_end = lines[at..].iter().position(|line| line.is_empty());
        let block = &lines[at..block_end.map_or(lines.len(), |len| at + len)];
        at += block.len();
        let command = if word.starts_with("load") {
            load(line, block).map_or_else(Command::Bad, Command::Load)
        } else if word.starts_with("eval") {
            let head = Head::of(line);
            match head.and_then(|head| case(&head, block)) {
                Ok(case) => Command::Eval(Box::new(case)),
                Err(reason) => Command::BadEval { expr: line.to_owned(), reason },
            }
        } else {
            at = number;
            Command::Bad(format!("unknown command {word:?}; known are clear, load and eval"))
        };
        commands.push((number, command));
    }
    commands
}

/// Cuts the first word off.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn time(text: &str) -> Result<i64, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn load(line: &str, block: &[&str]) -> Result<Load, String> {
    let (command, step) = word(line);
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        other => return Err(format!("unknown command {other:?}")),
    };
    let mut load = Load::new(time(step)?, with_nhcb);
    for line in block {
        load.add(line)?;
    }
    Ok(load)
}

/// The line of an `eval`.
struct Head<'a> {
    form: &'a str,
    kind: Kind,
    expr: &'a str,
}

impl Head<'_> {
    fn of(line: &str) -> Result<Head<'_>, String> {
        let usage = || {
            "expected `eval instant at TIME EXPR` or `eval range from START to END step STEP EXPR`"
                .to_owned()
        };
        let (form, rest) = word(line);
        let (kind, rest) = word(rest);
        let mut rest = rest;
        let mut next = |keyword: &str| {
            let (found, after) = word(rest);
            if found != keyword {
                return Err(usage());
            }
            let (value, after) = word(after);
            rest = after;
            time(value)
        };
        let kind = match kind {
            "instant" => Kind::Instant { time_ms: next("at")? },
            "range" => {
                Kind::Range { start_ms: next("from")?, end_ms: next("to")?, step_ms: next("step")? }
            }
            _ => return Err(usage()),
        };
        Ok(Head { form, kind, expr: rest })
    }
}

fn case(head: &Head<'_>, block: &[&str]) -> Result<Case, String> {
    let mut case = Case {
        kind: head.kind,
        expr: head.expr.to_owned(),
        expected: Expectations::default(),
        series: Vec::new(),
        scalar: None,
    };
    match head.form {
        "eval_fail" => case.expected.fail = Some(Wanted::Any),
        "eval_warn" => case.expected.warnings.push(Wanted::Any),
        "eval_info" => case.expected.infos.push(Wanted::Any),
        "eval_ordered" => case.expected.ordered = true,
        _ => {}
    }
    for line in block {
        let (first, rest) = word(line);
        match first {
            "expect" => expectation(rest, &mut case.expected)?,
            "expected_fail_message" => {
                case.expected.fail = Some(Wanted::Text(rest.to_owned()));
            }
            "expected_fail_regexp" => case.expected.fail = Some(Wanted::pattern(rest)?),
            _ => {
                if let Some(value) = bare_number(line) {
                    case.scalar = Some(value);
                    continue;
                }
                let described = describe(line)?;
                if let Kind::Instant { .. } = case.kind
                    && case.expected.range_vector.is_none()
                    && described.values.len() != 1
                {
                    return Err(format!("expected one value in {line:?}"));
                }
                let labels = described.labels;
                case.series.retain(|(known, _)| *known != labels);
                case.series.push((labels, described.values));
            }
        }
    }
    Ok(case)
}

/// A line that is a number, hexadecimal too.
fn bare_number(line: &str) -> Option<f64> {
    let (sign, digits) = match line.as_bytes().first()? {
        b'-' => (-1.0, &line[1..]),
        b'+' => (1.0, &line[1..]),
        _ => (1.0, line),
    };
    let starts = |c: char| c.is_ascii_digit() || c == '.';
    let word = digits.to_ascii_lowercase();
    if !digits.starts_with(starts) && !matches!(word.as_str(), "inf" | "nan" | "infinity") {
        return None;
    }
    number(digits).map(|value| sign * value)
}

fn expectation(text: &str, expected: &mut Expectations) -> Result<(), String> {
    let (what, rest) = word(text);
    match what {
        "ordered" => expected.ordered = true,
        "fail" => expected.fail = Some(Wanted::of(rest)?),
        "warn" => expected.warnings.push(Wanted::of(rest)?),
        "info" => expected.infos.push(Wanted::of(rest)?),
        "no_warn" => expected.no_warnings = true,
        "no_info" => expected.no_infos = true,
        "string" => expected.string = Some(unquote(rest)?),
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["vector", "from", start, "to", end, "step", step] = words[..] else {
                return Err(format!("unknown expectation {text:?}"));
            };
            expected.range_vector = Some((time(start)?, time(end)?, time(step)?));
        }
        _ => return Err(format!("unknown expectation {text:?}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms() {
        let text = "load 1m\n  a{b=\"c\"} 1 2\n\n# comment\neval instant at 5m a + 1\n  expect no_warn\n  {b=\"c\"} 3\n\neval range from 0 to 2m step 1m a\neval nonsense\n";
        let commands = commands(text);
        let lines: Vec<usize> = commands.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 5, 9]);
        assert!(matches!(&commands[0].1, Command::Load(_)));
        assert!(matches!(&commands[1].1, Command::Eval(case) if case.expected.no_warnings));
        assert!(matches!(commands[2].1, Command::BadEval { .. }));
        assert_eq!(bare_number("0x3d"), Some(61.0));
        assert_eq!(bare_number("a"), None);
    }
}
