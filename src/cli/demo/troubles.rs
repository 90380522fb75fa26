//! What goes wrong in the demo, and how it is told from what does not.

use crate::promql::{self, Engine, QueryError, QueryOptions, QueryValue, RangeQuery};
use crate::series::Labels;
use crate::store::Snapshot;

/// One trouble, and what there is to compare the warning with.
pub(super) struct Trouble {
    /// What happens, in words.
    pub(super) name: &'static str,
    /// Labels that the alerts over it carry.
    pub(super) labels: [(&'static str, &'static str); 2],
    /// Holds once it has happened.
    pub(super) happens: &'static str,
    /// The rule that most people would have written instead.
    pub(super) static_words: &'static str,
    /// Its expression.
    pub(super) static_rule: &'static str,
}

pub(super) const TROUBLES: [Trouble; 3] = [
    Trouble {
        name: "db1: /var is full",
        labels: [("instance", "db1"), ("mountpoint", "/var")],
        happens: r#"node_filesystem_avail_bytes{instance="db1",mountpoint="/var"} < 1e6"#,
        static_words: "more than 90 % used",
        static_rule: r#"node_filesystem_avail_bytes{instance="db1",mountpoint="/var"} / node_filesystem_size_bytes < 0.1"#,
    },
    Trouble {
        name: "search-2: killed at its memory limit",
        labels: [("instance", "search-2"), ("service", "search")],
        happens: r#"process_resident_memory_bytes{instance="search-2"} >= 0.999 * process_memory_limit_bytes"#,
        static_words: "more than 90 % of the limit",
        static_rule: r#"process_resident_memory_bytes{instance="search-2"} > 0.9 * process_memory_limit_bytes"#,
    },
    Trouble {
        name: "checkout: p99 above 2.5 s, customers leave",
        labels: [("job", "shop"), ("service", "checkout")],
        happens: r#"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{service="checkout"}[5m]))) > 2.5"#,
        static_words: "p99 above 1 s for 5 minutes",
        static_rule: r#"min_over_time((histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{service="checkout"}[5m]))))[5m:1m]) > 1"#,
    },
];

impl Trouble {
    /// Returns whether an alert is about this.
    pub(super) fn is_meant_by(&self, alert: &Labels) -> bool {
        self.labels.iter().all(|(name, value)| alert.get(name) == Some(value))
    }
}

/// Returns when an expression first has a result between two times, by the minute.
pub(super) fn first_time(
    engine: &Engine,
    snapshot: &Snapshot,
    expr: &str,
    (start_ms, end_ms): (i64, i64),
) -> Result<Option<i64>, QueryError> {
    let expr = promql::parse(expr).map_err(QueryError::Parse)?;
    let range = RangeQuery { start_ms, end_ms, step_ms: 60_000 };
    let result = engine.range(snapshot, &expr, range, &QueryOptions::default())?;
    let QueryValue::Matrix(matrix) = result.value else { return Ok(None) };
    Ok(matrix.iter().filter_map(|series| series.points.times_ms.first().copied()).min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_parses() {
        for trouble in TROUBLES {
            for text in [trouble.happens, trouble.static_rule] {
                promql::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
            }
        }
    }
}
