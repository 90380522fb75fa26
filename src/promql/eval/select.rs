//! Selectors: the newest sample at each step.

use std::ops::Range;

use crate::promql::ast::{At, RangeMode, TimeSpan, VectorSelector};
use crate::promql::engine::Value;
use crate::series::{Labels, Matcher, Points, TimeRange, is_stale};

use super::query::Phase;
use super::ranges::Windows;
use super::{ABSENT, Answer, Column, Detail, Evaluator, Row};

/// Where a selector looks, seen from a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    at_ms: Option<i64>,
    offset_ms: i64,
}

impl Look {
    pub(super) fn new(at_ms: Option<i64>, offset_ms: i64) -> Look {
        Look { at_ms, offset_ms }
    }

    /// Returns the time at which is looked, for a step at `time_ms`.
    pub(super) fn from(self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }
}

/// What is known of the sample that a step sees.
#[derive(Clone, Copy, Debug)]
pub(in crate::promql) enum Aspect {
    Value,
    /// Its time, in seconds.
    Time,
    /// Its start timestamp, in seconds.
    Start,
    /// The time of a float, in seconds; histograms stay what they are.
    FloatTime,
}

impl Evaluator<'_> {
    pub(super) fn look(&self, selector: &VectorSelector) -> Answer<Look> {
        let at_ms = selector.at.map(|at| self.at_ms(at));
        Ok(Look { at_ms, offset_ms: self.length_ms(&selector.offset, false)? })
    }

    /// Evaluates a selector without a range.
    pub(super) fn select(&self, selector: &VectorSelector) -> Answer<Vec<Row>> {
        if selector.mode == RangeMode::Smoothed {
            return self.select_smoothed(selector);
        }
        self.select_aspect(selector, Aspect::Value)
    }

    /// Evaluates a selector to its samples' values or times.
    pub(in crate::promql) fn select_aspect(
        &self,
        selector: &VectorSelector,
        aspect: Aspect,
    ) -> Answer<Vec<Row>> {
        self.newest_rows(&selector.all_matchers(), self.look(selector)?, aspect)
    }

    /// Evaluates info series to the times, in seconds, of their samples.
    pub(in crate::promql) fn info_times(
        &self,
        matchers: &[Matcher],
        at: Option<At>,
        offsets: &[TimeSpan],
    ) -> Answer<Vec<Row>> {
        let mut offset_ms = 0i64;
        for offset in offsets {
            offset_ms = offset_ms.saturating_add(self.length_ms(offset, false)?);
        }
        let look = Look::new(at.map(|at| self.at_ms(at)), offset_ms);
        self.newest_rows(matchers, look, Aspect::FloatTime)
    }

    fn newest_rows(&self, matchers: &[Matcher], look: Look, aspect: Aspect) -> Answer<Vec<Row>> {
        let lookback_ms = self.query.lookback_ms();
        let range = self.looked_at(look, lookback_ms.saturating_sub(1), 0);
        if self.is_instant() && matches!(aspect, Aspect::Value) && self.detail != Detail::Counts {
            return self.newest_at_once(matchers, range);
        }
        let selected = self.selected(matchers, range)?;
        self.each_series(&selected, range, |series, points, windows| {
            let column = if points.histograms.is_empty() && matches!(aspect, Aspect::Value) {
                self.newest_floats(points, look, lookback_ms, windows)
            } else {
                self.newest(points, look, lookback_ms, aspect)
            };
            self.row(&series.labels, column)
        })
    }

    /// Returns the row of a series, if it has a value.
    pub(super) fn row(&self, labels: &Labels, column: Column) -> Answer<Option<Row>> {
        if column.is_empty() {
            return Ok(None);
        }
        self.query.hold(column.cost())?;
        Ok(Some(Row { labels: labels.clone(), drop_name: false, column }))
    }

    /// The one step's newest samples. Most are known without being read.
    fn newest_at_once(&self, matchers: &[Matcher], range: TimeRange) -> Answer<Vec<Row>> {
        let snapshot = self.query.snapshot;
        let look = Look::new(Some(range.end_ms), 0);
        let lookback_ms = range.end_ms.saturating_sub(range.start_ms).saturating_add(1);
        let selected = self.selected(matchers, range)?;
        self.each_batch(&selected.series, |points: &mut Points, batch| {
            let (mut rows, mut samples) = (Vec::with_capacity(batch.len()), 0);
            self.query.timed(Phase::Read, || {
                for series in batch {
                    let newest = snapshot.newest(series, range.end_ms);
                    let column = if let Some((time_ms, value)) = newest {
                        samples += 1;
                        let is_seen = time_ms >= range.start_ms && !is_stale(value);
                        Column::of_floats(vec![if is_seen { value } else { ABSENT }])
                    } else {
                        snapshot.read(series, range, points)?;
                        samples += points.len();
                        self.newest(points, look, lookback_ms, Aspect::Value)
                    };
                    rows.extend(self.row(&series.labels, column)?);
                }
                Answer::Ok(())
            })?;
            self.query.count_read(batch.len(), samples);
            Ok(rows)
        })
    }

    /// Counts the series of a selector that have a value at the one step, by labels; `None` where
    /// that takes reading them.
    pub(super) fn count_selected(
        &self,
        selector: &VectorSelector,
        by: &[String],
    ) -> Answer<Option<Vec<(Labels, u64)>>> {
        let look = self.look(selector)?;
        let range = self.looked_at(look, self.query.lookback_ms().saturating_sub(1), 0);
        if range.is_empty() {
            return Ok(None);
        }
        let count = || self.query.snapshot.count_alive(&selector.all_matchers(), range, by);
        Ok(self.query.timed(Phase::Select, count)?)
    }

    /// Returns the span of time that all steps together look at, widened.
    pub(super) fn looked_at(&self, look: Look, before_ms: i64, after_ms: i64) -> TimeRange {
        let (first, last) = (look.from(self.steps.start_ms), look.from(self.steps.last_ms()));
        TimeRange::new(first.saturating_sub(before_ms), last.saturating_add(after_ms))
    }

    /// For each step the newest sample that is not older than the lookback, unless it is a
    /// staleness marker.
    fn newest(&self, points: &Points, look: Look, lookback_ms: i64, aspect: Aspect) -> Column {
        let mut column = Column::absent(self.steps.count);
        let (mut floats, mut histograms) = (0, 0);
        for (step, time_ms) in self.steps.times_ms().enumerate() {
            let time_ms = look.from(time_ms);
            let oldest_ms = time_ms.saturating_sub(lookback_ms);
            floats = advance(floats, points.times_ms.len(), |at| points.times_ms[at] <= time_ms);
            histograms = advance(histograms, points.histograms.len(), |at| {
                points.histograms[at].time_ms <= time_ms
            });
            let float_ms = floats.checked_sub(1).map(|at| points.times_ms[at]);
            let histogram = histograms.checked_sub(1).map(|at| &points.histograms[at]);
            let newest_ms = float_ms.max(histogram.map(|point| point.time_ms));
            let Some(newest_ms) = newest_ms.filter(|newest_ms| *newest_ms > oldest_ms) else {
                continue;
            };
            let seconds = |ms: i64| Value::Float(ms as f64 / 1000.0);
            match histogram.filter(|point| point.time_ms == newest_ms) {
                Some(point) if point.histogram.is_stale() => {}
                Some(point) => column.set(
                    step,
                    match aspect {
                        Aspect::Value | Aspect::FloatTime => {
                            Value::Histogram(point.histogram.clone())
                        }
                        Aspect::Time => seconds(newest_ms),
                        Aspect::Start => seconds(point.start_ms),
                    },
                ),
                None if is_stale(points.values[floats - 1]) => {}
                None => column.set(
                    step,
                    match aspect {
                        Aspect::Value => Value::Float(points.values[floats - 1]),
                        Aspect::Time | Aspect::FloatTime => seconds(newest_ms),
                        Aspect::Start => {
                            seconds(points.starts_ms.get(floats - 1).copied().unwrap_or(0))
                        }
                    },
                ),
            }
        }
        column
    }
}

impl Evaluator<'_> {
    /// As [`Evaluator::newest`], of floats alone, which nearly all series are.
    fn newest_floats(
        &self,
        points: &Points,
        look: Look,
        lookback_ms: i64,
        windows: &mut Windows,
    ) -> Column {
        windows.find(&points.times_ms, |times, windows| {
            let mut next = 0;
            windows.extend(self.steps.times_ms().map(|time_ms| {
                let time_ms = look.from(time_ms);
                next = advance(next, times.len(), |at| times[at] <= time_ms);
                match next.checked_sub(1) {
                    Some(at) if times[at] > time_ms.saturating_sub(lookback_ms) => at..next,
                    _ => 0..0,
                }
            }));
        });
        // A staleness marker is how an absent float is written, too.
        let newest = |window: &Range<usize>| points.values[window.clone()].last().copied();
        let floats = windows.floats.iter().map(|window| newest(window).unwrap_or(ABSENT));
        Column::of_floats(floats.collect())
    }
}

/// Moves an index forward while the condition holds at it.
pub(super) fn advance(mut at: usize, len: usize, holds: impl Fn(usize) -> bool) -> usize {
    while at < len && holds(at) {
        at += 1;
    }
    at
}
