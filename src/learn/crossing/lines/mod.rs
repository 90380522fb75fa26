//! What lines through the recent past foretell: [`Lines`].
//!
//! In this order: [`trend`] draws lines on several scales of time; [`record`] knows how well such
//! lines foretold what came, [`turns`] where the series turned back before. The probability of a
//! crossing is that of the lines, each with its measured error and weighted by it, times the chance
//! that a trend of this age goes on for long enough, times the share of earlier rises to this height
//! that went all the way.

mod record;
mod trend;
mod turns;

use self::record::Record;
use self::trend::{Line, Trend};
use self::turns::{Turn, Turns};
use super::seconds;
use crate::learn::state::Fields;

/// Lines per series.
const SCALES: usize = 6;
/// Their memories as shares of the horizon; the first remembers all since the last trough.
const SCALE_SHARES: [f64; SCALES] = [f64::INFINITY, 2.0, 0.5, 0.125, 1.0 / 32.0, 1.0 / 128.0];
/// No line remembers fewer learning steps than this.
const SCALE_STEPS_MIN: f64 = 4.0;
/// Points before there is an outlook.
const POINTS_MIN: i64 = 5;
/// A trend of age a goes on for another t with probability a / (a + t x this).
const TREND_ENDS: f64 = 0.04;
/// How much a line's distance to the present value counts in its error.
const MISFIT_WEIGHT: f64 = 2.0;
/// How long between scrapes is expected before it is known, s.
const SCRAPE_S: f64 = 60.0;

/// Lines through what a series did since it was first seen, or since its last reset: they know of a
/// trend after five points, long before there are buckets to compare.
///
/// Values are oriented, so that the limit is above.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    horizon_s: f64,
    last: f64,
    /// When that point came, ms; a value that is merely seen again is no point.
    point_ms: i64,
    /// Points since the series was first seen, or came back at one stroke.
    points: i64,
    /// Seconds between points.
    gap_s: f64,
    trends: [Trend; SCALES],
    record: Record,
    turns: Turns,
}

/// What the lines say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foretold {
    /// Probability of a crossing within the horizon.
    pub(super) p: f64,
    /// Seconds until 10, 50 and 90 % of the futures have crossed.
    pub(super) etas_s: [Option<f64>; 3],
    /// Change per second.
    pub(super) slope_per_s: f64,
}

/// What the lines say of one time ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trending {
    /// Probability of a crossing until then.
    pub(super) p: f64,
    /// Seconds to the limit at the present slope; negative on the way back.
    pub(super) eta_s: f64,
    /// For how long the series has been on its way, s.
    pub(super) rising_s: f64,
    /// Change per second.
    pub(super) slope_per_s: f64,
}

impl Trending {
    /// Returns how likely the present trend goes on to the limit: what the lines say, times a / (a +
    /// t), the chance that what has lasted for a lasts for another t.
    ///
    /// Source: Gott, "Implications of the Copernican principle for our future prospects" (1993).
    pub(super) fn goes_on(&self) -> f64 {
        if self.eta_s >= 0.0 && self.eta_s.is_finite() && self.rising_s > 0.0 {
            self.p * self.rising_s / (self.rising_s + self.eta_s)
        } else {
            0.0
        }
    }
}

impl Lines {
    pub(super) fn new(step_ms: i64, horizon_ms: i64) -> Lines {
        let horizon_s = seconds(horizon_ms);
        let least_s = SCALE_STEPS_MIN * seconds(step_ms.max(1));
        Lines {
            horizon_s,
            last: f64::NAN,
            point_ms: i64::MIN,
            points: 0,
            gap_s: SCRAPE_S,
            trends: SCALE_SHARES.map(|share| Trend::new((share * horizon_s).max(least_s))),
            record: Record::new(horizon_s),
            turns: Turns::new(),
        }
    }

