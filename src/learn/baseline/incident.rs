use super::tempo::Tempo;
use crate::learn::state::Fields;

/// How much slower is learned during an incident.
const PACE: f64 = 0.3;
/// Samples in running that must be usual before an incident is over.
const CALM_SAMPLES: f64 = 24.0;
/// Samples that an incident lasts at least before it is a shift, and before its level is accepted.
const SHIFT_SAMPLES_MIN: f32 = 12.0;
/// Of a shift this share of the samples since it began are off.
const SHIFT_SHARE_OFF: f32 = 0.75;

/// Whether what comes is trouble, from which little is to be learned. After half a day it is taken
/// for the new state of things.
#[derive(Clone, Debug, Default)]
pub(super) struct Incident {
    /// Samples since it began; 0 where there is none.
    lasted: f32,
    /// Samples in running that were usual.
    calm: f32,
    /// Samples that were off.
    off: f32,
    /// When it began, and what was expected then.
    since_ms: i64,
    from: f64,
}

impl Incident {
    /// Learns whether a sample is far off; returns whether the incident's level is accepted now.
    /// `expected` is what was expected of it.
    pub(super) fn learn(
        &mut self,
        is_off: bool,
        time_ms: i64,
        expected: f64,
        tempo: &Tempo,
    ) -> bool {
        let elapsed = tempo.elapsed as f32;
        self.calm = if is_off { 0.0 } else { self.calm + elapsed };
        let is_calm = f64::from(self.calm) >= CALM_SAMPLES * tempo.minute;
        if !is_off && (self.lasted == 0.0 || is_calm) {
            *self = Incident::default();
            return false;
        }
        if self.lasted == 0.0 {
            (self.since_ms, self.from) = (time_ms, expected);
        }
        self.lasted += elapsed;
        self.off += if is_off { elapsed } else { 0.0 };
        let half_day = (tempo.day / 2.0).max(f64::from(SHIFT_SAMPLES_MIN));
        let accepted = is_off && f64::from(self.lasted) > half_day;
        if accepted {
            *self = Incident::default();
        }
        accepted
    }

    /// Returns since when, and from which level, there has been a new one that is not accepted yet.
    pub(super) fn shift(&self) -> Option<(i64, f64)> {
        let lasts = self.lasted >= SHIFT_SAMPLES_MIN && self.off >= SHIFT_SHARE_OFF * self.lasted;
        lasts.then_some((self.since_ms, self.from))
    }

    /// Returns the share of everyday learning.
    pub(super) fn pace(&self) -> f64 {
        if self.lasted > 0.0 { PACE } else { 1.0 }
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        self.from *= by;
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.lasted)?;
        io.f32(&mut self.calm)?;
        io.f32(&mut self.off)?;
        io.i64(&mut self.since_ms)?;
        io.f64(&mut self.from)
    }
}
