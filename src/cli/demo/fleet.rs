//! The hosts and services of the demo: what they would have reported, minute by minute.

use crate::ingest::proto::v1::{Label, Sample, TimeSeries, WriteRequest};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: f64 = 24.0 * HOUR_MS;
const GIB: f64 = 1_073_741_824.0;

/// Upper bounds of the latency histogram, s.
const BOUNDS: [f64; 14] =
    [0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0];
/// Spread of latencies: the standard deviation of their logarithm.
const LATENCY_SIGMA: f64 = 0.6;

/// Ten hosts and four services. What it reports is a function of the time it was made for and of
/// the seed of its noise.
pub(super) struct Fleet {
    random: fastrand::Rng,
    end_ms: i64,
    hosts: Vec<Host>,
    services: Vec<Service>,
    series: Vec<TimeSeries>,
    /// The next series to get a sample.
    at: usize,
}

struct Host {
    name: &'static str,
    /// Phase of what differs from host to host, 0 to 1.
    phase: f64,
    cpu_seconds: [f64; 3],
}

struct Service {
    name: &'static str,
    requests_per_s: f64,
    median_s: f64,
    succeeded: f64,
    failed: f64,
    buckets: [f64; BOUNDS.len() + 1],
    sum_s: f64,
}

const HOSTS: [&str; 10] =
    ["web1", "web2", "web3", "web4", "db1", "db2", "cache1", "queue1", "backup1", "log1"];
const SERVICES: [(&str, f64, f64); 4] = [
    ("checkout", 12.0, 0.06),
    ("search", 40.0, 0.05),
    ("catalog", 30.0, 0.08),
    ("login", 8.0, 0.07),
];

impl Fleet {
    /// Returns a fleet whose troubles lie in the hours before `end_ms`.
    pub(super) fn new(end_ms: i64, seed: u64) -> Fleet {
        let host = |(at, name)| Host {
            name,
            phase: at as f64 / HOSTS.len() as f64,
            cpu_seconds: [0.0; 3],
        };
        let service = |(name, requests_per_s, median_s)| Service {
            name,
            requests_per_s,
            median_s,
            succeeded: 0.0,
            failed: 0.0,
            buckets: [0.0; BOUNDS.len() + 1],
            sum_s: 0.0,
        };
        Fleet {
            random: fastrand::Rng::with_seed(seed),
            end_ms,
            hosts: (0usize..).zip(HOSTS).map(host).collect(),
            services: SERVICES.map(service).into(),
            series: Vec::new(),
            at: 0,
        }
    }

    /// Returns what is reported after `from_ms` up to `to_ms`, each minute. Must be asked in the
    /// order of time.
    pub(super) fn report(&mut self, from_ms: i64, to_ms: i64) -> WriteRequest {
        self.series.iter_mut().for_each(|series| series.samples.clear());
        let mut time_ms = from_ms + MINUTE_MS;
        while time_ms <= to_ms {
            self.at = 0;
            self.report_hosts(time_ms);
            self.report_services(time_ms);
            time_ms += MINUTE_MS;
        }
        WriteRequest { timeseries: self.series.clone(), ..WriteRequest::default() }
    }

    /// Returns the number of series.
    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Hours until the end, negative before.
    fn hours(&self, time_ms: i64) -> f64 {
        (time_ms - self.end_ms) as f64 / HOUR_MS
    }

    /// About normal, standard deviation 1.
    fn noise(&mut self) -> f64 {
        (0..4).map(|_| self.random.f64()).sum::<f64>() * 1.732 - 3.464
    }

    fn push(&mut self, time_ms: i64, labels: &[(&str, &str)], value: f64) {
        if self.at == self.series.len() {
            let label = |(name, value): &(&str, &str)| Label {
                name: (*name).into(),
                value: (*value).into(),
            };
            let mut labels: Vec<Label> = labels.iter().map(label).collect();
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            self.series.push(TimeSeries { labels, ..TimeSeries::default() });
        }
        self.series[self.at].samples.push(Sample { value, timestamp: time_ms });
        self.at += 1;
    }