    /// Learns a value, newer than those before.
    pub(super) fn learn(&mut self, time_ms: i64, value: f64) {
        if self.last.is_nan() {
            self.point_ms = time_ms;
            self.learn_point(0.0, None, value);
            return;
        }
        let elapsed_s = seconds(time_ms.saturating_sub(self.point_ms));
        // The same value again is most likely the same sample, until one is overdue.
        if value == self.last && elapsed_s < 2.5 * self.gap_s {
            return;
        }
        if elapsed_s > self.gap_max_s() {
            self.start_anew();
        } else {
            self.gap_s += 0.3 * (elapsed_s - self.gap_s);
        }
        self.point_ms = time_ms;
        self.learn_point(elapsed_s, Some(self.last), value);
    }

    fn learn_point(&mut self, elapsed_s: f64, before: Option<f64>, value: f64) {
        match self.turns.learn(elapsed_s, before, value) {
            Turn::None => {}
            Turn::Lower => self.trends[0].forget(),
            Turn::Fell => self.start_anew(),
        }
        for trend in &mut self.trends {
            trend.learn(elapsed_s, value);
        }
        if self.record.pass(elapsed_s) {
            self.record.learn(value, &self.lines());
        }
        self.last = value;
        self.points += 1;
    }

    /// Forgets the trends: a new one begins.
    fn start_anew(&mut self) {
        self.trends.iter_mut().for_each(Trend::forget);
        self.record.forget_lines();
        self.points = 0;
    }

    /// Says what the lines foretell; nothing where there are too few points, or the last is old.
    pub(super) fn foretell(&self, time_ms: i64, value: f64, limit: f64) -> Option<Foretold> {
        let late_s = seconds(time_ms.saturating_sub(self.point_ms));
        if self.points < POINTS_MIN || late_s > self.gap_max_s() {
            return None;
        }
        Some(Forecast::new(self, late_s, value, limit)?.foretold(self))
    }

    /// Says what the lines foretell for some seconds ahead, without when.
    pub(super) fn trend(
        &self,
        time_ms: i64,
        value: f64,
        limit: f64,
        ahead_s: f64,
    ) -> Option<Trending> {
        let late_s = seconds(time_ms.saturating_sub(self.point_ms));
        if self.points < POINTS_MIN || late_s > self.gap_max_s() {
            return None;
        }
        let forecast = Forecast::new(self, late_s, value, limit)?;
        let p = forecast.p(&self.record, ahead_s);
        let eta_s = (limit - value) / forecast.slope_per_s;
        let slope_per_s = forecast.slope_per_s;
        Some(Trending { p, eta_s, rising_s: self.turns.rising_s(), slope_per_s })
    }

    fn lines(&self) -> [Option<Line>; SCALES] {
        std::array::from_fn(|scale| self.trends[scale].line())
    }

    /// Returns the longest time without a sample that a trend outlives, s.
    fn gap_max_s(&self) -> f64 {
        (self.horizon_s / 2.0).max(24.0 * self.gap_s)
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.last)?;
        io.i64(&mut self.point_ms)?;
        io.i64(&mut self.points)?;
        io.f64(&mut self.gap_s)?;
        self.trends.iter_mut().try_for_each(|trend| trend.fields(io))?;
        self.record.fields(io)?;
        self.turns.fields(io)
    }
}

/// The lines of one moment and what they are worth.
struct Forecast {
    /// Seconds since the last point, which the lines count from.
    late_s: f64,
    value: f64,
    limit: f64,
    lines: [Option<Line>; SCALES],
    weights: [f64; SCALES],
    slope_per_s: f64,
    /// Probability that neither the trend ends nor the series turns back.
    goes_on: f64,
}

