//! What is normal for one series: [`Baseline`].
//!
//! In this order: [`experts`] say what is expected at a time, from the shapes of day and week in
//! [`cycle`]; three [`channel`]s look at the residual (the sudden change, and drifts over about 6
//! and 48 samples), each with its everyday [`spread`], the sudden one with that of its [`hours`],
//! with what is [`recurring`] at its time and with the [`grain`] of the values; the [`tail`]s say
//! how rare a residual of that size is, and the [`extremes`] whether it is small beside others. Their
//! mixture is the surprise, and the band is where the surprise meets the threshold ([`judge`]).
//! During an [`incident`] all learning is slow, so that trouble does not become normal while it
//! lasts; a [`change`] of level that lasts half a day does. Where nothing happens most of the time,
//! [`absence`] says when something should have.

mod absence;
mod change;
mod channel;
mod cycle;
mod experts;
mod extremes;
mod grain;
mod hours;
mod incident;
mod judge;
mod recurring;
mod spread;
mod tail;
mod tempo;
mod verdict;

use super::state::{Fields, Reader, Writer};
use super::{Calendar, RestoreError, Season};
use absence::Absence;
use change::Change;
use channel::{Around, Channel, Kind, Scale};
use experts::{Expected, Experts, Place};
use extremes::Extremes;
use grain::Grain;
use hours::Hours;
use incident::{Course, Incident};
use recurring::Recurring;
use tempo::Tempo;
pub(super) use verdict::agreed;
pub use verdict::{Phase, Reading, Shift, Side, Verdict, default_threshold};

/// Learns what is normal for one series and judges its values.
///
/// With P what the [`experts`](self) expect, r = x - P and b a short memory of r: the channels look
/// at u = r - b and at means R of r over 6 and 48 samples. Each divides by its everyday size (z),
/// and mixes two estimates of how rare that z is (-log10 p): s = 0.55 B + 0.45 A +
/// 0.75 log10(z / 12) + 0.5 ln(look / small), neither of the last two above 0. The surprise is the
/// largest s, lowered for a lone sample.
///
/// Units: times in ms, values and band in the signal's unit; inside, a power of two near the mean
/// absolute value is the unit, so that single floats hold any series and a copy of it in other
/// units is judged alike. State: [`Baseline::STATE_BYTES`], fixed. What a sample costs: benches/learn.rs.
#[derive(Clone, Debug)]
pub struct Baseline {
    season: Season,
    calendar: Calendar,
    /// Samples learned; of an inherited state, what it weighs.
    samples: i64,
    first_ms: i64,
    last_ms: i64,
    /// Mean time between samples, ms.
    step_ms: f64,
    /// The finest season that has spoken yet: 0 the level, 1 the day, 2 the week.
    finest: u8,
    /// Samples after a long gap that get no verdict yet.
    settling: u8,
    /// What a number of this series is measured in: a power of two, 0 until a value is not 0.
    unit: f64,
    /// Mean absolute value.
    magnitude: f32,
    grain: Grain,
    experts: Experts,
    /// Short memory of the residual.
    bias: f32,
    hours: Hours,
    recurring: Recurring,
    channels: [Channel; 3],
    /// The three mixtures before, the latest first.
    history: [f32; 3],
    incident: Incident,
    change: Change,
    absence: Absence,
    extremes: Extremes,
    /// When a new level was accepted last.
    relearned_ms: Option<i64>,
    /// When the state of its family was taken over.
    inherited_ms: Option<i64>,
}

const MAGIC: [u8; 4] = *b"FWBL";
const VERSION: u16 = 10;
const COLD_SAMPLES: i64 = 60;
const SETTLING_SAMPLES: u8 = 10;
/// A value so many times as large as those before is no part of a beginning.
const OUTLANDISH: f64 = 1000.0;
const DAY_MS: f64 = 86_400_000.0;
/// Where what is expected may be either of two values, their distance is so many times everyday.
const UNSURE_Z: f64 = 3.0;
/// What is left in the short memory of an incident that was so many errors away is no part of what
/// comes after it.
const FAR_ERRORS: f64 = 9.0;
/// No gap counts as more samples than this.
const ELAPSED_MAX: f64 = 50.0;
/// No value counts as more units than this.
const UNITS_MAX: f64 = 1e18;
/// The unit is chosen anew when the mean absolute value leaves this many of it, either way.
const UNITS_USUAL: f64 = 64.0;

/// What is known of an instant before its value is.
struct Moment {
    tempo: Tempo,
    /// Place in the week, ms.
    week_ms: i64,
    place: Place,
    is_holiday: bool,
    expected: Expected,
    hour: usize,
    scales: [Scale; 3],
    /// What the shapes add to the mean at this time, and the surprise if no event comes.
    shape: f64,
    absence: f64,
}

