//! The sentence that says why: the numbers that decided, in words.

use super::ast::{Compare, Side};
use super::decide::Facts;
use super::habitual::Habitual;
use super::program::{Program, Test, UntilProgram};
use super::unit::format_seconds;
use super::{Numbers, Truth, Unit};
use crate::learn::{Baseline, Calendar, Outlook, Phase, Verdict};
use crate::promql::{Expr, ValueType};
use crate::series::format_duration;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// How a rule speaks of its signal.
#[derive(Clone, Debug)]
pub(super) struct Words {
    signal: String,
    calendar: Calendar,
}

impl Words {
    pub(super) fn new(program: &Program) -> Words {
        let peers = program.peers.as_ref().map(|plan| &plan.normal);
        let normal = program.normal.as_ref().or(peers).map(|plan| &plan.calendar);
        let calendar = normal.unwrap_or(&program.habits.calendar).calendar();
        Words { signal: name_of(&program.signal), calendar }
    }

    /// Says why a clause holds, does not, or is unknown: the conditions that decided it, or all of
    /// them where none stands out.
    pub(super) fn why(
        &self,
        program: &Program,
        clause: usize,
        facts: &Facts<'_>,
        numbers: &Numbers,
        at_ms: i64,
    ) -> String {
        let unit = program.unit;
        let when = &program.clauses[clause].when;
        let outcome = facts.holds(when);
        let mut parts = Vec::new();
        gather(when, &mut |test| {
            if facts.holds(test) == outcome {
                parts.extend(self.part(program, test, facts, numbers, at_ms));
            }
        });
        parts.dedup();
        let signal = match facts.value {
            Some(value) => format!("{} {}", self.signal, unit.format(value)),
            None => format!("{} has no sample", self.signal),
        };
        if parts.is_empty() { signal } else { format!("{signal}{}", parts.join(" and")) }
    }

    /// Says that a series is judged by `until` alone.
    pub(super) fn cold(&self, program: &Program, numbers: &Numbers) -> String {
        let unit = program.unit;
        let signal = match numbers.value {
            Some(value) => format!("{} {}", self.signal, unit.format(value)),
            None => format!("{} has no sample", self.signal),
        };
        let Some(until) = &program.until else { return signal };
        let test = match &until.test {
            UntilProgram::Value(compare, bound) => {
                format!("value {} {}", compare.word(), unit.format(*bound))
            }
            UntilProgram::Query(expr) => expr.to_string(),
        };
        let history = format_duration(until.history_ms);
        format!("{signal}; judged by `{test}` until it has {history} of history")
    }

    /// What one condition adds after the signal's value.
    fn part(
        &self,
        program: &Program,
        test: &Test,
        facts: &Facts<'_>,
        numbers: &Numbers,
        at_ms: i64,
    ) -> Option<String> {
        let unit = program.unit;
        match test {
            // Of an absent series only habits have something to say.
            _ if facts.value.is_none() && !matches!(test, Test::Missing | Test::Late) => None,
            Test::Value(compare, bound) => {
                let not = if facts.holds(test) == Truth::False { " not" } else { "" };
                Some(format!(" is{not} {} {}", comparison(*compare), unit.format(*bound)))
            }
            Test::Normal { side, .. } => Some(match facts.verdict {
                Some(verdict) => self.normal(verdict, *side, facts, unit, at_ms),
                None => "; what is normal is not known yet".to_owned(),
            }),
            Test::Reaches { crossing, .. } => {
                let within_ms = program.crossings[*crossing].within_ms;
                Some(reaches(&facts.watched.outlooks[*crossing], numbers, within_ms, unit))
            }
            Test::Differs { .. } => Some(match &facts.watched.beside_peers {
                Some(verdict) => {
                    let band = span(unit, verdict.lower, verdict.upper);
                    format!("; beside its peers {band} is usual for it")
                }
                None => "; what is usual for it beside its peers is not known yet".to_owned(),
            }),
            Test::Shifts { .. } => Some(match facts.verdict.map(|verdict| verdict.shift) {
                Some(Some(shift)) => {
                    let (from, to) = (unit.format(shift.from), unit.format(shift.to));
                    format!("; its level went from {from} to {to} on {}", self.time(shift.since_ms))
                }
                Some(None) => "; its level has not shifted".to_owned(),
                None => "; what is normal is not known yet".to_owned(),
            }),
            Test::Missing => self.habit(facts.watched.samples.as_ref(), "sample", at_ms),
            Test::Late => self.habit(facts.watched.events.as_ref(), "event", at_ms),
            Test::Inside | Test::ProbabilityBelow { .. } | Test::All(_) | Test::Any(_) => None,
        }
    }

