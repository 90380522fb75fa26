use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use serde_yaml_ng::Value;

use super::flags::parse_bytes;
use super::{ConfigError, millis};
use crate::alerts::AlertmanagerTarget;
use crate::series::{Labels, format_duration, parse_duration};

/// The configuration file. What Prometheus knows and we do not serve is a [`Value`]: present or not.
#[derive(Debug, Default, serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(skip)]
    path: PathBuf,
    #[serde(default)]
    global: Global,
    #[serde(default)]
    rule_files: Vec<String>,
    #[serde(default)]
    alerting: Alerting,
    #[serde(default)]
    storage: StorageSection,
    #[serde(skip_serializing)]
    scrape_configs: Option<Value>,
    #[serde(skip_serializing)]
    scrape_config_files: Option<Value>,
    #[serde(skip_serializing)]
    remote_write: Option<Value>,
    #[serde(skip_serializing)]
    remote_read: Option<Value>,
    #[serde(skip_serializing)]
    tracing: Option<Value>,
    #[serde(skip_serializing)]
    otlp: Option<Value>,
    #[serde(skip_serializing)]
    runtime: Option<Value>,
}

#[derive(Debug, serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Global {
    #[serde(default = "one_minute")]
    evaluation_interval: Millis,
    #[serde(default)]
    rule_query_offset: Millis,
    #[serde(default)]
    external_labels: BTreeMap<String, String>,
    #[serde(skip_serializing)]
    scrape_interval: Option<Value>,
    #[serde(skip_serializing)]
    scrape_timeout: Option<Value>,
    #[serde(skip_serializing)]
    scrape_protocols: Option<Value>,
    #[serde(skip_serializing)]
    scrape_failure_log_file: Option<Value>,
    #[serde(skip_serializing)]
    scrape_native_histograms: Option<Value>,
    #[serde(skip_serializing)]
    always_scrape_classic_histograms: Option<Value>,
    #[serde(skip_serializing)]
    convert_classic_histograms_to_nhcb: Option<Value>,
    #[serde(skip_serializing)]
    extra_scrape_metrics: Option<Value>,
    #[serde(skip_serializing)]
    body_size_limit: Option<Value>,
    #[serde(skip_serializing)]
    sample_limit: Option<Value>,
    #[serde(skip_serializing)]
    label_limit: Option<Value>,
    #[serde(skip_serializing)]
    label_name_length_limit: Option<Value>,
    #[serde(skip_serializing)]
    label_value_length_limit: Option<Value>,
    #[serde(skip_serializing)]
    target_limit: Option<Value>,
    #[serde(skip_serializing)]
    keep_dropped_targets: Option<Value>,
    #[serde(skip_serializing)]
    metric_name_validation_scheme: Option<Value>,
    #[serde(skip_serializing)]
    metric_name_escaping_scheme: Option<Value>,
    #[serde(skip_serializing)]
    query_log_file: Option<Value>,
    #[serde(skip_serializing)]
    runtime: Option<Value>,
}

#[derive(Debug, Default, serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Alerting {
    #[serde(default)]
    alertmanagers: Vec<AlertmanagerGroup>,
    #[serde(skip_serializing)]
    alert_relabel_configs: Option<Value>,
}

#[derive(Debug, serde::Deserialize, Serialize)]
struct AlertmanagerGroup {
    #[serde(default = "http")]
    scheme: String,
    #[serde(default)]
    path_prefix: String,
    #[serde(default = "ten_seconds")]
    timeout: Millis,
    #[serde(default = "v2")]
    api_version: String,
    #[serde(default)]
    static_configs: Vec<StaticConfig>,
    #[serde(flatten, skip_serializing)]
    others: BTreeMap<String, Value>,
}

/// Labels of targets matter to relabelling alone, which is refused.
#[derive(Debug, serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StaticConfig {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(rename = "labels", skip_serializing)]
    _labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StorageSection {
    #[serde(default)]
    tsdb: Tsdb,
    #[serde(skip_serializing)]
    exemplars: Option<Value>,
}

#[derive(Debug, Default, serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Tsdb {
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_order_time_window: Option<Millis>,
    #[serde(default)]
    retention: Retention,
    #[serde(skip_serializing)]
    stale_series_compaction_threshold: Option<Value>,
}

#[derive(Debug, Default, serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Millis>,
    #[serde(skip_serializing)]
    size: Option<Value>,
    #[serde(skip_serializing)]
    percentage: Option<Value>,
}