    fn report_hosts(&mut self, time_ms: i64) {
        let hours = self.hours(time_ms);
        let day = time_ms as f64 / DAY_MS;
        for index in 0..self.hosts.len() {
            let (name, phase) = (self.hosts[index].name, self.hosts[index].phase);
            let load = (busy(time_ms) * (0.8 + 0.2 * phase)).max(0.0);
            let used = match name {
                // Every night it packs and ships for forty minutes.
                "backup1" if (0.09..0.118).contains(&(day + 0.2).fract()) => 0.93,
                "backup1" => 0.08,
                _ => 0.12 + 0.45 * load,
            };
            let used = (used + 0.02 * self.noise()).clamp(0.01, 0.99);
            let seconds = [1.0 - used, 0.7 * used, 0.3 * used].map(|share| 60.0 * share);
            for (at, mode) in ["idle", "user", "system"].into_iter().enumerate() {
                self.hosts[index].cpu_seconds[at] += seconds[at];
                let value = self.hosts[index].cpu_seconds[at];
                self.host_metric(
                    time_ms,
                    "node_cpu_seconds_total",
                    name,
                    &[("cpu", "0"), ("mode", mode)],
                    value,
                );
            }
            let load1 = (4.0 * used + 0.2 * self.noise()).max(0.0);
            self.host_metric(time_ms, "node_load1", name, &[], load1);

            let total = 32.0 * GIB;
            let free = match name {
                "cache1" => 0.12 + 0.004 * self.noise(),
                _ => 0.55 - 0.15 * load + 0.01 * self.noise(),
            };
            self.host_metric(time_ms, "node_memory_MemTotal_bytes", name, &[], total);
            self.host_metric(
                time_ms,
                "node_memory_MemAvailable_bytes",
                name,
                &[],
                (total * free).round(),
            );

            // Logs grow all day and are rotated at a time of each host's own.
            let rotated = 0.62 + 0.08 * (day + phase).fract();
            self.disk(time_ms, name, "/", 50.0 * GIB, rotated);
            let var = match name {
                // The trouble: an archive that no longer leaves this disk.
                "db1" => 0.58 + 0.0005 * self.noise() + 0.42 * ramp(hours, -8.0, -1.0),
                _ => 0.45 + 0.2 * phase + 0.002 * self.noise(),
            };
            self.disk(time_ms, name, "/var", 200.0 * GIB, var);
        }
    }

    fn disk(&mut self, time_ms: i64, host: &str, mountpoint: &str, size: f64, used: f64) {
        let labels = [("fstype", "ext4"), ("mountpoint", mountpoint)];
        let available = (size * (1.0 - used) / 4096.0).max(0.0).floor() * 4096.0;
        let inodes = size / 16_384.0;
        for (name, value) in [
            ("node_filesystem_size_bytes", size),
            ("node_filesystem_avail_bytes", available),
            ("node_filesystem_files", inodes),
            ("node_filesystem_files_free", (inodes * (0.95 - 0.1 * used)).floor()),
        ] {
            self.host_metric(time_ms, name, host, &labels, value);
        }
    }

    fn host_metric(
        &mut self,
        time_ms: i64,
        name: &str,
        host: &str,
        more: &[(&str, &str)],
        value: f64,
    ) {
        let labels = [("__name__", name), ("instance", host), ("job", "node")];
        self.push(time_ms, &[&labels, more].concat(), value);
    }

    fn report_services(&mut self, time_ms: i64) {
        let hours = self.hours(time_ms);
        for index in 0..self.services.len() {
            let Service { name, requests_per_s, median_s, .. } = self.services[index];
            let load = busy(time_ms);
            let requests = 60.0 * requests_per_s * (0.3 + 0.7 * load) * (1.0 + 0.05 * self.noise());
            let slower = match name {
                // The trouble: a query plan that gets worse with every hour.
                "checkout" => 1.0 + 0.6 * (hours + 6.0).max(0.0).powf(1.5),
                // An innocent: a deployment that costs a tenth.
                "catalog" if hours > -19.0 => 1.1,
                _ => 1.0,
            };
            let median_s = median_s * (1.0 + 0.5 * load) * slower;
            self.serve(index, requests, median_s);
            self.report_requests(time_ms, index);

            let limit = 2.0 * GIB;
            for instance in ["1", "2"] {
                let used = match (name, instance) {
                    // The trouble: a leak.
                    ("search", "2") => 0.5 + 0.5 * ramp(hours, -15.0, -2.0),
                    // An innocent: restarted with a larger cache.
                    ("login", "1") if hours > -10.0 => 0.55,
                    ("login", _) => 0.4,
                    _ => 0.5 + 0.1 * load,
                };
                let used = (used + 0.004 * self.noise()).clamp(0.0, 1.0);
                let instance = format!("{name}-{instance}");
                for (metric, value) in [
                    ("process_resident_memory_bytes", (limit * used).round()),
                    ("process_memory_limit_bytes", limit),
                ] {
                    let labels = [
                        ("__name__", metric),
                        ("instance", &instance),
                        ("job", "shop"),
                        ("service", name),
                    ];
                    self.push(time_ms, &labels, value);
                }
            }
        }
    }

