//! Where one series is heading: [`Crossing`].
//!
//! In this order: [`trend`] draws lines through the recent past on several scales of time;
//! [`record`] knows how well such lines foretold what came, [`turns`] where the series turned back
//! before. The probability of a crossing is that of the lines, each with its measured error and
//! weighted by it, times the chance that a trend of this age goes on for long enough, times the
//! share of earlier rises to this height that went all the way.

mod record;
mod trend;
mod turns;

use self::record::Record;
use self::trend::{Line, Trend};
use self::turns::{Precedents, Turn, Turns};
use super::RestoreError;
use super::state::{Fields, Reader, Writer};

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
/// Values beyond this are none: sums of their squares are no numbers.
const VALUE_MAX: f64 = 1e150;

/// From which side a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Falling to it: free space to 0.
    FromAbove,
    /// Rising to it: memory to its limit.
    FromBelow,
}

/// Where a series is heading.
#[derive(Clone, Debug, PartialEq)]
pub enum Outlook {
    /// Nobody can tell: too few samples, no sample, a gap, no limit.
    Unknown,
    /// On or past the limit: probability 1, eta 0.
    Across,
    /// The limit is ahead.
    Ahead(Ahead),
}

/// A limit that lies ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Ahead {
    /// Probability, 0 to 1, that the limit is reached within the horizon.
    pub p: f64,
    /// Seconds until 10 % of the futures have crossed; nothing where that lies beyond twice the
    /// horizon.
    pub eta_p10_s: Option<f64>,
    /// Seconds until half of them have.
    pub eta_p50_s: Option<f64>,
    /// Seconds until 90 % of them have.
    pub eta_p90_s: Option<f64>,
    /// Change per second that the forecast rests on, in the signal's unit; negative where it falls.
    pub slope_per_s: f64,
    /// The numbers behind it, in plain words, the most important first.
    pub reasons: Vec<String>,
}

/// Learns how one series moves, and says how likely it reaches a limit within the horizon.
///
/// The state has a fixed size, and is a pure function of the samples in order. Values are held
/// oriented, so that the limit is always above.
#[derive(Clone, Debug)]
pub struct Crossing {
    direction: Direction,
    horizon_ms: i64,
    /// Values count from the first one: sums of squares of small differences stay exact.
    origin: f64,
    last_ms: i64,
    /// The last point, oriented.
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

const MAGIC: [u8; 4] = *b"FWCR";
const VERSION: u16 = 3;

impl Crossing {
    /// Returns a learner that knows nothing, for one horizon; fed every `step_ms`.
    pub fn new(direction: Direction, step_ms: i64, horizon_ms: i64) -> Crossing {
        let horizon_s = horizon_ms.max(1) as f64 / 1000.0;
        let least_s = SCALE_STEPS_MIN * step_ms.max(1) as f64 / 1000.0;
        Crossing {
            direction,
            horizon_ms: horizon_ms.max(1),
            origin: 0.0,
            last_ms: i64::MIN,
            last: 0.0,
            point_ms: i64::MIN,
            points: 0,
            gap_s: SCRAPE_S,
            trends: SCALE_SHARES.map(|share| Trend::new((share * horizon_s).max(least_s))),
            record: Record::new(horizon_s),
            turns: Turns::new(),
        }
    }

    /// Returns the horizon, ms.
    pub fn horizon_ms(&self) -> i64 {
        self.horizon_ms
    }

