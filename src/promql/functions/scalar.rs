//! From vectors to scalars and back.

use super::{Evaluated, Evaluator, QueryError};
use crate::promql::ast::Call;
use crate::promql::eval::{Column, Row};
use crate::series::Labels;

type Answer = Result<Evaluated, QueryError>;

/// `scalar`: the one float of a vector, NaN if there is none or more than one.
pub(super) fn of_vector(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let rows = ev.vector(&call.args[0])?;
    let only = |step: usize| {
        let mut floats = rows.iter().filter_map(|row| row.column.float(step));
        match (floats.next(), floats.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    Ok(Evaluated::Scalar((0..ev.steps.count).map(only).collect()))
}

/// `vector`: a scalar as an element without labels.
pub(super) fn to_vector(ev: &Evaluator<'_>, call: &Call) -> Answer {
    let column = Column::of_floats(ev.scalar(&call.args[0])?);
    Ok(Evaluated::Vector(vec![Row { labels: Labels::empty(), drop_name: false, column }]))
}
