use crate::learn::state::Fields;

/// An episode opens at this probability.
const OPENS_AT: f64 = 0.5;
/// None opens so soon after a crossing.
const AFTER_CROSSING_MS: i64 = 30 * 60_000;
/// Hits and misses count half after so long.
const HALF_LIFE_MS: f64 = 14.0 * 86_400_000.0;
/// Below the first of these the trees are believed as they are, from the second on the record has
/// its full say.
const RECORD_FROM: f64 = 0.02;
const RECORD_FULL: f64 = 0.1;

/// How the record of a series bends what the trees say: logit p' = `bias` + `slope` logit p +
/// `record` [`Trust::record`].
#[derive(Clone, Copy, Debug)]
pub struct Bend {
    pub bias: f64,
    pub slope: f64,
    pub record: f64,
}

impl Bend {
    /// Returns what to believe of a probability of the trees, given [`Trust::record`].
    pub fn believed(&self, p: f64, record: f64) -> f64 {
        let held = p.clamp(1e-4, 1.0 - 1e-4);
        let logit = libm::log(held / (1.0 - held));
        let bent = self.bias + self.slope * logit + self.record * record;
        let bent = 1.0 / (1.0 + libm::exp(-bent));
        let say = ((p - RECORD_FROM) / (RECORD_FULL - RECORD_FROM)).clamp(0.0, 1.0);
        p + say * (bent - p)
    }
}

/// What became of the crossings foretold for one series: a shadow episode opens where the trees say
/// at least one half, whether or not any rule warns, and ends as a hit at a crossing or as a miss
/// after the horizon.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    hits: f64,
    misses: f64,
    /// As many hits as the trees promised.
    promised: f64,
    opened_ms: Option<i64>,
    /// What the trees said then.
    opened_at: f64,
    crossed_ms: Option<i64>,
}

impl Trust {
    /// Returns how hits and misses compare with what was promised: ln((hits + 1) / (promised hits +
    /// 1)) - ln((misses + 1) / (promised misses + 1)).
    pub fn record(&self) -> f64 {
        let promised_misses = (self.hits + self.misses - self.promised).max(0.0);
        let hits = (self.hits + 1.0) / (self.promised + 1.0);
        let misses = (self.misses + 1.0) / (promised_misses + 1.0);
        libm::log(hits / misses)
    }

    /// Lets `elapsed_ms` pass.
    pub fn fade(&mut self, elapsed_ms: i64) {
        let keep = libm::exp2(-(elapsed_ms as f64) / HALF_LIFE_MS);
        self.hits *= keep;
        self.misses *= keep;
        self.promised *= keep;
    }

    /// Learns what the trees say at a time, and whether the series is across.
    pub fn learn(&mut self, time_ms: i64, horizon_ms: i64, p: Option<f64>, across: bool) {
        let since = |at: Option<i64>| at.map(|at_ms| time_ms.saturating_sub(at_ms));
        if across {
            if self.opened_ms.take().is_some() {
                self.hits += 1.0;
                self.promised += self.opened_at;
            }
            self.crossed_ms = Some(time_ms);
            return;
        }
        if since(self.opened_ms).is_some_and(|open_ms| open_ms >= horizon_ms) {
            self.misses += 1.0;
            self.promised += self.opened_at;
            self.opened_ms = None;
        }
        let is_free = since(self.crossed_ms).is_none_or(|since_ms| since_ms >= AFTER_CROSSING_MS);
        let opens_at = p.filter(|p| *p >= OPENS_AT && is_free && self.opened_ms.is_none());
        if let Some(p) = opens_at {
            (self.opened_ms, self.opened_at) = (Some(time_ms), p);
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.hits)?;
        io.f64(&mut self.misses)?;
        io.f64(&mut self.promised)?;
        io.f64(&mut self.opened_at)?;
        io.option_i64(&mut self.opened_ms)?;
        io.option_i64(&mut self.crossed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEND: Bend = Bend { bias: 0.0, slope: 1.0, record: 0.6 };

    #[test]
    fn a_series_is_believed_by_what_became_of_its_forecasts() {
        let hour = 3_600_000;
        let mut trust = Trust::default();
        let believed = |trust: &Trust| BEND.believed(0.8, trust.record());
        assert!((believed(&trust) - 0.8).abs() < 1e-12);
        trust.learn(0, 4 * hour, Some(0.6), false);
        trust.learn(4 * hour, 4 * hour, Some(0.4), false);
        let missed = believed(&trust);
        assert!(missed < 0.75, "a miss");
        trust.learn(5 * hour, 4 * hour, Some(0.6), false);
        trust.learn(6 * hour, 4 * hour, Some(0.6), true);
        let kept = believed(&trust);
        assert!(missed < kept && kept < 0.8, "1.2 hits were promised, 1 came: {kept}");
        // Bouncing at the limit is one crossing.
        trust.learn(6 * hour + 60_000, 4 * hour, Some(0.9), false);
        trust.learn(6 * hour + 120_000, 4 * hour, Some(0.9), true);
        assert_eq!(believed(&trust).to_bits(), kept.to_bits());
        assert_eq!(BEND.believed(0.01, trust.record()).to_bits(), 0.01f64.to_bits());
        trust.fade(28 * 24 * hour);
        assert!((trust.hits - 0.25).abs() < 1e-9);
    }
}
