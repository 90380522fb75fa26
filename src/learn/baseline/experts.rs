use super::Phase;
use super::cycle::{Cycle, DAY_BUCKETS, Doubt, Spot, WEEK_BUCKETS};
use super::tempo::Tempo;
use crate::learn::Season;
use crate::learn::state::Fields;

const HOUR_MS: f64 = 3_600_000.0;
/// The quick level is that of an hour, of so many samples at least: fewer are mostly noise.
const QUICK_SAMPLES: f64 = 6.0;
/// Days over which the base of a shape follows the series.
const BASE_DAYS: f64 = 7.0;
/// What a bucket of a shape believes of one sample, in mean errors of the day's expert.
const BELIEVED_ERRORS: f64 = 4.0;
/// An expert knows better than a shape where it is so many times nearer.
const BETTER: f64 = 4.0;
/// Passes from which on an hour of the week is known.
const SURE_PASSES: f64 = 1.9;
/// Where day and week differ by more errors of the week's expert than this, the rest is the day's
/// error.
const SAME_ERRORS: f64 = 4.0;

/// What is expected at a time: four experts, each weighted by how well it did.
///
/// e0 is a slow level, e1 the time of day over its own offset, e2 the hour of the week over another,
/// with what the day's shape does within the hour, e3 a quick level. Weight (E0/Ek)^4 with Ek the
/// mean absolute error of two days. e1 and e2 join once their buckets were passed; until then the
/// level speaks alone. Where day and week differ by more than four Ek of the week's, the rest counts
/// as error of the day's: five good days are no reason to believe it on the sixth.
///
/// A shape is learned over a base that moves within weeks, in the first pass not at all. Over the
/// offset, which follows within half a day what is still wrong with the shape, both would stay wrong
/// for months: with weekends at half height, hourly, by a seventh of the height after eight weeks.
#[derive(Clone, Debug)]
pub(super) struct Experts {
    level: f64,
    quick: f64,
    day_offset: f64,
    week_offset: f64,
    day_base: f32,
    week_base: f32,
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
    /// How far what is expected may lie from another usual value: where the week was seen once, day
    /// and week; on the first working day or weekend day, what the day expects and its lowest.
    pub(super) unsure: f64,
    experts: [f64; 4],
    /// The shapes of day and week, and whether they were passed.
    shapes: [f64; 2],
    is_passed: [bool; 2],
}

