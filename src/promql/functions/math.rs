//! Functions of each value by itself.

use super::{Evaluated, Evaluator, QueryError};
use crate::promql::ast::Call;

type Answer = Result<Evaluated, QueryError>;

/// Applies a function to every float; histograms go, and so do names.
pub(super) fn each(ev: &Evaluator<'_>, call: &Call, function: fn(f64) -> f64) -> Answer {
    each_at(ev, call, |_, value| function(value))
}

/// As [`each`], with the step's index.
pub(super) fn each_at(
    ev: &Evaluator<'_>,
    call: &Call,
    function: impl Fn(usize, f64) -> f64,
) -> Answer {
    let mut rows = ev.vector(&call.args[0])?;
    for row in &mut rows {
        row.column.map_floats(&function);
        ev.drop_name(row);
    }
    rows.retain(|row| !row.column.is_empty());
    Ok(Evaluated::Vector(ev.renamed(rows)?))
}

pub(super) fn sgn(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// Rounds to the nearest multiple of the second argument, halves up.
pub(super) fn round(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let nearest = match call.args.get(1) {
        Some(nearest) => ev.scalar(nearest)?,
        None => vec![1.0; ev.steps.count],
    };
    each_at(ev, call, |step, value| {
        let inverse = 1.0 / nearest[step];
        (value * inverse + 0.5).floor() / inverse
    })
}

/// `clamp`, `clamp_min`, `clamp_max`: the bounds are the arguments named, if they are there.
pub(super) fn clamp(
    ev: &Evaluator<'_>,
    call: &Call,
    least: Option<usize>,
    most: Option<usize>,
) -> Answer {
    let bound = |index: Option<usize>, open: f64| match index {
        Some(index) => ev.scalar(&call.args[index]),
        None => Ok(vec![open; ev.steps.count]),
    };
    let (least, most) = (bound(least, f64::NEG_INFINITY)?, bound(most, f64::INFINITY)?);
    each_at(ev, call, |step, value| {
        let (least, most) = (least[step], most[step]);
        if most < least {
            return crate::promql::eval::ABSENT;
        }
        go_max(least, go_min(most, value))
    })
}

/// The larger as Go has it: infinity if either is, else NaN if either is.
pub(super) fn go_max(a: f64, b: f64) -> f64 {
    let is_nan = a.is_nan() || b.is_nan();
    if is_nan && a.max(b) != f64::INFINITY { f64::NAN } else { a.max(b) }
}

/// The smaller as Go has it: minus infinity if either is, else NaN if either is.
pub(super) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

/// `min_of` and `max_of`.
pub(super) fn of_two(ev: &Evaluator<'_>, call: &Call, function: fn(f64, f64) -> f64) -> Answer {
    let (left, right) = (ev.scalar(&call.args[0])?, ev.scalar(&call.args[1])?);
    Ok(Evaluated::Scalar(left.into_iter().zip(right).map(|(a, b)| function(a, b)).collect()))
}

/// `pi`, `time`, `start`, …: a number for each step.
#[expect(clippy::unnecessary_wraps, reason = "the shape that the table of functions wants")]
pub(super) fn scalar(ev: &Evaluator<'_>, function: impl Fn(i64) -> f64) -> Answer {
    Ok(Evaluated::Scalar(ev.steps.times_ms().map(function).collect()))
}
