use super::SCALES;
use super::trend::Line;
use crate::learn::state::Fields;

/// Lines that are kept, 16 to a horizon.
const KEPT: usize = 16;
/// How many kept lines ago those were drawn that are measured: an eighth of the horizon, a quarter,
/// a half, all of it.
const AGES: [usize; 4] = [2, 4, 8, 16];
/// Measurements that an error averages over: four horizons.
const MEMORY: f64 = 64.0;
/// Measurements before an error counts.
const LEAST: f64 = 4.0;
/// Standard deviations to a mean absolute error, where errors are about normal.
const SPREAD: f64 = 1.25;

/// How well earlier lines foretold what came: the honest part of the interval, since it knows that
/// trends end.
#[derive(Clone, Debug)]
pub(super) struct Record {
    every_s: f64,
    /// Seconds since the last line was kept.
    since_s: f64,
    /// Lines kept so far.
    count: i64,
    kept: [Kept; KEPT],
    /// Mean absolute error of each age and scale, and how many measurements it rests on.
    errors: [[(f64, f64); SCALES]; AGES.len()],
}

/// Lines of one time, and how long ago that was.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    age_s: f64,
    levels: [f64; SCALES],
    slopes: [f64; SCALES],
}

impl Record {
    pub(super) fn new(horizon_s: f64) -> Record {
        Record {
            every_s: horizon_s / KEPT as f64,
            since_s: 0.0,
            count: 0,
            kept: [Kept::default(); KEPT],
            errors: [[(0.0, 0.0); SCALES]; AGES.len()],
        }
    }

    /// Drops the lines, not what is known of their errors.
    pub(super) fn forget_lines(&mut self) {
        (self.count, self.since_s) = (0, 0.0);
    }

    /// Lets time pass; returns whether it is time to [`Record::learn`].
    pub(super) fn pass(&mut self, elapsed_s: f64) -> bool {
        self.since_s += elapsed_s;
        self.count == 0 || self.since_s >= self.every_s
    }

    /// Takes note of the lines of this moment, and of how earlier ones met the value. A scale
    /// without a line has `None`.
    pub(super) fn learn(&mut self, value: f64, lines: &[Option<Line>; SCALES]) {
        for kept in &mut self.kept {
            kept.age_s += self.since_s;
        }
        self.since_s = 0.0;
        for (age, errors) in AGES.into_iter().zip(&mut self.errors) {
            if self.count < age as i64 {
                continue;
            }
            let kept = &self.kept[(self.count - age as i64) as usize % KEPT];
            for (scale, error) in errors.iter_mut().enumerate() {
                let off = (value - kept.levels[scale] - kept.slopes[scale] * kept.age_s).abs();
                if off.is_finite() {
                    error.1 = (error.1 + 1.0).min(MEMORY);
                    error.0 += (off - error.0) / error.1;
                }
            }
        }
        let mut kept = Kept { levels: [f64::NAN; SCALES], ..Kept::default() };
        for (scale, line) in lines.iter().enumerate() {
            if let Some(line) = line {
                (kept.levels[scale], kept.slopes[scale]) = (line.level, line.slope_per_s);
            }
        }
        self.kept[self.count as usize % KEPT] = kept;
        self.count += 1;
    }

    /// Returns the error that a scale's lines had so many seconds ahead; none where that was not
    /// measured. Beyond what was measured it grows with time.
    pub(super) fn error(&self, scale: usize, ahead_s: f64) -> Option<f64> {
        let (mut before_s, mut before) = (0.0, 0.0);
        for (age, errors) in AGES.into_iter().zip(&self.errors) {
            let (error, measurements) = errors[scale];
            if measurements < LEAST {
                break;
            }
            let age_s = age as f64 * self.every_s;
            if ahead_s <= age_s {
                let share = (ahead_s - before_s) / (age_s - before_s);
                return Some(SPREAD * (before + share * (error - before)));
            }
            (before_s, before) = (age_s, error);
        }
        (before_s > 0.0).then(|| SPREAD * before * ahead_s / before_s)
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.since_s)?;
        io.i64(&mut self.count)?;
        for kept in &mut self.kept {
            io.f64(&mut kept.age_s)?;
            io.f64s(&mut kept.levels)?;
            io.f64s(&mut kept.slopes)?;
        }
        for (error, measurements) in self.errors.as_flattened_mut() {
            io.f64(error)?;
            io.f64(measurements)?;
        }
        Ok(())
    }
}