    /// Learns from a value, without an outlook: for history. What is no number, and what is not
    /// newer, changes nothing.
    pub fn learn(&mut self, time_ms: i64, value: f64) {
        if value.is_nan() || value.abs() > VALUE_MAX || time_ms <= self.last_ms {
            return;
        }
        if self.last_ms == i64::MIN {
            self.origin = value;
            (self.last_ms, self.point_ms) = (time_ms, time_ms);
            self.learn_point(0.0, None, 0.0);
            return;
        }
        self.last_ms = time_ms;
        let value = self.oriented(value);
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

    /// Says where the series is heading, given its present value and limit; learns nothing.
    pub fn outlook(&self, time_ms: i64, value: f64, limit: f64) -> Outlook {
        if !value.is_finite() || !limit.is_finite() {
            return Outlook::Unknown;
        }
        let (value, limit) = (self.oriented(value), self.oriented(limit));
        if value >= limit {
            return Outlook::Across;
        }
        let late_s = seconds(time_ms.saturating_sub(self.point_ms));
        if self.points < POINTS_MIN || late_s > self.gap_max_s() {
            return Outlook::Unknown;
        }
        match Forecast::new(self, late_s, value, limit) {
            Some(forecast) => Outlook::Ahead(forecast.ahead(self)),
            None => Outlook::Unknown,
        }
    }

    /// Learns from a value, then says where the series is heading.
    pub fn observe(&mut self, time_ms: i64, value: f64, limit: f64) -> Outlook {
        self.learn(time_ms, value);
        self.outlook(time_ms, value, limit)
    }

    fn lines(&self) -> [Option<Line>; SCALES] {
        std::array::from_fn(|scale| self.trends[scale].line())
    }

    /// Returns the value as if the limit were above.
    fn oriented(&self, value: f64) -> f64 {
        match self.direction {
            Direction::FromAbove => self.origin - value,
            Direction::FromBelow => value - self.origin,
        }
    }

    fn horizon_s(&self) -> f64 {
        seconds(self.horizon_ms)
    }

    /// Returns the longest time without a sample that a trend outlives, s.
    fn gap_max_s(&self) -> f64 {
        (self.horizon_s() / 2.0).max(24.0 * self.gap_s)
    }

    /// Returns the state, bit for bit; direction, step and horizon are configuration.
    pub fn serialize(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        self.clone().fields(&mut writer).expect("writing to memory cannot fail");
        writer.finish()
    }

    /// Takes over a state that [`Crossing::serialize`] returned.
    pub fn restore(
        direction: Direction,
        step_ms: i64,
        horizon_ms: i64,
        bytes: &[u8],
    ) -> Result<Crossing, RestoreError> {
        let mut reader = Reader::new("crossing", MAGIC, VERSION, bytes)?;
        let mut crossing = Crossing::new(direction, step_ms, horizon_ms);
        crossing.fields(&mut reader)?;
        reader.finish()?;
        Ok(crossing)
    }

    fn fields(&mut self, io: &mut impl Fields) -> Result<(), RestoreError> {
        io.f64(&mut self.origin)?;
        io.i64(&mut self.last_ms)?;
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
    precedents: Precedents,
    /// Probability that neither the trend ends nor the series turns back.
    goes_on: f64,
}

impl Forecast {
    fn new(crossing: &Crossing, late_s: f64, value: f64, limit: f64) -> Option<Forecast> {
        let lines = crossing.lines();
        let error = |scale: usize| {
            let line = lines[scale].as_ref()?;
            Some(error(line, &crossing.record, scale, value, crossing.horizon_s()))
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

        let precedents = crossing.turns.precedents(value, limit);
        let horizon_s = crossing.horizon_s();
        let ahead_s = (limit - value) / slope_per_s;
        let ahead_s = if ahead_s > 0.0 { ahead_s.min(horizon_s) } else { horizon_s };
        let age_s = (crossing.turns.rising_s() - crossing.gap_s).max(0.0);
        let persists = age_s / (age_s + TREND_ENDS * ahead_s);
        let goes_on = precedents.share() * persists;
        Some(Forecast { late_s, value, limit, lines, weights, slope_per_s, precedents, goes_on })
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

    fn ahead(&self, crossing: &Crossing) -> Ahead {
        let horizon_s = crossing.horizon_s();
        let p = |ahead_s: f64| self.p(&crossing.record, ahead_s);
        // The horizon itself is asked, and twice the horizon last.
        let times = (-31..=3).map(|power| horizon_s * libm::exp2(f64::from(power) / 3.0));
        let (mut within, mut before_s, mut highest) = (0.0, 0.0, 0.0f64);
        let mut etas = [None; 3];
        for ahead_s in times {
            let here = p(ahead_s).max(highest);
            for (eta, share) in etas.iter_mut().zip([0.1, 0.5, 0.9]) {
                if eta.is_none() && here >= share {
                    *eta = Some(first_above(share, before_s, ahead_s, p));
                }
            }
            if ahead_s <= horizon_s {
                within = here;
            }
            (before_s, highest) = (ahead_s, here);
        }
        let [eta_p10_s, eta_p50_s, eta_p90_s] = etas;
        let slope_per_s = match crossing.direction {
            Direction::FromAbove => -self.slope_per_s,
            Direction::FromBelow => self.slope_per_s,
        };
        let reasons = self.reasons(crossing);
        Ahead { p: within, eta_p10_s, eta_p50_s, eta_p90_s, slope_per_s, reasons }
    }

    fn reasons(&self, crossing: &Crossing) -> Vec<String> {
        let mut reasons = Vec::new();
        let minutes = crossing.turns.rising_s() / 60.0;
        if self.slope_per_s * (self.limit - self.value) > 0.0 && minutes >= 1.0 {
            reasons.push(format!("on its way for {minutes:.0} minutes"));
        }
        let Precedents { rises, crossings } = self.precedents;
        if rises > 0 {
            reasons.push(format!(
                "came as far {rises} times before, and reached the limit {crossings} times"
            ));
        }
        reasons
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

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
