use super::tempo::Tempo;
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
/// Excesses within a cluster's time of each other are one run, of which only the highest counts, so
/// that an incident weighs the same however long it lasts: q is the size over which a run begins
/// once in twenty samples, and what is learned over it are the peaks of runs. A peak of more than
/// twenty mean excesses says nothing of how the others are spread, and is learned as a mean one
/// until another came within 255 runs: one incident leaves the tail as it was.
///
/// Sources: Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory" (2017), with
/// moments in place of likelihood, so that an update is a few additions; runs declustering: Smith
/// and Weissman, "Estimating the Extremal Index" (1994).
#[derive(Clone, Debug)]
pub(super) struct ParetoTail {
    /// The moving quantile, at least [`QUANTILE_MIN`].
    quantile: f32,
    /// Mean excess over it, of runs.
    mean: f32,
    /// Mean squared excess.
    square: f32,
    /// Runs seen, and those since one held an odd excess; the most is never.
    count: u16,
    since_odd: u8,
    /// The highest excess of the present run, and samples since its last.
    peak: f32,
    age: f32,
}

const QUANTILE_MIN: f64 = 2.0;
/// The runs that the mean excess averages over.
const RUNS: f64 = 300.0;
/// An excess counts for at most so many mean ones.
const EXCESS_MAX: f64 = 6.0;
/// An excess of more mean ones is odd.
const ODD: f64 = 20.0;

impl ParetoTail {
    pub(super) fn new() -> ParetoTail {
        let quantile = QUANTILE_MIN as f32;
        ParetoTail {
            quantile,
            mean: 0.5,
            square: 0.5,
            count: 0,
            since_odd: u8::MAX,
            peak: 0.0,
            age: f32::MAX,
        }
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

    /// Learns from the z of a sample; excesses within `cluster` samples are one run.
    pub(super) fn learn(&mut self, z: f64, cluster: f64, tempo: &Tempo) {
        let (quantile, samples) = (f64::from(self.quantile), tempo.samples);
        let step = if samples < 2500.0 { 0.5 / samples.sqrt() } else { 0.01 };
        self.age = (f64::from(self.age) + tempo.elapsed) as f32;
        if z <= quantile {
            self.quantile = (quantile - 0.05 * step).max(QUANTILE_MIN) as f32;
            return;
        }
        let (excess, mean) = (z - quantile, f64::from(self.mean));
        let (begins, is_odd) = (f64::from(self.age) > cluster, excess > ODD * mean);
        let is_alone = is_odd && !(begins && self.since_odd < u8::MAX);
        let excess = excess.min(if is_alone { mean } else { EXCESS_MAX * mean });
        if begins {
            self.quantile = (quantile + 0.95 * step) as f32;
            self.count = self.count.saturating_add(1);
            self.since_odd = self.since_odd.saturating_add(1);
            self.learn_excess(excess, [self.mean, self.square].map(f64::from));
        } else if excess > f64::from(self.peak) {
            let peak = f64::from(self.peak);
            self.learn_excess(excess, [peak, peak * peak]);
        }
        if is_odd {
            self.since_odd = 0;
        }
        self.age = 0.0;
    }

    /// Learns the excess of a run, in place of what counted for it before.
    fn learn_excess(&mut self, excess: f64, [mean, square]: [f64; 2]) {
        let gain = 1.0 / (f64::from(self.count) + 10.0).min(RUNS);
        let learned =
            |of: f32, new: f64, old: f64| (f64::from(of) + gain * (new - old)).max(0.5) as f32;
        self.mean = learned(self.mean, excess, mean);
        self.square = learned(self.square, excess * excess, square);
        self.peak = excess as f32;
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.quantile)?;
        io.f32(&mut self.mean)?;
        io.f32(&mut self.square)?;
        io.u16(&mut self.count)?;
        io.u8(&mut self.since_odd)?;
        io.f32(&mut self.peak)?;
        io.f32(&mut self.age)
    }
}

const BINS: usize = 35;
/// Where the first bin begins: ln of 0.5 x 1.25^5, just below [`PEAK_MIN`].
const BIN_FIRST_LN: f64 = 5.0 * BIN_LN - std::f64::consts::LN_2;
/// ln of the ratio of two edges, 1.25.
const BIN_LN: f64 = 0.223_143_551_314_209_76;
/// Below this a z is everyday and counts for nothing.
const PEAK_MIN: f64 = 1.9;
/// Weight of the prior, in samples.
const PRIOR: f64 = 30.0;
/// Counts are kept in sixteenths.
const COUNT: f64 = 1.0 / 16.0;
const ONE: f64 = 16.0;
/// Counts are kept for 28 days, and for so many samples at least.
const SAMPLES_MIN: f64 = 2000.0;

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
    /// What it counts for, in sixteenths.
    own: u8,
}

impl PeakTail {
    pub(super) fn new() -> PeakTail {
        PeakTail { counts: [0; BINS], samples: 0.0, peak: 0.0, age: f32::MAX, own: 0 }
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
            above = (above - counted * f64::from(self.own) * COUNT).max(0.0);
        }
        let spread = 1.0 + height.z / 3.0;
        let prior = PRIOR / (spread * spread * spread);
        libm::log10((f64::from(self.samples) / tau + PRIOR) / (above + prior))
    }

    /// Learns from the height of a sample on this side (none where it lies on the other). The k-th
    /// cluster of one incident counts for about 1/k²: an incident of hours is not ten.
    pub(super) fn learn(&mut self, height: Option<Height>, cluster: f64, tempo: &Tempo) {
        self.age = (f64::from(self.age) + tempo.elapsed) as f32;
        self.samples += 1.0;
        if f64::from(self.samples) > (28.0 * tempo.day).max(SAMPLES_MIN) {
            self.forget(0.75);
        }
        let Some(height) = height.filter(|height| height.z >= PEAK_MIN) else { return };
        let at = height.bin();
        if f64::from(self.age) > cluster {
            let share = cluster / tempo.lasted.max(cluster);
            self.own = (ONE * share * share).ceil() as u8;
        } else if at > f64::from(self.peak) {
            let before = &mut self.counts[self.peak as usize];
            *before = before.saturating_sub(u16::from(self.own));
        } else {
            return;
        }
        let count = &mut self.counts[at as usize];
        *count = count.saturating_add(u16::from(self.own));
        (self.peak, self.age) = (at as f32, 0.0);
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
        io.f32(&mut self.age)?;
        io.u8(&mut self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns a run, and the usual samples after it.
    fn learn(tail: &mut ParetoTail, run: &[f64]) {
        for z in run.iter().chain(&[1.0; 30]) {
            tail.learn(*z, 24.0, &Tempo::usual(24.0));
        }
    }

    #[test]
    fn one_odd_excess_leaves_the_tail_as_it_was_and_the_second_does_not() {
        let mut tail = ParetoTail::new();
        for z in [2.6, 3.1, 2.8, 2.4, 2.9, 3.3, 2.5, 3.0] {
            learn(&mut tail, &[z]);
        }
        let before = tail.rarity(8.0);
        learn(&mut tail, &[450.0, 400.0, 500.0, 450.0]);
        let once = tail.rarity(8.0);
        assert!((once / before - 1.0).abs() < 0.06, "{before} {once}");
        learn(&mut tail, &[450.0]);
        let twice = tail.rarity(8.0);
        assert!(twice < 0.85 * before, "{before} {twice}");
    }
}
