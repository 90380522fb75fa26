use super::RestoreError;
use super::state::{Reader, Writer};

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
    /// On or past the limit, or just off it: probability 1, eta 0.
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
#[derive(Clone, Debug)]
pub struct Crossing {
    direction: Direction,
    horizon_ms: i64,
    points: Vec<(i64, f64)>,
}

const MAGIC: [u8; 4] = *b"FWCR";
const VERSION: u16 = 1;
const POINTS_MAX: usize = 60;

impl Crossing {
    /// Returns a learner that knows nothing, for one horizon; fed every `step_ms`.
    pub fn new(direction: Direction, step_ms: i64, horizon_ms: i64) -> Crossing {
        let _ = step_ms;
        Crossing { direction, horizon_ms: horizon_ms.max(1), points: Vec::new() }
    }

    /// Returns the horizon, ms.
    pub fn horizon_ms(&self) -> i64 {
        self.horizon_ms
    }

    /// Learns from a value, without an outlook: for history. The limit is needed to know of
    /// crossings; NaN where there was none.
    pub fn learn(&mut self, time_ms: i64, value: f64, limit: f64) {
        let _ = limit;
        if value.abs() > 1e300 || value.is_nan() {
            return;
        }
        if self.points.last().is_some_and(|(last_ms, last)| time_ms <= *last_ms || value == *last) {
            return;
        }
        if self.points.len() == POINTS_MAX {
            self.points.remove(0);
        }
        self.points.push((time_ms, value));
    }

    /// Says where the series is heading, given its present value and limit; learns nothing.
    pub fn outlook(&self, time_ms: i64, value: f64, limit: f64) -> Outlook {
        let _ = time_ms;
        if !value.is_finite() || !limit.is_finite() {
            return Outlook::Unknown;
        }
        let distance = match self.direction {
            Direction::FromAbove => value - limit,
            Direction::FromBelow => limit - value,
        };
        if distance <= 0.0 {
            return Outlook::Across;
        }
        Outlook::Unknown
    }

    /// Learns from a value, then says where the series is heading.
    pub fn observe(&mut self, time_ms: i64, value: f64, limit: f64) -> Outlook {
        self.learn(time_ms, value, limit);
        self.outlook(time_ms, value, limit)
    }

    /// Returns the state, bit for bit; direction, step and horizon are configuration.
    pub fn serialize(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        for (time_ms, value) in &self.points {
            writer.u8(1);
            writer.i64(*time_ms);
            writer.f64(*value);
        }
        writer.u8(0);
        writer.finish()
    }

    /// Takes over a state that [`Crossing::serialize`] returned.
    pub fn restore(
        direction: Direction,
        step_ms: i64,
        horizon_ms: i64,
        bytes: &[u8],
    ) -> Result<Crossing, RestoreError> {
        let mut crossing = Crossing::new(direction, step_ms, horizon_ms);
        let mut reader = Reader::new("crossing", MAGIC, VERSION, bytes)?;
        while reader.u8()? == 1 {
            let point = (reader.i64()?, reader.f64()?);
            if crossing.points.len() == POINTS_MAX {
                return Err(reader.damaged("more points than a state has"));
            }
            crossing.points.push(point);
        }
        reader.finish()?;
        Ok(crossing)
    }
}