impl Moment {
    /// Returns the surprise of a value as the absence of an event.
    fn absence_of(&self, value: f64) -> f64 {
        if value <= 0.0 { self.absence } else { 0.0 }
    }
}

impl Baseline {
    /// The size of what [`Baseline::serialize`] returns.
    pub const STATE_BYTES: usize = 2_045;

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
            grain: Grain::default(),
            experts: Experts::new(),
            bias: 0.0,
            hours: Hours::default(),
            recurring: Recurring::new(),
            channels: Kind::ALL.map(Channel::new),
            history: [0.0; 3],
            incident: Incident::default(),
            change: Change::default(),
            absence: Absence::default(),
            extremes: Extremes::default(),
            relearned_ms: None,
            inherited_ms: None,
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

    /// Returns a baseline for a new member of the elder's family, whose first sample is `value`:
    /// the elder's shapes, spread and tails, in proportion to the new level (where both levels have
    /// a sign and it is the same; else beside it), at the weight of one day. How much is borrowed
    /// falls to 0 within a week. Nothing where the elder is cold or the value is no number.
    pub fn inherit(elder: &Baseline, time_ms: i64, value: f64) -> Option<Baseline> {
        let is_known = elder.samples >= COLD_SAMPLES && time_ms > elder.first_ms;
        if !is_known || !is_usable(value) {
            return None;
        }
        let mut heir = elder.clone();
        heir.last_ms = time_ms.saturating_sub(elder.step_ms as i64);
        heir.first_ms = time_ms;
        heir.weigh_a_day();
        let level = heir.moment(time_ms).expected.value * heir.scale_of_unit();
        let ratio = value / level;
        if (1e-9..1e9).contains(&ratio) {
            let unit = libm::exp2(libm::round(libm::log2(ratio)));
            heir.unit *= unit;
            heir.rescale(ratio / unit);
        } else {
            heir.experts.shift_all((value - level) / heir.scale_of_unit());
        }
        heir.grain = Grain::default();
        (heir.relearned_ms, heir.inherited_ms) = (None, Some(time_ms));
        Some(heir)
    }

    /// Learns from a value. What is no number, or not later than the value before, is dropped.
    pub fn learn(&mut self, time_ms: i64, value: f64) {
        if !is_usable(value) || (self.samples > 0 && time_ms <= self.last_ms) {
            return;
        }
        if self.samples < COLD_SAMPLES && self.is_outlandish(value) {
            return;
        }
        self.keep_time(time_ms);
        self.keep_unit(value);
        let value = self.in_units(value);
        let mut moment = self.moment(time_ms);
        self.keep_phase(moment.expected.phase);
        let mut residual = value - moment.expected.value;
        if self.samples > COLD_SAMPLES {
            if self.keep_incident(&moment, time_ms, value) {
                moment = self.moment(time_ms);
                residual = value - moment.expected.value;
            }
            let knows_day = self.samples as f64 >= moment.tempo.day;
            (moment.tempo.pace, moment.tempo.spread_pace) = self.incident.paces(knows_day);
            moment.tempo.lasted = self.incident.lasted();
        }
        if self.samples > 1 {
            self.learn_residual(&moment, residual);
        }
        if self.absence.learn(value, moment.shape, moment.absence, &moment.tempo) {
            self.relearned_ms = Some(time_ms);
        }
        let when = (self.season, moment.place, moment.is_holiday);
        self.experts.learn(value, &moment.expected, when, &moment.tempo);
        let before = self.grain.before();
        self.grain.learn(value);
        if !self.incident.is_on() {
            self.keep_size(value, before);
        }
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
        io.u8(&mut self.finest)?;
        io.u8(&mut self.settling)?;
        io.f64(&mut self.unit)?;
        io.f32(&mut self.magnitude)?;
        self.grain.fields(io)?;
        self.experts.fields(io)?;
        io.f32(&mut self.bias)?;
        self.hours.fields(io)?;
        self.recurring.fields(io)?;
        self.channels.iter_mut().try_for_each(|channel| channel.fields(io))?;
        io.f32s(&mut self.history)?;
        self.incident.fields(io)?;
        self.change.fields(io)?;
        self.absence.fields(io)?;
        self.extremes.fields(io)?;
        io.option_i64(&mut self.relearned_ms)?;
        io.option_i64(&mut self.inherited_ms)
    }

    /// Lets what was learned weigh no more than a day of samples, and forgets what was going on.
    fn weigh_a_day(&mut self) {
        let day = (DAY_MS / self.step_ms.max(1.0)).max(1.0);
        self.samples = self.samples.min((day as i64).max(COLD_SAMPLES));
        self.experts.forget(day);
        self.hours.forget(day);
        self.channels.iter_mut().for_each(|channel| channel.forget_beyond(day));
        self.forget_drift();
        self.history = [0.0; 3];
        self.incident = Incident::default();
        self.change = Change::default();
        self.absence = Absence::default();
        self.settling = 0;
    }

