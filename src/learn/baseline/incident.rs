use super::experts::Tempo;
use crate::learn::RestoreError;
use crate::learn::state::Fields;

/// How much slower is learned during an incident.
const PACE: f64 = 0.3;
/// Samples in running that must be usual before an incident is over.
const CALM_SAMPLES: f64 = 24.0;
/// Samples that an incident lasts at least before its level is accepted.
const ACCEPT_SAMPLES_MIN: f64 = 12.0;

/// Whether what comes is trouble, from which little is to be learned. After half a day it is taken
/// for the new state of things.
#[derive(Clone, Debug, Default)]
pub(super) struct Incident {
    /// Samples since it began; 0 where there is none.
    lasted: f64,
    /// Samples in running that were usual.
    calm: f64,
}

impl Incident {
    /// Learns whether a sample is far off; returns whether the incident's level is accepted now.
    pub(super) fn learn(&mut self, is_off: bool, tempo: &Tempo) -> bool {
        if is_off {
            self.calm = 0.0;
        } else {
            self.calm += tempo.elapsed;
        }
        if !is_off && (self.lasted == 0.0 || self.calm >= CALM_SAMPLES) {
            self.lasted = 0.0;
            return false;
        }
        self.lasted += tempo.elapsed;
        let accepted = is_off && self.lasted > (tempo.day / 2.0).max(ACCEPT_SAMPLES_MIN);
        if accepted {
            *self = Incident::default();
        }
        accepted
    }

    /// Returns the share of everyday learning.
    pub(super) fn pace(&self) -> f64 {
        if self.lasted > 0.0 { PACE } else { 1.0 }
    }

    pub(super) fn fields(&mut self, io: &mut impl Fields) -> Result<(), RestoreError> {
        io.f64(&mut self.lasted)?;
        io.f64(&mut self.calm)
    }
}
