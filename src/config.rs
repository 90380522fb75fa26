//! Configuration: a file in Prometheus' shape and flags of Prometheus' names become one checked
//! [`Config`]. Each room receives only its own part.
//!
//! Entry points: [`Flags`] (parsed by the command line) and [`Config::load`], which is also what a
//! reload calls.
//!
//! Invariants: a [`Config`] is usable as it is: every pattern is absolute or relative to the working
//! directory, every URL is complete, every number is within its bounds. A key or flag that is known
//! in Prometheus and whose absence would change what is alerted, who may connect or what is kept is
//! an error that says "not yet"; what merely does not concern a receiver (scraping, remote read) is
//! named in one warning. An unknown key is an error with its place.
//!
//! Absent on purpose: reading rule files' content (rules), and everything that changes at run time.

mod file;
mod flags;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::alerts::AlertmanagerTarget;
use crate::rules::RuleSource;
use crate::series::Labels;
use crate::store::WalSync;

pub use flags::Flags;

/// Everything that was configured, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Interval of rule groups that name none, ms. From the file.
    pub evaluation_interval_ms: i64,
    /// How far in the past rules look, ms. From the file.
    pub rule_query_offset_ms: i64,
    /// Labels that alerts carry to Alertmanager. From the file.
    pub external_labels: Labels,
    /// Patterns of rule files, in the order given. From the file.
    pub rule_patterns: Vec<String>,
    /// Where alerts are sent. From the file.
    pub alertmanagers: Vec<AlertmanagerTarget>,
    /// What the store needs.
    pub storage: Storage,
    /// What the HTTP server needs.
    pub web: Web,
    /// What the query engine needs.
    pub query: Query,
    /// What the alert manager needs.
    pub alerts: Alerts,
    /// What was ignored and why, for the log.
    pub warnings: Vec<String>,
    /// The part that comes from the file, as the API shows it.
    pub yaml: String,
}

/// Where and how long samples are kept.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The data directory.
    pub dir: PathBuf,
    /// Age beyond which samples are dropped, ms, counted from the newest.
    pub retention_ms: i64,
    /// Bytes of blocks and log beyond which the oldest blocks are dropped; 0 is no bound.
    pub retention_bytes: u64,
    /// How late a sample may come, ms.
    pub out_of_order_window_ms: i64,
    /// When the log reaches the disk.
    pub wal_sync: WalSync,
}

/// How the HTTP server behaves.
#[derive(Clone, Debug)]
pub struct Web {
    /// Where it listens.
    pub listen_address: SocketAddr,
    /// How others reach it; without a slash at the end.
    pub external_url: String,
    /// What every path begins with: empty, or `/prefix` without a slash at the end.
    pub route_prefix: String,
    /// How long a request may take to arrive, and a connection may be idle.
    pub read_timeout: Duration,
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// Whether `/-/reload` and `/-/quit` work.
    pub enable_lifecycle: bool,
    /// Whether samples may be deleted and snapshots made over HTTP.
    pub enable_admin_api: bool,
    /// Which origins browsers may read from: an anchored regular expression.
    pub cors_origin: regex::Regex,
}

/// How queries are evaluated.
#[derive(Clone, Debug)]
pub struct Query {
    /// How old the newest sample of a series may be, ms.
    pub lookback_ms: i64,
    /// Longest time for one query.
    pub timeout: Duration,
    /// Queries at once; more wait.
    pub max_concurrency: usize,
    /// Samples that one query may hold in memory.
    pub max_samples: usize,
    /// Names given with `--enable-feature`.
    pub features: Vec<String>,
}

