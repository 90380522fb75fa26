//! The queries of a dashboard, and what each costs a server.

use std::time::Duration;

use forewarn::env::{Clock, SystemClock};

use super::Size;
use super::http::{HttpClient, encode};
use super::peer::Peer;

/// A query is repeated for so long, and at least [`REPEATS_MIN`] times.
const REPEATED_FOR: Duration = Duration::from_millis(1500);
const REPEATS_MIN: usize = 5;

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) enum Query {
    /// An expression at the end of the data.
    Instant(&'static str),
    /// An expression over the last so many minutes, at steps of so many seconds.
    Range(&'static str, i64, i64),
    /// A path that takes `start` and `end`.
    Path(&'static str),
}

const DAY: i64 = 24 * 60;

/// Returns the queries that make sense on a load, each with a name.
pub(crate) fn of(load: Size) -> Vec<(&'static str, Query)> {
    use Query::{Instant, Path, Range};
    let quantile = "histogram_quantile(0.99, sum by (le) (rate(http_server_metric_0_bucket[5m])))";
    if matches!(load, Size::Long) {
        let thousand = "{__name__=~\"node_metric_([0-9]|[123][0-9]|4[01])_total\"}";
        let summed = "sum({__name__=~\"node_metric_([0-9]|[123][0-9]|4[01])_total\"})";
        return vec![
            (
                "one series, 24 h",
                Range(
                    "node_metric_2_total{instance=\"node-00000.example.net:9100\",device=\"dev3\"}",
                    DAY,
                    60,
                ),
            ),
            ("1,008 series, 24 h, raw", Range(thousand, DAY, 60)),
            ("1,008 series, 24 h, summed", Range(summed, DAY, 60)),
            (
                "sum by (mode) of rate, 24 series, 24 h",
                Range("sum by (mode) (rate(node_metric_2_total[5m]))", DAY, 60),
            ),
            ("quantile of 66 buckets, 24 h", Range(quantile, DAY, 60)),
            (
                "rate over an hour, 66 series, 24 h",
                Range("sum(rate(http_server_metric_0_bucket[1h]))", DAY, 60),
            ),
            (
                "subquery, 24 series, 24 h",
                Range("max_over_time(sum(rate(node_metric_2_total[5m]))[1h:1m])", DAY, 300),
            ),
        ];
    }
    vec![
        (
            "one series",
            Instant(
                "node_metric_2_total{instance=\"node-00000.example.net:9100\",device=\"dev3\"}",
            ),
        ),
        ("a gauge of 70 hosts", Instant("node_metric_2_total{device=\"dev3\"}")),
        ("regex over 560 series", Instant("node_metric_2_total{instance=~\"node-000[0-3].*\"}")),
        ("topk(10) of 560 series", Instant("topk(10, node_metric_2_total)")),
        (
            "join of 560 series",
            Instant(
                "node_metric_2_total * on (instance, device) group_left () node_metric_3_total",
            ),
        ),
        (
            "sum by (mode) of rate, 560 series",
            Instant("sum by (mode) (rate(node_metric_2_total[5m]))"),
        ),
        (
            "sum by (mode) of rate, 4,480 series",
            Instant("sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
        ),
        ("quantile of 1,540 buckets", Instant(quantile)),
        ("predict_linear, 560 series", Instant("predict_linear(node_metric_2_total[30m], 3600)")),
        ("sum by (mode) of 35,000 series", Instant("sum by (mode) ({job=\"node-exporter\"})")),
        ("count by (job) of all", Instant("count by (job) ({__name__=~\".+\"})")),
        ("count of all", Instant("count({__name__=~\".+\"})")),
        (
            "sum by (mode) of rate, 560 series, 30 min",
            Range("sum by (mode) (rate(node_metric_2_total[5m]))", 30, 15),
        ),
        ("quantile of 1,540 buckets, 30 min", Range(quantile, 30, 15)),
        ("560 series, 30 min", Range("node_metric_2_total", 30, 15)),
        (
            "subquery, 560 series",
            Instant("max_over_time(sum(rate(node_metric_2_total[5m]))[30m:1m])"),
        ),
        ("values of a label", Path("/api/v1/label/instance/values?")),
        ("series of a metric", Path("/api/v1/series?match[]=node_metric_2_total&")),
    ]
}

/// What a query took.
pub(crate) struct Cost {
    pub(crate) cpu_ms: f64,
    pub(crate) median_ms: f64,
    pub(crate) bytes: usize,
}

/// Asks again and again, over one connection; `None` without an answer.
pub(crate) fn measure(server: &Peer, query: Query, end_ms: i64) -> Option<Cost> {
    let clock = SystemClock::new();
    let path = path(server, query, end_ms);
    let client = HttpClient::new(format!("http://127.0.0.1:{}", server.port));
    let ask = || client.get(&path).ok().filter(|answer| answer.status == 200);
    let bytes = ask()?.body.len();
    let (cpu_s, from) = (server.cpu_s(), clock.elapsed());
    let mut took = Vec::new();
    while took.len() < REPEATS_MIN || clock.elapsed().saturating_sub(from) < REPEATED_FOR {
        let began = clock.elapsed();
        ask()?;
        took.push(clock.elapsed().saturating_sub(began));
    }
    let cpu_ms = (server.cpu_s() - cpu_s) * 1e3 / took.len() as f64;
    took.sort_unstable();
    Some(Cost { cpu_ms, median_ms: took[took.len() / 2].as_secs_f64() * 1e3, bytes })
}

fn path(server: &Peer, query: Query, end_ms: i64) -> String {
    let time = |time_ms: i64| format!("{}.{:03}", time_ms / 1000, time_ms % 1000);
    let (path, parameters) = match query {
        Query::Instant(expr) => {
            ("/api/v1/query?", vec![("query", expr.to_owned()), ("time", time(end_ms))])
        }
        Query::Range(expr, minutes, step_s) => (
            "/api/v1/query_range?",
            vec![
                ("query", expr.to_owned()),
                ("start", time(end_ms - minutes * 60_000)),
                ("end", time(end_ms)),
                ("step", step_s.to_string()),
            ],
        ),
        Query::Path(path) => {
            (path, vec![("start", time(end_ms - 3_600_000)), ("end", time(end_ms))])
        }
    };
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, &**value)).collect();
    format!("{path}{}{}", encode(&parameters), server.uncached())
}
