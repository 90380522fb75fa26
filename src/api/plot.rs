use std::fmt::Write;

use super::html::put;
use crate::series::TimeRange;

/// A rectangle of an SVG, px, in which each place is a time and a value.
///
/// Shared by the pages and by what draws files, so that both are honest in the same way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    /// Where the first time is.
    pub(crate) left: f64,
    /// Where the last time is.
    pub(crate) right: f64,
    /// Where the greatest value is.
    pub(crate) top: f64,
    /// Where the least value is.
    pub(crate) bottom: f64,
    /// The first and the last time.
    pub(crate) times: TimeRange,
    /// The least and the greatest value.
    pub(crate) values: Extent,
}

/// The least and the greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    /// The least.
    pub(crate) low: f64,
    /// The greatest.
    pub(crate) high: f64,
}

impl Extent {
    /// Returns the extent of the finite ones among values, if there are any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Extent> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            (low, high) = (value.min(low), value.max(high));
        }
        (low <= high).then_some(Extent { low, high })
    }

    /// Returns the extent with room on both sides where it is a single value.
    pub(crate) fn widened(self) -> Extent {
        let Extent { low, high } = self;
        if low < high {
            return self;
        }
        let around = if low == 0.0 { 1.0 } else { (low.abs() / 10.0).max(f64::MIN_POSITIVE) };
        Extent { low: (low - around).max(f64::MIN), high: (high + around).min(f64::MAX) }
    }
}

impl Plot {
    /// Returns where a time is, px from the left.
    pub(crate) fn x(&self, time_ms: i64) -> f64 {
        let TimeRange { start_ms, end_ms } = self.times;
        let span_ms = end_ms.saturating_sub(start_ms).max(1) as f64;
        let share = time_ms.saturating_sub(start_ms) as f64 / span_ms;
        self.left + share * (self.right - self.left)
    }

    /// Returns where a value is, px from the top.
    pub(crate) fn y(&self, value: f64) -> f64 {
        let Extent { low, high } = self.values;
        // Halves, since the distance of two large floats may be infinite.
        let half = high / 2.0 - low / 2.0;
        let share = if half > 0.0 { (value / 2.0 - low / 2.0) / half } else { 0.5 };
        self.top + (1.0 - share) * (self.bottom - self.top)
    }

    /// Splits points, in order of time, into those of the same column of pixels, each with whether it
    /// goes on from the one before: the two are at most `join_ms` apart.
    pub(crate) fn columns<'a, T: 'a>(
        &self,
        points: &'a [(i64, T)],
        join_ms: i64,
    ) -> impl Iterator<Item = (bool, &'a [(i64, T)])> {
        let column = |point: &(i64, T)| self.x(point.0) as i64;
        let columns = points.chunk_by(move |a, b| column(a) == column(b));
        columns.scan(None, move |last_ms: &mut Option<i64>, points| {
            let (first, last) = (points.first()?, points.last()?);
            let before_ms = last_ms.replace(last.0);
            let joined = before_ms.is_some_and(|at_ms| first.0.saturating_sub(at_ms) <= join_ms);
            Some((joined, points))
        })
    }

    /// Appends the data of a path through finite points. Of each column it has the least and the
    /// greatest, so a lone spike is seen however many points there are.
    pub(crate) fn push_line(&self, out: &mut String, points: &[(i64, f64)], join_ms: i64) {
        for (joined, column) in self.columns(points, join_ms) {
            let by_value = |a: &&(i64, f64), b: &&(i64, f64)| a.1.total_cmp(&b.1);
            let ends = (column.iter().min_by(by_value), column.iter().max_by(by_value));
            let (Some(least), Some(greatest)) = ends else { continue };
            let (first, last) =
                if least.0 <= greatest.0 { (least, greatest) } else { (greatest, least) };
            let (x, y) = (self.x(first.0), self.y(first.1));
            if joined {
                put!(out, "L{x:.1} {y:.1}");
            } else {
                // A point alone is seen by its round cap.
                put!(out, "M{x:.1} {y:.1}h.01");
            }
            if first.1 != last.1 {
                put!(out, "L{:.1} {:.1}", self.x(last.0), self.y(last.1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(end_ms: i64, high: f64) -> Plot {
        let (times, values) = (TimeRange::new(0, end_ms), Extent { low: 0.0, high });
        Plot { left: 0.0, right: 100.0, top: 0.0, bottom: 100.0, times, values }
    }

    fn line(plot: &Plot, points: &[(i64, f64)], join_ms: i64) -> String {
        let mut out = String::new();
        plot.push_line(&mut out, points, join_ms);
        out
    }

    #[test]
    fn a_line_breaks_where_points_are_far_apart() {
        let points = [(0, 0.0), (10, 5.0), (30, 10.0), (40, 0.0)];
        let expected = "M0.0 100.0h.01L10.0 50.0M30.0 0.0h.01L40.0 100.0";
        assert_eq!(line(&plot(100, 10.0), &points, 10), expected);
        assert_eq!(line(&plot(100, 10.0), &[], 10), "");
    }

    #[test]
    fn a_column_keeps_its_least_and_greatest_in_order() {
        let mut points: Vec<(i64, f64)> = (0..100_000).map(|at| (at, 1.0)).collect();
        (points[50_123].1, points[50_321].1) = (10.0, 0.0);
        let drawn = line(&plot(100_000, 10.0), &points, 1);
        assert!(drawn.contains("L50.1 0.0L50.3 100.0L51.0 90.0"), "{drawn}");
        assert_eq!(drawn.matches('L').count(), 100);
    }

    #[test]
    fn the_largest_floats_have_a_place() {
        let values = Extent::of([f64::NAN, f64::MAX, f64::INFINITY, f64::MIN]).unwrap();
        let all = Plot { values, ..plot(i64::MAX, 1.0) };
        assert_eq!((all.y(f64::MAX), all.y(0.0), all.y(f64::MIN)), (0.0, 50.0, 100.0));
        assert_eq!(all.x(i64::MAX), 100.0);
        assert_eq!(Extent::of([f64::NAN]), None);
        for value in [0.0, -5.0, 5e-324, f64::MAX, f64::MIN] {
            let Extent { low, high } = Extent { low: value, high: value }.widened();
            assert!(low < high && low.is_finite() && high.is_finite(), "{value}");
        }
        let still = Plot { times: TimeRange::new(5, 5), ..all };
        assert_eq!(still.x(5), 0.0);
        assert_eq!(plot(1, 5e-324).y(5e-324), 50.0);
    }
}
