//! Which labels an aggregation needs of the series it takes in: where it is around a selector, or
//! around a function of one, the others need not be put together, compared or sorted.

use super::Evaluator;
use crate::promql::ast::{Aggregate, Call, Expr, Grouping, RangeMode, VectorSelector};

use super::ranges::only_name;

impl<'q> Evaluator<'q> {
    /// Returns the evaluator of what is aggregated, for an operator to which only its groups matter:
    /// neither the order of elements within one nor their other labels.
    pub(super) fn reducing<'a>(&self, aggregate: &'a Aggregate) -> Evaluator<'a>
    where
        'q: 'a,
    {
        let grouping = &aggregate.grouping;
        let keeps_metadata = match grouping {
            Grouping::By(names) => {
                names.iter().any(|name| self.metadata_labels().contains(&&**name))
            }
            Grouping::Without(_) => false,
        };
        let reduces = !self.features().delayed_name_removal
            && !keeps_metadata
            && is_of_selector(&aggregate.expr);
        Evaluator { wanted: reduces.then_some(grouping), ..*self }
    }
}

/// Returns whether an expression's elements are those of a selector, or of what a function makes of
/// each of its series. Such a function takes the name away; series of different names that are then
/// the same are an error, which takes all labels to see.
fn is_of_selector(expr: &Expr) -> bool {
    let is_plain = |selector: &VectorSelector| selector.mode == RangeMode::Plain;
    match expr.without_parens() {
        Expr::Vector(selector) => is_plain(selector),
        Expr::Call(Call { function, args, .. }) => {
            let mut ranges = args.iter().filter_map(|arg| match arg.without_parens() {
                Expr::Matrix(selector) => Some(&selector.vector),
                _ => None,
            });
            // What is absent is told from the labels of the selector.
            function.name != "absent_over_time"
                && ranges.next().is_some_and(|selector| {
                    is_plain(selector) && only_name(&selector.all_matchers()).is_some()
                })
                && args
                    .iter()
                    .all(|arg| matches!(arg.without_parens(), Expr::Matrix(_) | Expr::Number(_)))
        }
        _ => false,
    }
}
