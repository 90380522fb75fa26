#![expect(clippy::unnecessary_wraps, reason = "handlers share one signature")]

use serde_json::{Map, Value, json};

use super::app::App;
use super::error::ApiError;
use super::request::Call;
use super::response::Reply;
use crate::series::{format_duration, format_rfc3339};

/// The release of Prometheus whose API is answered; clients switch features by it.
const PROMETHEUS_VERSION: &str = "3.14.0";

/// `/status/config`: what of the file is in force.
pub(super) fn config(app: &App, _: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::data(&json!({ "yaml": app.config.load().yaml })))
}

/// `/status/flags`: name to text.
pub(super) fn flags(app: &App, _: &Call) -> Result<Reply, ApiError> {
    let flags = app.flags.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    Ok(Reply::data(&flags.collect::<Map<String, Value>>()))
}

/// `/status/runtimeinfo`. The keys of Go's runtime are there, because clients expect them.
pub(super) fn runtime_info(app: &App, _: &Call) -> Result<Reply, ApiError> {
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
        "reloadConfigSuccess": true,
        "lastConfigTime": format_rfc3339(app.started_ms),
        "corruptionCount": 0,
        "goroutineCount": threads.unwrap_or(0),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": format_duration(config.storage.retention_ms),
    })))
}

/// `/status/buildinfo`. Without `features`, by which Grafana would take us for Mimir.
pub(super) fn build_info(_: &App, _: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::data(&build()))
}

/// `/version`: the same, bare.
pub(super) fn version(_: &App, _: &Call) -> Result<Reply, ApiError> {
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

/// `/targets`: nothing is scraped.
pub(super) fn targets(_: &App, _: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::data(&json!({
        "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {},
    })))
}

/// `/scrape_pools`: nothing is scraped.
pub(super) fn scrape_pools(_: &App, _: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::data(&json!({ "scrapePools": [] })))
}

/// An endpoint of which a receiver has nothing to tell.
pub(super) fn empty_list(_: &App, _: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::data(&json!([])))
}