    /// Returns what one unit is, also where it is not known yet.
    fn scale_of_unit(&self) -> f64 {
        if self.unit > 0.0 { self.unit } else { 1.0 }
    }

    fn in_units(&self, value: f64) -> f64 {
        (value / self.scale_of_unit()).clamp(-UNITS_MAX, UNITS_MAX)
    }

    /// Follows whether this is an incident, and whether the level has changed. Returns whether that
    /// moved what a value is compared with: one lasted for so long that it is accepted, or the series is
    /// back from far away.
    fn keep_incident(&mut self, moment: &Moment, time_ms: i64, value: f64) -> bool {
        let residual = value - moment.expected.value;
        let error =
            self.experts.error().max(moment.tempo.floor).max(moment.expected.unsure / UNSURE_Z);
        let is_off =
            residual.abs() > 6.0 * error || self.channels[0].z(&moment.scales[0], residual) > 4.0;
        let side = if residual > 0.0 { Side::Above } else { Side::Below };
        let course = self.incident.learn(is_off.then_some(side), &moment.tempo);
        let is_close = self.incident.is_on() && residual.abs() <= 6.0 * error;
        let from_far = is_close && f64::from(self.bias).abs() > FAR_ERRORS * error;
        if from_far || course == Course::Back {
            // The way back is no jump from where the series was.
            self.bias = 0.0;
        }
        let mut accepted = course == Course::Accepted;
        let seasonal = self.experts.seasonal(&moment.expected);
        let moved = self.change.learn(value, &seasonal, (is_off, time_ms), &moment.tempo);
        if let Some(by) = moved {
            accepted = true;
            self.experts.accept(&seasonal, by);
            self.incident = Incident::default();
            self.forget_drift();
        }
        if accepted {
            self.relearned_ms = Some(time_ms);
        }
        accepted || from_far
    }

