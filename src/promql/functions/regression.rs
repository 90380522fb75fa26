//! `deriv`, `predict_linear`, `double_exponential_smoothing`.

use super::over_time::note_ignored;
use super::{Evaluated, Evaluator, QueryError};
use crate::promql::ast::Call;
use crate::promql::eval::View;
use crate::promql::numeric::line;

type Answer = Result<Evaluated, QueryError>;

/// Applies a function to ranges with at least two floats.
fn at_least_two(
    ev: &Evaluator<'_>,
    call: &Call,
    each: impl Fn(&View<'_>) -> Result<f64, QueryError> + Sync,
) -> Answer {
    let rows = ev.over_ranges(call, 0, &|ranges| {
        let mut failed = None;
        let column = ranges.floats_where(|view| {
            if view.values.is_empty() || failed.is_some() {
                return None;
            }
            note_ignored(ev, ranges, view);
            if view.values.len() < 2 {
                return None;
            }
            match each(view) {
                Ok(value) => Some(value),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        });
        failed.map_or(Ok(column), Err)
    })?;
    Ok(Evaluated::Vector(rows))
}

/// The slope per second by least squares.
pub(super) fn deriv(ev: &Evaluator<'_>, call: &Call) -> Answer {
    at_least_two(ev, call, |view| Ok(line(view.times_ms, view.values, view.times_ms[0]).0))
}

/// Where the line will be so many seconds after the time of evaluation.
pub(super) fn predict_linear(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let ahead = ev.scalar(&call.args[1])?;
    at_least_two(ev, call, |view| {
        let (slope, now) = line(view.times_ms, view.values, view.time_ms);
        Ok(slope * ahead[view.step] + now)
    })
}

/// Double exponential smoothing after Holt and Winters.
pub(super) fn smoothing(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let (smoothing, trends) = (ev.scalar(&call.args[1])?, ev.scalar(&call.args[2])?);
    at_least_two(ev, call, |view| {
        let (smoothing, trend_factor) = (smoothing[view.step], trends[view.step]);
        for (name, factor, short) in [("smoothing", smoothing, "sf"), ("trend", trend_factor, "tf")]
        {
            if !(factor > 0.0 && factor < 1.0) {
                return Err(QueryError::Execution(format!(
                    "invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}"
                )));
            }
        }
        let (mut before, mut level) = (0.0, view.values[0]);
        let mut trend = view.values[1] - view.values[0];
        for (at, value) in view.values.iter().enumerate().skip(1) {
            if at > 1 {
                trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
            }
            let smoothed = smoothing * value + (1.0 - smoothing) * (level + trend);
            (before, level) = (level, smoothed);
        }
        Ok(level)
    })
}
