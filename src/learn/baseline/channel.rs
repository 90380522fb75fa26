use super::spread::Spread;
use super::tail::{Height, ParetoTail, PeakTail};
use super::tempo::Tempo;
use crate::learn::state::Fields;

/// A residual counts for at most this many everyday sizes in a mean over samples.
const LOOK_MAX: f64 = 30.0;
/// From this z on what comes back to what is expected comes from an incident.
const BACK_Z: f64 = 2.0;
/// A look counts for at most this many times the residual, or a mean over fewer samples.
const RESIDUALS_MAX: f64 = 2.0;
/// What a surprise loses where a departure is small, for each factor of e.
const SMALL_WEIGHT: f64 = 0.5;
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

/// What all channels are told of an instant.
pub(super) struct Around {
    /// The residuals' short memory.
    pub(super) bias: f64,
    /// The hour's share of the spread.
    pub(super) share: f64,
    /// The everyday size of a sudden change.
    pub(super) base: f64,
    /// A departure below this is small beside those of other days; 0 where that is not known.
    pub(super) small: f64,
}

/// A mean over the residuals of which the next is part.
#[derive(Clone, Copy, Debug)]
struct Mean {
    /// The mean before, and the share of it that a sample replaces.
    before: f64,
    gain: f64,
    /// A residual counts for no more than this.
    clip: f64,
}

impl Mean {
    /// Returns the mean, if the next sample has this residual.
    fn after(&self, residual: f64) -> f64 {
        self.before + self.gain * (residual.clamp(-self.clip, self.clip) - self.before)
    }

    /// Returns the size of the residual on a side that brings the mean to this size there; nothing
    /// where none does.
    fn reaching(&self, size: f64, side: f64) -> Option<f64> {
        let before = side * self.before;
        let needed = before + (size - before) / self.gain.max(f64::MIN_POSITIVE);
        (needed <= self.clip).then_some(needed)
    }
}

