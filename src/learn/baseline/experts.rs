use super::Phase;
use super::cycle::{Cycle, DAY_BUCKETS, Spot, WEEK_BUCKETS};
use super::tempo::Tempo;
use crate::learn::Season;
use crate::learn::state::Fields;

const HOUR_MS: f64 = 3_600_000.0;
/// The quick level is that of an hour, of so many samples at least: fewer are mostly noise.
const QUICK_SAMPLES: f64 = 6.0;

/// What is expected at a time: four experts, each weighted by how well it did.
///
/// e0 is a slow level, e1 the time of day over its own slow offset, e2 the hour of the week on top,
/// e3 a quick level. Weight (E0/Ek)^4 with Ek the mean absolute error of two days. e1 and e2 join
/// once their buckets were passed; until then the level speaks alone.
#[derive(Clone, Debug)]
pub(super) struct Experts {
    level: f64,
    quick: f64,
    day_offset: f64,
    week_offset: f64,
    day: Cycle<DAY_BUCKETS>,
    week: Cycle<WEEK_BUCKETS>,
    /// Mean absolute errors.
    errors: [f32; 4],
    /// Samples that each error rests on.
    seen: [f32; 4],
}

/// A time of the week, as the shapes see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    day: Spot,
    week: Spot,
}

impl Place {
    /// `day` in samples.
    pub(super) fn new(week_ms: i64, day: f64) -> Place {
        Place {
            day: Cycle::<DAY_BUCKETS>::spot(week_ms, day),
            week: Cycle::<WEEK_BUCKETS>::spot(week_ms, day),
        }
    }
}

/// The experts' answers for one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) value: f64,
    pub(super) phase: Phase,
    experts: [f64; 4],
    /// The shape of the day alone, and whether day and week were passed.
    day_part: f64,
    is_passed: [bool; 2],
}

/// What the finest season that is known says, over its slow offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seasonal {
    /// 0 the level, 1 the day, 2 the week.
    pub(super) season: u8,
    pub(super) expected: f64,
    pub(super) offset: f64,
    /// Its mean absolute error.
    pub(super) error: f64,
}

impl Experts {
    pub(super) fn new() -> Experts {
        Experts {
            level: 0.0,
            quick: 0.0,
            day_offset: 0.0,
            week_offset: 0.0,
            day: Cycle::new(),
            week: Cycle::new(),
            errors: [0.0; 4],
            seen: [0.0; 4],
        }
    }

    /// Returns what is expected at a place in the week, `late_ms` after the next sample was due.
    pub(super) fn expect(
        &self,
        season: Season,
        place: Place,
        late_ms: f64,
        tempo: &Tempo,
    ) -> Expected {
        let day_part = self.day.at(place.day);
        let experts = [
            self.level,
            day_part + self.day_offset,
            day_part + self.week.at(place.week) + self.week_offset,
            self.quick,
        ];
        let day_passed = season != Season::Flat && self.day.passes(place.day, tempo.day) >= 1.0;
        let week_passed = season == Season::HourOfWeek
            && day_passed
            && self.week.passes(place.week, tempo.day) >= 1.0;
        let has_history = |k: usize| f64::from(self.seen[k]) >= 0.3 * tempo.day;
        let knows_day = day_passed && has_history(1);
        let knows_week = knows_day && week_passed && has_history(2);
        let joined = [true, knows_day, knows_week, self.seen[3] >= 60.0];
        let least = 1e-3 * tempo.floor + f64::MIN_POSITIVE;
        // What the quick level knows ages within the hour.
        let stale = if late_ms > 0.0 { libm::exp(-late_ms / HOUR_MS) } else { 1.0 };
        let slowest = f64::from(self.errors[0]) + least;
        let (mut sum, mut weights) = (0.0, 0.0);
        for k in 0..4 {
            if joined[k] {
                let ratio = (slowest / (f64::from(self.errors[k]) + least)).clamp(1e-3, 1e3);
                let weight = if k == 3 { stale } else { 1.0 } * (ratio * ratio) * (ratio * ratio);
                sum += weight * experts[k];
                weights += weight;
            }
        }
        let phase = match (knows_day, knows_week) {
            (_, true) => Phase::Week,
            (true, false) => Phase::Day,
            (false, false) => Phase::Level,
        };
        let is_passed = [day_passed, week_passed];
        Expected { value: sum / weights, phase, experts, day_part, is_passed }
    }

