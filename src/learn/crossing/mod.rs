//! Where one series is heading: [`Crossing`].
//!
//! In this order: the [`path`] holds a week of buckets; [`window`] draws lines and hulls over parts
//! of it; [`analogues`] finds earlier moments that were like the present one, [`season`] what the
//! same hours of earlier days came to, [`resets`] where the series let go at one stroke; [`features`]
//! puts all into numbers without a unit; [`trees`] turn them into a probability, by a [`table`] that
//! a program of this repository trains; [`steady`] takes the mean of what was said of late; [`trust`]
//! bends it by what became of earlier forecasts of this series; [`eta`] says when. Until there are
//! buckets enough, [`lines`] speak alone; later they say where within a part of the horizon it lies,
//! and that a trend goes on which is unlike all that was.

mod analogues;
mod eta;
mod features;
mod lines;
mod path;
mod resets;
mod season;
mod steady;
mod table;
mod trees;
mod trust;
mod window;

use self::features::{P_OUT_OF_REACH, Scene};
use self::lines::{Foretold, Lines};
use self::path::{BUCKETS, Past, Path};
use self::resets::Resets;
use self::table::BEND;
use super::RestoreError;
use super::state::{Fields, Reader, Writer};

pub use self::features::{FEATURES, Question};
pub use self::steady::Steady;
pub use self::trust::{Bend, Trust};

/// Buckets before the trees are asked, and the part of the horizon that there must be.
const BUCKETS_MIN: i64 = 12;
const HORIZON_SHARE_MIN: i64 = 4;
/// A gap of more buckets than this, and than half the horizon, leaves nothing to be said.
const GAP_BUCKETS_MAX: i64 = 24;
/// A crossing lasts until the series has been off the limit for this part of the horizon, at most
/// so long.
const BOUNCE_SHARE: i64 = 8;
const BOUNCE_MAX_MS: i64 = 30 * 60_000;
/// When it comes is told where the crossing is at least this likely.
const ETA_FROM: f64 = 0.2;
/// Beyond twice the range, with no line that arrives within so many horizons, a limit is out of
/// reach.
const REACH_RANGE: f64 = 0.5;
const REACH_HORIZONS: f64 = 5.0;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const TWELVE_HOURS_MS: i64 = 12 * HOUR_MS;
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
    /// On or past the limit, or just off it: probability 1, eta 0.
    Across,
    /// The limit is ahead.
    Ahead(Ahead),
}

/// A limit that lies ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Change per second of late, in the signal's unit; negative where it falls.
    pub slope_per_s: f64,
    /// Moments of the last week that were like the present one, by weight, and the share of them
    /// after which the limit was reached within the horizon.
    pub similar: (f64, f64),
    /// Resets that came from at least as high as now, of the last 30, and how many came from the
    /// limit.
    pub resets: (usize, usize),
}

impl Ahead {
    /// Returns the numbers behind the probability in plain words, the most important first.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let (similar, crossed) = self.similar;
        if similar >= 3.0 {
            reasons.push(format!(
                "{:.0} % of like moments in the last week reached the limit",
                100.0 * crossed
            ));
        }
        let (resets, reached) = self.resets;
        if resets > 0 {
            reasons.push(format!(
                "of {resets} resets that came from as far, {reached} came from the limit"
            ));
        }
        reasons
    }
}

/// Learns how one series moves, and says how likely it reaches a limit within the horizon.
///
/// The state has a fixed size (20 KiB) and is a pure function of the samples in order.
/// See benches/learn.rs for what a sample and a closed bucket cost.
#[derive(Clone, Debug)]
pub struct Crossing {
    direction: Direction,
    horizon_ms: i64,
    step_ms: i64,
    bucket_ms: i64,
    /// Values count from the first one: small changes of large values stay exact.
    origin: Option<f64>,
    last_ms: i64,
    bucket: Bucket,
    path: Path,
    resets: Resets,
    steady: Steady,
    trust: Trust,
    lines: Lines,
    /// Buckets since the first one or since the last long gap.
    settled: i64,
    said: Option<Said>,
    /// When the series was last on or past its limit.
    across_ms: Option<i64>,
}

/// The bucket that is being filled, or was closed last.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// It ends at this multiple of its width.
    number: i64,
    is_open: bool,
    last: f64,
    high: f64,
    limit: f64,
}

