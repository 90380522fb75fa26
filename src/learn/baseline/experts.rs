use super::Phase;
use crate::learn::Season;
use crate::learn::state::Fields;

const DAY_MS: f64 = 86_400_000.0;
const HOUR_MS: f64 = 3_600_000.0;
const DAY_BUCKETS: usize = 96;
const WEEK_BUCKETS: usize = 168;

/// What is expected at a time: four experts, each weighted by how well it did.
///
/// e0 is a slow level, e1 the time of day over its own slow offset, e2 the hour of the week on top,
/// e3 a quick level. Weight (E0/Ek)^4 with Ek the mean absolute error of two days. e1 and e2 join
/// once their buckets were passed; until then the level speaks alone.
#[derive(Clone, Debug)]
pub(super) struct Experts {
    level: f64,
    quick: f64,
    day: Profile<DAY_BUCKETS>,
    day_offset: f64,
    week: Profile<WEEK_BUCKETS>,
    week_offset: f64,
    /// Mean absolute errors.
    errors: [f64; 4],
    /// Samples that each error rests on.
    seen: [f64; 4],
}

/// The experts' answers for one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) value: f64,
    pub(super) phase: Phase,
    experts: [f64; 4],
}

/// What an update needs to know of time and size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tempo {
    /// Place in the week, ms.
    pub(super) week_ms: i64,
    /// Samples a day.
    pub(super) day: f64,
    /// Samples since the sample before.
    pub(super) elapsed: f64,
    /// Samples learned, this one included.
    pub(super) samples: f64,
    /// The size below which nothing matters.
    pub(super) floor: f64,
    /// The share of everyday learning that this sample is worth; less than 1 in an incident.
    pub(super) pace: f64,
}

impl Tempo {
    /// Returns the gain of an exponential mean of `tau` samples, that of a plain mean at first.
    pub(super) fn gain(&self, tau: f64) -> f64 {
        self.pace * (-libm::expm1(-self.elapsed / tau)).max(1.0 / self.samples)
    }
}

impl Experts {
    pub(super) fn new() -> Experts {
        Experts {
            level: 0.0,
            quick: 0.0,
            day: Profile::new(),
            day_offset: 0.0,
            week: Profile::new(),
            week_offset: 0.0,
            errors: [0.0; 4],
            seen: [0.0; 4],
        }
    }

    /// Returns what is expected at a place in the week, `late_ms` after the next sample was due.
    pub(super) fn expect(
        &self,
        season: Season,
        week_ms: i64,
        late_ms: f64,
        day: f64,
        floor: f64,
    ) -> Expected {
        let day_part = self.day.at(week_ms);
        let experts = [
            self.level,
            day_part + self.day_offset,
            day_part + self.week.at(week_ms) + self.week_offset,
            self.quick,
        ];
        let knows_day = season != Season::Flat
            && self.day.passes(week_ms, day) >= 1.0
            && self.seen[1] >= 0.3 * day;
        let knows_week = season == Season::HourOfWeek
            && knows_day
            && self.week.passes(week_ms, day) >= 1.0
            && self.seen[2] >= 0.3 * day;
        let joined = [true, knows_day, knows_week, self.seen[3] >= 60.0];
        let least = 1e-3 * floor + f64::MIN_POSITIVE;
        // What the quick level knows ages within the hour.
        let stale = [1.0, 1.0, 1.0, libm::exp(-late_ms / HOUR_MS)];
        let (mut sum, mut weights) = (0.0, 0.0);
        for k in 0..4 {
            if joined[k] {
                let ratio = (self.errors[0] + least) / (self.errors[k] + least);
                let weight = stale[k] * ratio.clamp(1e-3, 1e3).powi(4);
                // The distance to the level: sums of values near the largest float overflow.
                sum += weight * (experts[k] - experts[0]);
                weights += weight;
            }
        }
        let phase = match (knows_day, knows_week) {
            (_, true) => Phase::Week,
            (true, false) => Phase::Day,
            (false, false) => Phase::Level,
        };
        Expected { value: experts[0] + sum / weights, phase, experts }
    }