impl Forecast {
    fn new(lines: &Lines, late_s: f64, value: f64, limit: f64) -> Option<Forecast> {
        let (record, turns, horizon_s) = (&lines.record, &lines.turns, lines.horizon_s);
        let gap_s = lines.gap_s;
        let lines = lines.lines();
        let error = |scale: usize| {
            let line = lines[scale].as_ref()?;
            Some(error(line, record, scale, value, horizon_s))
        };
        let errors: [Option<f64>; SCALES] = std::array::from_fn(error);
        let least = errors.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        if least.is_infinite() {
            return None;
        }
        let weight = |error: &Option<f64>| error.map_or(0.0, |error| (least / error).powi(4));
        let weights: [f64; SCALES] = std::array::from_fn(|scale| weight(&errors[scale]));
        let sum: f64 = weights.iter().sum();
        let weights = weights.map(|weight| weight / sum);
        let slopes = lines.iter().zip(weights);
        let slope_per_s: f64 =
            slopes.map(|(line, weight)| line.map_or(0.0, |line| weight * line.slope_per_s)).sum();

        let precedents = turns.precedents(value, limit);
        let ahead_s = (limit - value) / slope_per_s;
        let ahead_s = if ahead_s > 0.0 { ahead_s.min(horizon_s) } else { horizon_s };
        let age_s = (turns.rising_s() - gap_s).max(0.0);
        let persists = age_s / (age_s + TREND_ENDS * ahead_s);
        let goes_on = precedents.share() * persists;
        Some(Forecast { late_s, value, limit, lines, weights, slope_per_s, goes_on })
    }

    /// Returns the probability of a crossing within so many seconds.
    fn p(&self, record: &Record, ahead_s: f64) -> f64 {
        let from_point_s = ahead_s + self.late_s;
        let of_lines: f64 = self
            .lines
            .iter()
            .enumerate()
            .map(|(scale, line)| {
                let Some(line) = line else { return 0.0 };
                let error = error(line, record, scale, self.value, from_point_s);
                self.weights[scale] * normal((line.at(from_point_s) - self.limit) / error)
            })
            .sum();
        self.goes_on * of_lines
    }

    fn foretold(&self, lines: &Lines) -> Foretold {
        let horizon_s = lines.horizon_s;
        let p = |ahead_s: f64| self.p(&lines.record, ahead_s);
        // The horizon itself is asked, and twice the horizon last.
        let times = (-31..=3).map(|power| horizon_s * libm::exp2(f64::from(power) / 3.0));
        let (mut within, mut before_s, mut highest) = (0.0, 0.0, 0.0f64);
        let mut etas_s = [None; 3];
        for ahead_s in times {
            let here = p(ahead_s).max(highest);
            for (eta, share) in etas_s.iter_mut().zip([0.1, 0.5, 0.9]) {
                if eta.is_none() && here >= share {
                    *eta = Some(first_above(share, before_s, ahead_s, p));
                }
            }
            if ahead_s <= horizon_s {
                within = here;
            }
            (before_s, highest) = (ahead_s, here);
        }
        Foretold { p: within, etas_s, slope_per_s: self.slope_per_s }
    }
}

/// Returns where `p` first reaches `share`, which it does between the two times, to 1 %.
fn first_above(share: f64, mut before_s: f64, mut after_s: f64, p: impl Fn(f64) -> f64) -> f64 {
    while after_s - before_s > 0.01 * after_s {
        let middle_s = f64::midpoint(before_s, after_s);
        if p(middle_s) >= share {
            after_s = middle_s;
        } else {
            before_s = middle_s;
        }
    }
    after_s
}

/// The standard error of a line so many seconds ahead, the most of: what its points say, what its
/// past errors say, and how far off it is right now, since a line that misses the present knows
/// nothing of a trend that has just begun.
fn error(line: &Line, record: &Record, scale: usize, value: f64, ahead_s: f64) -> f64 {
    let measured = record.error(scale, ahead_s).unwrap_or(0.0);
    let present = MISFIT_WEIGHT * (value - line.level).abs();
    line.error(ahead_s).max(measured).max(present).max(f64::MIN_POSITIVE)
}

/// The normal distribution function.
fn normal(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}
