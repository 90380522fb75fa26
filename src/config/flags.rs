use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use super::{ConfigError, Web, millis};
use crate::series::{DurationError, format_duration, parse_duration};
use crate::store::WalSync;

/// 35 days: rules learn from 28.
pub(super) const RETENTION_DEFAULT_MS: i64 = 35 * 86_400_000;
/// One hour: senders that were cut off come back.
pub(super) const OUT_OF_ORDER_DEFAULT_MS: i64 = 3_600_000;

/// The flags of `forewarn serve`, named as Prometheus names them.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// Configuration in the shape of prometheus.yml. Without one: rules/*.rules, no Alertmanager.
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,

    /// Where to listen.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", default_value = "127.0.0.1:9909")]
    pub listen_address: String,

    /// TLS and authentication; not supported yet.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,

    /// How others reach this server, for links in alerts. Default: the listen address.
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<String>,

    /// What every path begins with. Default: the path of the external URL.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub route_prefix: Option<String>,

    /// How long a request may take to arrive, and a connection may be idle.
    #[arg(long = "web.read-timeout", value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub read_timeout: i64,

    /// Connections at once; more wait.
    #[arg(long = "web.max-connections", value_name = "N", default_value_t = 512)]
    pub max_connections: usize,

    /// Serve POST /-/reload and /-/quit.
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,

    /// Admin API; not supported yet.
    #[arg(long = "web.enable-admin-api")]
    pub enable_admin_api: bool,

    /// Accepted for Prometheus' sake: remote write is always received.
    #[arg(long = "web.enable-remote-write-receiver")]
    pub enable_remote_write_receiver: bool,

    /// Origins that browsers may read from: a regular expression, anchored.
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*")]
    pub cors_origin: String,

    /// Data directory.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data/")]
    pub storage_path: PathBuf,

    /// How long samples are kept. Default: the file's, else 35d.
    #[arg(long = "storage.tsdb.retention.time", value_name = "DURATION", value_parser = parse_duration)]
    pub retention_time: Option<i64>,

    /// Bytes of blocks and log beyond which the oldest blocks are dropped, as 512MB or 1.5TB (units of
    /// 1024); 0 is no limit. Default: the file's, else 0.
    #[arg(long = "storage.tsdb.retention.size", value_name = "BYTES", value_parser = parse_bytes)]
    pub retention_size: Option<u64>,

    /// How late a sample may come. Default: the file's, else 1h.
    #[arg(long = "storage.tsdb.out-of-order-time-window", value_name = "DURATION", value_parser = parse_duration)]
    pub out_of_order_time_window: Option<i64>,

    /// When the log reaches the disk: within this time, or `ack`: before the sender is answered.
    #[arg(long = "wal.sync", value_name = "DURATION|ack", default_value = "100ms", value_parser = wal_sync)]
    pub wal_sync: WalSync,

    /// Longest outage after which pending and firing alerts go on.
    #[arg(long = "rules.alert.for-outage-tolerance", value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub for_outage_tolerance: i64,

    /// Accepted for Prometheus' sake: alerts of every `for` go on where they stood.
    #[arg(long = "rules.alert.for-grace-period", value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub for_grace_period: i64,

    /// Least time between two sends of an alert.
    #[arg(long = "rules.alert.resend-delay", value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub resend_delay: i64,

    /// Alerts that wait for each Alertmanager; the oldest are dropped beyond.
    #[arg(
        long = "alertmanager.notification-queue-capacity",
        value_name = "N",
        default_value_t = 10_000
    )]
    pub queue_capacity: usize,

    /// How old the newest sample of a series may be in a query.
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub lookback_delta: i64,

    /// Longest time for one query.
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "2m", value_parser = parse_duration)]
    pub query_timeout: i64,

    /// Queries at once; more wait.
    #[arg(long = "query.max-concurrency", value_name = "N", default_value_t = 20)]
    pub max_concurrency: usize,

    /// Samples that one query may hold in memory.
    #[arg(long = "query.max-samples", value_name = "N", default_value_t = 50_000_000)]
    pub max_samples: usize,

    /// Optional features, comma separated.
    #[arg(long = "enable-feature", value_name = "NAME", value_delimiter = ',')]
    pub features: Vec<String>,
}

