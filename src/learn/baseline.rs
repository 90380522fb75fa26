use super::state::{Reader, Writer};
use super::{Calendar, RestoreError, Season};

/// What a baseline says of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// What was expected, in the signal's unit; always within the band.
    pub expected: f64,
    /// Lower edge of the band.
    pub lower: f64,
    /// Upper edge of the band.
    pub upper: f64,
    /// How rare the value is: about once per 10^surprise samples.
    pub surprise: f64,
    /// Surprise over threshold: 0 as expected, 1 at the band's edge. At least 1 if and only if the
    /// value is outside the band.
    pub score: f64,
    /// On which side of `expected` the value lies.
    pub side: Side,
    /// What the verdict rests on.
    pub phase: Phase,
}

/// A side of what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Larger than expected.
    Above,
    /// Smaller than expected.
    Below,
}

/// How much a baseline knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Too little to judge.
    Cold,
    /// The level.
    Level,
    /// The time of day.
    Day,
    /// The hour of the week.
    Week,
}

/// Returns the surprise threshold T that is used where nothing else is asked: 2.8 at a sample a
/// minute, 0.3 lower for each factor of ten in the step.
pub fn default_threshold(step_ms: i64) -> f64 {
    2.8 - 0.3 * libm::log10((step_ms as f64 / 60_000.0).max(1.0))
}

/// Learns what is normal for one series and judges its values.
#[derive(Clone, Debug)]
pub struct Baseline {
    season: Season,
    calendar: Calendar,
    samples: i64,
    first_ms: i64,
    last_ms: i64,
    level: f64,
    deviation: f64,
}

const MAGIC: [u8; 4] = *b"FWBL";
const VERSION: u16 = 1;
const COLD_SAMPLES: i64 = 60;

impl Baseline {
    /// Returns a baseline that knows nothing.
    pub fn new(season: Season, calendar: Calendar) -> Baseline {
        let (samples, first_ms, last_ms) = (0, i64::MIN, i64::MIN);
        Baseline { season, calendar, samples, first_ms, last_ms, level: 0.0, deviation: 0.0 }
    }

    /// Returns a baseline that has observed `samples`, (time in ms, value) in time order.
    pub fn bootstrap(
        season: Season,
        calendar: Calendar,
        samples: impl IntoIterator<Item = (i64, f64)>,
    ) -> Baseline {
        let mut baseline = Baseline::new(season, calendar);
        for (time_ms, value) in samples {
            baseline.learn(time_ms, value);
        }
        baseline
    }

    /// Judges a value by what was learned before; nothing where nobody can tell: cold, after a long
    /// gap, or a value that is no number. `threshold` is the surprise at the band's edge; see
    /// [`default_threshold`].
    pub fn judge(&self, time_ms: i64, value: f64, threshold: f64) -> Option<Verdict> {
        if self.samples < COLD_SAMPLES || !is_usable(value) || time_ms <= self.last_ms {
            return None;
        }
        let scale = (1.25 * self.deviation).max(0.01 * self.level.abs()).max(1e-300);
        let z = (value - self.level).abs() / scale;
        let surprise = z / 2.5;
        let half = 2.5 * threshold * scale;
        let (lower, upper) = (self.level - half, self.level + half);
        let outside = value < lower || value > upper;
        let score = surprise / threshold;
        Some(Verdict {
            expected: self.level,
            lower,
            upper,
            surprise,
            score: if outside { score.max(1.0) } else { score.min(1.0f64.next_down()) },
            side: if value < self.level { Side::Below } else { Side::Above },
            phase: Phase::Level,
        })
    }

    /// Learns from a value. What is no number, or not later than the value before, is dropped.
    pub fn learn(&mut self, time_ms: i64, value: f64) {
        if !is_usable(value) || (self.samples > 0 && time_ms <= self.last_ms) {
            return;
        }
        if self.samples == 0 {
            (self.first_ms, self.level) = (time_ms, value);
        }
        self.samples += 1;
        self.last_ms = time_ms;
        let gain = (1.0 / self.samples as f64).max(1.0 / 720.0);
        let off = value - self.level;
        let bound = if self.samples < 10 { f64::MAX } else { 6.0 * self.deviation + 1e-9 };
        self.level += gain * off.clamp(-bound, bound);
        self.deviation += gain * (off.abs().min(bound) - self.deviation);
    }

    /// Judges a value, then learns from it.
    pub fn observe(&mut self, time_ms: i64, value: f64, threshold: f64) -> Option<Verdict> {
        let verdict = self.judge(time_ms, value, threshold);
        self.learn(time_ms, value);
        verdict
    }

    /// Returns how much is known.
    pub fn phase(&self) -> Phase {
        if self.samples < COLD_SAMPLES { Phase::Cold } else { Phase::Level }
    }

    /// Returns when the first and the last learned sample were, ms.
    pub fn learned_ms(&self) -> Option<(i64, i64)> {
        (self.samples > 0).then_some((self.first_ms, self.last_ms))
    }

    /// Returns the state, bit for bit; season and calendar are configuration and not in it.
    pub fn serialize(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        writer.i64(self.samples);
        writer.i64(self.first_ms);
        writer.i64(self.last_ms);
        writer.f64(self.level);
        writer.f64(self.deviation);
        writer.finish()
    }

    /// Takes over a state that [`Baseline::serialize`] returned.
    pub fn restore(
        season: Season,
        calendar: Calendar,
        bytes: &[u8],
    ) -> Result<Baseline, RestoreError> {
        let mut reader = Reader::new("baseline", MAGIC, VERSION, bytes)?;
        let baseline = Baseline {
            season,
            calendar,
            samples: reader.i64()?,
            first_ms: reader.i64()?,
            last_ms: reader.i64()?,
            level: reader.f64()?,
            deviation: reader.f64()?,
        };
        reader.finish()?;
        Ok(baseline)
    }
}

fn is_usable(value: f64) -> bool {
    value.abs() <= 1e300
}
