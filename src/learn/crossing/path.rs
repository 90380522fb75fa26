use crate::learn::state::Fields;

/// Buckets that are kept: a week of five minutes.
pub(super) const BUCKETS: usize = 2_016;
/// Values leave a unit where they are this many times larger.
const UNIT_TIMES_MAX: f64 = 1e30;

/// The last [`BUCKETS`] buckets of a series: the last value of each and its highest.
///
/// Values are oriented, so that the limit is above. They are held as f32 in multiples of a power of
/// two, so that a series scaled by one says the same, and nothing overflows.
#[derive(Clone, Debug)]
pub(super) struct Path {
    last: [f32; BUCKETS],
    high: [f32; BUCKETS],
    /// Where the value fell at one stroke, a bit for each bucket.
    falls: [u32; BUCKETS / 32],
    /// Buckets written so far.
    count: i64,
    unit: f64,
}

/// The newest buckets of a path in order of time.
pub(super) struct Past {
    last: [f64; BUCKETS],
    high: [f64; BUCKETS],
    fell: [bool; BUCKETS],
    len: usize,
    /// Buckets before the first of these.
    before: i64,
}

impl Path {
    pub(super) fn new() -> Path {
        Path {
            last: [0.0; BUCKETS],
            high: [0.0; BUCKETS],
            falls: [0; BUCKETS / 32],
            count: 0,
            unit: 0.0,
        }
    }

    /// Returns how many buckets were written, those that are forgotten included.
    pub(super) fn count(&self) -> i64 {
        self.count
    }

    /// Adds a bucket that has closed.
    pub(super) fn push(&mut self, last: f64, high: f64, fell: bool) {
        self.fit(last.abs().max(high.abs()));
        let at = self.count as usize % BUCKETS;
        (self.last[at], self.high[at]) = (self.held(last), self.held(high));
        let (word, bit) = (at / 32, 1 << (at % 32));
        if fell {
            self.falls[word] |= bit;
        } else {
            self.falls[word] &= !bit;
        }
        self.count += 1;
    }

    /// Moves the unit to where a value of this size can be held: at the first one, at one that is
    /// far larger, and once a week where all have become far smaller.
    fn fit(&mut self, size: f64) {
        if self.unit == 0.0 {
            self.unit = power_of_two(size);
            return;
        }
        let is_new_week = self.count % BUCKETS as i64 == 0;
        let largest = || {
            let held = self.high.iter().chain(&self.last);
            f64::from(held.fold(0.0f32, |most, value| most.max(value.abs()))) * self.unit
        };
        let wanted = if size > UNIT_TIMES_MAX * self.unit {
            size
        } else if is_new_week && largest().max(size) < self.unit / UNIT_TIMES_MAX {
            largest().max(size)
        } else {
            return;
        };
        let unit = power_of_two(wanted);
        let times = self.unit / unit;
        for value in self.last.iter_mut().chain(&mut self.high) {
            *value = (f64::from(*value) * times) as f32;
        }
        self.unit = unit;
    }

    fn held(&self, value: f64) -> f32 {
        if self.unit == 0.0 { 0.0 } else { (value / self.unit) as f32 }
    }

    /// Returns the path in the signal's unit, counted from `from`.
    pub(super) fn past(&self, from: f64) -> Past {
        let len = (self.count.max(0) as usize).min(BUCKETS);
        let before = self.count - len as i64;
        let mut past = Past {
            last: [0.0; BUCKETS],
            high: [0.0; BUCKETS],
            fell: [false; BUCKETS],
            len,
            before,
        };
        let first = before as usize % BUCKETS;
        for (index, at) in (first..BUCKETS).chain(0..first).take(len).enumerate() {
            past.last[index] = f64::from(self.last[at]) * self.unit - from;
            past.high[index] = f64::from(self.high[at]) * self.unit - from;
            past.fell[index] = self.falls[at / 32] >> (at % 32) & 1 == 1;
        }
        past
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f32s(&mut self.last)?;
        io.f32s(&mut self.high)?;
        for word in &mut self.falls {
            io.u32(word)?;
        }
        io.i64(&mut self.count)?;
        io.f64(&mut self.unit)
    }
}

impl Past {
    /// Returns the last value of each bucket, oldest first.
    pub(super) fn last(&self) -> &[f64] {
        &self.last[..self.len]
    }

    /// Returns the highest value of each bucket.
    pub(super) fn high(&self) -> &[f64] {
        &self.high[..self.len]
    }

    /// Returns how many buckets came before the first of these.
    pub(super) fn before(&self) -> i64 {
        self.before
    }

    /// Returns how many buckets there were in all.
    pub(super) fn count(&self) -> i64 {
        self.before + self.len as i64
    }

    /// Returns the last `width` values as they would be if the series had never fallen at one
    /// stroke: each lies lower by the falls that came after it.
    pub(super) fn without_resets(&self, width: usize) -> Raised {
        let last = self.last();
        let width = width.min(last.len());
        let mut raised = Raised { values: [0.0; BUCKETS], first: BUCKETS - width };
        let mut fallen = 0.0;
        for back in 0..width {
            let at = last.len() - 1 - back;
            raised.values[BUCKETS - 1 - back] = last[at] - fallen;
            if self.fell[at] && at > 0 {
                fallen += last[at - 1] - last[at];
            }
        }
        raised
    }
}

/// A path without its resets.
pub(super) struct Raised {
    values: [f64; BUCKETS],
    first: usize,
}

impl Raised {
    pub(super) fn as_slice(&self) -> &[f64] {
        &self.values[self.first..]
    }
}

/// Returns the largest power of two that is no larger; nothing of nothing.
fn power_of_two(size: f64) -> f64 {
    let (_, exponent) = libm::frexp(size);
    if size == 0.0 { 0.0 } else { libm::ldexp(1.0, exponent - 1) }
}
