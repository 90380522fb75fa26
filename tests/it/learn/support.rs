//! Series that are made up, and a baseline's run over one.

use forewarn::learn::{Baseline, Calendar, Season, Verdict, default_threshold};

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;
/// A Monday, 00:00 UTC.
pub(super) const START_MS: i64 = 1_719_792_000_000;

/// Noise of standard deviation 1, about normal.
pub(super) fn noise(rng: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

/// A service's day: low at night, high at noon, half of it at the weekend.
pub(super) fn busy(time_ms: i64) -> f64 {
    let day = (time_ms % DAY_MS) as f64 / DAY_MS as f64;
    let weekday = (time_ms - START_MS).rem_euclid(7 * DAY_MS) / DAY_MS;
    let weekend = if weekday >= 5 { 0.5 } else { 1.0 };
    100.0 + 80.0 * weekend * (1.0 - (std::f64::consts::TAU * day).cos())
}

/// A baseline fed with a series, and what was outside its band in the stretch fed last.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) baseline: Baseline,
    pub(super) step_ms: i64,
    pub(super) now_ms: i64,
    pub(super) outside: Vec<(i64, Verdict)>,
}

impl Run {
    pub(super) fn new(season: Season, step_ms: i64) -> Run {
        let baseline = Baseline::new(season, Calendar::utc());
        Run { baseline, step_ms, now_ms: START_MS, outside: Vec::new() }
    }

    /// Feeds the values of a stretch without asking about them.
    pub(super) fn learn(&mut self, duration_ms: i64, mut value: impl FnMut(i64) -> f64) {
        let end_ms = self.now_ms + duration_ms;
        while self.now_ms < end_ms {
            self.baseline.learn(self.now_ms, value(self.now_ms));
            self.now_ms += self.step_ms;
        }
    }

    /// Judges and feeds the values of a stretch.
    pub(super) fn feed(&mut self, duration_ms: i64, mut value: impl FnMut(i64) -> f64) -> &mut Run {
        self.outside.clear();
        let end_ms = self.now_ms + duration_ms;
        while self.now_ms < end_ms {
            let x = value(self.now_ms);
            self.observe(x);
            self.now_ms += self.step_ms;
        }
        self
    }

    /// Judges and feeds a value of the present time.
    pub(super) fn observe(&mut self, x: f64) {
        let threshold = default_threshold(self.step_ms);
        let Some(verdict) = self.baseline.observe(self.now_ms, x, threshold) else { return };
        assert!(verdict.lower <= verdict.expected && verdict.expected <= verdict.upper);
        let outside = x < verdict.lower || x > verdict.upper;
        assert_eq!(outside, verdict.score >= 1.0, "{x} {verdict:?}");
        if outside {
            self.outside.push((self.now_ms, verdict));
        }
    }

    /// Returns how many stretches of outside samples there were, an hour's silence between them.
    pub(super) fn pages(&self) -> usize {
        let mut last_ms = i64::MIN / 2;
        let mut count = 0;
        for (time_ms, _) in &self.outside {
            count += usize::from(time_ms - last_ms > 60 * MINUTE_MS);
            last_ms = *time_ms;
        }
        count
    }
}
