//! What is normal for one series: [`Baseline`].
//!
//! In this order: [`experts`] say what is expected at a time; three channels look at the residual
//! (the sudden change, and drifts over about 6 and 48 samples), each with its everyday [`spread`];
//! the [`tail`]s say how rare a residual of that size is; their mixture is the surprise, and the
//! band is where the surprise meets the threshold. During an [`incident`] all learning is slow, so
//! that trouble does not become normal while it lasts.

mod channel;
mod experts;
mod incident;
mod spread;
mod tail;

use super::state::{Fields, Reader, Writer};
use super::{Calendar, RestoreError, Season};
use channel::{Channel, Kind};
use experts::{Expected, Experts, Tempo};
use incident::Incident;

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
    /// The change point, if there is one and its level is not accepted as normal yet.
    pub shift: Option<Shift>,
    /// Whether a new level was accepted as normal within the last day.
    pub relearned: bool,
}

/// A lasting change of a series' level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// When it began, ms.
    pub since_ms: i64,
    /// What was expected then, in the signal's unit.
    pub from: f64,
    /// Where the level lies now.
    pub to: f64,
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

/// Returns the surprise threshold T that is used where nothing else is asked: 2.87 at a sample
/// a minute, 0.3 lower for each factor of ten in the step.
pub fn default_threshold(step_ms: i64) -> f64 {
    2.87 - 0.3 * libm::log10((step_ms as f64 / 60_000.0).max(1.0))
}

/// Learns what is normal for one series and judges its values.
///
/// With P what the [`experts`](self) expect, r = x - P and b a short memory of r: the channels look
/// at u = r - b and at means R of r over 6 and 48 samples. Each divides by its everyday size (z),
/// and mixes two estimates of how rare that z is (-log10 p): s = 0.55 B + 0.45 A +
/// 0.75 log10(z / 12). The surprise is the largest s, lowered for a lone sample.
///
/// Units: times in ms, values and band in the signal's unit. State: 7 KiB, fixed. What a sample
/// costs: benches/learn.rs.
#[derive(Clone, Debug)]
pub struct Baseline {
    season: Season,
    calendar: Calendar,
    /// Samples learned.
    samples: i64,
    first_ms: i64,
    last_ms: i64,
    /// Mean time between samples, ms.
    step_ms: f64,
    /// The finest season that has spoken yet: 0 the level, 1 the day, 2 the week.
    finest: i64,
    /// Samples after a long gap that get no verdict yet.
    settling: i64,
    /// The first value's size, as a power of two: what a number of this series is measured in.
    unit: f64,
    /// Mean absolute value, and the value before, which it takes to believe a large one.
    magnitude: f64,
    before: f64,
    experts: Experts,
    /// Short memory of the residual.
    bias: f64,
    /// Per hour of day: ln of its share of the scale, and samples seen.
    shapes: [f64; HOURS],
    visits: [f64; HOURS],
    channels: [Channel; 3],
    /// The three mixtures before, the latest first.
    history: [f64; 3],
    incident: Incident,
    /// When a new level was accepted last.
    relearned_ms: Option<i64>,
}

const MAGIC: [u8; 4] = *b"FWBL";
const VERSION: u16 = 4;
const COLD_SAMPLES: i64 = 60;
const SETTLING_SAMPLES: i64 = 10;
/// What a surprise counts for less at first; nothing after a week.
const YOUTH_CAUTION: f64 = 0.6;
const DAY_MS: f64 = 86_400_000.0;
const HOURS: usize = 24;
/// No gap counts as more samples than this.
const ELAPSED_MAX: f64 = 50.0;

/// What is known of an instant before its value is.
struct Moment {
    tempo: Tempo,
    expected: Expected,
    /// The hour's share of the scale.
    shape: f64,
    hour: usize,
}

