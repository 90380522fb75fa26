use crate::learn::state::Fields;

/// Peaks that are remembered.
const PEAKS: usize = 30;
/// Of them, those that tell how far the next way up leads.
const LATEST: usize = 8;
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
    /// The lowest value since the last reset.
    trough: f64,
    /// Where resets came from, and how far the way up to there was.
    peaks: [f64; PEAKS],
    rises: [f64; PEAKS],
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
            trough: f64::INFINITY,
            peaks: [0.0; PEAKS],
            rises: [0.0; PEAKS],
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
            let at = self.count as usize % PEAKS;
            (self.peaks[at], self.rises[at]) = (self.before, self.before - self.trough);
            self.count += 1;
            self.trough = value;
        }
        self.trough = value.min(self.trough);
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
        self.peaks[..self.known()].iter().filter(|peak| **peak >= height).count()
    }

    /// Returns how many of the remembered ways up to a reset would lead from the last trough at least
    /// so high.
    pub(super) fn rises_to(&self, height: f64) -> usize {
        self.rises[..self.known()].iter().filter(|rise| self.trough + **rise >= height).count()
    }

    /// Returns how high the next reset comes from, if the way up to it is like the last ones: mean and
    /// standard deviation; none before there were two.
    pub(super) fn next_peak(&self) -> Option<(f64, f64)> {
        let count = self.known().min(LATEST);
        if count < 2 {
            return None;
        }
        let latest =
            (1..=count as i64).map(|back| self.rises[(self.count - back) as usize % PEAKS]);
        let mean = latest.clone().sum::<f64>() / count as f64;
        let variance = latest.map(|rise| (rise - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
        Some((self.trough + mean, variance.sqrt()))
    }

    fn known(&self) -> usize {
        self.count.clamp(0, PEAKS as i64) as usize
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.step)?;
        io.f64(&mut self.steps)?;
        io.f64(&mut self.highest)?;
        io.f64(&mut self.lowest)?;
        io.f64(&mut self.before)?;
        io.f64(&mut self.trough)?;
        io.f64s(&mut self.peaks)?;
        io.f64s(&mut self.rises)?;
        io.i64(&mut self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_up_is_held_against_those_before_it() {
        let mut resets = Resets::new();
        assert_eq!(resets.next_peak(), None);
        // Three ways up by 50, each from 10 higher than the one before.
        for tooth in 0..4 {
            for step in 0..=50 {
                resets.learn(f64::from(10 * tooth + step));
            }
        }
        assert_eq!(resets.count(), 3);
        // The last one came from 30, and they lead to 80.
        assert_eq!((resets.rises_to(80.0), resets.rises_to(81.0)), (3, 0));
        let (peak, spread) = resets.next_peak().unwrap();
        assert!((peak - 80.0).abs() < 1e-9 && spread < 1e-6, "{peak} {spread}");
        // None came from as high as the last of them.
        assert_eq!((resets.peaks_from(70.0), resets.peaks_from(71.0)), (1, 0));
    }
}