/// What the trees said of late when the last bucket closed.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// Before it is bent by the record.
    p: f64,
    similar: f64,
    similar_crossed: f64,
    resets: f64,
    resets_reached: f64,
}

const MAGIC: [u8; 4] = *b"FWCR";
const VERSION: u16 = 6;

impl Crossing {
    /// Returns a learner that knows nothing, for one horizon; fed every `step_ms`.
    pub fn new(direction: Direction, step_ms: i64, horizon_ms: i64) -> Crossing {
        let (step_ms, horizon_ms) = (step_ms.max(1), horizon_ms.max(1));
        let bucket =
            Bucket { number: i64::MIN, is_open: false, last: 0.0, high: 0.0, limit: f64::NAN };
        Crossing {
            direction,
            horizon_ms,
            step_ms,
            bucket_ms: bucket_ms(horizon_ms).max(step_ms),
            origin: None,
            last_ms: i64::MIN,
            bucket,
            path: Path::new(),
            resets: Resets::new(),
            steady: Steady::default(),
            trust: Trust::default(),
            lines: Lines::new(step_ms, horizon_ms),
            settled: 0,
            said: None,
            across_ms: None,
        }
    }

    /// Returns the horizon, ms.
    pub fn horizon_ms(&self) -> i64 {
        self.horizon_ms
    }

    /// Learns from a value and the limit of its time (NaN where there is none). What is no number,
    /// and what is not newer, changes nothing.
    pub fn learn(&mut self, time_ms: i64, value: f64, limit: f64) {
        if value.is_nan() || value.abs() > VALUE_MAX || time_ms <= self.last_ms {
            return;
        }
        self.origin.get_or_insert(value);
        self.last_ms = time_ms;
        let (value, limit) = (self.oriented(value), self.oriented(limit));
        self.lines.learn(time_ms, value);
        if value >= limit {
            self.across_ms = Some(time_ms);
        }
        self.fill(time_ms, value, limit);
    }

    /// Puts a value into its bucket, and closes the bucket with the last value that belongs there.
    fn fill(&mut self, time_ms: i64, value: f64, limit: f64) {
        // Instants lie on a grid of steps, whatever its offset.
        let on_grid_ms = time_ms.saturating_sub(time_ms.rem_euclid(self.step_ms));
        let number = on_grid_ms.div_euclid(self.bucket_ms)
            + i64::from(on_grid_ms.rem_euclid(self.bucket_ms) != 0);
        if number > self.bucket.number {
            if self.bucket.is_open {
                self.close();
            }
            if self.path.count() > 0 {
                self.carry_forward(number.saturating_sub(self.bucket.number) - 1);
            }
            self.bucket = Bucket { number, is_open: true, last: value, high: value, limit };
        } else if self.bucket.is_open {
            let high = value.max(self.bucket.high);
            self.bucket = Bucket { last: value, high, limit, ..self.bucket };
        }
        if self.bucket.is_open && on_grid_ms.rem_euclid(self.bucket_ms) == 0 {
            self.close();
        }
    }

    fn close(&mut self) {
        let Bucket { last, high, limit, .. } = self.bucket;
        self.bucket.is_open = false;
        let fell = self.resets.learn(last);
        self.path.push(last, high, fell);
        self.settled += 1;
        self.said = self.is_ahead(limit).then(|| {
            if self.is_out_of_reach(limit) {
                return Said { p: P_OUT_OF_REACH, ..Said::default() };
            }
            let past = self.path.past(last);
            let (p, found) = self.scene(&past, self.horizon(), limit).p();
            let (similar, similar_crossed) = found.by_level.share();
            Said {
                p,
                similar,
                similar_crossed,
                resets: self.resets.peaks_from(last) as f64,
                resets_reached: self.resets.peaks_from(limit) as f64,
            }
        });
        let closed_ms = self.closed_ms();
        match &mut self.said {
            Some(said) if high < limit => {
                said.p = self.steady.hear(closed_ms, self.horizon_ms, said.p);
            }
            _ => self.steady.forget(),
        }
        let p = self.said.map(|said| said.p);
        self.trust.fade(self.bucket_ms);
        self.trust.learn(closed_ms, self.horizon_ms, p, high >= limit);
    }

