//! The series of a selector: found, and read one after the other on as many lanes as are free.

use std::sync::Arc;

use super::query::Phase;
use super::ranges::Windows;
use super::{Answer, Detail, Evaluator};
use crate::promql::ast::Grouping;
use crate::series::{Histogram, METRIC_NAME, Matcher, Points, ResetHint, TimeRange};
use crate::store::SelectedSeries;

/// So many series at most are read in one go, before it is asked whether the query is still wanted
/// and whether another one wants the lane.
const BATCH_MAX: usize = 32;

/// So many batches are made of few series, for the lanes to share.
const BATCHES_LEAST: usize = 16;

/// Series that a selector found.
pub(super) struct Selected {
    pub(super) series: Vec<SelectedSeries>,
    /// They have only the labels that an aggregation around them wants, and are in no order.
    pub(super) is_reduced: bool,
}

/// What a lane uses again for one series after the other.
#[derive(Default)]
pub(super) struct Scratch {
    points: Points,
    windows: Windows,
}

impl Evaluator<'_> {
    /// Finds series that may have samples in the range.
    pub(super) fn selected(&self, matchers: &[Matcher], range: TimeRange) -> Answer<Selected> {
        if range.is_empty() {
            return Ok(Selected { series: Vec::new(), is_reduced: false });
        }
        self.query.timed(Phase::Select, || self.select_series(matchers, range))
    }

    fn select_series(&self, matchers: &[Matcher], range: TimeRange) -> Answer<Selected> {
        let snapshot = self.query.snapshot;
        if let Some(wanted) = self.wanted {
            let keeps = |name: &str| match wanted {
                Grouping::By(names) => names.iter().any(|wanted| wanted == name),
                Grouping::Without(names) => {
                    name != METRIC_NAME && !names.iter().any(|gone| gone == name)
                }
            };
            if let Some(series) =
                snapshot.select_reduced(matchers, range, &keeps, &self.metadata_labels()[1..])?
            {
                return Ok(Selected { series, is_reduced: true });
            }
        }
        Ok(Selected { series: snapshot.select(matchers, range)?, is_reduced: false })
    }

    /// Collects what `make` makes of the samples of each series in the range, in order. It finds
    /// its windows as it left them for some other series.
    pub(super) fn each_series<T: Send>(
        &self,
        selected: &Selected,
        range: TimeRange,
        make: impl Fn(&SelectedSeries, &mut Points, &mut Windows) -> Answer<Option<T>> + Sync,
    ) -> Answer<Vec<T>> {
        self.each_batch(&selected.series, |scratch: &mut Scratch, batch| {
            let snapshot = self.query.snapshot;
            let Scratch { points, windows } = scratch;
            let (mut made, mut samples) = (Vec::with_capacity(batch.len()), 0);
            self.query.timed(Phase::Read, || snapshot.warm(batch));
            for series in batch {
                self.query.timed(Phase::Read, || snapshot.read(series, range, points))?;
                samples += points.len();
                if self.detail == Detail::Counts {
                    find_resets(points);
                }
                made.extend(self.query.timed(Phase::Functions, || make(series, points, windows))?);
            }
            self.query.count_read(batch.len(), samples);
            Ok(made)
        })
    }

    /// Collects what `make` makes of some series at a time, in order.
    pub(super) fn each_batch<S: Default, T: Send>(
        &self,
        series: &[SelectedSeries],
        make: impl Fn(&mut S, &[SelectedSeries]) -> Answer<Vec<T>> + Sync,
    ) -> Answer<Vec<T>> {
        let batch_len = (series.len() / BATCHES_LEAST).clamp(1, BATCH_MAX);
        let batches: Vec<&[SelectedSeries]> = series.chunks(batch_len).collect();
        let is_large = || self.query.is_large(self.steps.count);
        self.query.lanes.run(batches.len(), &is_large, &|scratch: &mut S, batch| {
            let made = make(scratch, batches[batch]);
            // After the work too: what was broken off on the way must not be an answer.
            self.query.check()?;
            made
        })
    }
}

/// Says of every histogram that is not the first whether a reset is before it.
fn find_resets(points: &mut Points) {
    for at in 1..points.histograms.len() {
        let (before, after) = points.histograms.split_at_mut(at);
        let (before, point) = (&before[at - 1].histogram, &mut after[0]);
        if point.histogram.reset_hint != ResetHint::Unknown || point.histogram.is_stale() {
            continue;
        }
        let reset = point.histogram.is_reset_after(before);
        let reset_hint = if reset { ResetHint::Reset } else { ResetHint::NotReset };
        point.histogram = Arc::new(Histogram { reset_hint, ..(*point.histogram).clone() });
    }
}
