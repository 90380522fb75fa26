//! What a rule stores of a series at each evaluation.

use super::{AlertRule, Numbers};
use crate::series::{Labels, LabelsBuilder, METRIC_NAME};

const WEEK_MS: i64 = 7 * 86_400_000;

/// Adds the numbers that the rule has; `forecasts` are clause, probability and seconds to go.
pub(super) fn numbers(
    rule: &AlertRule,
    series: &Labels,
    numbers: &Numbers,
    forecasts: &[(usize, Option<f64>, Option<f64>)],
    into: &mut Vec<(Labels, f64)>,
) {
    let mut write = |metric: &str, own: &[(&str, &str)], value: Option<f64>| {
        into.extend(value.map(|value| (labels(metric, series, own), value)));
    };
    let own = [("rule", rule.name.as_str())];
    write("forewarn_expected", &own, numbers.expected);
    write("forewarn_lower", &own, numbers.lower);
    write("forewarn_upper", &own, numbers.upper);
    write("forewarn_score", &own, numbers.score);
    for (clause, probability, eta_s) in forecasts {
        let severity = rule.clauses[*clause].severity.as_deref().unwrap_or("");
        let own = [("rule", rule.name.as_str()), ("severity", severity)];
        write("forewarn_probability", &own, *probability);
        write("forewarn_eta_seconds", &own, *eta_s);
    }
}

/// Which of the phases a series is in: judged by `until`, its family's shape or less than a week
/// seen, or learned.
pub(super) fn phase(is_cold: bool, borrows: bool, seen_ms: i64) -> &'static str {
    match (is_cold, borrows || seen_ms < WEEK_MS) {
        (true, _) => "static",
        (false, true) => "blended",
        (false, false) => "learned",
    }
}

pub(super) fn phase_series(rule: &AlertRule, series: &Labels, phase: &str) -> (Labels, f64) {
    let own = [("phase", phase), ("rule", rule.name.as_str())];
    (labels("forewarn_rule_phase", series, &own), 1.0)
}

/// The series' labels with our own; one of the series' that is in the way is kept as `exported_…`.
fn labels(metric: &str, series: &Labels, own: &[(&str, &str)]) -> Labels {
    let mut builder = LabelsBuilder::from(series);
    for (name, value) in own {
        if let Some(found) = series.get(name) {
            let mut kept = format!("exported_{name}");
            while series.get(&kept).is_some() {
                kept.insert_str(0, "exported_");
            }
            builder.set(&kept, found);
        }
        builder.set(name, value);
    }
    builder.set(METRIC_NAME, metric);
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_series_give_way_to_ours() {
        let series = Labels::from_pairs([("rule", "a"), ("exported_rule", "b"), ("job", "c")]);
        assert_eq!(
            labels("m", &series, &[("rule", "R")]).to_string(),
            r#"m{exported_exported_rule="a", exported_rule="b", job="c", rule="R"}"#
        );
    }
}