    /// `; its last event was 26h ago, the next was expected Tue 02:00 and had to come by Tue 03:10
    /// (learned from 40)`
    fn habit(&self, habit: Option<&Habitual>, what: &str, at_ms: i64) -> Option<String> {
        let habit = habit?;
        let Some((due, last_ms)) = habit.due().zip(habit.habit().last_ms()) else {
            return Some(format!("; when its next {what} has to come is not known yet"));
        };
        let ago = format_seconds(((at_ms - last_ms) / 1000) as f64);
        let (expected, latest) = (self.time(due.expected_ms), self.time(due.latest_ms));
        let (was, had) = if at_ms > due.latest_ms { ("was", "had") } else { ("is", "has") };
        Some(format!(
            "; its last {what} was {ago} ago, the next {was} expected {expected} and {had} to come \
             by {latest} (learned from {})",
            habit.habit().events()
        ))
    }

    /// `Tue 15:00`
    fn time(&self, time_ms: i64) -> String {
        let week_ms = self.calendar.week_ms(time_ms);
        let weekday = WEEKDAYS[(week_ms / DAY_MS) as usize % 7];
        let (hour, minute) = (week_ms % DAY_MS / HOUR_MS, week_ms % HOUR_MS / 60_000);
        format!("{weekday} {hour:02}:{minute:02}")
    }

    fn normal(
        &self,
        verdict: &Verdict,
        side: Side,
        facts: &Facts<'_>,
        unit: Unit,
        at_ms: i64,
    ) -> String {
        let week_ms = self.calendar.week_ms(at_ms);
        let hour = week_ms % DAY_MS / HOUR_MS;
        let weekday = WEEKDAYS[(week_ms / DAY_MS) as usize % 7];
        let when = match verdict.phase {
            Phase::Week => format!(" for {weekday} {hour:02}:00"),
            Phase::Day => format!(" for {hour:02}:00"),
            Phase::Level | Phase::Cold => String::new(),
        };
        let band = match side {
            _ if verdict.lower == verdict.upper => unit.format(verdict.expected),
            Side::Above | Side::Below | Side::Either => span(unit, verdict.lower, verdict.upper),
        };
        let learned = facts.watched.baseline.as_ref().and_then(Baseline::learned_ms);
        let learned = learned.map(|(first_ms, _)| history(at_ms - first_ms));
        let borrowed = format!("{:.0} %", 100.0 * verdict.borrowed);
        let learned = learned.map_or(String::new(), |text| match verdict.borrowed {
            0.0 => format!(" (learned from {text})"),
            _ => format!(" (learned from {text}, {borrowed} borrowed from its family)"),
        });
        format!("; normal{when} is {band}{learned}")
    }
}

fn gather<'a>(test: &'a Test, visit: &mut dyn FnMut(&'a Test)) {
    match test {
        Test::All(parts) | Test::Any(parts) => {
            for part in parts {
                gather(part, visit);
            }
        }
        _ => visit(test),
    }
}

/// `, falling 12 MiB/min: reaches 0 in 2h 50m (p 93 %, 2h 30m–3h 20m)`
fn reaches(outlook: &Outlook, numbers: &Numbers, within_ms: i64, unit: Unit) -> String {
    let limit = numbers.limit.map_or_else(|| "its limit".to_owned(), |limit| unit.format(limit));
    let ahead = match outlook {
        Outlook::Unknown if numbers.limit.is_none() => return "; it has no limit".to_owned(),
        Outlook::Unknown => return "; where it is heading is not known yet".to_owned(),
        Outlook::Across => return format!(" has reached {limit}"),
        Outlook::Ahead(ahead) => ahead,
    };
    let trend = trend(ahead.slope_per_s, within_ms, unit);
    let p = Unit::Ratio.format(ahead.p);
    let within = format_duration(within_ms);
    let Some(eta_s) = ahead.eta_p50_s else {
        return format!("{trend}: reaches {limit} within {within} with p {p}");
    };
    let eta = format_seconds(eta_s);
    match (ahead.eta_p10_s, ahead.eta_p90_s) {
        (Some(low_s), Some(high_s)) => {
            let (low, high) = (format_seconds(low_s), format_seconds(high_s));
            format!("{trend}: reaches {limit} in {eta} (p {p}, {low}–{high})")
        }
        _ => format!("{trend}: reaches {limit} in {eta} (p {p})"),
    }
}

