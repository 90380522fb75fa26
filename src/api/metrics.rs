use hyper::StatusCode;
use hyper::header::ACCEPT;

use super::app::App;
use super::exposition::{Exposition, Kind};
use super::http_counters::{BUCKETS_SECONDS, Durations};
use super::process;
use super::request::Call;
use super::response::Reply;
use super::route::Answer;
use super::status::PROMETHEUS_VERSION;
use crate::alerts::{AlertState, AlertmanagerStatus, GroupView};

/// `/metrics`: our own, under upstream's names where we mean the same.
#[expect(clippy::unnecessary_wraps, reason = "handlers share one signature")]
pub(super) fn metrics(app: &App, call: &Call) -> Answer {
    let accept = call.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut out = Exposition::new(accept.contains("application/openmetrics-text"));
    server(app, &mut out);
    store(app, &mut out);
    http(app, &mut out);
    rules(app, &mut out);
    notifications(app, &mut out);
    process::push(&mut out, app.started_ms);
    let (content_type, text) = out.finish();
    Ok(Reply::new(StatusCode::OK, content_type, text.into_bytes()))
}

/// Seconds, of ms.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn server(app: &App, out: &mut Exposition) {
    const OURS: &str = env!("CARGO_PKG_VERSION");
    out.family("forewarn_build_info", Kind::Info, "Which Forewarn this is.")
        .value(&[("version", OURS)], 1);
    out.family("prometheus_build_info", Kind::Info, "Which Prometheus this is compatible with.")
        .value(
            &[
                ("version", PROMETHEUS_VERSION),
                ("revision", concat!("forewarn-", env!("CARGO_PKG_VERSION"))),
            ],
            1,
        );
    out.family("prometheus_ready", Kind::Gauge, "Whether startup is over.").value(&[], 1);
    out.family(
        "prometheus_config_last_reload_successful",
        Kind::Gauge,
        "Whether the last reload of the configuration took effect.",
    )
    .value(&[], u8::from(app.reload.successful()));
    out.family(
        "prometheus_config_last_reload_success_timestamp_seconds",
        Kind::Gauge,
        "When the configuration in force was read.",
    )
    .value(&[], seconds(app.reload.success_ms()));
}

fn store(app: &App, out: &mut Exposition) {
    let status = app.store.status();
    for (name, help, value) in [
        ("prometheus_tsdb_head_series", "Series in the head.", status.head.series),
        ("prometheus_tsdb_head_chunks", "Chunks in the head.", status.head.chunks),
        ("forewarn_head_samples", "Samples in the head.", status.head.samples),
        ("prometheus_tsdb_blocks_loaded", "Sealed blocks.", status.blocks.len() as u64),
        (
            "prometheus_tsdb_storage_blocks_bytes",
            "Bytes of the sealed blocks.",
            status.blocks.iter().map(|block| block.size_bytes).sum(),
        ),
        ("forewarn_wal_bytes", "Bytes of the write-ahead log.", status.log.size_bytes),
        (
            "forewarn_wal_refusing_writes",
            "Whether the log cannot be written, so that senders get 5xx.",
            u64::from(status.log.refusing.is_some()),
        ),
    ] {
        out.family(name, Kind::Gauge, help).value(&[], value);
    }
    let oldest_ms = status.blocks.iter().map(|block| block.min_time_ms);
    if let Some(oldest_ms) = oldest_ms.chain(status.head.min_time_ms).min() {
        let help = "Time of the oldest sample stored.";
        out.family("prometheus_tsdb_lowest_timestamp_seconds", Kind::Gauge, help)
            .value(&[], seconds(oldest_ms));
    }
    for (name, help, value) in [
        (
            "prometheus_tsdb_head_samples_appended_total",
            "Samples stored since the start.",
            status.samples_appended_total,
        ),
        (
            "prometheus_tsdb_out_of_order_samples_total",
            "Samples stored late since the start.",
            status.out_of_order_samples_total,
        ),
        (
            "forewarn_samples_refused_total",
            "Samples refused since the start: duplicates, too old, too far in the future.",
            status.refused_samples_total,
        ),
        (
            "prometheus_api_remote_write_invalid_labels_samples_total",
            "Samples refused since the start because the labels of their series are invalid.",
            app.receiver.invalid_labels_samples_total(),
        ),
        (
            "prometheus_tsdb_wal_corruptions_total",
            "Damaged records and chunks met since the start.",
            status.corruptions_total,
        ),
        (
            "prometheus_tsdb_compactions_total",
            "Blocks written since the start.",
            status.compactions_total,
        ),
        (
            "prometheus_tsdb_compactions_failed_total",
            "Rounds of maintenance that failed since the start.",
            status.compactions_failed_total,
        ),
    ] {
        out.family(name, Kind::Counter, help).value(&[], value);
    }
    let help = "Series of requests, by how they were found: as the one that followed last time, by \
                their hash, or by their labels because they were new.";
    let found = out.family("forewarn_series_lookups_total", Kind::Counter, help);
    for (how, value) in [
        ("predicted", status.lookups_predicted_total),
        ("hashed", status.lookups_hashed_total),
        ("new", status.lookups_missed_total),
    ] {
        found.value(&[("found", how)], value);
    }
}

