#![expect(clippy::unnecessary_wraps, reason = "handlers share one signature")]

use serde_json::{Map, Value, json};

use super::app::App;
use super::error::ApiError;
use super::request::Call;
use super::response::Reply;
use super::route::Answer;
use crate::promql;
use crate::series::{format_duration, format_rfc3339};
use crate::store::NamedCount;

/// The release of Prometheus whose API is answered; clients switch features by it.
pub(super) const PROMETHEUS_VERSION: &str = "3.14.0";

/// `/status/config`: what of the file is in force.
pub(super) fn config(app: &App, _: &Call) -> Answer {
    Ok(Reply::data(&json!({ "yaml": app.config.load().yaml })))
}

/// `/status/flags`: name to text.
pub(super) fn flags(app: &App, _: &Call) -> Answer {
    let flags = app.flags.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    Ok(Reply::data(&flags.collect::<Map<String, Value>>()))
}

/// `/status/runtimeinfo`. The keys of Go's runtime are there, because clients expect them.
pub(super) fn runtime_info(app: &App, _: &Call) -> Answer {
    let proc = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let threads = proc("/proc/self/status")
        .lines()
        .find_map(|line| line.strip_prefix("Threads:")?.trim().parse::<u64>().ok());
    let config = app.config.load();
    Ok(Reply::data(&json!({
        "startTime": format_rfc3339(app.started_ms),
        "CWD": std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
        "hostname": proc("/proc/sys/kernel/hostname"),
        "serverTime": format_rfc3339(app.clock.now_ms()),
        "reloadConfigSuccess": app.reload.successful(),
        "lastConfigTime": format_rfc3339(app.reload.success_ms()),
        "corruptionCount": app.store.status().corruptions_total,
        "goroutineCount": threads.unwrap_or(0),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": format_duration(config.storage.retention_ms),
    })))
}

/// `/status/buildinfo`. Without `features`, by which Grafana would take us for Mimir.
pub(super) fn build_info(_: &App, _: &Call) -> Answer {
    Ok(Reply::data(&build()))
}

/// `/version`: the same, bare.
pub(super) fn version(_: &App, _: &Call) -> Answer {
    Ok(Reply::json(build().to_string().into_bytes()))
}

fn build() -> Value {
    let ours = concat!("forewarn-", env!("CARGO_PKG_VERSION"));
    json!({
        "version": PROMETHEUS_VERSION,
        "revision": ours,
        "branch": ours,
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
}

/// `/status/tsdb`: what the head holds, and where its cardinality comes from.
pub(super) fn tsdb(app: &App, call: &Call) -> Answer {
    let limit = call.parameters.get("limit").unwrap_or("10").parse::<usize>();
    let limit = limit.ok().filter(|limit| (1..=10_000).contains(limit));
    let limit = limit.ok_or_else(|| ApiError::Parameter {
        name: "limit",
        message: "it is a number from 1 to 10000".to_owned(),
    })?;
    let head = app.store.status().head;
    let cardinality = app.store.cardinality(limit);
    let list = |counts: &[NamedCount]| -> Value {
        counts.iter().map(|count| json!({ "name": count.name, "value": count.value })).collect()
    };
    Ok(Reply::data(&json!({
        "headStats": {
            "numSeries": head.series,
            "numLabelPairs": head.label_pairs,
            "chunkCount": head.chunks,
            // What upstream says of an empty head.
            "minTime": head.min_time_ms.unwrap_or(i64::MAX),
            "maxTime": head.max_time_ms.unwrap_or(i64::MIN),
        },
        "seriesCountByMetricName": list(&cardinality.series_by_metric),
        "labelValueCountByLabelName": list(&cardinality.values_by_label),
        "memoryInBytesByLabelName": list(&cardinality.bytes_by_label),
        "seriesCountByLabelValuePair": list(&cardinality.series_by_pair),
    })))
}

/// `/status/tsdb/blocks`: the sealed blocks.
pub(super) fn blocks(app: &App, _: &Call) -> Answer {
    let blocks = app.store.status().blocks.into_iter().map(|block| {
        json!({
            "ulid": block.ulid,
            "minTime": block.min_time_ms,
            "maxTime": block.max_time_ms,
            "stats": {
                "numSamples": block.samples,
                "numSeries": block.series,
                "numChunks": block.chunks,
            },
            "compaction": { "level": 1, "sources": [block.ulid] },
            "version": 1,
        })
    });
    Ok(Reply::data(&json!({ "blocks": blocks.collect::<Vec<_>>() })))
}

/// `/status/walreplay`: the replay of the log, which has ended once this is asked.
pub(super) fn wal_replay(app: &App, _: &Call) -> Answer {
    let recovery = app.store.status().recovery;
    Ok(Reply::data(&json!({
        "min": recovery.first_segment,
        "max": recovery.last_segment,
        "current": recovery.last_segment,
    })))
}

/// `/features`: what of the language and the API is there.
pub(super) fn features(app: &App, _: &Call) -> Answer {
    let on = app.engine.options().features;
    let functions: Map<String, Value> = promql::functions()
        .iter()
        .map(|function| {
            let is_on = !function.experimental || on.experimental_functions;
            (function.name.to_owned(), json!(is_on))
        })
        .collect();
    Ok(Reply::data(&json!({
        "api": { "exclude_alerts": true, "label_values_match": true, "query_stats": true },
        "promql": {
            "anchored": on.extended_ranges,
            "at_modifier": true,
            "delayed_name_removal": on.delayed_name_removal,
            "duration_expr": on.duration_expressions,
            "fill": on.fill_modifiers,
            "negative_offset": true,
            "smoothed": on.extended_ranges,
            "subqueries": true,
        },
        "promql_functions": functions,
        "prometheus": { "remote_write_receiver": true },
    })))
}

/// `/targets`: nothing is scraped.
pub(super) fn targets(_: &App, _: &Call) -> Answer {
    Ok(Reply::data(&json!({
        "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {},
    })))
}

/// `/scrape_pools`: nothing is scraped.
pub(super) fn scrape_pools(_: &App, _: &Call) -> Answer {
    Ok(Reply::data(&json!({ "scrapePools": [] })))
}

/// An endpoint of which a receiver has nothing to tell.
pub(super) fn empty_list(_: &App, _: &Call) -> Answer {
    Ok(Reply::data(&json!([])))
}