    /// Returns whether there are buckets enough, and a limit ahead of the last of them.
    fn is_ahead(&self, limit: f64) -> bool {
        let settled_min = (self.horizon() as i64 / HORIZON_SHARE_MIN).max(BUCKETS_MIN);
        self.settled >= settled_min && self.bucket.last < limit && limit.is_finite()
    }

    /// Returns whether the limit is much farther than the series ranges, and no line leads there:
    /// true of most series at most times, for a small part of what asking the trees costs.
    fn is_out_of_reach(&self, limit: f64) -> bool {
        let (last, horizon_s) = (self.bucket.last, seconds(self.horizon_ms));
        let distance = limit - last;
        let trend = self.lines.trend(self.closed_ms(), last, limit, horizon_s);
        let leads_there = trend.is_some_and(|trend| {
            trend.p >= P_OUT_OF_REACH || (0.0..REACH_HORIZONS * horizon_s).contains(&trend.eta_s)
        });
        self.resets.range() < REACH_RANGE * distance && !leads_there
    }

    /// Fills a gap of so many buckets with the last value; after a long one there is nothing to say
    /// for a while.
    fn carry_forward(&mut self, missing: i64) {
        let last = self.bucket.last;
        for _ in 0..missing.min(BUCKETS as i64) {
            self.path.push(last, last, false);
            self.trust.fade(self.bucket_ms);
        }
        if missing > self.gap_max() {
            (self.settled, self.said) = (0, None);
        }
    }

    /// Says where the series is heading, given its present value and limit; learns nothing.
    ///
    /// The probability is that of the last bucket that closed, against the limit of then.
    pub fn outlook(&self, time_ms: i64, value: f64, limit: f64) -> Outlook {
        if !value.is_finite() || !limit.is_finite() {
            return Outlook::Unknown;
        }
        let (value, limit) = (self.oriented(value), self.oriented(limit));
        let bounce_ms = (self.horizon_ms / BOUNCE_SHARE).min(BOUNCE_MAX_MS);
        let since_ms = self.across_ms.map(|across_ms| time_ms.saturating_sub(across_ms));
        if value >= limit || since_ms.is_some_and(|since_ms| since_ms < bounce_ms) {
            return Outlook::Across;
        }
        let foretold = self.lines.foretell(time_ms, value, limit);
        let late_ms = time_ms.saturating_sub(self.closed_ms());
        let said = self.said.filter(|_| late_ms / self.bucket_ms <= self.gap_max());
        let mut ahead = match (&said, foretold) {
            (Some(said), foretold) => self.by_trees(said, limit, late_ms, foretold),
            (None, Some(foretold)) => by_lines(&foretold),
            (None, None) => return Outlook::Unknown,
        };
        if self.direction == Direction::FromAbove {
            ahead.slope_per_s = -ahead.slope_per_s;
        }
        Outlook::Ahead(ahead)
    }

    /// Learns from a value, then says where the series is heading.
    pub fn observe(&mut self, time_ms: i64, value: f64, limit: f64) -> Outlook {
        self.learn(time_ms, value, limit);
        self.outlook(time_ms, value, limit)
    }

    /// Returns what is asked about the last bucket that closed, for a limit: for the program that
    /// trains the trees. Nothing where the value is past the limit, or there are too few buckets.
    pub fn question(&self, limit: f64) -> Option<Question> {
        let limit = self.oriented(limit);
        let is_asked = !self.bucket.is_open && self.is_ahead(limit);
        is_asked.then(|| {
            if self.is_out_of_reach(limit) {
                return Question::OutOfReach;
            }
            let past = self.path.past(self.bucket.last);
            Question::Trees(self.scene(&past, self.horizon(), limit).features().0)
        })
    }

    fn scene<'a>(&'a self, past: &'a Past, horizon: usize, limit: f64) -> Scene<'a> {
        let (resets, value, bucket_s) = (&self.resets, self.bucket.last, seconds(self.bucket_ms));
        let ahead_s = horizon as f64 * bucket_s;
        let trend = self.lines.trend(self.closed_ms(), value, limit, ahead_s);
        Scene { past, resets, horizon, bucket_s, value, limit, trend }
    }

