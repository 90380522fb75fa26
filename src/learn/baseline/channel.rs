use super::spread::Spread;
use super::tail::{Height, ParetoTail, PeakTail};
use super::tempo::Tempo;
use crate::learn::state::Fields;

/// A residual counts for at most this many everyday sizes in a mean over samples.
const LOOK_MAX: f64 = 30.0;
/// From this z on what comes back to what is expected comes from an incident.
const BACK_Z: f64 = 2.0;
/// From this z on an incident still goes on.
const INCIDENT_Z: f64 = 8.0;
/// No z is larger, and one that is smaller is no surprise.
const Z_MAX: f64 = 1e6;
const Z_MIN: f64 = 0.1;
/// Halvings of the way from the least to the largest z, by ratio: to within a thousandth.
const HALVINGS: usize = 14;

/// What a channel looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The change of the residual since its short memory.
    Sudden,
    /// The mean residual of about 6 samples.
    Drift6,
    /// The mean residual of about 48 samples.
    Drift48,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Sudden, Kind::Drift6, Kind::Drift48];

    /// Returns the samples that the channel's mean spans.
    fn tau(self) -> f64 {
        match self {
            Kind::Sudden => 1.0,
            Kind::Drift6 => 6.0,
            Kind::Drift48 => 48.0,
        }
    }

    /// Returns the samples within which excesses are one event.
    fn cluster(self) -> f64 {
        if self == Kind::Drift48 { 96.0 } else { 24.0 }
    }
}

/// One look at the residuals: how large it is beside its everyday size, and how rare that is.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    kind: Kind,
    /// The mean residual; 0 in [`Kind::Sudden`].
    drift: f32,
    pub(super) spread: Spread,
    /// None in [`Kind::Drift48`], whose peaks say all.
    pareto: Option<ParetoTail>,
    above: PeakTail,
    below: PeakTail,
}

/// What a channel compares a residual with, at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The size that is z = 1, with what so few samples may have missed.
    unit: f64,
    /// What was remembered of the residuals before, and the share of it that a sample replaces.
    memory: f64,
    gain: f64,
    /// A residual counts for no more than this.
    clip: f64,
    /// The hour's share of the spread.
    share: f64,
    /// A residual below this is none.
    least: f64,
}

impl Scale {
    /// Returns the size that is z = 1.
    pub(super) fn unit(&self) -> f64 {
        self.unit
    }

    /// Returns the hour's share of the spread.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Returns the size of the least residual on a side whose z is at least this; nothing where
    /// there is none. The inverse of [`Channel::z`].
    fn residual(&self, kind: Kind, z: f64, side: f64) -> Option<f64> {
        let (look, memory) = (z * self.unit, side * self.memory);
        if kind == Kind::Sudden {
            return Some((look + memory).max(look / 2.0).max(self.least));
        }
        let size = memory + (look - memory) / self.gain.max(f64::MIN_POSITIVE);
        (size <= self.clip).then_some(size.max(look / 2.0).max(self.least))
    }
}

impl Channel {
    pub(super) fn new(kind: Kind) -> Channel {
        Channel {
            kind,
            drift: 0.0,
            spread: Spread::default(),
            pareto: (kind != Kind::Drift48).then(ParetoTail::new),
            above: PeakTail::new(),
            below: PeakTail::new(),
        }
    }

    /// Returns the mean residual that the channel looks at.
    pub(super) fn drift(&self) -> f64 {
        f64::from(self.drift)
    }

    pub(super) fn forget_drift(&mut self) {
        self.drift = 0.0;
    }

    /// Keeps only a share of how often which sizes came.
    pub(super) fn forget_rarity(&mut self, keep: f64) {
        self.above.forget(keep);
        self.below.forget(keep);
    }

    /// Keeps what so many samples would weigh.
    pub(super) fn forget_beyond(&mut self, samples: f64) {
        self.above.forget_beyond(samples);
        self.below.forget_beyond(samples);
    }

    /// Returns what a residual is compared with. `bias` is the residuals' short memory, `share` the
    /// hour's share of the spread, `base` the everyday size of a sudden change,
    /// `least` that of anything at this time of day.
    pub(super) fn scale(
        &self,
        tempo: &Tempo,
        (bias, share, base): (f64, f64, f64),
        least: f64,
    ) -> Scale {
        let young = 1.0 + 6.0 / tempo.samples;
        if self.kind == Kind::Sudden {
            return Scale {
                unit: base * young,
                memory: bias,
                gain: 1.0,
                clip: f64::MAX,
                share,
                least: tempo.least,
            };
        }
        let gain = tempo.loss(self.kind.tau() * tempo.minute);
        // Means over samples have no hours of their own.
        let unit = self.spread.unit(1.0, gain * tempo.mean_grain, tempo).max(least);
        let clip = LOOK_MAX * base.max(unit);
        Scale {
            unit: unit * young,
            memory: self.drift(),
            gain,
            clip,
            share: 1.0,
            least: tempo.least,
        }
    }