    /// Learns from a value; `expected` is what [`Experts::expect`] said for its time.
    pub(super) fn learn(&mut self, x: f64, expected: &Expected, season: Season, tempo: &Tempo) {
        if tempo.samples <= 1.0 {
            (self.level, self.quick) = (x, x);
            (self.day_offset, self.week_offset) = (x, x);
            return;
        }
        let fresh = tempo.samples < 10.0;
        let bound = |error: f64, times: f64| {
            if fresh { f64::MAX } else { times * error.max(tempo.floor) }
        };
        let [e0, e1, e2, e3] = self.errors;
        let off = |k: usize, limit: f64| (x - expected.experts[k]).clamp(-limit, limit);

        let slow = tempo.gain(tempo.day / 2.0);
        let day_known = self.day.passes(tempo.week_ms, tempo.day) >= 1.0;
        let week_known = self.week.passes(tempo.week_ms, tempo.day) >= 1.0;
        let season_known = [true, day_known, day_known && week_known, true];
        for (k, known) in season_known.into_iter().enumerate() {
            if known {
                self.seen[k] += 1.0;
                let gain = (-libm::expm1(-tempo.elapsed / (2.0 * tempo.day)))
                    .max(1.0 / self.seen[k])
                    .min(1.0);
                let limit = if self.seen[k] < 10.0 {
                    f64::MAX
                } else {
                    12.0 * self.errors[k].max(tempo.floor)
                };
                self.errors[k] += tempo.pace * gain * (off(k, limit).abs() - self.errors[k]);
            }
        }

        let level_before = self.level;
        self.level += slow * off(0, bound(e0, 6.0));
        self.quick += tempo.gain((tempo.day / 24.0).max(4.0)) * off(3, bound(e3, 6.0));
        if season == Season::Flat {
            return;
        }
        if day_known {
            self.day_offset += slow * off(1, bound(e1, 6.0));
            self.day.learn(tempo, off(1, bound(e1, 3.0)));
            if season == Season::HourOfWeek {
                self.week_offset += slow * off(2, bound(e2, 6.0));
                self.week.learn(tempo, off(2, bound(e1, 3.0)));
            }
        } else {
            // The first pass draws the day's shape around the level of that moment.
            let limit = bound(e0, 6.0);
            let shape = (x - level_before).clamp(-limit, limit) - self.day.at(tempo.week_ms);
            self.day.learn(tempo, shape);
            (self.day_offset, self.week_offset) = (self.level, self.level);
        }
    }

    /// Returns the everyday error of what is expected.
    pub(super) fn error(&self) -> f64 {
        let known = self.errors.iter().zip(self.seen).filter(|(_, seen)| *seen >= 60.0);
        known.map(|(error, _)| *error).fold(self.errors[0], f64::min)
    }

    /// Moves everything that is expected by so much: a new level is accepted.
    pub(super) fn shift(&mut self, by: f64) {
        for level in [&mut self.level, &mut self.quick, &mut self.day_offset, &mut self.week_offset]
        {
            *level += by;
        }
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.level)?;
        io.f64(&mut self.quick)?;
        self.day.fields(io)?;
        io.f64(&mut self.day_offset)?;
        self.week.fields(io)?;
        io.f64(&mut self.week_offset)?;
        io.f64s(&mut self.errors)?;
        io.f64s(&mut self.seen)
    }
}

/// A shape over a day (96 buckets) or a week (168), linear between the buckets' centres.
#[derive(Clone, Debug)]
struct Profile<const N: usize> {
    values: [f64; N],
    /// Samples that each bucket has seen, by weight.
    visits: [f64; N],
}

impl<const N: usize> Profile<N> {
    /// Days that the profile spans, and passes that a bucket averages over.
    const DAYS: f64 = if N == WEEK_BUCKETS { 7.0 } else { 1.0 };
    const PASSES: f64 = if N == WEEK_BUCKETS { 4.0 } else { 7.0 };

    fn new() -> Profile<N> {
        Profile { values: [0.0; N], visits: [0.0; N] }
    }

    /// Returns the two buckets around a place in the week, and the weight of the second.
    fn place(week_ms: i64) -> (usize, usize, f64) {
        let span_ms = Self::DAYS * DAY_MS;
        let at = (week_ms as f64 % span_ms) / span_ms * N as f64 - 0.5;
        let floor = at.floor();
        let first = (floor as i64).rem_euclid(N as i64) as usize;
        (first, (first + 1) % N, at - floor)
    }

    fn at(&self, week_ms: i64) -> f64 {
        let (first, second, weight) = Self::place(week_ms);
        self.values[first] * (1.0 - weight) + self.values[second] * weight
    }

    /// Returns how often the buckets of a place were passed, the one that counts least.
    fn passes(&self, week_ms: i64, day: f64) -> f64 {
        let (first, second, weight) = Self::place(week_ms);
        let seen = |bucket: usize, weight: f64| {
            // What matters little need not be known: samples that always come at the same minute
            // may hardly touch the second bucket.
            if weight < 0.25 { f64::MAX } else { self.visits[bucket] }
        };
        let per_pass = Self::per_pass(day);
        let least = seen(first, 1.0 - weight).min(seen(second, weight));
        // Nine tenths: jitter of the samples' times makes a pass a little short.
        least / (0.9 * per_pass)
    }

    /// Returns the samples that a bucket sees in one pass, by weight.
    fn per_pass(day: f64) -> f64 {
        let samples = day * Self::DAYS / N as f64;
        // Fewer samples than buckets: each lands in the same two, at least half in one of them.
        if samples < 1.0 { samples.max(0.25) } else { samples }
    }

    fn learn(&mut self, tempo: &Tempo, off: f64) {
        let (first, second, weight) = Self::place(tempo.week_ms);
        let most = Self::PASSES * Self::per_pass(tempo.day).max(1.0);
        for (bucket, weight) in [(first, 1.0 - weight), (second, weight)] {
            if weight > 0.0 {
                self.visits[bucket] += weight;
                let gain = tempo.pace * weight / self.visits[bucket].clamp(weight, most);
                self.values[bucket] += gain * off;
            }
        }
    }

    fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64s(&mut self.values)?;
        io.f64s(&mut self.visits)
    }
}
