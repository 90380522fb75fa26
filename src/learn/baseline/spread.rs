use crate::learn::state::Fields;

/// An event counts for at most so many of the edges it goes over, or of the mean event.
const MONSTER_EDGES: f64 = 250.0;
const MONSTER_EVENTS: f64 = 100.0;

/// The everyday size of a residual, and the usual size of the rare events in it.
///
/// Scale: 1.25 x an exponentially weighted mean of the absolute residual, clipped at four times
/// itself, so that an incident widens it slowly. Events: residuals beyond four scales within a
/// cluster's time are one event; their mean size fades when they are rarer than twice a day.
/// Without it a series with regular spikes over a still base would page for each of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    /// In the signal's unit.
    pub(super) scale: f64,
    /// Events per sample.
    events: f64,
    /// Their summed size per sample.
    event_sizes: f64,
    /// Largest residual of the present event.
    peak: f64,
    /// Samples since the last residual of the present event.
    age: f64,
}

/// How much of the past counts, in the gains of one update.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Gain of the scale.
    pub(super) scale: f64,
    /// Gain of the events.
    pub(super) events: f64,
    /// Samples since the sample before.
    pub(super) elapsed: f64,
    /// Samples a day.
    pub(super) day: f64,
    /// Whether so little was seen that nothing is clipped yet.
    pub(super) fresh: bool,
}

impl Spread {
    /// Returns the mean size of an event, 0 where there is none; `day` in samples.
    pub(super) fn event_size(&self, day: f64) -> f64 {
        self.event_sizes / (self.events + 2.0 / day)
    }

    /// Returns the size that counts as z = 1; `shape` is the hour's share of the scale.
    pub(super) fn unit(&self, shape: f64, floor: f64, day: f64) -> f64 {
        (self.scale * shape).max(floor).max(self.event_size(day) / 12.0).max(f64::MIN_POSITIVE)
    }

    /// Learns from a residual.
    pub(super) fn learn(
        &mut self,
        residual: f64,
        shape: f64,
        floor: f64,
        cluster: f64,
        memory: Memory,
    ) {
        let size = residual.abs();
        let edge = 4.0 * (self.scale * shape).max(floor);
        let clipped = if memory.fresh { size } else { size.min(edge) };
        self.scale += memory.scale * (1.25 * clipped / shape - self.scale);
        self.events -= memory.events * self.events;
        self.event_sizes -= memory.events * self.event_sizes;
        self.age += memory.elapsed;
        if size > edge && !memory.fresh {
            // One monster must not blind the rest of the month; where monsters are usual, each is
            // believed to be a little larger than those before.
            let believed = (MONSTER_EDGES * edge).max(MONSTER_EVENTS * self.event_size(memory.day));
            let size = size.min(believed);
            if self.age > cluster {
                self.events += memory.events;
                self.peak = 0.0;
            }
            if size > self.peak {
                self.event_sizes += memory.events * (size - self.peak);
                self.peak = size;
            }
            self.age = 0.0;
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.scale)?;
        io.f64(&mut self.events)?;
        io.f64(&mut self.event_sizes)?;
        io.f64(&mut self.peak)?;
        io.f64(&mut self.age)
    }
}