fn trend(slope_per_s: f64, within_ms: i64, unit: Unit) -> String {
    let word = match slope_per_s {
        slope if slope < 0.0 => "falling",
        slope if slope > 0.0 => "rising",
        _ => return ", steady".to_owned(),
    };
    let (seconds, per) = match within_ms {
        0..600_000 => (1.0, "s"),
        600_000..=DAY_MS => (60.0, "min"),
        _ => (3_600.0, "h"),
    };
    format!(", {word} {}/{per}", unit.format(slope_per_s.abs() * seconds))
}

fn comparison(compare: Compare) -> &'static str {
    match compare {
        Compare::Greater => "above",
        Compare::Less => "below",
        Compare::GreaterOrEqual => "at least",
        Compare::LessOrEqual => "at most",
        Compare::Equal => "equal to",
        Compare::NotEqual => "other than",
    }
}

/// `90–180 ms`: the unit once where both have the same.
fn span(unit: Unit, low: f64, high: f64) -> String {
    let (low, high) = (unit.format(low), unit.format(high));
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, low_unit)), Some((_, high_unit))) if low_unit == high_unit => {
            format!("{number}–{high}")
        }
        _ => format!("{low}–{high}"),
    }
}

/// `8 weeks`, `3 days`, `5 hours`.
fn history(seen_ms: i64) -> String {
    let (count, word) = match seen_ms {
        seen_ms if seen_ms >= 14 * DAY_MS => (seen_ms / (7 * DAY_MS), "week"),
        seen_ms if seen_ms >= 2 * DAY_MS => (seen_ms / DAY_MS, "day"),
        seen_ms => (seen_ms / HOUR_MS, "hour"),
    };
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// What an operator calls the signal: `p99`, the metric's name, or `value`.
fn name_of(signal: &Expr) -> String {
    let signal = signal.without_parens();
    if let Expr::Call(call) = signal
        && call.function.name == "histogram_quantile"
        && let Some(Expr::Number(quantile)) = call.args.first()
    {
        return format!("p{}", crate::series::format_float((quantile.value * 1e6).round() / 1e4));
    }
    let plain = matches!(signal, Expr::Vector(_));
    let names: Vec<&str> =
        signal.selectors().iter().filter_map(|selector| selector.name.as_deref()).collect();
    match (names.as_slice(), signal) {
        ([name], _) if plain => (*name).to_owned(),
        ([name], Expr::Call(call)) if call.function.returns == ValueType::Vector => {
            format!("{} of {name}", call.function.name)
        }
        ([name], Expr::Aggregate(aggregate)) => match aggregate.expr.without_parens() {
            Expr::Call(call) => format!("{} of {name}", call.function.name),
            _ => format!("{} of {name}", aggregate.op),
        },
        _ => "value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Ahead;

    #[test]
    fn signals_are_called_what_operators_call_them() {
        for (expr, expected) in [
            ("node_filesystem_avail_bytes{a=\"b\"}", "node_filesystem_avail_bytes"),
            ("histogram_quantile(0.99, sum by (le) (rate(x_bucket[5m])))", "p99"),
            ("histogram_quantile(0.999, x)", "p99.9"),
            ("sum by (job) (rate(x_total[5m]))", "rate of x_total"),
            ("max(x)", "max of x"),
            ("a / b", "value"),
        ] {
            assert_eq!(name_of(&crate::promql::parse(expr).unwrap()), expected);
        }
    }

    #[test]
    fn a_forecast_reads_as_a_sentence() {
        let mib = 1024.0 * 1024.0;
        let mut ahead = Ahead {
            p: 0.93,
            eta_p10_s: Some(9_000.0),
            eta_p50_s: Some(10_200.0),
            eta_p90_s: Some(12_000.0),
            slope_per_s: -0.2 * mib,
            similar: (0.0, 0.0),
            resets: (0, 0),
        };
        let numbers = Numbers { limit: Some(0.0), ..Numbers::default() };
        let say =
            |ahead: &Ahead| reaches(&Outlook::Ahead(*ahead), &numbers, 12 * HOUR_MS, Unit::Bytes);
        assert_eq!(
            say(&ahead),
            ", falling 12 MiB/min: reaches 0 B in 2h 50m (p 93 %, 2h 30m–3h 20m)"
        );
        (ahead.eta_p50_s, ahead.p) = (None, 0.1);
        assert_eq!(say(&ahead), ", falling 12 MiB/min: reaches 0 B within 12h with p 10 %");
    }

    #[test]
    fn spans_say_their_unit_once() {
        assert_eq!(span(Unit::Seconds, 0.09, 0.18), "90–180 ms");
        assert_eq!(span(Unit::Seconds, 0.9, 1.8), "900 ms–1.8 s");
        assert_eq!(span(Unit::None, 1.0, 2.0), "1–2");
        assert_eq!(history(8 * 7 * DAY_MS), "8 weeks");
    }
}
