use crate::learn::state::Fields;

/// Peaks that are remembered.
const PEAKS: usize = 30;
/// Share of the range by which its ends draw together in a bucket.
const RANGE_FORGETS: f64 = 0.0005;
/// Share of the range, and mean steps, that a fall at one stroke exceeds.
const FALL_RANGE: f64 = 0.08;
const FALL_STEPS: f64 = 6.0;

/// Where a series let go at one stroke (a rotated log, a restart, a collection of garbage), how far
/// it ranges and how much it moves in a bucket. Values are oriented: resets are falls.
#[derive(Clone, Debug)]
pub(super) struct Resets {
    /// The mean size of a step.
    step: f64,
    steps: f64,
    highest: f64,
    lowest: f64,
    before: f64,
    peaks: [f64; PEAKS],
    count: i64,
}

impl Resets {
    pub(super) fn new() -> Resets {
        Resets {
            step: 0.0,
            steps: 0.0,
            highest: f64::NEG_INFINITY,
            lowest: f64::INFINITY,
            before: f64::NAN,
            peaks: [0.0; PEAKS],
            count: 0,
        }
    }

    /// Learns the last value of a bucket; returns whether it is a reset.
    pub(super) fn learn(&mut self, value: f64) -> bool {
        let range = self.range();
        let change = value - self.before;
        let fell = -change > (FALL_RANGE * range).max(FALL_STEPS * self.step);
        if change.is_finite() {
            self.steps += 1.0;
            self.step += (change.abs() - self.step) / self.steps.min(100.0);
        }
        if fell {
            self.peaks[self.count as usize % PEAKS] = self.before;
            self.count += 1;
        }
        self.highest = value.max(self.highest - RANGE_FORGETS * range);
        self.lowest = value.min(self.lowest + RANGE_FORGETS * range);
        self.before = value;
        fell
    }

    /// Returns how far the series ranges, slowly forgotten, in its unit.
    pub(super) fn range(&self) -> f64 {
        if self.highest > self.lowest { self.highest - self.lowest } else { 0.0 }
    }

    /// Returns the mean size of a step from bucket to bucket.
    pub(super) fn step(&self) -> f64 {
        self.step
    }

    /// Returns how many resets there were.
    pub(super) fn count(&self) -> i64 {
        self.count
    }

    /// Returns how many of the remembered peaks before resets were at least so high.
    pub(super) fn peaks_from(&self, height: f64) -> usize {
        let known = self.count.clamp(0, PEAKS as i64) as usize;
        self.peaks[..known].iter().filter(|peak| **peak >= height).count()
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.step)?;
        io.f64(&mut self.steps)?;
        io.f64(&mut self.highest)?;
        io.f64(&mut self.lowest)?;
        io.f64(&mut self.before)?;
        io.f64s(&mut self.peaks)?;
        io.i64(&mut self.count)
    }
}
