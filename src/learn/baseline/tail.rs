use crate::learn::state::Fields;

/// A z with its logarithm, which both tails and the size term look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Height {
    pub(super) z: f64,
    pub(super) ln: f64,
}

impl Height {
    pub(super) fn new(z: f64) -> Height {
        Height { z, ln: libm::log(z) }
    }

    /// Returns the place among the bins: 3.5 is the middle of the fourth, on a log scale.
    fn bin(self) -> f64 {
        ((self.ln - BIN_FIRST_LN) / BIN_LN).clamp(0.0, BINS as f64 - 0.001)
    }
}

/// The tail of a distribution of z, as a generalised Pareto over a moving 95 % quantile.
///
/// Source: Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory" (2017), with
/// moments in place of likelihood, so that an update is a few additions.
#[derive(Clone, Debug)]
pub(super) struct ParetoTail {
    /// The moving 95 % quantile, at least [`QUANTILE_MIN`].
    quantile: f32,
    /// Mean excess over it.
    mean: f32,
    /// Mean squared excess.
    square: f32,
    /// Excesses seen.
    count: f32,
}

const QUANTILE_MIN: f64 = 2.0;

impl ParetoTail {
    pub(super) fn new() -> ParetoTail {
        ParetoTail { quantile: QUANTILE_MIN as f32, mean: 0.5, square: 0.5, count: 0.0 }
    }

    /// Returns -log10 of the probability of a z this large or larger.
    pub(super) fn rarity(&self, z: f64) -> f64 {
        const LOG10_20: f64 = 1.301_029_995_663_981_2;
        let [quantile, mean, square] = [self.quantile, self.mean, self.square].map(f64::from);
        if z <= quantile {
            return LOG10_20 * z / quantile;
        }
        let excess = z - quantile;
        let variance = square - mean * mean;
        let shape = if variance > 0.0 {
            (0.5 * (1.0 - mean * mean / variance)).clamp(0.0, 0.3)
        } else {
            0.0
        };
        let nats = if shape < 1e-6 {
            excess / mean
        } else {
            libm::log1p(shape * excess / (mean * (1.0 - shape))) / shape
        };
        LOG10_20 + nats * std::f64::consts::LOG10_E
    }

    /// Learns from the z of a sample; `samples` were learned.
    pub(super) fn learn(&mut self, z: f64, samples: f64) {
        let (z, quantile) = (z.min(50.0), f64::from(self.quantile));
        if z > quantile {
            self.count += 1.0;
            let gain = (1.0 / (f64::from(self.count) + 10.0)).max(1.0 / 300.0);
            let [mean, square] = [self.mean, self.square].map(f64::from);
            let excess = (z - quantile).min(12.0 * mean);
            self.mean = (mean + gain * (excess - mean)).max(0.5) as f32;
            self.square = (square + gain * (excess * excess - square)).max(0.5) as f32;
        }
        let step = if samples < 2500.0 { 0.5 / samples.sqrt() } else { 0.01 };
        let up = if z > quantile { 0.95 } else { -0.05 };
        self.quantile = (quantile + step * up).max(QUANTILE_MIN) as f32;
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.quantile)?;
        io.f32(&mut self.mean)?;
        io.f32(&mut self.square)?;
        io.f32(&mut self.count)
    }
}

const BINS: usize = 40;
/// ln 0.5, where the first bin begins.
const BIN_FIRST_LN: f64 = -std::f64::consts::LN_2;
/// ln of the ratio of two edges, 1.25.
const BIN_LN: f64 = 0.223_143_551_314_209_76;
/// Below this a z is everyday and counts for nothing.
const PEAK_MIN: f64 = 1.9;
/// Weight of the prior, in samples.
const PRIOR: f64 = 30.0;
/// Counts are kept in sixteenths.
const COUNT: f64 = 1.0 / 16.0;
const ONE: u16 = 16;

/// How often peaks of each height came, one count for a cluster of samples, on one side.
#[derive(Clone, Debug)]
pub(super) struct PeakTail {
    counts: [u16; BINS],
    /// Samples seen, forgotten at the same rate as the counts.
    samples: f32,
    /// Place among the bins of the present cluster's highest z.
    peak: f32,
    /// Samples since that peak.
    age: f32,
}

impl PeakTail {
    pub(super) fn new() -> PeakTail {
        PeakTail { counts: [0; BINS], samples: 0.0, peak: 0.0, age: f32::MAX }
    }

    /// Returns -log10 of the probability that a stretch of `tau` samples holds a peak this high,
    /// its own cluster left out.
    pub(super) fn rarity(&self, height: Height, tau: f64, cluster: f64) -> f64 {
        let at = height.bin();
        let (index, part) = (at as usize, at.fract());
        let higher: u32 = self.counts[index + 1..].iter().map(|count| u32::from(*count)).sum();
        let own_bin = f64::from(self.counts[index]) * (1.0 - part);
        let mut above = (f64::from(higher) + own_bin) * COUNT;
        if f64::from(self.age) <= cluster {
            let counted = match (self.peak as usize).cmp(&index) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 1.0 - part,
                std::cmp::Ordering::Less => 0.0,
            };
            above = (above - counted).max(0.0);
        }
        let spread = 1.0 + height.z / 3.0;
        let prior = PRIOR / (spread * spread * spread);
        libm::log10((f64::from(self.samples) / tau + PRIOR) / (above + prior))
    }

    /// Learns from the height of a sample on this side (none where it lies on the other), `elapsed`
    /// samples after the one before; `memory` samples are remembered.
    pub(super) fn learn(
        &mut self,
        height: Option<Height>,
        elapsed: f64,
        cluster: f64,
        memory: f64,
    ) {
        self.age = (f64::from(self.age) + elapsed) as f32;
        self.samples += 1.0;
        if f64::from(self.samples) > memory {
            self.forget(0.75);
        }
        let Some(height) = height.filter(|height| height.z >= PEAK_MIN) else { return };
        let at = height.bin();
        if f64::from(self.age) > cluster {
            self.count(at, ONE);
        } else if at > f64::from(self.peak) {
            let before = &mut self.counts[self.peak as usize];
            let moved = (*before).min(ONE);
            *before -= moved;
            self.count(at, moved);
        } else {
            return;
        }
        (self.peak, self.age) = (at as f32, 0.0);
    }

    fn count(&mut self, at: f64, sixteenths: u16) {
        let count = &mut self.counts[at as usize];
        *count = count.saturating_add(sixteenths);
    }

    /// Keeps only a share of what was counted.
    pub(super) fn forget(&mut self, keep: f64) {
        self.samples = (f64::from(self.samples) * keep) as f32;
        let kept = |count: u16| (f64::from(count) * keep).round() as u16;
        self.counts.iter_mut().for_each(|count| *count = kept(*count));
    }

    /// Keeps what so many samples would weigh.
    pub(super) fn forget_beyond(&mut self, samples: f64) {
        self.forget((samples / f64::from(self.samples).max(1.0)).min(1.0));
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        self.counts.iter_mut().try_for_each(|count| io.u16(count))?;
        io.f32(&mut self.samples)?;
        io.f32(&mut self.peak)?;
        self.peak = self.peak.clamp(0.0, BINS as f32 - 1.0);
        io.f32(&mut self.age)
    }
}
