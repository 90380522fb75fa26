//! What comes in the next hours and days: [`Profile`].
//!
//! In this order: [`scale`] takes values to a scale on which errors add up; [`seasons`] says how long
//! a day and a week are; [`experts`], three of them an [`autoregression`], each go on from the past;
//! [`backtest`] asks them about what is known already and weighs them by it; [`spread`] turns the
//! errors that were made there into an interval.
//!
//! Absent on purpose: a fit that is kept. All is worked out anew from the values when it is asked
//! for, so the state is the values alone, and a forecast cannot depend on when one was asked for.

mod autoregression;
mod backtest;
mod experts;
mod scale;
mod seasons;
mod spread;

use self::backtest::{Foretold, foretell};
use self::scale::Scale;
use self::seasons::Seasons;
use super::RestoreError;
use super::state::{Fields, Reader, Writer};

/// Values that are remembered: eight weeks of hours.
const VALUES_KEPT: usize = 1_344;
/// Fewer values are no history.
const VALUES_MIN: usize = 12;

const MAGIC: [u8; 4] = *b"FWPF";
const VERSION: u16 = 1;

/// What is foretold for one period, in the unit of the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foreseen {
    /// When the period begins, ms.
    pub time_ms: i64,
    /// 2.5 % of what comes is below.
    pub lower: f64,
    /// Half of what comes is below.
    pub median: f64,
    /// 97.5 % of what comes is below.
    pub upper: f64,
}

/// Learns the days and weeks of one series of period means, and foretells how it goes on: for
/// pictures, for peaks of a season, and for bands around what is expected.
///
/// The median of a forecast is a sum of experts' answers, weighted by (least error / error)^4 in a
/// backtest over the last eight days; its interval is what 95 % of that backtest's errors stayed
/// within, and a little more. Where no value is negative, all of it is done on logarithms.
///
/// State: the last 1,344 values, 10.5 KiB; of hours, eight weeks. Learning costs some nanoseconds, a
/// forecast of 48 hours a few tenths of a millisecond (benches/learn.rs): keep it until the next
/// value. Source: the experts' weights and much of their choice come from experience with the M4
/// competition's hourly series (Makridakis, Spiliotis and Assimakopoulos, 2020).
#[derive(Clone, Debug)]
pub struct Profile {
    period_ms: i64,
    /// Periods since 1970 of the newest value.
    newest: i64,
    count: usize,
    /// A period's value is at the period's number modulo the length.
    values: Vec<f64>,
}

impl Profile {
    /// Returns a learner that knows nothing, for means over `period_ms`, usually an hour.
    pub fn new(period_ms: i64) -> Profile {
        Profile { period_ms: period_ms.max(1), newest: 0, count: 0, values: vec![0.0; VALUES_KEPT] }
    }

    /// Learns the mean of the period that `time_ms` falls in.
    ///
    /// What is no number, and what is not of a newer period, changes nothing. A gap of up to a
    /// quarter of a day is bridged by a line, a longer one by the week before, or the day; one as
    /// long as half of what is kept begins the series anew.
    pub fn learn(&mut self, time_ms: i64, value: f64) {
        let period = time_ms.div_euclid(self.period_ms);
        if !value.is_finite() || self.count > 0 && period <= self.newest {
            return;
        }
        let missing = period.saturating_sub(self.newest).saturating_sub(1) as usize;
        if self.count > 0 && missing < VALUES_KEPT / 2 {
            self.bridge(missing, value);
        } else {
            *self = Profile::new(self.period_ms);
        }
        self.newest = period;
        self.push(value);
    }

    fn bridge(&mut self, missing: usize, value: f64) {
        let Seasons { day, week } = Seasons::of(self.period_ms);
        let is_short = missing <= (day / 4).max(1);
        let season = if self.count >= week { week } else { day };
        let last = self.before(0);
        for gone in 1..=missing {
            let share = gone as f64 / (missing + 1) as f64;
            self.newest += 1;
            self.push(if is_short || self.count < season {
                last * (1.0 - share) + value * share
            } else {
                self.before(season)
            });
        }
    }

    fn push(&mut self, value: f64) {
        self.values[place(self.newest)] = value;
        self.count = (self.count + 1).min(VALUES_KEPT);
    }

    /// Returns the value so many periods before the newest.
    fn before(&self, periods: usize) -> f64 {
        self.values[place(self.newest.saturating_sub(periods as i64))]
    }

    /// Foretells so many periods after the newest one learned, the next one first; learns nothing.
    ///
    /// Empty where nobody can tell: before there are 12 values, two days, and as many as are asked
    /// for.
    pub fn forecast(&self, horizon: usize) -> Vec<Foreseen> {
        if self.count < VALUES_MIN {
            return Vec::new();
        }
        let history: Vec<f64> = (0..self.count).rev().map(|age| self.before(age)).collect();
        let scale = Scale::of(&history);
        let past: Vec<f64> = history.iter().map(|x| scale.inward(*x)).collect();
        let seasons = Seasons::of(self.period_ms);
        let Some(foretold) = foretell(&past, seasons, horizon) else { return Vec::new() };
        let foreseen = |(ahead, foretold): (usize, &Foretold)| {
            let period = self.newest.saturating_add(ahead as i64 + 1);
            Foreseen {
                time_ms: period.saturating_mul(self.period_ms),
                lower: scale.outward(foretold.lower),
                median: scale.outward(foretold.median),
                upper: scale.outward(foretold.upper),
            }
        };
        foretold.iter().enumerate().map(foreseen).collect()
    }

    /// Returns the state, bit for bit; the period is configuration.
    pub fn serialize(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        let Ok(()) = self.clone().fields(&mut writer);
        writer.finish()
    }

    /// Takes over a state that [`Profile::serialize`] returned.
    pub fn restore(period_ms: i64, bytes: &[u8]) -> Result<Profile, RestoreError> {
        let mut reader = Reader::new("profile", MAGIC, VERSION, bytes)?;
        let mut profile = Profile::new(period_ms);
        profile.fields(&mut reader)?;
        reader.finish()?;
        Ok(profile)
    }

    fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        let mut count = self.count as i64;
        io.i64(&mut self.newest)?;
        io.i64(&mut count)?;
        self.count = (count.max(0) as usize).min(VALUES_KEPT);
        io.f64s(&mut self.values)
    }
}

fn place(period: i64) -> usize {
    period.rem_euclid(VALUES_KEPT as i64) as usize
}