/// How alerts live.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// Longest outage after which the state of alerts is restored, ms.
    pub outage_tolerance_ms: i64,
    /// Least `for` of rules whose state is restored, and least time left after that, ms.
    pub grace_period_ms: i64,
    /// Least time between two sends of the same alert, ms.
    pub resend_delay_ms: i64,
    /// Alerts that wait for each Alertmanager; the oldest are dropped beyond.
    pub queue_capacity: usize,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot read the configuration: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no YAML, or has an unknown key or a value of the wrong kind.
    #[error("{path}: {message}")]
    Yaml {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A value cannot be used.
    #[error("{place}: {message}")]
    Value {
        /// The flag, or the file and key.
        place: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Known in Prometheus, and doing nothing here would be worse than not starting.
    #[error("{place}: not supported yet. {instead}")]
    NotYet {
        /// The flag, or the file and key.
        place: String,
        /// What to do.
        instead: &'static str,
    },
}

impl Config {
    /// Reads the file that the flags name, if any, and puts the flags over it.
    pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
        let file = match &flags.config_file {
            Some(path) => file::read(path)?,
            None => file::File::default(),
        };
        let web = flags.web()?;
        flags.refuse_what_is_not_served()?;
        let file_dir = flags.config_file.as_deref().and_then(Path::parent);
        Ok(Config {
            evaluation_interval_ms: file.evaluation_interval_ms()?,
            rule_query_offset_ms: file.rule_query_offset_ms(),
            external_labels: file.external_labels()?,
            rule_patterns: match &flags.config_file {
                Some(_) => file.rule_patterns(file_dir),
                None => vec!["rules/*.rules".to_owned()],
            },
            alertmanagers: file.alertmanagers()?,
            storage: Storage {
                dir: flags.storage_path.clone(),
                retention_ms: flags
                    .retention_time
                    .or(file.retention_ms())
                    .unwrap_or(flags::RETENTION_DEFAULT_MS),
                retention_bytes: flags.retention_size.or(file.retention_bytes()?).unwrap_or(0),
                out_of_order_window_ms: flags
                    .out_of_order_time_window
                    .or(file.out_of_order_window_ms())
                    .unwrap_or(flags::OUT_OF_ORDER_DEFAULT_MS),
                wal_sync: flags.wal_sync,
            },
            web,
            query: Query {
                lookback_ms: flags.lookback_delta,
                timeout: millis(flags.query_timeout),
                max_concurrency: flags.max_concurrency.max(1),
                max_samples: flags.max_samples,
                features: flags.features.clone(),
            },
            alerts: Alerts {
                outage_tolerance_ms: flags.for_outage_tolerance,
                grace_period_ms: flags.for_grace_period,
                resend_delay_ms: flags.resend_delay,
                queue_capacity: flags.queue_capacity.max(1),
            },
            warnings: file.warnings(),
            yaml: file.shown(),
        })
    }

    /// Finds and reads the rule files, sorted by path, each once.
    ///
    /// A pattern that matches nothing is no error: files may come later.
    pub fn rule_files(&self) -> Result<Vec<RuleSource>, ConfigError> {
        let mut paths = Vec::new();
        for pattern in &self.rule_patterns {
            let bad = |message: String| ConfigError::Value {
                place: format!("rule_files: {pattern}"),
                message,
            };
            for path in glob::glob(pattern).map_err(|error| bad(error.to_string()))? {
                paths.push(path.map_err(|error| bad(error.to_string()))?);
            }
        }
        paths.sort();
        paths.dedup();
        let read = |path: PathBuf| match std::fs::read_to_string(&path) {
            Ok(text) => Ok(RuleSource { name: path.display().to_string(), text }),
            Err(source) => Err(ConfigError::Read { path, source }),
        };
        paths.into_iter().map(read).collect()
    }
}

