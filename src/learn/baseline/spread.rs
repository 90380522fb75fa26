use super::tempo::Tempo;
use crate::learn::state::Fields;

/// An event counts for at most so many of the edges it goes over, or of the mean event.
const MONSTER_EDGES: f64 = 250.0;
const MONSTER_EVENTS: f64 = 100.0;
/// Below this share of its peak an event has ended: a mean over samples never quite comes back to 0.
const FADED: f64 = 0.2;
/// Events a day from which on their size counts by more than half.
const USUAL_EVENTS: f64 = 0.2;
/// Samples at least that the scale averages over: that of a day of hours moves by a sixth of itself
/// from day to day by chance alone.
const SAMPLES_MIN: f64 = 168.0;
/// What the mean event of few events is divided by beside their number, a day.
const FEW_EVENTS: f64 = 2.0;

/// The everyday size of a residual, and the usual size of the rare events in it.
///
/// Scale: 1.25 x an exponentially weighted mean (a day, 168 samples at least) of the absolute
/// residual, clipped at four times itself, so that an incident widens it slowly. Events: residuals
/// beyond four scales within a cluster's time are one event; with C events a day of mean size V (28
/// days) the size V C²/(C² + 0.2²) is usual, so that one event hardly counts, and what comes every
/// day does.
/// Without it a series with regular spikes over a still base would page for each of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    scale: f32,
    /// Events per sample.
    events: f32,
    /// Their summed size per sample.
    event_sizes: f32,
    /// Largest residual of the present event.
    peak: f32,
    /// Samples since the last residual of the present event.
    age: f32,
}

impl Spread {
    pub(super) fn scale(&self) -> f64 {
        f64::from(self.scale)
    }

    /// Returns how large an event has to be to be usual; `day` in samples.
    fn usual_event(&self, day: f64) -> f64 {
        let (events, few) = (f64::from(self.events), USUAL_EVENTS / day);
        f64::from(self.event_sizes) * events / (events * events + few * few)
    }

    /// Returns the size that counts as z = 1; `share` is the hour's share of the scale.
    pub(super) fn unit(&self, share: f64, grain: f64, tempo: &Tempo) -> f64 {
        let least = tempo.floor.max(grain);
        (self.scale() * share).max(least).max(self.usual_event(tempo.day) / 12.0)
    }

    /// Learns from a residual; `cluster` is the samples within which residuals are one event.
    pub(super) fn learn(&mut self, residual: f64, share: f64, cluster: f64, tempo: &Tempo) {
        let fresh = tempo.samples < 10.0;
        let size = residual.abs();
        let edge = 4.0 * (self.scale() * share).max(tempo.floor);
        let clipped = if fresh { size } else { size.min(edge) };
        let (scale, gain) = (self.scale(), tempo.spread_gain(tempo.day.max(SAMPLES_MIN)));
        self.scale = (scale + gain * (1.25 * clipped / share - scale)) as f32;

        let gain = tempo.gain(28.0 * tempo.day);
        let (mut events, mut sizes) = (f64::from(self.events), f64::from(self.event_sizes));
        events -= gain * events;
        sizes -= gain * sizes;
        self.age = (f64::from(self.age) + tempo.elapsed) as f32;
        let is_on = f64::from(self.age) <= cluster;
        let least = if is_on { edge.max(FADED * f64::from(self.peak)) } else { edge };
        if size > least && !fresh {
            // One monster must not blind the rest of the month; where monsters are usual, each is
            // believed to be a little larger than those before.
            let mean = sizes / (events + FEW_EVENTS / tempo.day);
            let size = size.min((MONSTER_EDGES * edge).max(MONSTER_EVENTS * mean));
            if !is_on {
                events += gain;
                self.peak = 0.0;
            }
            let peak = f64::from(self.peak);
            if size > peak {
                sizes += gain * (size - peak);
                self.peak = size as f32;
            }
            self.age = 0.0;
        }
        (self.events, self.event_sizes) = (events as f32, sizes as f32);
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        for size in [&mut self.scale, &mut self.event_sizes, &mut self.peak] {
            *size = (f64::from(*size) * by) as f32;
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.scale)?;
        io.f32(&mut self.events)?;
        io.f32(&mut self.event_sizes)?;
        io.f32(&mut self.peak)?;
        io.f32(&mut self.age)
    }
}
