//! Remote-write bodies, made before any clock runs.

use std::collections::HashMap;

use fastrand::Rng;

use super::fleet::{self, Fleet, SERIES_PER_TARGET, Series};

/// Samples in a request, as Prometheus sends by default.
const SAMPLES_PER_REQUEST: usize = 2_000;
const STEP_MS: i64 = 15_000;

pub(crate) struct Load {
    pub(crate) fleet: Fleet,
    pub(crate) series: usize,
    pub(crate) rounds: usize,
    pub(crate) jitter_ms: i64,
    /// Part of the series that is replaced per hour of data.
    pub(crate) churn: f64,
    pub(crate) protocol: u8,
    pub(crate) end_ms: i64,
}

/// A body, and which senders it belongs to: all of one group go over one connection, in order.
pub(crate) struct Request {
    pub(crate) group: usize,
    pub(crate) round: usize,
    pub(crate) samples: usize,
    pub(crate) body: Vec<u8>,
}

/// What was prepared, and one series to ask for.
pub(crate) struct Payload {
    pub(crate) requests: Vec<Request>,
    pub(crate) samples: usize,
    pub(crate) raw_bytes: usize,
    /// A selector, and how many samples it has in all, where none of its series is replaced.
    pub(crate) probe: (String, usize),
    pub(crate) end_ms: i64,
}

pub(crate) fn prepare(load: &Load) -> Payload {
    let mut random = Rng::with_seed(20_261_125);
    let mut series = fleet::series(load.fleet, load.series, &mut random);
    let targets = load.series.div_ceil(SERIES_PER_TARGET);
    let offsets: Vec<i64> = (0..targets).map(|_| random.i64(0..STEP_MS)).collect();
    let mut order: Vec<usize> = (0..targets).collect();
    order.sort_by_key(|target| offsets[*target]);
    let order: Vec<usize> = order
        .iter()
        .flat_map(|target| {
            target * SERIES_PER_TARGET..((target + 1) * SERIES_PER_TARGET).min(load.series)
        })
        .collect();
    let mut spelled: Vec<Vec<u8>> = series.iter().map(|one| label_section(&one.labels)).collect();
    let start_ms = load.end_ms - load.rounds as i64 * STEP_MS;
    let mut requests = Vec::new();
    let (mut samples, mut raw_bytes) = (0, 0);
    let mut snappy = snap::raw::Encoder::new();
    let per_round = load.churn * load.series as f64 / (3_600_000 / STEP_MS) as f64;
    let mut due = 0.0;
    for round in 0..load.rounds {
        due += if round == 0 { 0.0 } else { per_round };
        while due >= 1.0 {
            due -= 1.0;
            let which = random.usize(0..series.len());
            fleet::replace(&mut series[which], which % SERIES_PER_TARGET, round, &mut random);
            spelled[which] = label_section(&series[which].labels);
        }
        let jitter: Vec<i64> =
            (0..targets)
                .map(|_| {
                    if load.jitter_ms > 0 {
                        random.i64(-load.jitter_ms..=load.jitter_ms)
                    } else {
                        0
                    }
                })
                .collect();
        for (group, part) in order.chunks(SAMPLES_PER_REQUEST).enumerate() {
            let rows: Vec<(usize, i64, f64)> = part
                .iter()
                .map(|at| {
                    let target = series[*at].target;
                    let time_ms =
                        start_ms + round as i64 * STEP_MS + offsets[target] + jitter[target];
                    (*at, time_ms, series[*at].next(&mut random))
                })
                .collect();
            let raw = if load.protocol == 2 { v2(&series, &rows) } else { v1(&spelled, &rows) };
            raw_bytes += raw.len();
            let body = snappy.compress_vec(&raw).unwrap();
            samples += rows.len();
            requests.push(Request { group, round, samples: rows.len(), body });
        }
    }
    let probe = &series[0].labels;
    let text: Vec<_> = probe
        .iter()
        .filter(|(name, _)| name != "__name__")
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let name = &probe.iter().find(|(name, _)| name == "__name__").unwrap().1;
    let probe = (format!("{name}{{{}}}", text.join(",")), load.rounds);
    Payload { requests, samples, raw_bytes, probe, end_ms: load.end_ms }
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn field(into: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    into.push(key);
    varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn sample(time_ms: i64, value: f64) -> Vec<u8> {
    let mut bytes = vec![0x09];
    bytes.extend_from_slice(&value.to_le_bytes());
    bytes.push(0x10);
    varint(&mut bytes, time_ms as u64);
    bytes
}

/// The labels of a 1.0 series.
fn label_section(labels: &[(String, String)]) -> Vec<u8> {
    let mut section = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        field(&mut label, 0x0a, name.as_bytes());
        field(&mut label, 0x12, value.as_bytes());
        field(&mut section, 0x0a, &label);
    }
    section
}

fn v1(spelled: &[Vec<u8>], rows: &[(usize, i64, f64)]) -> Vec<u8> {
    let (mut request, mut series) = (Vec::new(), Vec::new());
    for (at, time_ms, value) in rows {
        series.clear();
        series.extend_from_slice(&spelled[*at]);
        field(&mut series, 0x12, &sample(*time_ms, *value));
        field(&mut request, 0x0a, &series);
    }
    request
}

fn v2(all: &[Series], rows: &[(usize, i64, f64)]) -> Vec<u8> {
    let mut symbols: Vec<&str> = vec![""];
    let mut known: HashMap<&str, u64> = HashMap::new();
    let mut bodies = Vec::new();
    for (at, time_ms, value) in rows {
        let mut refs = Vec::new();
        for text in all[*at].labels.iter().flat_map(|(name, value)| [name, value]) {
            let number = *known.entry(text).or_insert_with(|| {
                symbols.push(text);
                symbols.len() as u64 - 1
            });
            varint(&mut refs, number);
        }
        let mut series = Vec::new();
        field(&mut series, 0x0a, &refs);
        field(&mut series, 0x12, &sample(*time_ms, *value));
        field(&mut bodies, 0x2a, &series);
    }
    let mut request = Vec::new();
    for symbol in symbols {
        field(&mut request, 0x22, symbol.as_bytes());
    }
    request.extend_from_slice(&bodies);
    request
}