    fn forget_drift(&mut self) {
        self.bias = 0.0;
        self.channels.iter_mut().for_each(Channel::forget_drift);
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
            self.forget_drift();
        } else {
            self.settling = self.settling.saturating_sub(1);
        }
        let gain = (1.0 / (self.samples - 1) as f64).max(0.02);
        self.step_ms += gain * (gap_ms.min(3.0 * self.step_ms) - self.step_ms);
    }

    /// Forgets what was rare once a finer season explains it, and what was large once the day's does:
    /// a weekend surprised the level, and must not make a real stop look usual to the week.
    fn keep_phase(&mut self, phase: Phase) {
        let (finest, keep) = match phase {
            Phase::Cold | Phase::Level => (0, 1.0),
            Phase::Day => (1, 0.0),
            Phase::Week => (2, 0.25),
        };
        if finest > self.finest {
            self.finest = finest;
            self.channels.iter_mut().for_each(|channel| channel.forget_rarity(keep));
            if phase == Phase::Day {
                self.extremes = Extremes::default();
            }
        }
    }

    /// Returns whether a value at the beginning is so far from all others that it says nothing of the
    /// series, unless it comes twice; forgets a first value that the next two are as far from.
    fn is_outlandish(&mut self, value: f64) -> bool {
        let size = self.in_units(value).abs();
        let (before, magnitude) = (self.grain.before().abs(), f64::from(self.magnitude));
        if self.samples == 2 {
            let first = (2.0 * magnitude - before).max(0.0);
            if before.max(size) * OUTLANDISH < first || size >= UNITS_MAX {
                *self = Baseline::new(self.season, self.calendar.clone());
                return false;
            }
        }
        let is_outlandish = magnitude > 0.0 && size > OUTLANDISH * magnitude.max(before);
        if is_outlandish {
            self.grain.see(self.in_units(value));
        }
        is_outlandish
    }

    /// Chooses the unit by the first value that is not 0.
    fn keep_unit(&mut self, value: f64) {
        if self.unit == 0.0 && value != 0.0 {
            self.unit = power_of_two(value.abs());
        }
    }

    /// Follows the usual size of the values (in units), and the unit with it; a size never seen
    /// before has to come twice.
    fn keep_size(&mut self, value: f64, before: f64) {
        let size = value.abs();
        let believed = size.min((20.0 * f64::from(self.magnitude)).max(before.abs()));
        let believed = if self.samples < 10 { size } else { believed };
        let day = DAY_MS / self.step_ms.max(1.0);
        let gain = (1.0 / self.samples as f64).max(1.0 / day.max(1.0));
        let magnitude = f64::from(self.magnitude);
        let magnitude = magnitude + gain * (believed - magnitude);
        self.magnitude = magnitude as f32;
        let is_usual = (1.0 / UNITS_USUAL..UNITS_USUAL).contains(&magnitude);
        if !is_usual && magnitude > 0.0 {
            let by = power_of_two(magnitude);
            let unit = self.unit * by;
            if unit.is_normal() {
                self.unit = unit;
                self.rescale(1.0 / by);
            }
        }
    }

    /// Multiplies all that was learned.
    fn rescale(&mut self, by: f64) {
        self.magnitude = (f64::from(self.magnitude) * by) as f32;
        self.grain.rescale(by);
        self.experts.rescale(by);
        self.bias = (f64::from(self.bias) * by) as f32;
        self.channels.iter_mut().for_each(|channel| channel.rescale(by));
        self.change.rescale(by);
        self.absence.rescale(by);
        self.extremes.rescale(by);
        self.recurring.rescale(by);
    }

    fn moment(&self, time_ms: i64) -> Moment {
        let step_ms = self.step_ms.max(1.0);
        // Without a second sample there is no step; a minute is as good as any.
        let day = if self.step_ms > 0.0 { (DAY_MS / step_ms).max(1.0) } else { 1440.0 };
        let gap_ms = time_ms.saturating_sub(self.last_ms) as f64;
        let (week_ms, is_holiday) = self.calendar.place(time_ms);
        let magnitude = f64::from(self.magnitude);
        let floor = (0.01 * magnitude).max(1e-9);
        let mut tempo = Tempo {
            day,
            elapsed: (gap_ms / step_ms).clamp(0.0, ELAPSED_MAX),
            samples: self.samples.max(1) as f64,
            minute: (day / 1440.0).max(1.0),
            floor,
            grain: 0.0,
            mean_grain: 0.0,
            least: floor.max(self.grain.departure()),
            pace: 1.0,
            spread_pace: 1.0,
            lasted: 0.0,
        };
        let late_ms = (gap_ms - self.step_ms).max(0.0);
        let place = Place::new(week_ms, day);
        let expected = self.experts.expect(self.season, place, late_ms, &tempo);
        // Nearer to a whole step than to none is as good as one.
        let usual = magnitude.max(2.0 * expected.value.abs());
        (tempo.grain, tempo.mean_grain) = self.grain.sizes(usual);
        let shape = expected.shape();
        let days = time_ms.saturating_sub(self.first_ms) as f64 / DAY_MS;
        let absence = self.absence.surprise(shape, days, &tempo);
        let hour = Hours::of(week_ms);
        let share = if self.season == Season::Flat { 1.0 } else { self.hours.share(hour, day) };
        let (recurring, in_means) = if self.season == Season::Flat {
            (0.0, 0.0)
        } else {
            self.recurring.sizes(week_ms, day)
        };
        let unsure = expected.unsure / UNSURE_Z;
        let base = self.channels[0].spread.unit(share, tempo.grain, &tempo);
        let (base, in_means) = (base.max(recurring).max(unsure), in_means.max(unsure));
        let around =
            Around { bias: f64::from(self.bias), share, base, small: self.extremes.small() };
        let [sudden, drift, slow] = [(0, base), (1, in_means), (2, in_means)]
            .map(|(k, least)| self.channels[k].scale(&tempo, &around, least));
        let scales = [sudden, drift, slow.while_shown_by(&drift)];
        Moment { tempo, week_ms, place, is_holiday, expected, hour, scales, shape, absence }
    }

    fn learn_residual(&mut self, moment: &Moment, residual: f64) {
        let (tempo, above) = (&moment.tempo, residual > 0.0);
        let mut mixture = 0.0f64;
        for (channel, scale) in self.channels.iter_mut().zip(&moment.scales) {
            let z = channel.z(scale, residual);
            mixture = mixture.max(channel.surprise(tempo, scale, z, above));
            channel.learn(tempo, scale, residual, z);
        }
        self.extremes.learn(residual.abs(), tempo);
        self.history.rotate_right(1);
        self.history[0] = mixture as f32;

        let bias = f64::from(self.bias);
        let sudden = residual - bias;
        let scale = self.channels[0].spread.scale();
        let everyday = (scale * moment.scales[0].share()).max(tempo.floor);
        let clipped = sudden.clamp(-8.0 * everyday, 8.0 * everyday);
        self.bias = (bias + tempo.loss(4.0 * tempo.minute) * clipped) as f32;
        if self.season != Season::Flat {
            // Also how far it jumped: at a step that may be twice as far as it stands off.
            let jump = self.channels[0].size(&moment.scales[0], residual);
            self.recurring.learn(moment.week_ms, residual.abs().max(jump));
            self.hours.learn(moment.hour, sudden.abs().min(4.0 * everyday), scale, tempo);
        }
    }
}

/// Returns the largest power of two that is not larger.
fn power_of_two(size: f64) -> f64 {
    libm::exp2(libm::log2(size).floor())
}

fn is_usable(value: f64) -> bool {
    value.abs() <= 1e300
}
