use crate::learn::state::Fields;

/// A step counts as often seen from so many times on.
const OFTEN: u8 = 10;
/// This share of the smallest step is none, however seldom it was seen: a shape that a spike has
/// bent is off by less than the series ever moves.
const DEPARTURE: f64 = 0.02;
/// What a step counts for in means over samples where it is larger than the values usually are.
const EVENT_IN_MEANS: f64 = 1.0 / 8.0;
/// Steps are the same within this share.
const SAME: f64 = 0.01;
/// A step below this share of the value is the rounding of an arithmetic, and none.
const ROUNDING: f64 = 1e-6;

/// The smallest step that a series takes: 1 of what is counted, a hundredth of what is rounded.
///
/// Once it was seen ten times, one such step is no news, however rarely it comes. Where it is larger
/// than the values usually are, it is no grain of a level but what happens to one; that it happens
/// more often than before is news, so means over samples hardly take it for everyday.
#[derive(Clone, Debug, Default)]
pub(super) struct Grain {
    before: f64,
    least: f32,
    seen: u8,
}

impl Grain {
    /// Returns the value before.
    pub(super) fn before(&self) -> f64 {
        self.before
    }

    /// Takes a value for the one before, and learns nothing.
    pub(super) fn see(&mut self, x: f64) {
        self.before = x;
    }

    /// Returns the least that counts as a departure.
    pub(super) fn departure(&self) -> f64 {
        DEPARTURE * f64::from(self.least)
    }

    /// Returns what of the smallest step is no news, and what that counts for in means over samples;
    /// `usual` is the mean absolute value, or what is expected now.
    pub(super) fn sizes(&self, usual: f64) -> (f64, f64) {
        let known = if self.seen >= OFTEN { 1.0 } else { DEPARTURE };
        let least = known * f64::from(self.least);
        (least, if least <= usual { least } else { EVENT_IN_MEANS * least })
    }

    /// Learns the next value.
    pub(super) fn learn(&mut self, x: f64) {
        let (step, least) = ((x - self.before).abs(), f64::from(self.least));
        self.before = x;
        if step <= ROUNDING * x.abs() {
            return;
        }
        if self.seen == 0 || step < least * (1.0 - SAME) {
            (self.least, self.seen) = (step as f32, 1);
        } else if step <= least * (1.0 + SAME) {
            self.seen = (self.seen + 1).min(OFTEN);
        }
    }

    /// Multiplies what was learned: another unit.
    pub(super) fn rescale(&mut self, by: f64) {
        self.before *= by;
        self.least = (f64::from(self.least) * by) as f32;
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.before)?;
        io.f32(&mut self.least)?;
        io.u8(&mut self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_step_is_known_once_it_was_seen_ten_times() {
        let mut grain = Grain::default();
        let values = [7.0, 7.0, 9.0, 7.0, 7.0, 8.0, 7.0];
        for x in values {
            grain.learn(x);
        }
        assert_eq!(grain.sizes(7.0), (0.02, 0.02));
        for x in [8.0, 7.0].into_iter().cycle().take(8) {
            grain.learn(x);
        }
        assert_eq!((grain.sizes(7.0), grain.sizes(0.5)), ((1.0, 1.0), (1.0, 1.0 / 8.0)));
        // What sums leave over is no step, and a smaller one starts anew.
        grain.learn(7.0 + 1e-9);
        assert_eq!(grain.sizes(7.0).0, 1.0);
        grain.learn(7.5);
        assert_eq!(grain.sizes(7.0).0, 0.01);
    }
}