    /// Lets a service answer the requests of a minute.
    fn serve(&mut self, index: usize, requests: f64, median_s: f64) {
        let failed = (requests * (0.003 + 0.0005 * self.noise())).max(0.0).round();
        let mut below = 0.0;
        let bounds = BOUNDS.iter().copied().chain([f64::INFINITY]);
        for (bucket, bound) in bounds.enumerate() {
            let upto = requests * log_normal(bound, median_s);
            let exact = upto - below;
            below = upto;
            let counted = (exact + exact.sqrt() * self.noise()).max(0.0).round();
            self.services[index].buckets[bucket] += counted;
        }
        let service = &mut self.services[index];
        service.sum_s += requests * median_s * (LATENCY_SIGMA * LATENCY_SIGMA / 2.0).exp();
        service.failed += failed;
        service.succeeded += (requests - failed).round();
    }

    fn report_requests(&mut self, time_ms: i64, index: usize) {
        let service = &self.services[index];
        let (name, codes) = (service.name, [("200", service.succeeded), ("500", service.failed)]);
        let (buckets, sum_s) = (service.buckets, service.sum_s);
        let fixed = [("instance", "shop:8080"), ("job", "shop"), ("service", name)];
        let mut metric = |metric: &str, more: &[(&str, &str)], value: f64| {
            self.push(time_ms, &[&[("__name__", metric)][..], &fixed, more].concat(), value);
        };
        for (code, value) in codes {
            metric("http_requests_total", &[("code", code)], value);
        }
        let mut count = 0.0;
        for (bucket, bound) in buckets.into_iter().zip(BOUNDS) {
            count += bucket;
            let bound = bound.to_string();
            metric("http_request_duration_seconds_bucket", &[("le", &bound)], count);
        }
        count += buckets[BOUNDS.len()];
        metric("http_request_duration_seconds_bucket", &[("le", "+Inf")], count);
        metric("http_request_duration_seconds_count", &[], count);
        metric("http_request_duration_seconds_sum", &[], sum_s);
    }
}

/// How busy a working week is, 0 to 1: a hump each day, half as high at the weekend.
fn busy(time_ms: i64) -> f64 {
    let day = time_ms as f64 / DAY_MS;
    // The epoch was a Thursday.
    let weekday = (time_ms.div_euclid(DAY_MS as i64) + 3).rem_euclid(7);
    let height = if weekday >= 5 { 0.5 } else { 1.0 };
    height * (0.5 - 0.5 * libm::cos(std::f64::consts::TAU * (day.fract() - 0.1)))
}

/// Rises from 0 to 1 between two times.
fn ramp(at: f64, from: f64, to: f64) -> f64 {
    ((at - from) / (to - from)).clamp(0.0, 1.0)
}

/// The share of latencies up to `bound_s`.
fn log_normal(bound_s: f64, median_s: f64) -> f64 {
    if bound_s.is_infinite() {
        return 1.0;
    }
    let z = libm::log(bound_s / median_s) / LATENCY_SIGMA;
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_the_same_in_one_piece_or_many() {
        let end_ms = 1_700_000_040_000;
        let from_ms = end_ms - 100 * MINUTE_MS;
        let whole = Fleet::new(end_ms, 1).report(from_ms, end_ms);
        assert!(whole.timeseries.iter().all(|series| series.samples.len() == 100));
        let mut pieces = Fleet::new(end_ms, 1);
        let first = pieces.report(from_ms, from_ms + 40 * MINUTE_MS);
        let second = pieces.report(from_ms + 40 * MINUTE_MS, end_ms);
        for (at, series) in whole.timeseries.iter().enumerate() {
            let joined =
                [&first.timeseries[at].samples[..], &second.timeseries[at].samples].concat();
            assert_eq!(series.samples, joined);
            assert_eq!(series.labels, second.timeseries[at].labels);
        }
    }
}
