//! Sliding windows as PromQL's ranges have them: from `time - span`, left out, to `time`.

use std::collections::VecDeque;

/// Mean and standard deviation of a window.
pub(super) struct Moments {
    span_s: f64,
    samples: VecDeque<(f64, f64)>,
    /// Sums are of differences from this, so that large levels keep their digits.
    origin: f64,
    sum: f64,
    sum_of_squares: f64,
    /// So many of the newest are equal: a window of equals must not have the rounding of those before.
    equals: usize,
}

impl Moments {
    pub(super) fn new(span_s: f64) -> Moments {
        let (origin, sum, sum_of_squares) = (0.0, 0.0, 0.0);
        Moments { span_s, samples: VecDeque::new(), origin, sum, sum_of_squares, equals: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn push(&mut self, time: f64, value: f64) {
        if self.samples.is_empty() {
            (self.origin, self.sum, self.sum_of_squares) = (value, 0.0, 0.0);
        }
        let is_equal = self.samples.back().is_some_and(|(_, last)| *last == value);
        self.equals = if is_equal { self.equals + 1 } else { 1 };
        self.samples.push_back((time, value));
        self.add(value, 1.0);
    }

    fn add(&mut self, value: f64, sign: f64) {
        let difference = value - self.origin;
        self.sum += sign * difference;
        self.sum_of_squares += sign * difference * difference;
    }

    /// Drops what is too old at `time` and returns mean and standard deviation of the rest.
    pub(super) fn until(&mut self, time: f64) -> Option<(f64, f64)> {
        while let Some((old, value)) = self.samples.front().copied()
            && old <= time - self.span_s
        {
            self.samples.pop_front();
            self.add(value, -1.0);
        }
        let (_, newest) = self.samples.back()?;
        if self.equals >= self.samples.len() {
            return Some((*newest, 0.0));
        }
        let count = self.samples.len() as f64;
        let mean = self.sum / count;
        let variance = (self.sum_of_squares / count - mean * mean).max(0.0);
        Some((self.origin + mean, variance.sqrt()))
    }
}

/// The median of a window.
pub(super) struct Median {
    span_s: f64,
    samples: VecDeque<(f64, f64)>,
    sorted: Vec<f64>,
}

impl Median {
    pub(super) fn new(span_s: f64) -> Median {
        Median { span_s, samples: VecDeque::new(), sorted: Vec::new() }
    }

    pub(super) fn push(&mut self, time: f64, value: f64) {
        self.samples.push_back((time, value));
        let at = self.sorted.partition_point(|other| *other < value);
        self.sorted.insert(at, value);
    }

    /// Drops what is too old at `time` and returns the median of the rest.
    pub(super) fn until(&mut self, time: f64) -> Option<f64> {
        while let Some((old, value)) = self.samples.front().copied()
            && old <= time - self.span_s
        {
            self.samples.pop_front();
            self.sorted.remove(self.sorted.partition_point(|other| *other < value));
        }
        let last = self.sorted.len().checked_sub(1)?;
        Some(f64::midpoint(self.sorted[last / 2], self.sorted[last.div_ceil(2)]))
    }
}
