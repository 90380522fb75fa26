//! Fleets of targets whose series behave like those of node_exporter and of applications.

use fastrand::Rng;

/// Series of one target.
pub(crate) const SERIES_PER_TARGET: usize = 500;

/// Where the series of its processors begin among those of a host.
const PROCESSORS_AT: usize = 400;

const MODES: [&str; 8] = ["user", "system", "idle", "iowait", "irq", "softirq", "nice", "steal"];

/// How the values of a series come about.
#[derive(Clone, Copy)]
enum Kind {
    Constant,
    /// Counts in hundredths, as CPU seconds.
    Hundredths(f64),
    Counter(f64),
    /// Counts of 0.001, as node_exporter's disk seconds.
    Product(f64),
    Pages,
    Decimals(f64, u8),
    Small,
    /// Grows by something of full precision.
    Sum,
    Ratio,
}

/// A series and its present value.
pub(crate) struct Series {
    /// Sorted by name.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) target: usize,
    kind: Kind,
    state: f64,
}

/// What to make fleets of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fleet {
    Node,
    App,
    /// Half of each.
    Mixed,
}

/// About normal, with variance 1.
fn noise(random: &mut Rng) -> f64 {
    (0..6).map(|_| random.f64()).sum::<f64>() * 1.414 - 4.243
}

impl Series {
    /// Goes on by one scrape, and returns the value.
    pub(crate) fn next(&mut self, random: &mut Rng) -> f64 {
        let poisson =
            |random: &mut Rng, rate: f64| (rate + rate.sqrt() * noise(random)).max(0.0).round();
        match self.kind {
            Kind::Constant => self.state,
            Kind::Hundredths(rate) => {
                self.state += poisson(random, rate);
                self.state / 100.0
            }
            Kind::Counter(rate) => {
                self.state += poisson(random, rate);
                self.state
            }
            Kind::Product(rate) => {
                self.state += poisson(random, rate);
                self.state * 0.001
            }
            Kind::Pages => {
                self.state = (self.state + (noise(random) * 500.0).round()).max(0.0);
                self.state * 4096.0
            }
            Kind::Decimals(spread, digits) => {
                let power = 10f64.powi(i32::from(digits));
                self.state += noise(random) * spread;
                (self.state * power).round() / power
            }
            Kind::Small => f64::from(random.u8(0..6)),
            Kind::Sum => {
                self.state += random.f64() * 3.0;
                self.state
            }
            Kind::Ratio => random.f64(),
        }
    }
}

/// Makes the series of a fleet, target after target. `generation` renames the targets, as a new
/// deployment does.
pub(crate) fn series(fleet: Fleet, count: usize, random: &mut Rng) -> Vec<Series> {
    (0..count)
        .map(|number| {
            let (target, place) = (number / SERIES_PER_TARGET, number % SERIES_PER_TARGET);
            let node = match fleet {
                Fleet::Node => true,
                Fleet::App => false,
                Fleet::Mixed => target % 2 == 0,
            };
            let (labels, kind) =
                if node { of_node(target, place) } else { of_app(target, place, 0) };
            Series { labels, target, kind, state: start(kind, random) }
        })
        .collect()
}

/// Replaces a series by one of a new pod.
pub(crate) fn replace(series: &mut Series, place: usize, generation: usize, random: &mut Rng) {
    let (labels, kind) = of_app(series.target, place, generation);
    *series = Series { labels, target: series.target, kind, state: start(kind, random) };
}

fn start(kind: Kind, random: &mut Rng) -> f64 {
    match kind {
        Kind::Constant => [0.0, 1.0, f64::from(random.u32(..)), 4096.0 * f64::from(random.u32(..))]
            [random.usize(0..4)],
        Kind::Decimals(..) => 20.0 + random.f64() * 60.0,
        _ => f64::from(random.u32(0..1_000_000)),
    }
}

fn labels(pairs: &[(&str, String)]) -> Vec<(String, String)> {
    let mut labels: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    labels.sort();
    labels
}

fn of_node(target: usize, place: usize) -> (Vec<(String, String)>, Kind) {
    // Two thirds of a host's series do not move.
    let rate = 0.5 + (place % 40) as f64 * 7.0;
    let kind = match place % 20 {
        0..13 => Kind::Constant,
        13..16 => Kind::Hundredths(rate),
        16 => Kind::Counter(rate * 50.0),
        17 => Kind::Pages,
        18 => Kind::Product(rate),
        _ => Kind::Decimals(0.05, 2),
    };
    // Eight modes of each of eight processors are one metric; the others have eight series each.
    let (name, device, mode) = match place.checked_sub(PROCESSORS_AT) {
        Some(at @ 0..64) => ("node_cpu_seconds_total".to_owned(), at / 8, MODES[at % 8]),
        _ => (format!("node_metric_{}_total", place / 8), place % 8, MODES[place % 4]),
    };
    let labels = labels(&[
        ("__name__", name),
        ("cluster", "production-eu-1".to_owned()),
        ("datacenter", "eu-central-1a".to_owned()),
        ("device", format!("dev{device}")),
        ("environment", "production".to_owned()),
        ("instance", format!("node-{target:05}.example.net:9100")),
        ("job", "node-exporter".to_owned()),
        ("mode", mode.to_owned()),
    ]);
    (labels, kind)
}

fn of_app(target: usize, place: usize, generation: usize) -> (Vec<(String, String)>, Kind) {
    let rate = 10f64.powf((place % 7) as f64 * 0.5 - 0.5);
    let kind = match place % 50 {
        0..22 => Kind::Counter(rate),
        22..25 => Kind::Sum,
        25..36 => Kind::Counter(rate * 10.0),
        36..39 => Kind::Pages,
        39..41 => Kind::Decimals(0.1, 1),
        41..43 => Kind::Decimals(5.0, 2),
        43..46 => Kind::Small,
        46 => Kind::Ratio,
        _ => Kind::Constant,
    };
    let name = if place % 50 < 22 { "bucket" } else { "total" };
    let labels = labels(&[
        ("__name__", format!("http_server_metric_{}_{name}", place / 25)),
        ("cluster", "production-eu-1".to_owned()),
        ("container", "app".to_owned()),
        (
            "instance",
            format!("10.{}.{}.{}:8080", target / 62_500, target / 250 % 250, target % 250),
        ),
        ("job", "kubernetes-pods".to_owned()),
        ("le", format!("{}", 0.005 * f64::from(1u32 << (place % 25 / 2)))),
        ("namespace", format!("team-{}", target % 40)),
        ("path", format!("/api/v1/resource-{}", place % 25)),
        ("pod", format!("checkout-7d9f8c6b5{generation:x}-{target:05}")),
    ]);
    (labels, kind)
}