    fn by_trees(&self, said: &Said, limit: f64, late_ms: i64, foretold: Option<Foretold>) -> Ahead {
        let p = BEND.believed(said.p, self.trust.record());
        let [eta_p10_s, eta_p50_s, eta_p90_s] = if p >= ETA_FROM {
            let path = self.path.past(self.bucket.last);
            let (buckets, span_s) = (self.horizon(), seconds(self.horizon_ms));
            let p_within = |buckets: usize| {
                let (p, _) = self.scene(&path, buckets.max(1), limit).p();
                BEND.believed(p, self.trust.record())
            };
            let curve = [
                (span_s / 4.0, p_within(buckets / 4)),
                (span_s / 2.0, p_within(buckets / 2)),
                (span_s, p),
                (2.0 * span_s, p_within(2 * buckets)),
            ];
            eta::quantiles(&curve, seconds(late_ms), foretold.map(|foretold| foretold.etas_s))
        } else {
            [None; 3]
        };
        Ahead {
            p,
            eta_p10_s,
            eta_p50_s,
            eta_p90_s,
            slope_per_s: foretold.map_or(0.0, |foretold| foretold.slope_per_s),
            similar: (said.similar, said.similar_crossed),
            resets: (said.resets as usize, said.resets_reached as usize),
        }
    }

    /// Returns when the last bucket that closed ended, ms.
    fn closed_ms(&self) -> i64 {
        let number = self.bucket.number.saturating_sub(i64::from(self.bucket.is_open));
        number.saturating_mul(self.bucket_ms)
    }

    /// Returns the horizon in buckets.
    fn horizon(&self) -> usize {
        ((self.horizon_ms / self.bucket_ms) as usize).clamp(1, BUCKETS / 4)
    }

    /// Returns after how many missing buckets nothing can be said.
    fn gap_max(&self) -> i64 {
        (self.horizon() as i64 / 2).max(GAP_BUCKETS_MAX)
    }

    /// Returns the value as if the limit were above.
    fn oriented(&self, value: f64) -> f64 {
        let origin = self.origin.unwrap_or(0.0);
        match self.direction {
            Direction::FromAbove => origin - value,
            Direction::FromBelow => value - origin,
        }
    }

    /// Returns the state, bit for bit; direction, step and horizon are configuration.
    pub fn serialize(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION);
        let Ok(()) = self.clone().fields(&mut writer);
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

    fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        let mut origin = self.origin.unwrap_or(f64::NAN);
        io.f64(&mut origin)?;
        self.origin = (!origin.is_nan()).then_some(origin);
        io.i64(&mut self.last_ms)?;
        self.bucket.fields(io)?;
        self.path.fields(io)?;
        self.resets.fields(io)?;
        self.steady.fields(io)?;
        self.trust.fields(io)?;
        self.lines.fields(io)?;
        io.i64(&mut self.settled)?;
        let mut said = self.said.unwrap_or(Said { p: f64::NAN, ..Said::default() });
        said.fields(io)?;
        self.said = (!said.p.is_nan()).then_some(said);
        io.option_i64(&mut self.across_ms)
    }
}

impl Bucket {
    fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.i64(&mut self.number)?;
        io.bool(&mut self.is_open)?;
        io.f64(&mut self.last)?;
        io.f64(&mut self.high)?;
        io.f64(&mut self.limit)
    }
}

impl Said {
    fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.p)?;
        io.f64(&mut self.similar)?;
        io.f64(&mut self.similar_crossed)?;
        io.f64(&mut self.resets)?;
        io.f64(&mut self.resets_reached)
    }
}

fn by_lines(foretold: &Foretold) -> Ahead {
    let [eta_p10_s, eta_p50_s, eta_p90_s] = foretold.etas_s;
    let (similar, resets) = ((0.0, 0.0), (0, 0));
    let (p, slope_per_s) = (foretold.p, foretold.slope_per_s);
    Ahead { p, eta_p10_s, eta_p50_s, eta_p90_s, slope_per_s, similar, resets }
}

/// Returns how wide the buckets of a horizon are, ms: five minutes from one hour to twelve, finer
/// below, coarser above.
pub fn bucket_ms(horizon_ms: i64) -> i64 {
    match horizon_ms {
        ..HOUR_MS => (horizon_ms / 48).max(1),
        HOUR_MS..=TWELVE_HOURS_MS => 5 * MINUTE_MS,
        _ => horizon_ms / 144,
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
