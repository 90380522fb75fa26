//! Lines and maxima over windows of a path.

use super::path::BUCKETS;

/// A least-squares line through values that are a bucket apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    /// Change per bucket.
    pub(super) slope: f64,
    /// Its value at the last of them.
    pub(super) end: f64,
    /// Standard deviation of the values around it.
    pub(super) scatter: f64,
}

impl Line {
    /// Returns the line through the last `width` values, or as many as there are.
    pub(super) fn through_last(values: &[f64], width: usize) -> Line {
        let values = &values[values.len().saturating_sub(width)..];
        let count = values.len() as f64;
        if values.len() < 3 {
            return Line::default();
        }
        let middle = (count - 1.0) / 2.0;
        let (mut sum, mut squares, mut products) = (0.0, 0.0, 0.0);
        for (at, value) in values.iter().enumerate() {
            sum += value;
            squares += value * value;
            products += (at as f64 - middle) * value;
        }
        let spread = count * (count * count - 1.0) / 12.0;
        let slope = products / spread;
        let unexplained = squares - sum * sum / count - slope * products;
        let end = sum / count + slope * middle;
        Line { slope, end, scatter: (unexplained.max(0.0) / count).sqrt() }
    }
}

/// Sums up to each value, from which the slope of any window follows in a few operations.
pub(super) struct Sums {
    values: [f64; BUCKETS],
    products: [f64; BUCKETS],
}

impl Sums {
    pub(super) fn new(values: &[f64]) -> Sums {
        let mut sums = Sums { values: [0.0; BUCKETS], products: [0.0; BUCKETS] };
        let (mut sum, mut product) = (0.0, 0.0);
        for (at, value) in values.iter().enumerate() {
            sum += value;
            product += at as f64 * value;
            (sums.values[at], sums.products[at]) = (sum, product);
        }
        sums
    }

    /// Returns the slope, per bucket, of the line through the last `width` values up to `at`.
    pub(super) fn slope(&self, at: usize, width: usize) -> f64 {
        let width = width.min(at + 1);
        if width < 3 {
            return 0.0;
        }
        let (mut sum, mut product) = (self.values[at], self.products[at]);
        if let Some(before) = at.checked_sub(width) {
            sum -= self.values[before];
            product -= self.products[before];
        }
        let count = width as f64;
        let middle = at as f64 - (count - 1.0) / 2.0;
        (product - middle * sum) / (count * (count * count - 1.0) / 12.0)
    }
}

/// The highest, or the lowest, of so many values up to each.
pub(super) struct Hull {
    values: [f64; BUCKETS],
    len: usize,
}

impl Hull {
    pub(super) fn above(values: &[f64], width: usize) -> Hull {
        Hull { values: trailing_max(values, width), len: values.len() }
    }

    pub(super) fn below(values: &[f64], width: usize) -> Hull {
        let mut negated = [0.0; BUCKETS];
        for (negated, value) in negated.iter_mut().zip(values) {
            *negated = -value;
        }
        let len = values.len().min(BUCKETS);
        Hull { values: trailing_max(&negated[..len], width).map(|value| -value), len }
    }

    pub(super) fn as_slice(&self) -> &[f64] {
        &self.values[..self.len]
    }

    /// Returns the newest; 0 of nothing, which is where the series is.
    pub(super) fn last(&self) -> f64 {
        self.as_slice().last().copied().unwrap_or(0.0)
    }
}

/// Returns for each value the highest of the last `width` up to it.
///
/// Two passes over blocks of `width`, whatever it is.
/// Source: van Herk, "A fast algorithm for local minimum and maximum filters" (1992).
pub(super) fn trailing_max(values: &[f64], width: usize) -> [f64; BUCKETS] {
    let width = width.max(1);
    let mut from_start = [f64::NEG_INFINITY; BUCKETS];
    let mut to_end = [f64::NEG_INFINITY; BUCKETS];
    for start in (0..values.len()).step_by(width) {
        let end = (start + width).min(values.len());
        let mut most = f64::NEG_INFINITY;
        for at in start..end {
            most = larger(values[at], most);
            from_start[at] = most;
        }
        most = f64::NEG_INFINITY;
        for at in (start..end).rev() {
            most = larger(values[at], most);
            to_end[at] = most;
        }
    }
    for at in width..values.len() {
        from_start[at] = larger(from_start[at], to_end[at + 1 - width]);
    }
    from_start
}

/// Returns the larger of two numbers; one comparison, since no value of a path is NaN.
pub(super) fn larger(one: f64, other: f64) -> f64 {
    if one > other { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(len: usize) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut value = 0.0;
        let mut step = |_| {
            value += rng.f64() - 0.5;
            value
        };
        (0..len).map(&mut step).collect()
    }

    #[test]
    fn the_highest_of_a_window() {
        let values = walk(100);
        for width in [1, 2, 7, 99, 100, 200] {
            let found = trailing_max(&values, width);
            for at in 0..values.len() {
                let from = (at + 1).saturating_sub(width);
                let most = values[from..=at].iter().copied().fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(found[at], most, "{width} {at}");
            }
        }
    }

    #[test]
    fn hulls_lie_above_and_below() {
        let values = [1.0, 3.0, 2.0, 0.0, 4.0];
        assert_eq!(Hull::above(&values, 2).as_slice(), [1.0, 3.0, 3.0, 2.0, 4.0]);
        assert_eq!(Hull::below(&values, 3).as_slice(), [1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!((Hull::above(&values, 2).last(), Hull::above(&[], 2).last()), (4.0, 0.0));
    }

    #[test]
    fn sums_and_lines_agree() {
        let values = walk(300);
        let sums = Sums::new(&values);
        for (at, width) in [(0, 5), (2, 5), (40, 12), (299, 72), (299, 1_000)] {
            let line = Line::through_last(&values[..=at], width);
            assert!((sums.slope(at, width) - line.slope).abs() < 1e-9, "{at} {width}");
        }
        let straight: Vec<f64> = (0..50).map(|at| 3.0 + 2.0 * f64::from(at)).collect();
        let line = Line::through_last(&straight, 20);
        assert!((line.slope - 2.0).abs() < 1e-9 && line.scatter < 1e-6, "{line:?}");
        assert!((line.end - 101.0).abs() < 1e-9, "{line:?}");
    }
}
