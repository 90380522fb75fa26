use std::sync::Arc;

use super::Histogram;

/// The samples of one series within a time range, in columns, each in time order.
///
/// A series may hold floats and histograms; they are kept apart because nearly all series are one
/// or the other. Staleness markers are in here, as floats or as histograms with a stale sum: what
/// they mean is for the reader to apply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// Times of the floats, ms.
    pub times_ms: Vec<i64>,
    /// The floats, as long as `times_ms`.
    pub values: Vec<f64>,
    /// Start timestamps of the floats, ms, 0 where unset; empty when none has one.
    pub starts_ms: Vec<i64>,
    /// The native histograms.
    pub histograms: Vec<HistogramPoint>,
}

/// One native histogram at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramPoint {
    /// When, ms.
    pub time_ms: i64,
    /// Since when it counts, ms, 0 where unset.
    pub start_ms: i64,
    /// What was counted.
    pub histogram: Arc<Histogram>,
}

impl Points {
    /// Removes all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.times_ms.clear();
        self.values.clear();
        self.starts_ms.clear();
        self.histograms.clear();
    }

    /// Returns how many samples there are.
    pub fn len(&self) -> usize {
        self.times_ms.len() + self.histograms.len()
    }

    /// Returns whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.times_ms.is_empty() && self.histograms.is_empty()
    }

    /// Adds a float; `start_ms` is 0 where unset.
    pub fn push(&mut self, time_ms: i64, value: f64, start_ms: i64) {
        if start_ms != 0 && self.starts_ms.is_empty() {
            self.starts_ms.resize(self.times_ms.len(), 0);
        }
        if start_ms != 0 || !self.starts_ms.is_empty() {
            self.starts_ms.push(start_ms);
        }
        self.times_ms.push(time_ms);
        self.values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_timestamps_cost_nothing_until_one_is_set() {
        let mut points = Points::default();
        points.push(1, 1.0, 0);
        assert!(points.starts_ms.is_empty());
        points.push(2, 1.0, 1);
        points.push(3, 1.0, 0);
        assert_eq!(points.starts_ms, [0, 1, 0]);
    }
}