impl Baseline {
    /// Returns a baseline that knows nothing.
    pub fn new(season: Season, calendar: Calendar) -> Baseline {
        Baseline {
            season,
            calendar,
            samples: 0,
            first_ms: 0,
            last_ms: 0,
            step_ms: 0.0,
            finest: 0,
            settling: 0,
            unit: 0.0,
            magnitude: 0.0,
            before: 0.0,
            experts: Experts::new(),
            bias: 0.0,
            shapes: [0.0; HOURS],
            visits: [0.0; HOURS],
            channels: Kind::ALL.map(Channel::new),
            history: [0.0; 3],
            incident: Incident::default(),
            relearned_ms: None,
        }
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
    /// [`default_threshold`]. It may be asked at any time after the last learned sample.
    pub fn judge(&self, time_ms: i64, value: f64, threshold: f64) -> Option<Verdict> {
        let after_gap = self.settling > 0 || self.is_long_gap(time_ms);
        let known = self.samples >= COLD_SAMPLES && time_ms > self.last_ms && !after_gap;
        if !known || !is_usable(value) || !threshold.is_finite() {
            return None;
        }
        let threshold = threshold.max(0.1);
        let moment = self.moment(time_ms);
        let expected = moment.expected.value;
        let rarity = self.surprise(self.mixture(&moment, value - expected));
        let surprise = (rarity - self.caution()).max(0.0);
        let mut score = surprise / threshold;

        let needed = self.mixture_needed(threshold + self.caution());
        let upper = expected + self.distance(&moment, needed, 1.0);
        let lower = expected - self.distance(&moment, needed, -1.0);
        // The edges are found to within a rounding; the score decides, so that both always agree.
        let (mut lower, mut upper) = (lower.max(f64::MIN), upper.min(f64::MAX));
        if score < 1.0 {
            (lower, upper) = (lower.min(value), upper.max(value));
        } else if value == expected {
            score = 1.0f64.next_down();
        } else if value > expected {
            upper = upper.min(value.next_down()).max(expected);
        } else {
            lower = lower.max(value.next_up()).min(expected);
        }
        let side = if value < expected { Side::Below } else { Side::Above };
        let phase = moment.expected.phase;
        let shift = self.incident.shift().map(|(since_ms, from)| {
            let to = expected + self.channels[2].drift();
            Shift { since_ms, from, to }
        });
        let since_ms = self.relearned_ms.map(|relearned_ms| time_ms.saturating_sub(relearned_ms));
        let relearned = since_ms.is_some_and(|since_ms| since_ms as f64 <= DAY_MS);
        Some(Verdict { expected, lower, upper, surprise, score, side, phase, shift, relearned })
    }

    /// Learns from a value. What is no number, or not later than the value before, is dropped.
    pub fn learn(&mut self, time_ms: i64, value: f64) {
        if !is_usable(value) || (self.samples > 0 && time_ms <= self.last_ms) {
            return;
        }
        self.keep_time(time_ms);
        self.keep_size(value);
        let mut moment = self.moment(time_ms);
        self.keep_phase(moment.expected.phase);
        let mut residual = value - moment.expected.value;
        if self.samples > COLD_SAMPLES {
            if self.keep_incident(&moment, time_ms, residual) {
                moment = self.moment(time_ms);
                residual = value - moment.expected.value;
            }
            moment.tempo.pace = self.incident.pace();
        }
        if self.samples > 1 {
            self.learn_residual(&moment, residual);
        }
        self.experts.learn(value, &moment.expected, self.season, &moment.tempo);
        self.last_ms = time_ms;
    }

    /// Judges a value, then learns from it.
    pub fn observe(&mut self, time_ms: i64, value: f64, threshold: f64) -> Option<Verdict> {
        let verdict = self.judge(time_ms, value, threshold);
        self.learn(time_ms, value);
        verdict
    }

    /// Returns how much is known for the time of the last sample.
    pub fn phase(&self) -> Phase {
        if self.samples < COLD_SAMPLES {
            Phase::Cold
        } else {
            self.moment(self.last_ms).expected.phase
        }
    }

    /// Returns when the first and the last learned sample were, ms.
    pub fn learned_ms(&self) -> Option<(i64, i64)> {
        (self.samples > 0).then_some((self.first_ms, self.last_ms))
    }

    /// Returns the state, bit for bit; season and calendar are configuration and not in it.
    pub fn serialize(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        let Ok(()) = self.clone().fields(&mut writer);
        writer.finish()
    }

    /// Takes over a state that [`Baseline::serialize`] returned.
    pub fn restore(
        season: Season,
        calendar: Calendar,
        bytes: &[u8],
    ) -> Result<Baseline, RestoreError> {
        let mut reader = Reader::new("baseline", MAGIC, VERSION, bytes)?;
        let mut baseline = Baseline::new(season, calendar);
        baseline.fields(&mut reader)?;
        reader.finish()?;
        Ok(baseline)
    }

    fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.i64(&mut self.samples)?;
        io.i64(&mut self.first_ms)?;
        io.i64(&mut self.last_ms)?;
        io.f64(&mut self.step_ms)?;
        io.i64(&mut self.finest)?;
        io.i64(&mut self.settling)?;
        io.f64(&mut self.unit)?;
        io.f64(&mut self.magnitude)?;
        io.f64(&mut self.before)?;
        self.experts.fields(io)?;
        io.f64(&mut self.bias)?;
        io.f64s(&mut self.shapes)?;
        io.f64s(&mut self.visits)?;
        self.channels.iter_mut().try_for_each(|channel| channel.fields(io))?;
        io.f64s(&mut self.history)?;
        self.incident.fields(io)?;
        io.option_i64(&mut self.relearned_ms)
    }