impl Default for Global {
    fn default() -> Global {
        serde_yaml_ng::from_str("{}").expect("every key has a default")
    }
}

/// Keys of an Alertmanager group that Prometheus knows; each changes where or how alerts go.
const ALERTMANAGER_KEYS: [&str; 29] = [
    "alert_relabel_configs",
    "authorization",
    "azure_sd_configs",
    "basic_auth",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "enable_http2",
    "file_sd_configs",
    "follow_redirects",
    "gce_sd_configs",
    "google_iam",
    "http_headers",
    "http_sd_configs",
    "kubernetes_sd_configs",
    "linode_sd_configs",
    "no_proxy",
    "nomad_sd_configs",
    "oauth2",
    "openstack_sd_configs",
    "proxy_connect_header",
    "proxy_from_environment",
    "proxy_url",
    "relabel_configs",
    "sigv4",
    "tls_config",
];

/// Reads and parses the file.
pub(super) fn read(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    // An empty document is YAML's null.
    let parsed: Option<File> = serde_yaml_ng::from_str(&text)
        .map_err(|error| ConfigError::Yaml { path: path.to_owned(), message: error.to_string() })?;
    Ok(File { path: path.to_owned(), ..parsed.unwrap_or_default() })
}

impl File {
    pub(super) fn evaluation_interval_ms(&self) -> Result<i64, ConfigError> {
        match self.global.evaluation_interval.0 {
            1.. => Ok(self.global.evaluation_interval.0),
            _ => Err(self.wrong("global.evaluation_interval", "must be above 0")),
        }
    }

    pub(super) fn rule_query_offset_ms(&self) -> i64 {
        self.global.rule_query_offset.0
    }

    pub(super) fn out_of_order_window_ms(&self) -> Option<i64> {
        self.storage.tsdb.out_of_order_time_window.map(|window| window.0)
    }

