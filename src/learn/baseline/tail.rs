use crate::learn::state::Fields;

/// The tail of a distribution of z, as a generalised Pareto over a moving 95 % quantile.
///
/// Source: Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory" (2017), with
/// moments in place of likelihood, so that an update is a few additions.
#[derive(Clone, Debug)]
pub(super) struct ParetoTail {
    /// The moving 95 % quantile, at least [`QUANTILE_MIN`].
    quantile: f64,
    /// Mean excess over it.
    mean: f64,
    /// Mean squared excess.
    square: f64,
    /// Excesses seen.
    count: f64,
}

const QUANTILE_MIN: f64 = 2.0;

impl ParetoTail {
    pub(super) fn new() -> ParetoTail {
        ParetoTail { quantile: QUANTILE_MIN, mean: 0.5, square: 0.5, count: 0.0 }
    }

    /// Returns -log10 of the probability of a z this large or larger.
    pub(super) fn rarity(&self, z: f64) -> f64 {
        const LOG10_20: f64 = 1.301_029_995_663_981_2;
        if z <= self.quantile {
            return LOG10_20 * z / self.quantile;
        }
        let excess = z - self.quantile;
        let variance = self.square - self.mean * self.mean;
        let shape = if variance > 0.0 {
            (0.5 * (1.0 - self.mean * self.mean / variance)).clamp(0.0, 0.3)
        } else {
            0.0
        };
        let nats = if shape < 1e-6 {
            excess / self.mean
        } else {
            libm::log1p(shape * excess / (self.mean * (1.0 - shape))) / shape
        };
        LOG10_20 + nats * std::f64::consts::LOG10_E
    }

    pub(super) fn learn(&mut self, z: f64, samples: f64) {
        let z = z.min(50.0);
        if z > self.quantile {
            self.count += 1.0;
            let gain = (1.0 / (self.count + 10.0)).max(1.0 / 300.0);
            let excess = (z - self.quantile).min(12.0 * self.mean);
            self.mean = (self.mean + gain * (excess - self.mean)).max(0.5);
            self.square = (self.square + gain * (excess * excess - self.square)).max(0.5);
        }
        let step = (0.5 / samples.sqrt()).max(0.01);
        let up = if z > self.quantile { 0.95 } else { -0.05 };
        self.quantile = (self.quantile + step * up).max(QUANTILE_MIN);
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.quantile)?;
        io.f64(&mut self.mean)?;
        io.f64(&mut self.square)?;
        io.f64(&mut self.count)
    }
}

const BINS: usize = 40;
const BIN_FIRST: f64 = 0.5;
/// ln of the ratio of two edges, 1.25.
const BIN_LN: f64 = 0.223_143_551_314_209_76;
/// Below this a z is everyday and counts for nothing.
const PEAK_MIN: f64 = 1.9;
/// Weight of the prior, in samples.
const PRIOR: f64 = 30.0;

/// How often peaks of each height came, one count for a cluster of samples, on one side.
#[derive(Clone, Debug)]
pub(super) struct PeakTail {
    counts: [f64; BINS],
    /// Samples seen, forgotten at the same rate as the counts.
    samples: f64,
    /// The present cluster's highest z.
    peak: f64,
    /// Samples since that peak.
    age: f64,
}

impl PeakTail {
    pub(super) fn new() -> PeakTail {
        PeakTail { counts: [0.0; BINS], samples: 0.0, peak: 0.0, age: f64::MAX }
    }

    /// Returns -log10 of the probability that a stretch of `tau` samples holds a peak this high,
    /// its own cluster left out.
    pub(super) fn rarity(&self, z: f64, tau: f64, cluster: f64) -> f64 {
        let at = bin(z);
        let whole = at.floor();
        let index = whole as usize;
        let mut above: f64 = self.counts[index + 1..].iter().sum();
        above += self.counts[index] * (1.0 - (at - whole));
        if self.age <= cluster {
            let own = bin(self.peak);
            let own_whole = own.floor();
            let counted = if own_whole > whole {
                1.0
            } else if own_whole == whole {
                1.0 - (at - whole)
            } else {
                0.0
            };
            above = (above - counted).max(0.0);
        }
        let spread = 1.0 + z / 3.0;
        let prior = PRIOR / (spread * spread * spread);
        -libm::log10((above + prior) / (self.samples / tau + PRIOR))
    }

    /// Learns from the z of a sample on this side (0 where it lies on the other), `elapsed` samples
    /// after the one before; `memory` samples are remembered.
    pub(super) fn learn(&mut self, z: f64, elapsed: f64, cluster: f64, memory: f64) {
        self.age += elapsed;
        self.samples += 1.0;
        if self.samples > memory {
            self.forget(0.75);
        }
        if z < PEAK_MIN {
            return;
        }
        if self.age > cluster {
            self.counts[bin(z) as usize] += 1.0;
        } else if z > self.peak {
            let before = &mut self.counts[bin(self.peak) as usize];
            let moved = before.min(1.0);
            *before -= moved;
            self.counts[bin(z) as usize] += moved;
        } else {
            return;
        }
        (self.peak, self.age) = (z, 0.0);
    }

    /// Keeps only a share of what was counted.
    pub(super) fn forget(&mut self, keep: f64) {
        self.samples *= keep;
        self.counts.iter_mut().for_each(|count| *count *= keep);
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64s(&mut self.counts)?;
        io.f64(&mut self.samples)?;
        io.f64(&mut self.peak)?;
        io.f64(&mut self.age)
    }
}

/// Returns the place of z among the bins: 3.5 is the middle of the fourth, on a log scale.
fn bin(z: f64) -> f64 {
    (libm::log(z.max(BIN_FIRST) / BIN_FIRST) / BIN_LN).min(BINS as f64 - 0.001)
}
