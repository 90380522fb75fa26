//! A rule's questions, at its own time and with its own words for errors.

use super::join::Joined;
use super::{EvalError, Evaluator};
use crate::promql::{Expr, Series, VectorElement};
use crate::series::Labels;

/// An evaluator as one group asks it: everything `offset_ms` back, so that what arrives late is
/// seen. Times in and out are the group's own.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) evaluator: &'a dyn Evaluator,
    pub(super) offset_ms: i64,
}

/// One series of a range: its labels without the metric name, its times and floats.
pub(super) struct Track {
    pub(super) labels: Labels,
    pub(super) samples: Vec<(i64, f64)>,
}

impl Ask<'_> {
    pub(super) fn elements(
        &self,
        what: &'static str,
        expr: &Expr,
        at_ms: i64,
    ) -> Result<Vec<VectorElement>, EvalError> {
        let found = self.evaluator.instant(expr, at_ms - self.offset_ms);
        found.map_err(|error| named(error, what))
    }

    /// Which series have an element, whatever its value.
    pub(super) fn applying(
        &self,
        what: &'static str,
        expr: &Expr,
        at_ms: i64,
    ) -> Result<Joined<()>, EvalError> {
        let elements = self.elements(what, expr, at_ms)?.into_iter();
        Ok(Joined::new(elements.map(|element| (element.labels.without_metric_name(), ()))))
    }

    /// The elements by labels without the metric name. Native histograms and NaN are no sample.
    pub(super) fn samples(
        &self,
        what: &'static str,
        expr: &Expr,
        at_ms: i64,
    ) -> Result<Vec<(Labels, Option<f64>)>, EvalError> {
        let elements = self.elements(what, expr, at_ms)?;
        let sample = |element: VectorElement| {
            let value = element.value.as_float().filter(|value| !value.is_nan());
            (element.labels.without_metric_name(), value)
        };
        Ok(elements.into_iter().map(sample).collect())
    }

    /// When which series have an element, whatever its value; each in time order.
    pub(super) fn presence(
        &self,
        what: &'static str,
        expr: &Expr,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
    ) -> Result<Joined<Vec<i64>>, EvalError> {
        let (start_ms, end_ms) = (start_ms - self.offset_ms, end_ms - self.offset_ms);
        let found = self.evaluator.range(expr, start_ms, end_ms, step_ms);
        let found = found.map_err(|error| named(error, what))?;
        Ok(Joined::new(found.into_iter().map(|series| {
            let histograms = series.points.histograms.iter().map(|point| point.time_ms);
            let times_ms = series.points.times_ms.iter().copied().chain(histograms);
            let mut times_ms: Vec<i64> = times_ms.map(|at_ms| at_ms + self.offset_ms).collect();
            times_ms.sort_unstable();
            (series.labels.without_metric_name(), times_ms)
        })))
    }

    /// Every sample of a range, sorted by labels, each series in time order.
    pub(super) fn tracks(
        &self,
        what: &'static str,
        expr: &Expr,
        times: (i64, i64, i64),
    ) -> Result<Vec<Track>, EvalError> {
        let (start_ms, end_ms, step_ms) = times;
        let (start_ms, end_ms) = (start_ms - self.offset_ms, end_ms - self.offset_ms);
        let found = self.evaluator.range(expr, start_ms, end_ms, step_ms);
        let found = found.map_err(|error| named(error, what))?;
        let mut tracks: Vec<Track> = found.iter().map(|series| self.track(series)).collect();
        // Two metrics that are one series without their names, one after the other in time.
        tracks.sort_by(|a, b| a.labels.cmp(&b.labels));
        tracks.dedup_by(|later, kept| {
            let same = later.labels == kept.labels;
            if same {
                kept.samples.append(&mut later.samples);
                kept.samples.sort_by_key(|(time_ms, _)| *time_ms);
                kept.samples.dedup_by_key(|(time_ms, _)| *time_ms);
            }
            same
        });
        Ok(tracks)
    }

    fn track(&self, series: &Series) -> Track {
        let points = series.points.times_ms.iter().zip(&series.points.values);
        let samples = points
            .filter(|(_, value)| !value.is_nan())
            .map(|(time_ms, value)| (time_ms + self.offset_ms, *value));
        Track { labels: series.labels.without_metric_name(), samples: samples.collect() }
    }
}

/// Says which of the rule's expressions failed.
fn named(error: EvalError, what: &'static str) -> EvalError {
    match error {
        EvalError::Query { reason, .. } => EvalError::Query { what, reason },
        other => other,
    }
}