    /// Follows whether this is an incident. Returns whether one lasted for so long that its level
    /// is accepted, which moves what is expected.
    fn keep_incident(&mut self, moment: &Moment, time_ms: i64, residual: f64) -> bool {
        let error = self.experts.error().max(moment.tempo.floor);
        let is_off = residual.abs() > 6.0 * error || self.z(moment, residual)[0] > 4.0;
        let expected = moment.expected.value;
        let accepted = self.incident.learn(is_off, time_ms, expected, &moment.tempo);
        if accepted {
            self.relearned_ms = Some(time_ms);
            let lasting = &self.channels[2];
            self.experts.shift(lasting.drift());
            self.bias = 0.0;
            self.channels.iter_mut().for_each(Channel::forget_drift);
        }
        accepted
    }

    fn is_long_gap(&self, time_ms: i64) -> bool {
        let gap_ms = time_ms.saturating_sub(self.last_ms) as f64;
        gap_ms > DAY_MS.max(3.0 * self.step_ms)
    }

    /// Counts the sample, follows the step, and starts to settle after a long gap.
    fn keep_time(&mut self, time_ms: i64) {
        self.samples += 1;
        if self.samples == 1 {
            (self.first_ms, self.last_ms) = (time_ms, time_ms);
            return;
        }
        let gap_ms = time_ms.saturating_sub(self.last_ms) as f64;
        if self.samples == 2 {
            self.step_ms = gap_ms;
        }
        if self.is_long_gap(time_ms) {
            self.settling = SETTLING_SAMPLES;
            self.bias = 0.0;
            self.channels.iter_mut().for_each(Channel::forget_drift);
        } else {
            self.settling = (self.settling - 1).max(0);
        }
        let gain = (1.0 / (self.samples - 1) as f64).max(0.02);
        self.step_ms += gain * (gap_ms.min(3.0 * self.step_ms) - self.step_ms);
    }

    /// Forgets what was rare once a finer season explains it: a weekend surprised the level, and
    /// must not make a real stop look usual to the week.
    fn keep_phase(&mut self, phase: Phase) {
        let (finest, keep) = match phase {
            Phase::Cold | Phase::Level => (0, 1.0),
            Phase::Day => (1, 0.0),
            Phase::Week => (2, 0.25),
        };
        if finest > self.finest {
            self.finest = finest;
            self.channels.iter_mut().for_each(|channel| channel.forget_rarity(keep));
        }
    }

    /// Follows the usual size of the values; a size never seen before has to come twice.
    fn keep_size(&mut self, value: f64) {
        let size = value.abs();
        if self.unit == 0.0 && size > 0.0 {
            self.unit = libm::exp2(libm::log2(size).floor());
        }
        let believed = size.min((20.0 * self.magnitude).max(self.before));
        let believed = if self.samples < 10 { size } else { believed };
        let day = DAY_MS / self.step_ms.max(1.0);
        let gain = (1.0 / self.samples as f64).max(-libm::expm1(-1.0 / day.max(1.0)));
        self.magnitude += gain * (believed - self.magnitude);
        self.before = size;
    }

    fn moment(&self, time_ms: i64) -> Moment {
        let step_ms = self.step_ms.max(1.0);
        // Without a second sample there is no step; a minute is as good as any.
        let day = if self.step_ms > 0.0 { (DAY_MS / step_ms).max(1.0) } else { 1440.0 };
        let gap_ms = time_ms.saturating_sub(self.last_ms) as f64;
        let week_ms = self.calendar.week_ms(time_ms);
        let hour = (week_ms / 3_600_000) as usize % HOURS;
        let floor = (0.01 * self.magnitude).max(1e-9 * self.unit).max(f64::MIN_POSITIVE);
        let tempo = Tempo {
            week_ms,
            day,
            elapsed: (gap_ms / step_ms).clamp(0.0, ELAPSED_MAX),
            samples: self.samples.max(1) as f64,
            floor,
            pace: 1.0,
        };
        let late_ms = (gap_ms - self.step_ms).max(0.0);
        let expected = self.experts.expect(self.season, week_ms, late_ms, day, floor);
        let passes = self.visits[hour] / (day / HOURS as f64).max(1.0);
        let shape = match self.season {
            Season::Flat => 1.0,
            _ => libm::exp(passes / (passes + 3.0) * self.shapes[hour]),
        };
        Moment { tempo, expected, shape, hour }
    }

    /// Returns the everyday size of a sudden change at this hour.
    fn base(&self, moment: &Moment) -> f64 {
        self.channels[0].spread.unit(moment.shape, moment.tempo.floor, moment.tempo.day)
    }

    fn z(&self, moment: &Moment, residual: f64) -> [f64; 3] {
        let base = self.base(moment);
        [0, 1, 2].map(|k| self.channels[k].z(moment, residual, self.bias, base))
    }

