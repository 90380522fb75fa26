use super::Moment;
use super::spread::{Memory, Spread};
use super::tail::{ParetoTail, PeakTail};
use crate::learn::state::Fields;

/// A residual counts for at most this many everyday sizes in a mean over samples.
const LOOK_MAX: f64 = 30.0;

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
    drift: f64,
    pub(super) spread: Spread,
    pareto: ParetoTail,
    above: PeakTail,
    below: PeakTail,
}

impl Channel {
    pub(super) fn new(kind: Kind) -> Channel {
        Channel {
            kind,
            drift: 0.0,
            spread: Spread::default(),
            pareto: ParetoTail::new(),
            above: PeakTail::new(),
            below: PeakTail::new(),
        }
    }

    /// Returns the mean residual that the channel looks at.
    pub(super) fn drift(&self) -> f64 {
        self.drift
    }

    pub(super) fn forget_drift(&mut self) {
        self.drift = 0.0;
    }

    /// Keeps only a share of how often which sizes came.
    pub(super) fn forget_rarity(&mut self, keep: f64) {
        self.above.forget(keep);
        self.below.forget(keep);
    }

    /// Returns what the channel looks at, if the sample had this residual. `bias` is the residual's
    /// short memory, `base` the everyday size of a sudden change.
    fn look(&self, moment: &Moment, residual: f64, bias: f64, base: f64) -> f64 {
        if self.kind == Kind::Sudden {
            return residual - bias;
        }
        let edge = LOOK_MAX * base.max(self.unit(moment));
        let gain = -libm::expm1(-moment.tempo.elapsed / self.kind.tau());
        self.drift + gain * (residual.clamp(-edge, edge) - self.drift)
    }

    /// Returns the size of the look beside its everyday size; 0 where the series comes back to
    /// what is expected, which is no anomaly. Grows with the size of the residual.
    pub(super) fn z(&self, moment: &Moment, residual: f64, bias: f64, base: f64) -> f64 {
        let look = self.look(moment, residual, bias, base);
        if look * residual.signum() <= 0.0 || residual == 0.0 {
            return 0.0;
        }
        let size = match self.kind {
            Kind::Sudden => look.abs().min(2.0 * residual.abs()),
            _ => look.abs(),
        };
        (size / (self.unit(moment) * (1.0 + 6.0 / moment.tempo.samples))).min(1e6)
    }

    /// Returns the channel's part of the surprise, about -log10 of how often such a z comes.
    pub(super) fn surprise(&self, z: f64, above: bool) -> f64 {
        if z < 0.1 {
            return 0.0;
        }
        let peaks = if above { &self.above } else { &self.below };
        let by_peaks = peaks.rarity(z, self.kind.tau(), self.kind.cluster());
        let rarity = if self.kind == Kind::Drift48 {
            by_peaks
        } else {
            0.55 * by_peaks + 0.45 * self.pareto.rarity(z).min(8.0)
        };
        let weight = if self.kind == Kind::Sudden { 1.0 } else { 0.8 };
        weight * (rarity + 0.75 * libm::log10(z.min(12.0) / 12.0))
    }

    /// Learns from a sample's residual, whose z was `z`.
    pub(super) fn learn(&mut self, moment: &Moment, residual: f64, bias: f64, base: f64, z: f64) {
        let tempo = &moment.tempo;
        let cluster = self.kind.cluster();
        let days_28 = (28.0 * tempo.day).max(2000.0);
        if self.kind != Kind::Drift48 {
            self.pareto.learn(z, tempo.samples);
        }
        let (z_above, z_below) = if residual > 0.0 { (z, 0.0) } else { (0.0, z) };
        self.above.learn(z_above, tempo.elapsed, cluster, days_28);
        self.below.learn(z_below, tempo.elapsed, cluster, days_28);

        let look = self.look(moment, residual, bias, base);
        if self.kind != Kind::Sudden {
            self.drift = look;
        }
        let memory = Memory {
            scale: tempo.gain(tempo.day),
            events: tempo.gain(28.0 * tempo.day),
            elapsed: tempo.elapsed,
            day: tempo.day,
            fresh: tempo.samples < 10.0,
        };
        self.spread.learn(look, self.shape(moment), tempo.floor, cluster, memory);
    }

    fn unit(&self, moment: &Moment) -> f64 {
        self.spread.unit(self.shape(moment), moment.tempo.floor, moment.tempo.day)
    }

    /// Returns the hour's share of the scale; means over samples have none of their own.
    fn shape(&self, moment: &Moment) -> f64 {
        if self.kind == Kind::Sudden { moment.shape } else { 1.0 }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.drift)?;
        self.spread.fields(io)?;
        self.pareto.fields(io)?;
        self.above.fields(io)?;
        self.below.fields(io)
    }
}
