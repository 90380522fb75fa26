use super::tempo::Tempo;
use crate::learn::state::Fields;

/// How much slower is learned during an incident.
const PACE: f64 = 0.3;
/// Samples in running that must be usual before an incident is over.
const CALM_SAMPLES: f64 = 24.0;
/// Samples that an incident lasts at least before it is taken for normal.
const SAMPLES_MIN: f64 = 12.0;

/// Whether what comes is trouble, from which little is to be learned. After half a day it is taken
/// for the new state of things.
#[derive(Clone, Debug, Default)]
pub(super) struct Incident {
    /// Samples since it began; 0 where there is none.
    lasted: f32,
    /// Samples in running that were usual.
    calm: f32,
}

impl Incident {
    /// Learns whether a sample is far off; returns whether it has lasted for so long that it is
    /// accepted.
    pub(super) fn learn(&mut self, is_off: bool, tempo: &Tempo) -> bool {
        let elapsed = tempo.elapsed as f32;
        self.calm = if is_off { 0.0 } else { self.calm + elapsed };
        let is_calm = f64::from(self.calm) >= CALM_SAMPLES * tempo.minute;
        if !is_off && (self.lasted == 0.0 || is_calm) {
            *self = Incident::default();
            return false;
        }
        self.lasted += elapsed;
        let half_day = (tempo.day / 2.0).max(SAMPLES_MIN);
        let accepted = is_off && f64::from(self.lasted) > half_day;
        if accepted {
            *self = Incident::default();
        }
        accepted
    }

    /// Returns the share of everyday learning.
    pub(super) fn pace(&self) -> f64 {
        if self.lasted > 0.0 { PACE } else { 1.0 }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.lasted)?;
        io.f32(&mut self.calm)
    }
}
