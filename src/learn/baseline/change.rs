use super::experts::Seasonal;
use super::tempo::Tempo;
use crate::learn::state::Fields;

/// The level is off where it stands this many everyday errors from where it was.
const OFF_ERRORS: f64 = 3.0;
/// Of a change of level this share of the samples since it began are off.
const SHARE_OFF: f32 = 0.75;
/// Samples that it lasts at least before anybody is told, and before it is accepted.
const SAMPLES_MIN: f32 = 12.0;
/// Samples in running that must be usual before it is over.
const CALM_SAMPLES: f64 = 24.0;

/// Whether the level has changed for good: since when, from where, to where.
///
/// It begins with a sample far off, and goes on while the series stands off from what its season says
/// over the slow offset of that moment, d = x - (e - o) - o0, whatever has been adapted to since.
/// Where it stands is the mean of d over three hours, at least 6 samples. After half a day that
/// level is the new one. A change point in the sense of Page, "Continuous Inspection Schemes"
/// (1954), with the share of samples that are off in place of their sum, so that one spike is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// Samples since it began; 0 where there is none.
    lasted: f32,
    /// Samples in running that were usual.
    calm: f32,
    /// Samples that were off.
    off: f32,
    since_ms: i64,
    /// The season it is seen by, with the slow offset and the everyday error of when it began.
    season: u8,
    offset: f32,
    error: f32,
    /// Mean distance from there.
    distance: f32,
}

impl Change {
    /// Learns from a value; `is_far` says that it is far off what was expected. Returns by how much
    /// what is expected has to move, where the new level is accepted now.
    pub(super) fn learn(
        &mut self,
        x: f64,
        seasonal: &Seasonal,
        (is_far, time_ms): (bool, i64),
        tempo: &Tempo,
    ) -> Option<f64> {
        if self.lasted > 0.0 && self.season != seasonal.season {
            *self = Change::default();
        }
        if self.lasted == 0.0 {
            if !is_far {
                return None;
            }
            self.since_ms = time_ms;
            self.season = seasonal.season;
            self.offset = seasonal.offset as f32;
            self.error = seasonal.error.max(tempo.floor) as f32;
        }
        let elapsed = tempo.elapsed as f32;
        let distance = x - self.before(seasonal);
        self.lasted += elapsed;
        let tau = (tempo.day / 8.0).max(6.0);
        let gain = tempo.loss(tau).max(f64::from(elapsed / self.lasted).min(1.0));
        let mean = f64::from(self.distance);
        self.distance = (mean + gain * (distance - mean)) as f32;

        let is_off = distance.abs() > OFF_ERRORS * f64::from(self.error)
            && (distance > 0.0) == (self.distance > 0.0);
        self.off += if is_off { elapsed } else { 0.0 };
        self.calm = if is_off { 0.0 } else { self.calm + elapsed };
        if f64::from(self.calm) >= CALM_SAMPLES * tempo.minute {
            *self = Change::default();
            return None;
        }
        let half_day = (tempo.day / 2.0).max(f64::from(SAMPLES_MIN));
        let accepted = is_off && self.is_lasting() && f64::from(self.lasted) > half_day;
        accepted.then(|| {
            let offset = f64::from(self.offset) + f64::from(self.distance);
            *self = Change::default();
            offset - seasonal.offset
        })
    }

    /// Returns since when the level has been another, and how far from where it was; nothing where
    /// there is no such change, or it is accepted.
    pub(super) fn shift(&self) -> Option<(i64, f64)> {
        self.is_lasting().then_some((self.since_ms, f64::from(self.distance)))
    }

    /// Returns what would be expected had nothing changed.
    pub(super) fn before(&self, seasonal: &Seasonal) -> f64 {
        seasonal.expected - seasonal.offset + f64::from(self.offset)
    }

    fn is_lasting(&self) -> bool {
        self.lasted >= SAMPLES_MIN && self.off >= SHARE_OFF * self.lasted
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        for size in [&mut self.offset, &mut self.error, &mut self.distance] {
            *size = (f64::from(*size) * by) as f32;
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32(&mut self.lasted)?;
        io.f32(&mut self.calm)?;
        io.f32(&mut self.off)?;
        io.i64(&mut self.since_ms)?;
        io.u8(&mut self.season)?;
        io.f32(&mut self.offset)?;
        io.f32(&mut self.error)?;
        io.f32(&mut self.distance)
    }
}