    pub(super) fn retention_bytes(&self) -> Result<Option<u64>, ConfigError> {
        let Some(size) = &self.storage.tsdb.retention.size else { return Ok(None) };
        let text = match size {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        parse_bytes(&text).map(Some).map_err(|message| ConfigError::Value {
            place: "storage.tsdb.retention.size".to_owned(),
            message,
        })
    }

    pub(super) fn retention_ms(&self) -> Option<i64> {
        self.storage.tsdb.retention.time.map(|time| time.0)
    }

    pub(super) fn external_labels(&self) -> Result<Labels, ConfigError> {
        let labels = &self.global.external_labels;
        if labels.contains_key("") || labels.contains_key(crate::series::METRIC_NAME) {
            return Err(
                self.wrong("global.external_labels", "a label name is neither empty nor __name__")
            );
        }
        Ok(Labels::from_pairs(labels.iter().map(|(name, value)| (name, expand(value)))))
    }

    /// Patterns are relative to the file's directory.
    pub(super) fn rule_patterns(&self, dir: Option<&Path>) -> Vec<String> {
        let dir = dir.unwrap_or(Path::new(""));
        self.rule_files.iter().map(|pattern| dir.join(pattern).display().to_string()).collect()
    }

    pub(super) fn alertmanagers(&self) -> Result<Vec<AlertmanagerTarget>, ConfigError> {
        if self.alerting.alert_relabel_configs.is_some() {
            return Err(self.not_yet(
                "alerting.alert_relabel_configs",
                "Set labels in the rules, and drop alerts by a route in Alertmanager",
            ));
        }
        let mut all = Vec::new();
        for (index, group) in self.alerting.alertmanagers.iter().enumerate() {
            let key = |name: &str| format!("alerting.alertmanagers[{index}].{name}");
            if let Some(other) = group.others.keys().next() {
                if !ALERTMANAGER_KEYS.contains(&other.as_str()) {
                    return Err(self.wrong(&key(other), "unknown key"));
                }
                return Err(self.not_yet(&key(other), "Use static_configs and plain http"));
            }
            if group.api_version != "v2" {
                return Err(self.wrong(&key("api_version"), "only v2 is spoken"));
            }
            match group.scheme.as_str() {
                "http" => {}
                "https" => {
                    return Err(self.not_yet(&key("scheme: https"), "Use http, or a local proxy"));
                }
                _ => return Err(self.wrong(&key("scheme"), "must be http")),
            }
            let prefix = group.path_prefix.trim_matches('/');
            let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
            for target in group.static_configs.iter().flat_map(|config| &config.targets) {
                let url = format!("http://{target}{prefix}/api/v2/alerts");
                let plain = !target.is_empty() && !target.contains(['/', '@', ' ', '?', '#']);
                if !plain || url.parse::<hyper::Uri>().is_err() {
                    let message = format!("{target:?} is no target; write it as host:port");
                    return Err(self.wrong(&key("static_configs"), &message));
                }
                all.push(AlertmanagerTarget { url, timeout: millis(group.timeout.0) });
            }
        }
        Ok(all)
    }

    /// Says which parts of the file do nothing here.
    pub(super) fn warnings(&self) -> Vec<String> {
        let named = |parts: &[(&str, &Option<Value>)]| {
            let present = parts.iter().filter(|(_, value)| value.is_some());
            present.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let sections = named(&[
            ("scrape_configs", &self.scrape_configs),
            ("scrape_config_files", &self.scrape_config_files),
            ("remote_write", &self.remote_write),
            ("remote_read", &self.remote_read),
            ("tracing", &self.tracing),
            ("otlp", &self.otlp),
            ("runtime", &self.runtime),
            ("storage.exemplars", &self.storage.exemplars),
            ("storage.tsdb.retention.percentage", &self.storage.tsdb.retention.percentage),
            (
                "storage.tsdb.stale_series_compaction_threshold",
                &self.storage.tsdb.stale_series_compaction_threshold,
            ),
            ("global.query_log_file", &self.global.query_log_file),
            ("global.runtime", &self.global.runtime),
        ]);
        let global = &self.global;
        let scraping = named(&[
            ("scrape_interval", &global.scrape_interval),
            ("scrape_timeout", &global.scrape_timeout),
            ("scrape_protocols", &global.scrape_protocols),
            ("scrape_failure_log_file", &global.scrape_failure_log_file),
            ("scrape_native_histograms", &global.scrape_native_histograms),
            ("always_scrape_classic_histograms", &global.always_scrape_classic_histograms),
            ("convert_classic_histograms_to_nhcb", &global.convert_classic_histograms_to_nhcb),
            ("extra_scrape_metrics", &global.extra_scrape_metrics),
            ("body_size_limit", &global.body_size_limit),
            ("sample_limit", &global.sample_limit),
            ("label_limit", &global.label_limit),
            ("label_name_length_limit", &global.label_name_length_limit),
            ("label_value_length_limit", &global.label_value_length_limit),
            ("target_limit", &global.target_limit),
            ("keep_dropped_targets", &global.keep_dropped_targets),
            ("metric_name_validation_scheme", &global.metric_name_validation_scheme),
            ("metric_name_escaping_scheme", &global.metric_name_escaping_scheme),
        ]);
        let mut warnings = Vec::new();
        if !sections.is_empty() {
            warnings.push(format!("ignored, not served here: {sections}"));
        }
        if !scraping.is_empty() {
            warnings.push(format!(
                "ignored, Forewarn receives remote write and does not scrape: global {scraping}"
            ));
        }
        warnings
    }

    /// Returns what of the file is in force, as YAML. Holds no secret: what has one is not served.
    pub(super) fn shown(&self) -> String {
        serde_yaml_ng::to_string(self)
            .unwrap_or_else(|error| format!("# the configuration cannot be shown: {error}\n"))
    }

    fn wrong(&self, key: &str, message: &str) -> ConfigError {
        let place = format!("{}: {key}", self.path.display());
        ConfigError::Value { place, message: message.to_owned() }
    }

    fn not_yet(&self, key: &str, instead: &'static str) -> ConfigError {
        ConfigError::NotYet { place: format!("{}: {key}", self.path.display()), instead }
    }
}

/// Puts environment variables in: `$NAME`, `${NAME}`; `$$` is a dollar; what is not set is empty.
fn expand(text: &str) -> String {
    let name = regex::Regex::new(r"\$(?:\$|\{([^}]*)\}|(\w+))").expect("the pattern is constant");
    let value = |found: &regex::Captures<'_>| match found.get(1).or(found.get(2)) {
        Some(name) => std::env::var(name.as_str()).unwrap_or_default(),
        None => "$".to_owned(),
    };
    name.replace_all(text, value).into_owned()
}

/// A Prometheus duration in the file, ms.
#[derive(Clone, Copy, Debug, Default)]
struct Millis(i64);

fn one_minute() -> Millis {
    Millis(60_000)
}

fn ten_seconds() -> Millis {
    Millis(10_000)
}

fn http() -> String {
    "http".to_owned()
}

fn v2() -> String {
    "v2".to_owned()
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Millis;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration like 30s or 1h30m")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Millis, E> {
                parse_duration(text).map(Millis).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Millis, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(self.0))
    }
}