/// Returns a duration of so many ms, none if negative.
fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::io::Write;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn load(yaml: Option<&str>, flags: &[&str]) -> Result<Config, ConfigError> {
        let mut file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
        file.write_all(yaml.unwrap_or("").as_bytes()).unwrap();
        let mut arguments = vec!["forewarn".to_owned()];
        if yaml.is_some() {
            arguments.push(format!("--config.file={}", file.path().display()));
        }
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Config::load(&Line::try_parse_from(arguments).unwrap().flags)
    }

    #[track_caller]
    fn check_error(yaml: &str, flags: &[&str], expected: &[&str]) {
        let error = load(Some(yaml), flags).expect_err("this configuration is wrong").to_string();
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    #[test]
    fn nothing_configured_is_a_configuration() {
        let config = load(None, &[]).unwrap();
        assert_eq!(config.web.listen_address.to_string(), "127.0.0.1:9909");
        assert_eq!(config.web.external_url, "http://127.0.0.1:9909");
        assert_eq!(config.storage.dir, Path::new("data/"));
        assert_eq!(config.storage.retention_ms, 35 * 86_400_000);
        assert_eq!(config.storage.out_of_order_window_ms, 3_600_000);
        assert_eq!(config.evaluation_interval_ms, 60_000);
        assert_eq!(config.rule_patterns, ["rules/*.rules"]);
        assert!(config.alertmanagers.is_empty() && config.warnings.is_empty());
    }

    #[test]
    fn reads_the_shape_of_prometheus_and_names_what_it_does_not_serve() {
        let yaml = "\
global:
  scrape_interval: 15s
  evaluation_interval: 30s
  external_labels: {cluster: eu, cost: $$5}
rule_files: [rules/*.yml, /etc/rules/*.rules]
scrape_configs:
  - job_name: node
    static_configs: [{targets: [localhost:9100]}]
remote_write:
  - url: http://elsewhere/
    basic_auth: {username: me, password: geheim}
alerting:
  alertmanagers:
    - path_prefix: /am/
      timeout: 5s
      static_configs: [{targets: ['one:9093', 'two:9093']}]
storage:
  tsdb:
    out_of_order_time_window: 30m
    retention: {time: 90d}
";
        let config = load(Some(yaml), &[]).unwrap();
        assert_eq!(config.evaluation_interval_ms, 30_000);
        assert_eq!(config.external_labels.to_string(), r#"{cluster="eu", cost="$5"}"#);
        assert!(config.rule_patterns[0].starts_with('/'), "{:?}", config.rule_patterns);
        assert_eq!(config.rule_patterns[1], "/etc/rules/*.rules");
        let urls: Vec<_> = config.alertmanagers.iter().map(|a| a.url.as_str()).collect();
        assert_eq!(urls, ["http://one:9093/am/api/v2/alerts", "http://two:9093/am/api/v2/alerts"]);
        assert_eq!(config.alertmanagers[0].timeout, Duration::from_secs(5));
        assert_eq!(config.storage.out_of_order_window_ms, 1_800_000);
        assert_eq!(config.storage.retention_ms, 90 * 86_400_000);
        let warnings = config.warnings.join("\n");
        for named in ["scrape_configs", "remote_write", "scrape_interval"] {
            assert!(warnings.contains(named), "{warnings}");
        }
        assert!(!config.yaml.contains("geheim"), "{}", config.yaml);
        assert!(config.yaml.contains("cluster: eu"), "{}", config.yaml);
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let yaml = "storage: {tsdb: {out_of_order_time_window: 30m, retention: {time: 90d}}}";
        let flags =
            ["--storage.tsdb.out-of-order-time-window=10m", "--storage.tsdb.retention.time=7d"];
        let config = load(Some(yaml), &flags).unwrap();
        assert_eq!(config.storage.out_of_order_window_ms, 600_000);
        assert_eq!(config.storage.retention_ms, 7 * 86_400_000);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        check_error("globl: {}", &[], &["unknown field `globl`", "global"]);
        check_error(
            "global:\n  evaluation_intervall: 1m",
            &[],
            &["evaluation_intervall", "line 2"],
        );
        check_error("global:\n  evaluation_interval: 1 minute", &[], &["not a duration", "line 2"]);
        check_error("global: {evaluation_interval: 0s}", &[], &["evaluation_interval", "above 0"]);
        check_error("global: {external_labels: {__name__: x}}", &[], &["__name__"]);
        check_error("global: [", &[], &["line"]);
        let managers = |inner: &str| format!("alerting: {{alertmanagers: [{{{inner}}}]}}");
        check_error(&managers("api_version: v1"), &[], &["api_version", "v2"]);
        check_error(
            &managers("basic_auth: {username: a}"),
            &[],
            &["basic_auth", "not supported yet"],
        );
        check_error(&managers("dns_sd_configs: []"), &[], &["dns_sd_configs", "not supported yet"]);
        check_error(&managers("scheme: https"), &[], &["https", "not supported yet"]);
        check_error(&managers("static_configs: [{targets: ['http://a:1']}]"), &[], &["host:port"]);
        check_error(
            "alerting: {alert_relabel_configs: []}",
            &[],
            &["alert_relabel_configs", "not supported yet"],
        );
        check_error(
            "",
            &["--web.config.file=web.yml"],
            &["--web.config.file", "not supported yet"],
        );
        check_error(
            "",
            &["--web.listen-address=nowhere"],
            &["--web.listen-address", "127.0.0.1:9909"],
        );
        check_error("", &["--web.cors.origin=("], &["--web.cors.origin"]);
        check_error("", &["--web.external-url=ftp://x"], &["--web.external-url", "http"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let line = Line::try_parse_from(["forewarn", "--config.file=/no/such.yml"]).unwrap();
        let error = Config::load(&line.flags).unwrap_err().to_string();
        assert!(error.starts_with("/no/such.yml: cannot read"), "{error}");
    }

    #[test]
    fn the_external_url_leads_to_the_route_prefix() {
        let config = load(None, &["--web.external-url=http://example.org/warn/"]).unwrap();
        assert_eq!(config.web.external_url, "http://example.org/warn");
        assert_eq!(config.web.route_prefix, "/warn");
        let config =
            load(None, &["--web.external-url=http://example.org/warn/", "--web.route-prefix=/"]);
        assert_eq!(config.unwrap().web.route_prefix, "");
        let config = load(None, &["--web.listen-address=:9090"]).unwrap();
        assert_eq!(config.web.listen_address.to_string(), "0.0.0.0:9090");
    }

    #[test]
    fn every_flag_is_shown() {
        use clap::CommandFactory;
        let line = Line::try_parse_from(["forewarn"]).unwrap();
        let shown: Vec<_> = line.flags.shown().into_iter().map(|(name, _)| name).collect();
        let mut known: Vec<_> = Line::command()
            .get_arguments()
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .filter(|name| name != "help")
            .collect();
        known.sort();
        assert_eq!(shown, known);
    }
}