impl Flags {
    /// Returns every flag, name without dashes and value as text, sorted by name.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| {
            path.as_ref().map_or(String::new(), |path| path.display().to_string())
        };
        let wal_sync = match self.wal_sync {
            WalSync::Every(ms) => format_duration(i64::try_from(ms).unwrap_or(i64::MAX)),
            WalSync::Ack => "ack".to_owned(),
            WalSync::OnClose => "on close".to_owned(),
        };
        let mut shown = vec![
            ("config.file", path(&self.config_file)),
            ("web.listen-address", self.listen_address.clone()),
            ("web.config.file", path(&self.web_config_file)),
            ("web.external-url", self.external_url.clone().unwrap_or_default()),
            ("web.route-prefix", self.route_prefix.clone().unwrap_or_default()),
            ("web.read-timeout", format_duration(self.read_timeout)),
            ("web.max-connections", self.max_connections.to_string()),
            ("web.enable-lifecycle", self.enable_lifecycle.to_string()),
            ("web.enable-admin-api", self.enable_admin_api.to_string()),
            ("web.enable-remote-write-receiver", self.enable_remote_write_receiver.to_string()),
            ("web.cors.origin", self.cors_origin.clone()),
            ("storage.tsdb.path", self.storage_path.display().to_string()),
            (
                "storage.tsdb.retention.time",
                format_duration(self.retention_time.unwrap_or(RETENTION_DEFAULT_MS)),
            ),
            ("storage.tsdb.retention.size", format!("{}B", self.retention_size.unwrap_or(0))),
            (
                "storage.tsdb.out-of-order-time-window",
                format_duration(self.out_of_order_time_window.unwrap_or(OUT_OF_ORDER_DEFAULT_MS)),
            ),
            ("wal.sync", wal_sync),
            ("rules.alert.for-outage-tolerance", format_duration(self.for_outage_tolerance)),
            ("rules.alert.for-grace-period", format_duration(self.for_grace_period)),
            ("rules.alert.resend-delay", format_duration(self.resend_delay)),
            ("alertmanager.notification-queue-capacity", self.queue_capacity.to_string()),
            ("query.lookback-delta", format_duration(self.lookback_delta)),
            ("query.timeout", format_duration(self.query_timeout)),
            ("query.max-concurrency", self.max_concurrency.to_string()),
            ("query.max-samples", self.max_samples.to_string()),
            ("enable-feature", self.features.join(",")),
        ];
        shown.sort_unstable();
        shown
    }

    pub(super) fn refuse_what_is_not_served(&self) -> Result<(), ConfigError> {
        let refuse =
            |flag: &str, instead| Err(ConfigError::NotYet { place: format!("--{flag}"), instead });
        if self.web_config_file.is_some() {
            return refuse(
                "web.config.file",
                "Put a reverse proxy with TLS and authentication in front, and listen on 127.0.0.1",
            );
        }
        Ok(())
    }

    pub(super) fn web(&self) -> Result<Web, ConfigError> {
        let wrong = |flag: &str, message: String| ConfigError::Value {
            place: format!("--{flag}"),
            message,
        };
        let listen_address = listen_address(&self.listen_address)
            .map_err(|message| wrong("web.listen-address", message))?;
        let external_url = match &self.external_url {
            Some(url) => external_url(url).map_err(|message| wrong("web.external-url", message))?,
            None => default_external_url(listen_address),
        };
        let prefix = match &self.route_prefix {
            Some(prefix) => prefix.as_str(),
            None => path_of(&external_url),
        };
        let prefix = prefix.trim_matches('/');
        let cors_origin = regex::RegexBuilder::new(&format!("^(?:{})$", self.cors_origin))
            .size_limit(1 << 20)
            .build()
            .map_err(|error| wrong("web.cors.origin", error.to_string()))?;
        Ok(Web {
            listen_address,
            route_prefix: if prefix.is_empty() { String::new() } else { format!("/{prefix}") },
            external_url,
            read_timeout: millis(self.read_timeout),
            max_connections: self.max_connections.max(1),
            enable_lifecycle: self.enable_lifecycle,
            enable_admin_api: self.enable_admin_api,
            cors_origin,
        })
    }
}

fn wal_sync(text: &str) -> Result<WalSync, DurationError> {
    if text == "ack" {
        return Ok(WalSync::Ack);
    }
    Ok(WalSync::Every(parse_duration(text)?.unsigned_abs()))
}

/// Reads `host:port`, `:port` (every interface) and `[v6]:port`.
/// Reads a size as upstream does: a number with B, KB, MB, GB, TB, PB or EB, each 1024 of the one
/// before; a bare number is bytes.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let units = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
    let unit = if unit.is_empty() { "B" } else { unit };
    let power = units.iter().position(|known| known.eq_ignore_ascii_case(unit));
    let bytes = power.zip(number.parse::<f64>().ok());
    let bytes = bytes.map(|(power, number)| number * 1024f64.powi(power as i32));
    match bytes {
        Some(bytes) if (0.0..=i64::MAX as f64).contains(&bytes) => Ok(bytes as u64),
        _ => Err(format!("{text:?} is no size; write one like 512MB or 1.5TB")),
    }
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let advice = "write it as 127.0.0.1:9909, or 0.0.0.0:9909 for every interface";
    let mut found =
        full.to_socket_addrs().map_err(|error| format!("{text:?}: {error}; {advice}"))?;
    found.next().ok_or_else(|| format!("{text:?} has no address; {advice}"))
}

fn external_url(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let host = rest.split('/').next().unwrap_or("");
    let plain =
        rest.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '?' | '#'));
    if !matches!(scheme, "http" | "https") || host.is_empty() || !plain {
        return Err(format!("{text:?} is not a URL like http://forewarn.example.org/"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn default_external_url(listen_address: SocketAddr) -> String {
    if !listen_address.ip().is_unspecified() {
        return format!("http://{listen_address}");
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if name.trim().is_empty() { "localhost" } else { name.trim() };
    format!("http://{name}:{}", listen_address.port())
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_upstream_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512MB", Some(512 << 20)),
            ("1.5kb", Some(1536)),
            ("2TB", Some(2 << 40)),
            ("", None),
            ("MB", None),
            ("-1", None),
            ("1XB", None),
            ("1e30EB", None),
            ("9EB", None),
        ] {
            assert_eq!(parse_bytes(text).ok(), expected, "{text:?}");
        }
    }
}