impl Expected {
    /// Returns what the shapes of day and week add to the level, as far as they are known.
    pub(super) fn shape(&self) -> f64 {
        match self.is_passed {
            [true, true] => self.shapes[1],
            [true, false] => self.shapes[0],
            [false, _] => 0.0,
        }
    }
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
            day_base: 0.0,
            week_base: 0.0,
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
        let day_passed = season != Season::Flat && self.day.passes(place.day, tempo.day) >= 1.0;
        let day = self.day.at(place.day);
        let within_hour = if day_passed { day - self.day.at_hours(place.week) } else { 0.0 };
        let shapes = [day, self.week.at(place.week) + within_hour];
        let experts =
            [self.level, shapes[0] + self.day_offset, shapes[1] + self.week_offset, self.quick];
        let week_passes = self.week.passes(place.week, tempo.day);
        let week_passed = season == Season::HourOfWeek && day_passed && week_passes >= 1.0;
        let has_history = |k: usize| f64::from(self.seen[k]) >= 0.3 * tempo.day;
        let knows_day = day_passed && has_history(1);
        let knows_week = knows_day && week_passed && has_history(2);
        let joined = [true, knows_day, knows_week, self.seen[3] >= 60.0];
        let least = 1e-3 * tempo.floor + f64::MIN_POSITIVE;
        let mut errors = self.errors.map(f64::from);
        let mut unsure = 0.0;
        if knows_week {
            let apart = (experts[1] - experts[2]).abs() - SAME_ERRORS * errors[2];
            errors[1] += apart.max(0.0);
            unsure = if week_passes < SURE_PASSES { apart.max(0.0) } else { 0.0 };
        }
        let is_weekly = season == Season::HourOfWeek;
        if knows_day && is_weekly && !week_passed && !self.week.knows_kind(place.week, tempo.day) {
            unsure = day - self.day.lowest();
        }
        // What the quick level knows ages within the hour.
        let stale = if late_ms > 0.0 { libm::exp(-late_ms / HOUR_MS) } else { 1.0 };
        let slowest = errors[0] + least;
        let (mut sum, mut weights) = (0.0, 0.0);
        for k in 0..4 {
            if joined[k] {
                let ratio = (slowest / (errors[k] + least)).clamp(1e-3, 1e3);
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
        Expected { value: sum / weights, phase, unsure, experts, shapes, is_passed }
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
            (self.day_base, self.week_base) = (x as f32, x as f32);
            return;
        }
        let errors = self.errors.map(f64::from);
        let [day_passed, week_passed] = expected.is_passed;
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
        let [day, week] = expected.shapes;
        let off_bases = [(day, self.day_base), (week, self.week_base)]
            .map(|(shape, base)| x - shape - f64::from(base));
        if day_passed {
            self.day_offset += slow * off(1);
            // Until the week's shape is known the day's stands for it.
            let (k, off_week) = if week_passed {
                (2, off_bases[1])
            } else {
                (1, x - day - f64::from(self.week_base))
            };
            let believed = |k: usize, off: f64| off.clamp(-limit(k, 6.0), limit(k, 6.0));
            let gain = tempo.gain(BASE_DAYS * tempo.day);
            self.day_base += (gain * believed(1, off_bases[0])) as f32;
            self.week_base += (gain * believed(k, off_week)) as f32;
        } else {
            self.day_offset = f64::from(self.day_base);
        }
        if week_passed {
            self.week_offset += slow * off(2);
        } else {
            self.week_offset = f64::from(self.week_base);
        }
        if is_holiday {
            return;
        }
        let limit = limit(1, BELIEVED_ERRORS);
        let believed = |is_passed: bool| if is_passed { limit } else { f64::MAX };
        let [off_day, off_week] = [1, 2].map(|k| (x - expected.experts[k]).abs());
        let is_weekly = season == Season::HourOfWeek;
        // A weekend is off the day's shape, and none of its faults.
        let is_off = if is_weekly { week_passed && off_week > limit } else { off_day > limit };
        let doubt = if is_off { Doubt::Off } else { Doubt::None };
        self.day.learn(place.day, tempo, (off_bases[0], believed(day_passed)), doubt);
        if is_weekly {
            let doubt = if off_week <= limit {
                Doubt::None
            } else if off_day < limit.min(off_week / BETTER) {
                Doubt::Wrong
            } else {
                Doubt::Off
            };
            self.week.learn(place.week, tempo, (off_bases[1], believed(week_passed)), doubt);
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

    /// Accepts a new level: moves what is expected slowly by so much, and the quick level to where
    /// that is now. Before a week was seen it may be the weekend, and the week's base stays. Where the
    /// level is a share of what it was, the shapes are the root of that share: nobody knows whether
    /// they fall in proportion or stay.
    pub(super) fn accept(&mut self, seasonal: &Seasonal, by: f64) {
        self.levels().into_iter().for_each(|level| *level += by);
        self.quick = seasonal.expected + by;
        self.day_base += by as f32;
        if seasonal.season == 2 {
            self.week_base += by as f32;
            let share = self.level / (self.level - by);
            if share > 0.0 && share < 1.0 {
                self.day.rescale(share.sqrt());
                self.week.rescale(share.sqrt());
            }
        }
    }

    /// Moves everything that is expected by so much: it is another series.
    pub(super) fn shift_all(&mut self, by: f64) {
        self.levels().into_iter().for_each(|level| *level += by);
        self.quick += by;
        self.day_base += by as f32;
        self.week_base += by as f32;
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        self.levels().into_iter().for_each(|level| *level *= by);
        self.quick *= by;
        for base in [&mut self.day_base, &mut self.week_base] {
            *base = (f64::from(*base) * by) as f32;
        }
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
        io.f32(&mut self.day_base)?;
        io.f32(&mut self.week_base)?;
        self.day.fields(io)?;
        self.week.fields(io)?;
        io.f32s(&mut self.errors)?;
        io.f32s(&mut self.seen)
    }
}