/// What a channel compares a residual with, at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The size that is z = 1, with what so few samples may have missed.
    unit: f64,
    /// What is looked at; of [`Kind::Sudden`] the short memory that is taken off.
    mean: Mean,
    /// The mean over fewer samples that has to show a slow drift too.
    recent: Option<Mean>,
    /// The hour's share of the spread.
    share: f64,
    /// A residual below this is none.
    least: f64,
    /// ln of the unit beside what is small.
    small_ln: f64,
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

    /// Returns this scale where a drift counts only as far as that of fewer samples shows it too:
    /// what was large until an hour ago fades, and is no news with every sample on its side.
    pub(super) fn while_shown_by(self, quicker: &Scale) -> Scale {
        Scale { recent: Some(quicker.mean), ..self }
    }

    /// Returns the size of the least residual on a side whose z is at least this; nothing where
    /// there is none. The inverse of [`Channel::z`].
    fn residual(&self, kind: Kind, z: f64, side: f64) -> Option<f64> {
        let look = z * self.unit;
        let size = match kind {
            Kind::Sudden => look + side * self.mean.before,
            _ => self.mean.reaching(look, side)?,
        };
        let shown = match &self.recent {
            Some(recent) => recent.reaching(look / RESIDUALS_MAX, side)?,
            None => 0.0,
        };
        Some(size.max(shown).max(look / RESIDUALS_MAX).max(self.least))
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

    /// Returns what a residual is compared with; `least` is the everyday size of anything at this time
    /// of day.
    pub(super) fn scale(&self, tempo: &Tempo, around: &Around, least: f64) -> Scale {
        let (unit, mean, share) = if self.kind == Kind::Sudden {
            (around.base, Mean { before: around.bias, gain: 1.0, clip: f64::MAX }, around.share)
        } else {
            let gain = tempo.loss(self.kind.tau() * tempo.minute);
            // Means over samples have no hours of their own.
            let unit = self.spread.unit(1.0, gain * tempo.mean_grain, tempo).max(least);
            let clip = LOOK_MAX * around.base.max(unit);
            (unit, Mean { before: self.drift(), gain, clip }, 1.0)
        };
        let unit = unit * (1.0 + 6.0 / tempo.samples);
        let small_ln =
            if around.small > 0.0 { libm::log(unit / around.small) } else { f64::INFINITY };
        Scale { unit, mean, recent: None, share, least: tempo.least, small_ln }
    }

    /// Returns what the channel looks at, if the sample had this residual.
    fn look(&self, scale: &Scale, residual: f64) -> f64 {
        if self.kind == Kind::Sudden {
            return residual - scale.mean.before;
        }
        scale.mean.after(residual)
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
        let shown = scale
            .recent
            .map_or(f64::INFINITY, |recent| (recent.after(residual) * residual.signum()).max(0.0));
        look.abs().min(RESIDUALS_MAX * residual.abs().min(shown))
    }

    /// Returns the channel's part of the surprise, about -log10 of how often such a z comes.
    pub(super) fn surprise(&self, tempo: &Tempo, scale: &Scale, z: f64, above: bool) -> f64 {
        if z < Z_MIN { 0.0 } else { self.surprise_of(tempo, scale, Height::new(z), above) }
    }

    fn surprise_of(&self, tempo: &Tempo, scale: &Scale, height: Height, above: bool) -> f64 {
        const LN_12: f64 = 2.484_906_649_788;
        let peaks = if above { &self.above } else { &self.below };
        let (tau, cluster) = (self.kind.tau() * tempo.minute, self.kind.cluster() * tempo.minute);
        let by_peaks = peaks.rarity(height, tau, cluster);
        let rarity = self
            .pareto
            .as_ref()
            .map_or(by_peaks, |pareto| 0.55 * by_peaks + 0.45 * pareto.rarity(height.z).min(8.0));
        let weight = if self.kind == Kind::Sudden { 1.0 } else { 0.8 };
        let size = 0.75 * std::f64::consts::LOG10_E * (height.ln - LN_12).min(0.0);
        let small = SMALL_WEIGHT * (height.ln + scale.small_ln).min(0.0);
        weight * (rarity + size + small)
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
        if self.surprise(tempo, scale, self.z(scale, side * below), above) < needed {
            return None;
        }
        let (mut usual, mut unusual) = (Height::new(Z_MIN), Height::new(Z_MAX));
        if self.surprise_of(tempo, scale, usual, above) >= needed {
            return scale.residual(self.kind, Z_MIN, side);
        }
        for _ in 0..HALVINGS {
            let ln = f64::midpoint(usual.ln, unusual.ln);
            let middle = Height { z: libm::exp(ln), ln };
            if self.surprise_of(tempo, scale, middle, above) >= needed {
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
        if let Some(pareto) = &mut self.pareto {
            pareto.learn(z, cluster, tempo);
        }
        let height = (z > 0.0).then(|| Height::new(z));
        let (above, below) = if residual > 0.0 { (height, None) } else { (None, height) };
        self.above.learn(above, cluster, tempo);
        self.below.learn(below, cluster, tempo);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn around(small: f64) -> Around {
        Around { bias: 0.0, share: 1.0, base: 1.0, small }
    }

    #[test]
    fn what_is_small_beside_other_days_is_less_of_a_surprise() {
        let (channel, tempo) = (Channel::new(Kind::Sudden), Tempo::usual(1440.0));
        let surprise = |small: f64, residual: f64| {
            let scale = channel.scale(&tempo, &around(small), 0.0);
            channel.surprise(&tempo, &scale, channel.z(&scale, residual), true)
        };
        let unknown = surprise(0.0, 6.0);
        assert_eq!(surprise(6.0, 6.0), unknown, "not small");
        let lost = [12.0, 60.0].map(|small| unknown - surprise(small, 6.0));
        assert!((lost[0] - SMALL_WEIGHT * std::f64::consts::LN_2).abs() < 1e-9, "{lost:?}");
        assert!((lost[1] - SMALL_WEIGHT * 10f64.ln()).abs() < 1e-9, "{lost:?}");
    }

    #[test]
    fn a_slow_drift_that_the_last_samples_do_not_show_is_over() {
        let tempo = Tempo::usual(1440.0);
        let mut channels = [Kind::Drift6, Kind::Drift48].map(Channel::new);
        let mut slow_z = |residual: f64| {
            let [drift, slow] = [0, 1].map(|k| channels[k].scale(&tempo, &around(0.0), 0.5));
            let scales = [drift, slow.while_shown_by(&drift)];
            let z = channels[1].z(&scales[1], residual);
            for (channel, scale) in channels.iter_mut().zip(&scales) {
                let z = channel.z(scale, residual);
                channel.learn(&tempo, scale, residual, z);
            }
            z
        };
        let shown: Vec<f64> = (0..48).map(|_| slow_z(3.0)).collect();
        assert!(shown.windows(2).all(|pair| pair[1] > pair[0]) && shown[47] > 2.0, "{shown:?}");
        (0..20).for_each(|_| _ = slow_z(-1.0));
        assert_eq!(slow_z(3.0), 0.0);
        // It goes on.
        let again: Vec<f64> = (0..20).map(|_| slow_z(3.0)).collect();
        assert!(again[19] > 2.0, "{again:?}");
    }
}
