use super::tempo::Tempo;
use crate::learn::state::Fields;

const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;
/// Passes of an hour that its share averages over.
const PASSES: f64 = 7.0;

/// How large the residuals of each hour of the day are, beside the day's.
///
/// Per hour the mean S of ln(max(1.25 c, su / 20) / su) + 0.5 over 7 passes, within 1.5 either way,
/// with c a clipped residual and su the day's scale; the share is exp(S), nearer to 1 before.
#[derive(Clone, Debug, Default)]
pub(super) struct Hours {
    logs: [f32; HOURS],
    /// Samples seen.
    visits: [u16; HOURS],
}

impl Hours {
    /// Returns the hour of a time of the week.
    pub(super) fn of(week_ms: i64) -> usize {
        (week_ms / HOUR_MS) as usize % HOURS
    }

    /// Returns the hour's share of the scale; `day` in samples.
    pub(super) fn share(&self, hour: usize, day: f64) -> f64 {
        let passes = f64::from(self.visits[hour]) / (day / HOURS as f64).max(1.0);
        libm::exp(passes / (passes + 3.0) * f64::from(self.logs[hour]))
    }

    /// Learns from a residual of this size, where the day's scale is `scale`.
    pub(super) fn learn(&mut self, hour: usize, size: f64, scale: f64, tempo: &Tempo) {
        if scale <= 0.0 {
            return;
        }
        self.visits[hour] = self.visits[hour].saturating_add(1);
        let ratio = (1.25 * size / scale).max(1.0 / 20.0);
        // The mean of the log lies below the log of the mean by about a half.
        let target = (libm::log(ratio) + 0.5).clamp(-1.5, 1.5);
        let most = PASSES * (tempo.day / HOURS as f64).max(1.0);
        let share = f64::from(self.logs[hour]);
        let gain = (tempo.spread_pace / f64::from(self.visits[hour]).min(most)).min(1.0);
        self.logs[hour] = (share + gain * (target - share)) as f32;
    }

    /// Counts no hour for more than one pass of `day` samples a day.
    pub(super) fn forget(&mut self, day: f64) {
        let pass = (day / HOURS as f64).clamp(1.0, f64::from(u16::MAX)) as u16;
        self.visits.iter_mut().for_each(|visits| *visits = (*visits).min(pass));
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32s(&mut self.logs)?;
        self.visits.iter_mut().try_for_each(|visits| io.u16(visits))
    }
}