    /// Returns how unusual a residual is, the largest of the channels. Grows with its size.
    fn mixture(&self, moment: &Moment, residual: f64) -> f64 {
        let z = self.z(moment, residual);
        let parts = [0, 1, 2].map(|k| self.channels[k].surprise(z[k], residual > 0.0));
        parts.into_iter().fold(0.0, f64::max)
    }

    /// Returns how much rarer a lone sample must be: 1 at a sample a minute, 0 from a quarter of an
    /// hour.
    fn persistence(&self) -> f64 {
        let minutes = (self.step_ms / 60_000.0).max(1e-3);
        (1.0 - libm::log10(minutes) / libm::log10(15.0)).clamp(0.0, 1.0)
    }

    /// Returns by how much a surprise counts for less in the first week, in which nothing has been
    /// seen twice that comes by the week.
    fn caution(&self) -> f64 {
        let days = self.last_ms.saturating_sub(self.first_ms) as f64 / DAY_MS;
        YOUTH_CAUTION * (1.0 - days / 7.0).max(0.0)
    }

    /// Returns the larger of the two mixtures before, and the second largest of the three before.
    fn recent(&self) -> (f64, f64) {
        let [a, b, c] = self.history;
        (a.max(b), a.min(b).max(a.max(b).min(c)))
    }

    /// Returns the surprise of a mixture: a lone sample counts for less, three of four for more.
    fn surprise(&self, mixture: f64) -> f64 {
        let (persistence, (two, three)) = (self.persistence(), self.recent());
        let thrice = mixture.min(three);
        let bonus = if thrice > 0.0 { persistence / 4.0 } else { 0.0 };
        (mixture - persistence / 2.0).max(mixture.min(two)).max(thrice + bonus)
    }

    /// Returns the least mixture whose surprise is `threshold`.
    fn mixture_needed(&self, threshold: f64) -> f64 {
        let (persistence, (two, three)) = (self.persistence(), self.recent());
        let (lone, lasting) = (threshold + persistence / 2.0, threshold - persistence / 4.0);
        match (two >= threshold, three >= lasting) {
            (_, true) => lasting,
            (true, false) => threshold,
            (false, false) => lone,
        }
    }

    /// Returns how far from what is expected the mixture becomes `needed`, to within a millionth.
    fn distance(&self, moment: &Moment, needed: f64, side: f64) -> f64 {
        let unusual = |distance: f64| self.mixture(moment, side * distance) >= needed;
        let mut outside = self.base(moment);
        let mut inside = 0.0;
        // Beyond 2^40 everyday sizes there is no edge.
        for _ in 0..40 {
            if unusual(outside) {
                break;
            }
            (inside, outside) = (outside, 2.0 * outside);
        }
        if inside == 0.0 && unusual(1e-6 * outside) {
            return 0.0;
        }
        for _ in 0..20 {
            let middle = f64::midpoint(inside, outside);
            if unusual(middle) {
                outside = middle;
            } else {
                inside = middle;
            }
        }
        outside
    }

    fn learn_residual(&mut self, moment: &Moment, residual: f64) {
        let (base, bias) = (self.base(moment), self.bias);
        let z = self.z(moment, residual);
        let mixture = self.mixture(moment, residual);
        for (channel, z) in self.channels.iter_mut().zip(z) {
            channel.learn(moment, residual, bias, base, z);
        }
        let sudden = residual - bias;
        let floor = moment.tempo.floor;
        let everyday = (self.channels[0].spread.scale * moment.shape).max(floor);
        let gain = -libm::expm1(-moment.tempo.elapsed / 4.0);
        self.bias += gain * sudden.clamp(-8.0 * everyday, 8.0 * everyday);
        if self.season != Season::Flat {
            self.learn_shape(moment, sudden.abs().min(4.0 * everyday));
        }
        self.history.rotate_right(1);
        self.history[0] = mixture;
    }

    /// Learns how large this hour's residuals are beside the day's.
    fn learn_shape(&mut self, moment: &Moment, clipped: f64) {
        let scale = self.channels[0].spread.scale;
        if scale <= 0.0 {
            return;
        }
        let visits = &mut self.visits[moment.hour];
        *visits += 1.0;
        let ratio = (1.25 * clipped).max(scale / 20.0) / scale;
        // The mean of the log lies below the log of the mean by about a half.
        let target = (libm::log(ratio) + 0.5).clamp(-1.5, 1.5);
        let most = 7.0 * (moment.tempo.day / HOURS as f64).max(1.0);
        self.shapes[moment.hour] += (target - self.shapes[moment.hour]) / visits.min(most);
    }
}

fn is_usable(value: f64) -> bool {
    value.abs() <= 1e300
}