fn http(app: &App, out: &mut Exposition) {
    let counts = app.http.counts();
    out.family("prometheus_http_requests_total", Kind::Counter, "Requests by handler and status.");
    for ((handler, code), count) in &counts.requests {
        out.value(&[("code", &code.to_string()), ("handler", handler)], count);
    }
    let help = "How long requests took.";
    out.family("prometheus_http_request_duration_seconds", Kind::Histogram, help);
    for (handler, durations) in &counts.durations {
        histogram(out, ("handler", handler), durations);
    }
    let help = "How long queries were evaluated.";
    out.family("prometheus_engine_query_duration_seconds", Kind::Summary, help)
        .part("_sum", &[("slice", "inner_eval")], counts.queries.sum_seconds)
        .part("_count", &[("slice", "inner_eval")], counts.queries.count);
    let help = "Queries being evaluated.";
    out.family("prometheus_engine_queries", Kind::Gauge, help).value(&[], counts.queries_running);
    let help = "Queries that may be evaluated at once.";
    out.family("prometheus_engine_queries_concurrent_max", Kind::Gauge, help)
        .value(&[], app.config.load().query.max_concurrency);
}

fn histogram(out: &mut Exposition, label: (&str, &str), durations: &Durations) {
    let mut within = 0;
    for (bound, count) in BUCKETS_SECONDS.iter().zip(durations.buckets) {
        within += count;
        out.part("_bucket", &[label, ("le", &bound.to_string())], within);
    }
    out.part("_bucket", &[label, ("le", "+Inf")], durations.count);
    out.part("_sum", &[label], durations.sum_seconds);
    out.part("_count", &[label], durations.count);
}

/// A metric of each rule group.
type OfGroup = fn(&GroupView) -> Option<f64>;

fn rules(app: &App, out: &mut Exposition) {
    let view = app.rules.load();
    let metrics: [(&str, Kind, &str, OfGroup); 8] = [
        ("prometheus_rule_evaluations_total", Kind::Counter, "Evaluations of rules.", |group| {
            Some(group.evaluations as f64)
        }),
        (
            "prometheus_rule_evaluation_failures_total",
            Kind::Counter,
            "Evaluations of rules that failed.",
            |group| Some(group.evaluation_failures as f64),
        ),
        (
            "prometheus_rule_group_iterations_total",
            Kind::Counter,
            "Evaluations of groups.",
            |group| Some(group.iterations as f64),
        ),
        (
            "prometheus_rule_group_iterations_missed_total",
            Kind::Counter,
            "Evaluations of groups that were skipped, because one took longer than the interval.",
            |group| Some(group.iterations_missed as f64),
        ),
        (
            "prometheus_rule_group_interval_seconds",
            Kind::Gauge,
            "How often a group is evaluated.",
            |group| Some(seconds(group.interval_ms)),
        ),
        (
            "prometheus_rule_group_last_duration_seconds",
            Kind::Gauge,
            "How long the last evaluation of a group took.",
            |group| Some(group.evaluation_time.as_secs_f64()),
        ),
        (
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            Kind::Gauge,
            "When a group was last evaluated.",
            |group| group.last_evaluation_ms.map(seconds),
        ),
        (
            "prometheus_rule_group_last_evaluation_samples",
            Kind::Gauge,
            "Samples that the last evaluation of a group stored.",
            |group| Some(group.last_samples as f64),
        ),
    ];
    let key = |group: &GroupView| format!("{};{}", group.file, group.name);
    for (name, kind, help, of_group) in metrics {
        out.family(name, kind, help);
        for group in &view.groups {
            if let Some(value) = of_group(group) {
                out.value(&[("rule_group", &key(group))], value);
            }
        }
    }
    let help = "How long evaluations of groups took.";
    out.family("prometheus_rule_group_duration_seconds", Kind::Summary, help);
    for group in &view.groups {
        let key = key(group);
        out.part("_sum", &[("rule_group", &key)], group.duration_total.as_secs_f64());
        out.part("_count", &[("rule_group", &key)], group.iterations);
    }
    let help = "Alerts by state.";
    out.family("forewarn_alerts", Kind::Gauge, help);
    for state in [AlertState::Pending, AlertState::Firing] {
        let count = view.alerts().filter(|alert| alert.state == state).count();
        out.value(&[("state", state.word())], count);
    }
}

/// A metric of each Alertmanager.
type OfAlertmanager = fn(&AlertmanagerStatus) -> u64;

fn notifications(app: &App, out: &mut Exposition) {
    let all = app.notifier.status();
    let metrics: [(&str, Kind, &str, OfAlertmanager); 5] = [
        (
            "prometheus_notifications_sent_total",
            Kind::Counter,
            "Alerts handed to requests.",
            |status| status.sent,
        ),
        (
            "prometheus_notifications_errors_total",
            Kind::Counter,
            "Alerts of requests that failed.",
            |status| status.errors,
        ),
        (
            "prometheus_notifications_dropped_total",
            Kind::Counter,
            "Alerts dropped: the queue was full, or their request failed.",
            |status| status.dropped,
        ),
        (
            "prometheus_notifications_queue_length",
            Kind::Gauge,
            "Alerts that wait to be sent.",
            |status| status.queue_length as u64,
        ),
        (
            "prometheus_notifications_queue_capacity",
            Kind::Gauge,
            "Alerts that may wait to be sent.",
            |status| status.queue_capacity as u64,
        ),
    ];
    for (name, kind, help, of_alertmanager) in metrics {
        out.family(name, kind, help);
        for status in &all {
            out.value(&[("alertmanager", &status.url)], of_alertmanager(status));
        }
    }
    let help = "How long requests to Alertmanagers took.";
    out.family("prometheus_notifications_latency_seconds", Kind::Summary, help);
    for status in &all {
        let label = [("alertmanager", status.url.as_str())];
        out.part("_sum", &label, status.latency_total.as_secs_f64());
        out.part("_count", &label, status.requests);
    }
    let help = "Alertmanagers that alerts are sent to.";
    out.family("prometheus_notifications_alertmanagers_discovered", Kind::Gauge, help)
        .value(&[], all.len());
}
