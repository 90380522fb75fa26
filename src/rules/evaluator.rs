use crate::promql::{
    Engine, Expr, QueryOptions, QueryValue, RangeQuery, Series, Value, VectorElement,
};
use crate::series::Labels;
use crate::store::Store;

/// Answers a rule's questions. There are two kinds: the engine over our own store, and a remote
/// API that speaks Prometheus'.
pub trait Evaluator: Send + Sync {
    /// Evaluates at an instant; a scalar is one element without labels.
    ///
    /// # Errors
    /// [`EvalError::Query`], with `query` as the place.
    fn instant(&self, expr: &Expr, at_ms: i64) -> Result<Vec<VectorElement>, EvalError>;

    /// Evaluates at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; a scalar is one series
    /// without labels.
    ///
    /// # Errors
    /// As for an instant.
    fn range(
        &self,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Vec<Series>, EvalError>;
}

/// The engine over our own store.
#[derive(Clone)]
pub struct LocalEvaluator {
    store: Store,
    engine: Engine,
}

impl LocalEvaluator {
    /// Returns an evaluator that sees what is in the store when it is asked.
    pub fn new(store: Store, engine: Engine) -> LocalEvaluator {
        LocalEvaluator { store, engine }
    }
}

impl Evaluator for LocalEvaluator {
    fn instant(&self, expr: &Expr, at_ms: i64) -> Result<Vec<VectorElement>, EvalError> {
        let options = QueryOptions::default();
        let result = self.engine.instant(&self.store.snapshot(), expr, at_ms, &options);
        match result.map_err(|error| refused(&error))?.value {
            QueryValue::Vector(elements) => Ok(elements),
            QueryValue::Scalar { time_ms, value } => {
                let (labels, value) = (Labels::empty(), Value::Float(value));
                Ok(vec![VectorElement { labels, time_ms, value }])
            }
            QueryValue::String { .. } | QueryValue::Matrix(_) => {
                Err(refused(&"the expression yields no instant vector"))
            }
        }
    }

    fn range(
        &self,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Vec<Series>, EvalError> {
        let options = QueryOptions::default();
        let times = RangeQuery { start_ms, end_ms, step_ms };
        let result = self.engine.range(&self.store.snapshot(), expr, times, &options);
        match result.map_err(|error| refused(&error))?.value {
            QueryValue::Matrix(matrix) => Ok(matrix.into_series()),
            _ => Err(refused(&"the expression yields no range of instant vectors")),
        }
    }
}

fn refused(reason: &dyn std::fmt::Display) -> EvalError {
    EvalError::Query { what: "query", reason: reason.to_string() }
}

/// Why a rule could not be evaluated. Alerts keep their state, nothing is learned or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// A query failed.
    #[error("{what}: {reason}")]
    Query {
        /// Which of the rule's expressions: `signal`, `limit`, `gate`, `until`, `expr`.
        what: &'static str,
        /// What the engine said.
        reason: String,
    },
    /// Two elements of the signal are the same watched series.
    #[error(
        "signal: two elements are alike without their metric name: {labels}; \
         aggregate them or add a label that tells them apart"
    )]
    DuplicateSeries {
        /// The labels that both carry.
        labels: String,
    },
    /// Two elements of a recording rule have the same labels.
    #[error("vector contains metrics with the same labelset after applying rule labels")]
    DuplicateRecorded,
    /// A rule yields more than its group allows.
    #[error("exceeded limit of {limit} with {count} {what}")]
    Limit {
        /// The group's limit.
        limit: usize,
        /// How many there are.
        count: usize,
        /// `series` or `alerts`.
        what: &'static str,
    },
    /// What the rule recorded could not be stored.
    #[error("cannot store the results: {reason}")]
    Store {
        /// What the store said.
        reason: String,
    },
}
