use crate::learn::state::Fields;

const DAY_MS: i64 = 86_400_000;
const BUCKETS: usize = 96;
/// Codes for a factor of two.
const OCTAVE: f64 = 8.0;
/// The size of code 0, as a power of two: a thousandth of the series' unit.
const LEAST_LOG2: f64 = -10.0;
/// What a size that does not come any more loses in a pass, in codes: a twelfth, so that a weekend
/// hardly makes a working day's step unusual.
const LOSS: u8 = 1;
/// What comes at its time is so many times what is everyday then.
const USUAL_Z: f64 = 3.0;
/// Buckets before and after in which it may come; a mean over samples holds it for longer.
const EARLY: usize = 1;
const LATE: usize = 1;
const LATE_IN_MEANS: usize = 4;

/// The sizes of departures that come at their time of day: a nightly job, the step at nine.
///
/// Per quarter of an hour the largest departure of a pass; what is usual there is the smaller of two
/// passes in running, or what was usual before, fading. So one incident makes nothing usual, and
/// what comes for the third time at its hour is no surprise. A size is one byte, on a log scale.
#[derive(Clone, Debug)]
pub(super) struct Recurring {
    usual: [u8; BUCKETS],
    /// The largest of the pass before.
    before: [u8; BUCKETS],
    /// The bucket of the last sample, and the largest departure in it.
    bucket: u8,
    largest: f32,
}

impl Recurring {
    pub(super) fn new() -> Recurring {
        Recurring { usual: [0; BUCKETS], before: [0; BUCKETS], bucket: 0, largest: 0.0 }
    }

    /// Returns the everyday size at a time of the week, of a sample and of a mean over samples.
    /// Where hardly two samples come in a bucket, the shape of the day follows them well enough
    /// and nothing is added; `day` in samples.
    pub(super) fn sizes(&self, week_ms: i64, day: f64) -> (f64, f64) {
        if day < 2.5 * BUCKETS as f64 {
            return (0.0, 0.0);
        }
        let bucket = bucket(week_ms);
        let largest = |late: usize| {
            let around = (0..=late + EARLY).map(|k| (bucket + BUCKETS + EARLY - k) % BUCKETS);
            size(around.map(|k| self.usual[k]).fold(0, u8::max)) / USUAL_Z
        };
        (largest(LATE), largest(LATE_IN_MEANS))
    }

    /// Learns from a departure of this size.
    pub(super) fn learn(&mut self, week_ms: i64, size: f64) {
        let bucket = bucket(week_ms) as u8;
        if bucket != self.bucket {
            let k = usize::from(self.bucket) % BUCKETS;
            let largest = code(f64::from(self.largest));
            let again = largest.min(self.before[k]);
            self.usual[k] = again.max(self.usual[k].saturating_sub(LOSS));
            self.before[k] = largest;
            (self.bucket, self.largest) = (bucket, 0.0);
        }
        self.largest = self.largest.max(size as f32);
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        let octaves = libm::log2(by) * OCTAVE;
        let moved = |code: u8| {
            if code == 0 { 0 } else { (f64::from(code) + octaves).round().clamp(0.0, 255.0) as u8 }
        };
        self.usual = self.usual.map(moved);
        self.before = self.before.map(moved);
        self.largest = (f64::from(self.largest) * by) as f32;
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.bytes(&mut self.usual)?;
        io.bytes(&mut self.before)?;
        io.u8(&mut self.bucket)?;
        io.f32(&mut self.largest)
    }
}

fn bucket(week_ms: i64) -> usize {
    (week_ms % DAY_MS * BUCKETS as i64 / DAY_MS) as usize % BUCKETS
}

/// Returns the code of a size, rounded down; 0 for what is too small.
fn code(size: f64) -> u8 {
    if size <= 0.0 {
        return 0;
    }
    ((libm::log2(size) - LEAST_LOG2) * OCTAVE).clamp(0.0, 255.0) as u8
}

fn size(code: u8) -> f64 {
    if code == 0 { 0.0 } else { libm::exp2(f64::from(code) / OCTAVE + LEAST_LOG2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_incident_makes_nothing_usual_and_the_second_in_running_does() {
        let mut recurring = Recurring::new();
        let two_ms = 2 * 3_600_000;
        let mut sizes = Vec::new();
        for day in 0..8 {
            for at_ms in (0..DAY_MS).step_by(60_000) {
                let is_on = [1, 3, 4].contains(&day) && (two_ms..two_ms + 600_000).contains(&at_ms);
                recurring.learn(at_ms, if is_on { 6.0 } else { 0.0 });
            }
            sizes.push(recurring.sizes(two_ms, 1440.0).0);
        }
        assert_eq!(sizes[..4], [0.0; 4]);
        assert!((1.8..=2.0).contains(&sizes[4]), "{sizes:?}");
        // Then it fades.
        assert!(sizes.windows(2).skip(4).all(|pair| pair[1] < pair[0]), "{sizes:?}");
        assert_eq!(recurring.sizes(two_ms + 3 * 3_600_000, 1440.0).0, 0.0);
        assert_eq!(recurring.sizes(two_ms, 24.0), (0.0, 0.0), "hours know theirs");
        let before = recurring.sizes(two_ms, 1440.0).0;
        recurring.rescale(0.25);
        assert_eq!(recurring.sizes(two_ms, 1440.0).0, before / 4.0);
    }
}