    /// Returns what the channel looks at, if the sample had this residual.
    fn look(&self, scale: &Scale, residual: f64) -> f64 {
        if self.kind == Kind::Sudden {
            return residual - scale.memory;
        }
        let clipped = residual.clamp(-scale.clip, scale.clip);
        scale.memory + scale.gain * (clipped - scale.memory)
    }

    /// Returns the size of the look beside its everyday size.
    pub(super) fn z(&self, scale: &Scale, residual: f64) -> f64 {
        (self.size(scale, residual) / scale.unit).min(Z_MAX)
    }

    /// Returns the size of the look; 0 where the series comes back to what is expected, which is no
    /// anomaly. Grows with the size of the residual.
    pub(super) fn size(&self, scale: &Scale, residual: f64) -> f64 {
        let look = self.look(scale, residual);
        if look * residual.signum() <= 0.0 || residual == 0.0 || residual.abs() < scale.least {
            return 0.0;
        }
        look.abs().min(2.0 * residual.abs())
    }

    /// Returns the channel's part of the surprise, about -log10 of how often such a z comes.
    pub(super) fn surprise(&self, tempo: &Tempo, z: f64, above: bool) -> f64 {
        if z < Z_MIN { 0.0 } else { self.surprise_of(tempo, Height::new(z), above) }
    }

    fn surprise_of(&self, tempo: &Tempo, height: Height, above: bool) -> f64 {
        const LN_12: f64 = 2.484_906_649_788;
        let peaks = if above { &self.above } else { &self.below };
        let (tau, cluster) = (self.kind.tau() * tempo.minute, self.kind.cluster() * tempo.minute);
        let by_peaks = peaks.rarity(height, tau, cluster);
        let rarity = self
            .pareto
            .as_ref()
            .map_or(by_peaks, |pareto| 0.55 * by_peaks + 0.45 * pareto.rarity(height.z).min(8.0));
        let weight = if self.kind == Kind::Sudden { 1.0 } else { 0.8 };
        weight * (rarity + 0.75 * std::f64::consts::LOG10_E * (height.ln - LN_12).min(0.0))
    }

    /// Returns the size of the least residual on a side whose surprise is at least `needed`, to
    /// within a thousandth; nothing where it is `below` or more, or there is none.
    pub(super) fn edge(
        &self,
        tempo: &Tempo,
        scale: &Scale,
        (needed, side): (f64, f64),
        below: f64,
    ) -> Option<f64> {
        let above = side > 0.0;
        if self.surprise(tempo, self.z(scale, side * below), above) < needed {
            return None;
        }
        let (mut usual, mut unusual) = (Height::new(Z_MIN), Height::new(Z_MAX));
        if self.surprise_of(tempo, usual, above) >= needed {
            return scale.residual(self.kind, Z_MIN, side);
        }
        for _ in 0..HALVINGS {
            let ln = f64::midpoint(usual.ln, unusual.ln);
            let middle = Height { z: libm::exp(ln), ln };
            if self.surprise_of(tempo, middle, above) >= needed {
                unusual = middle;
            } else {
                usual = middle;
            }
        }
        scale.residual(self.kind, unusual.z, side).filter(|size| *size < below)
    }

    /// Learns from a sample's residual, whose z was `z`.
    pub(super) fn learn(&mut self, tempo: &Tempo, scale: &Scale, residual: f64, z: f64) {
        let cluster = self.kind.cluster() * tempo.minute;
        let days_28 = (28.0 * tempo.day).max(2000.0);
        if let Some(pareto) = &mut self.pareto {
            pareto.learn(z, cluster, tempo);
        }
        let height = (z > 0.0).then(|| Height::new(z));
        // An incident is one peak, however long it lasts.
        let goes_on = tempo.is_incident && z > INCIDENT_Z && residual.abs() > tempo.grain;
        let (above, below) = if residual > 0.0 { (height, None) } else { (None, height) };
        self.above.learn(above, tempo.elapsed, cluster, days_28, goes_on);
        self.below.learn(below, tempo.elapsed, cluster, days_28, goes_on);

        let look = self.look(scale, residual);
        if self.kind != Kind::Sudden {
            self.drift = look as f32;
        }
        // On its way back to what is expected it is large, and nothing is learned of what is everyday.
        let comes_back = look * residual.signum() <= 0.0 && look.abs() > BACK_Z * scale.unit;
        if !comes_back {
            self.spread.learn(look, scale.share, cluster, tempo);
        }
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        self.drift = (self.drift() * by) as f32;
        self.spread.rescale(by);
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.drift)?;
        self.spread.fields(io)?;
        if let Some(pareto) = &mut self.pareto {
            pareto.fields(io)?;
        }
        self.above.fields(io)?;
        self.below.fields(io)
    }
}
