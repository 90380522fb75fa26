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
/// `record` ln((hits + 1) / (misses + 1)).
#[derive(Clone, Copy, Debug)]
pub(super) struct Bend {
    pub(super) bias: f64,
    pub(super) slope: f64,
    pub(super) record: f64,
}

/// What became of the crossings foretold for one series: a shadow episode opens where the trees say
/// at least one half, whether or not any rule warns, and ends as a hit at a crossing or as a miss
/// after the horizon.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    hits: f64,
    misses: f64,
    opened_ms: Option<i64>,
    crossed_ms: Option<i64>,
}

impl Trust {
    /// Returns what to believe of a probability of the trees.
    pub(super) fn believed(&self, p: f64, bend: &Bend) -> f64 {
        let held = p.clamp(1e-4, 1.0 - 1e-4);
        let logit = libm::log(held / (1.0 - held));
        let bent = bend.bias + bend.slope * logit + bend.record * self.record();
        let bent = 1.0 / (1.0 + libm::exp(-bent));
        let say = ((p - RECORD_FROM) / (RECORD_FULL - RECORD_FROM)).clamp(0.0, 1.0);
        p + say * (bent - p)
    }

    /// Returns ln((hits + 1) / (misses + 1)).
    pub fn record(&self) -> f64 {
        libm::log((self.hits + 1.0) / (self.misses + 1.0))
    }

    /// Lets `elapsed_ms` pass.
    pub fn fade(&mut self, elapsed_ms: i64) {
        let keep = libm::exp2(-(elapsed_ms as f64) / HALF_LIFE_MS);
        self.hits *= keep;
        self.misses *= keep;
    }

    /// Learns what the trees say at a time, and whether the series is across.
    pub fn learn(&mut self, time_ms: i64, horizon_ms: i64, p: Option<f64>, across: bool) {
        let since = |at: Option<i64>| at.map(|at_ms| time_ms.saturating_sub(at_ms));
        if across {
            if self.opened_ms.take().is_some() {
                self.hits += 1.0;
            }
            self.crossed_ms = Some(time_ms);
            return;
        }
        if since(self.opened_ms).is_some_and(|open_ms| open_ms >= horizon_ms) {
            self.misses += 1.0;
            self.opened_ms = None;
        }
        let is_free = since(self.crossed_ms).is_none_or(|since_ms| since_ms >= AFTER_CROSSING_MS);
        if self.opened_ms.is_none() && is_free && p.is_some_and(|p| p >= OPENS_AT) {
            self.opened_ms = Some(time_ms);
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.hits)?;
        io.f64(&mut self.misses)?;
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
        assert!((trust.believed(0.8, &BEND) - 0.8).abs() < 1e-12);
        trust.learn(0, 4 * hour, Some(0.6), false);
        trust.learn(4 * hour, 4 * hour, Some(0.4), false);
        assert!(trust.believed(0.8, &BEND) < 0.75, "a miss");
        trust.learn(5 * hour, 4 * hour, Some(0.6), false);
        trust.learn(6 * hour, 4 * hour, Some(0.6), true);
        assert!((trust.believed(0.8, &BEND) - 0.8).abs() < 1e-12, "a hit makes up for it");
        // Bouncing at the limit is one crossing.
        trust.learn(6 * hour + 60_000, 4 * hour, Some(0.9), false);
        trust.learn(6 * hour + 120_000, 4 * hour, Some(0.9), true);
        assert!((trust.believed(0.8, &BEND) - 0.8).abs() < 1e-12);
        assert_eq!(trust.believed(0.01, &BEND).to_bits(), 0.01f64.to_bits());
        trust.fade(28 * 24 * hour);
        assert!((trust.hits - 0.25).abs() < 1e-9);
    }
}
