//! The answer of a range query.

use super::engine::{Series, Value};
use super::eval::{Column, Row, Steps};
use crate::series::{HistogramPoint, Points, is_stale};

/// Values over time of several series, sorted by labels.
///
/// Those of a range query are held as they were evaluated, one place for each step; a series gets
/// its times when it is asked for, so that a large answer is never held twice.
#[derive(Clone, Debug)]
pub struct Matrix(Held);

#[derive(Clone, Debug)]
enum Held {
    Series(Vec<Series>),
    Rows(Steps, Vec<Row>),
}

impl Matrix {
    /// Sorts series by their labels.
    pub(super) fn of_series(mut series: Vec<Series>) -> Matrix {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Matrix(Held::Series(series))
    }

    /// Sorts rows, which have one place for each step, by their labels; those without values go.
    pub(super) fn of_rows(steps: Steps, mut rows: Vec<Row>) -> Matrix {
        rows.retain(|row| !row.column.is_empty());
        rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        Matrix(Held::Rows(steps, rows))
    }

    /// Returns the number of series.
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::Series(series) => series.len(),
            Held::Rows(_, rows) => rows.len(),
        }
    }

    /// Returns whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many values all series have together, at most.
    pub fn values_max(&self) -> usize {
        match &self.0 {
            Held::Series(series) => series.iter().map(|one| one.points.len()).sum(),
            Held::Rows(steps, rows) => steps.count.saturating_mul(rows.len()),
        }
    }

    /// Keeps the first so many series.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Held::Series(series) => series.truncate(len),
            Held::Rows(_, rows) => rows.truncate(len),
        }
    }

    /// Returns a series by its place; it has values, and none is a staleness marker.
    pub fn get(&self, at: usize) -> Option<Series> {
        match &self.0 {
            Held::Series(series) => series.get(at).cloned(),
            Held::Rows(steps, rows) => {
                let Row { labels, column, .. } = rows.get(at)?;
                Some(Series { labels: labels.clone(), points: points(*steps, column) })
            }
        }
    }

    /// Iterates over the series.
    pub fn iter(&self) -> impl Iterator<Item = Series> + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Returns the series.
    pub fn into_series(self) -> Vec<Series> {
        match self.0 {
            Held::Series(series) => series,
            Held::Rows(..) => self.iter().collect(),
        }
    }
}

/// Returns the values with their times.
pub(super) fn points(steps: Steps, column: &Column) -> Points {
    let mut points = Points::default();
    points.times_ms.reserve(column.floats.len());
    points.values.reserve(column.floats.len());
    if !column.has_histograms() {
        for (time_ms, value) in steps.times_ms().zip(&column.floats) {
            if !is_stale(*value) {
                points.times_ms.push(time_ms);
                points.values.push(*value);
            }
        }
        return points;
    }
    for (step, time_ms) in steps.times_ms().enumerate() {
        match column.get(step) {
            None => {}
            Some(Value::Float(value)) => points.push(time_ms, value, 0),
            Some(Value::Histogram(histogram)) => {
                points.histograms.push(HistogramPoint { time_ms, start_ms: 0, histogram });
            }
        }
    }
    points
}