    /// Learns from a value; `expected` is what [`Experts::expect`] said for its time. On a holiday
    /// the shapes learn nothing.
    pub(super) fn learn(
        &mut self,
        x: f64,
        expected: &Expected,
        (season, place, is_holiday): (Season, Place, bool),
        tempo: &Tempo,
    ) {
        if tempo.samples <= 1.0 {
            (self.level, self.quick) = (x, x);
            (self.day_offset, self.week_offset) = (x, x);
            return;
        }
        let errors = self.errors.map(f64::from);
        let day_passed = expected.is_passed[0];
        self.learn_errors(x, expected, tempo);

        let fresh = tempo.samples < 10.0;
        let limit = |k: usize, times: f64| {
            if fresh { f64::MAX } else { times * errors[k].max(tempo.floor) }
        };
        let off = |k: usize| {
            let limit = limit(k, 6.0);
            (x - expected.experts[k]).clamp(-limit, limit)
        };
        let slow = tempo.gain(tempo.day / 2.0);
        self.level += slow * off(0);
        self.quick += tempo.gain((tempo.day / 24.0).max(QUICK_SAMPLES)) * off(3);
        if season == Season::Flat {
            return;
        }
        if day_passed {
            self.day_offset += slow * off(1);
            if season == Season::HourOfWeek {
                self.week_offset += slow * off(2);
            }
        } else {
            (self.day_offset, self.week_offset) = (self.level, self.level);
        }
        if is_holiday {
            return;
        }
        if !day_passed {
            // The first pass draws the day's shape around the level of that moment.
            let shape = off(0) - expected.day_part;
            self.day.learn(place.day, tempo, (shape, f64::MAX), false);
            return;
        }
        let limit = limit(1, 3.0);
        let (off_day, off_week) = (x - expected.experts[1], x - expected.experts[2]);
        // A weekend is off the day's shape, and none of its faults.
        let is_doubted = match season {
            Season::HourOfWeek => expected.is_passed[1] && off_week.abs() > limit,
            _ => true,
        };
        self.day.learn(place.day, tempo, (off_day, limit), is_doubted);
        if season == Season::HourOfWeek {
            self.week.learn(place.week, tempo, (off_week, limit), true);
        }
    }

    fn learn_errors(&mut self, x: f64, expected: &Expected, tempo: &Tempo) {
        let [day_passed, week_passed] = expected.is_passed;
        let lost = tempo.loss(2.0 * tempo.day);
        for (k, known) in [true, day_passed, week_passed, true].into_iter().enumerate() {
            if known {
                self.seen[k] += 1.0;
                let (seen, error) = (f64::from(self.seen[k]), f64::from(self.errors[k]));
                let off = (x - expected.experts[k]).abs();
                let off = if seen < 10.0 { off } else { off.min(12.0 * error.max(tempo.floor)) };
                let gain = tempo.pace * lost.max(1.0 / seen);
                self.errors[k] = (error + gain * (off - error)) as f32;
            }
        }
    }

    /// Returns the everyday error of what is expected.
    pub(super) fn error(&self) -> f64 {
        let known = self.errors.iter().zip(self.seen).filter(|(_, seen)| *seen >= 60.0);
        f64::from(known.map(|(error, _)| *error).fold(self.errors[0], f32::min))
    }

    /// Returns what the finest season says that is known at a time.
    pub(super) fn seasonal(&self, expected: &Expected) -> Seasonal {
        let (season, offset) = match expected.phase {
            Phase::Cold | Phase::Level => (0, self.level),
            Phase::Day => (1, self.day_offset),
            Phase::Week => (2, self.week_offset),
        };
        let k = usize::from(season);
        let (expected, error) = (expected.experts[k], f64::from(self.errors[k]));
        Seasonal { season, expected, offset, error }
    }

    /// Returns what the shapes of day and week add to the level, as far as they are known.
    pub(super) fn shape(&self, expected: &Expected) -> f64 {
        match expected.is_passed {
            [true, true] => expected.experts[2] - self.week_offset,
            [true, false] => expected.day_part,
            [false, _] => 0.0,
        }
    }

    /// Accepts a new level: moves what is expected slowly by so much, and the quick level to where
    /// that is now. Where the level is a share of what it was, the shapes are the root of that share:
    /// nobody knows whether they fall in proportion or stay.
    pub(super) fn accept(&mut self, seasonal: &Seasonal, by: f64) {
        self.levels().into_iter().for_each(|level| *level += by);
        self.quick = seasonal.expected + by;
        let share = (seasonal.offset + by) / seasonal.offset;
        if share > 0.0 && share < 1.0 {
            self.day.rescale(share.sqrt());
            self.week.rescale(share.sqrt());
        }
    }

    /// Moves everything that is expected by so much: it is another series.
    pub(super) fn shift_all(&mut self, by: f64) {
        self.levels().into_iter().for_each(|level| *level += by);
        self.quick += by;
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        self.levels().into_iter().for_each(|level| *level *= by);
        self.quick *= by;
        self.day.rescale(by);
        self.week.rescale(by);
        self.errors = self.errors.map(|error| (f64::from(error) * by) as f32);
    }

    /// Lets what was learned weigh no more than `day` samples.
    pub(super) fn forget(&mut self, day: f64) {
        self.day.forget(1.0);
        self.week.forget(1.0);
        self.seen = self.seen.map(|seen| seen.min(day as f32));
    }

    /// The slow levels.
    fn levels(&mut self) -> [&mut f64; 3] {
        [&mut self.level, &mut self.day_offset, &mut self.week_offset]
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        self.levels().into_iter().try_for_each(|level| io.f64(level))?;
        io.f64(&mut self.quick)?;
        self.day.fields(io)?;
        self.week.fields(io)?;
        io.f32s(&mut self.errors)?;
        io.f32s(&mut self.seen)
    }
}
