//! The door of evaluation: an engine with its limits, and what it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::env::Clock;
use crate::lang::Diagnostic;
use crate::series::{Histogram, Labels, Points};
use crate::store::{ReadError, Snapshot};

use super::ast::{Expr, ValueType};
use super::eval;
use super::features::Features;
use super::matrix::Matrix;

/// How an engine evaluates, and how much a query may cost.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How old a sample may be to count at an instant, ms.
    pub lookback_ms: i64,
    /// How many samples a query may hold at a time.
    pub max_samples: usize,
    /// How long a query may take.
    pub timeout: Duration,
    /// The step of a subquery that names none, ms.
    pub default_subquery_step_ms: i64,
    /// Which optional parts of the language are on.
    pub features: Features,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback_ms: 5 * 60_000,
            max_samples: 50_000_000,
            timeout: Duration::from_mins(2),
            default_subquery_step_ms: 60_000,
            features: Features::default(),
        }
    }
}

/// Evaluates expressions over snapshots of the store.
#[derive(Clone)]
pub struct Engine {
    options: Arc<EngineOptions>,
    lanes: Arc<eval::Lanes>,
    clock: Arc<dyn Clock>,
}

/// What one query asks for beyond its expression and time.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// Replaces the engine's lookback.
    pub lookback_ms: Option<i64>,
    /// Shortens the engine's timeout.
    pub timeout: Option<Duration>,
    /// Stops the query from outside.
    pub cancel: CancelToken,
    /// The text that the expression was parsed from, for the positions in warnings; without it
    /// they count as if the text were one line.
    pub text: Option<Arc<str>>,
    /// Whether each phase is timed ([`QueryStats::phases`]), which takes time itself.
    pub times_phases: bool,
}

/// Tells a query to stop. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the query to stop; it does so soon.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether [`CancelToken::cancel`] was called.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The times of a range query: `start_ms`, `start_ms + step_ms`, … up to `end_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// First step.
    pub start_ms: i64,
    /// No step is later.
    pub end_ms: i64,
    /// Between steps; above 0.
    pub step_ms: i64,
}

/// An answer with what is to be said about it.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The answer.
    pub value: QueryValue,
    /// What is probably wrong with it, as the API words it.
    pub warnings: Vec<String>,
    /// What may be wrong with it.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples read from the store.
    pub samples_read: usize,
    /// Most samples held at a time.
    pub samples_peak: usize,
    /// Series read from the store.
    pub series_read: usize,
    /// How long the evaluation took.
    pub elapsed: Duration,
    /// What it spent its time on; zero unless [`QueryOptions::times_phases`] asks for it.
    pub phases: Phases,
}

/// What a query spent its time on; the rest went into operators and aggregations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Finding the series of its selectors.
    pub select: Duration,
    /// Reading their samples; the sum over all processors.
    pub read: Duration,
    /// Applying functions to each series by itself; the sum over all processors.
    pub functions: Duration,
    /// Sorting the answer.
    pub sort: Duration,
}

impl QueryStats {
    /// Returns the bytes that were held at most, as the limit on samples counts them: 16 for each.
    pub fn peak_bytes(&self) -> usize {
        self.samples_peak.saturating_mul(16)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub enum QueryValue {
    /// One number.
    Scalar {
        /// When.
        time_ms: i64,
        /// Which.
        value: f64,
    },
    /// Text.
    String {
        /// When.
        time_ms: i64,
        /// Which.
        value: String,
    },
    /// One value for each series.
    Vector(Vec<VectorElement>),
    /// Values over time for each series, sorted by labels.
    Matrix(Matrix),
}

/// One series' value at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorElement {
    /// Which series.
    pub labels: Labels,
    /// When, ms.
    pub time_ms: i64,
    /// Its value.
    pub value: Value,
}

/// A float or a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl Value {
    /// Returns the float, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            Value::Histogram(_) => None,
        }
    }
}

/// One series' values over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Which series.
    pub labels: Labels,
    /// Its values; none is a staleness marker.
    pub points: Points,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The expression cannot be evaluated as asked.
    #[error("{}", .0.first().map_or("not a valid expression", |first| &first.message))]
    Parse(Vec<Diagnostic>),
    /// The data do not allow it.
    #[error("{0}")]
    Execution(String),
    /// It would hold too many samples.
    #[error(
        "query processing would load too many samples into memory (limit {limit}); \
         ask for fewer series or a shorter range, or raise query.max-samples"
    )]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// It took too long.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// It was stopped from outside.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] ReadError),
}

impl Engine {
    /// Returns an engine with these limits.
    pub fn new(options: EngineOptions, clock: Arc<dyn Clock>) -> Engine {
        Engine { options: Arc::new(options), lanes: Arc::new(eval::Lanes::new()), clock }
    }

    /// Returns the engine's limits.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates at one instant.
    pub fn instant(
        &self,
        snapshot: &Snapshot,
        expr: &Expr,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        let times = RangeQuery { start_ms: time_ms, end_ms: time_ms, step_ms: 1 };
        let started = self.clock.elapsed();
        let query = self.query(snapshot, expr, times, options, started)?;
        let _lane = self.lanes.enter();
        let value = eval::instant(&query, expr)?;
        Ok(self.finish(&query, value, started))
    }

    /// Evaluates at every step of a range; the answer is a matrix.
    pub fn range(
        &self,
        snapshot: &Snapshot,
        expr: &Expr,
        times: RangeQuery,
        options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        let value_type = expr.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = format!(
                "invalid expression type \"{value_type}\" for range query, must be Scalar or instant Vector"
            );
            return Err(QueryError::Parse(vec![Diagnostic::error("P009", expr.span(), message)]));
        }
        if times.step_ms <= 0 || times.end_ms < times.start_ms {
            let message = "a range query needs a step above 0 and an end not before its start";
            return Err(QueryError::Parse(vec![Diagnostic::error("P009", expr.span(), message)]));
        }
        let started = self.clock.elapsed();
        let query = self.query(snapshot, expr, times, options, started)?;
        let _lane = self.lanes.enter();
        let value = eval::range(&query, expr)?;
        Ok(self.finish(&query, value, started))
    }

    fn query<'q>(
        &'q self,
        snapshot: &'q Snapshot,
        expr: &Expr,
        times: RangeQuery,
        options: &'q QueryOptions,
        started: Duration,
    ) -> Result<eval::Query<'q>, QueryError> {
        let disabled = self.options.features.check(expr);
        if !disabled.is_empty() {
            return Err(QueryError::Parse(disabled));
        }
        let limit = self.options.timeout;
        let timeout = options.timeout.map_or(limit, |wanted| wanted.min(limit));
        let deadline = started.saturating_add(timeout);
        let (lanes, clock) = (&*self.lanes, &*self.clock);
        Ok(eval::Query::new(snapshot, &self.options, options, times, lanes, clock, deadline))
    }

    fn finish(&self, query: &eval::Query<'_>, value: QueryValue, started: Duration) -> QueryResult {
        let (warnings, infos) = query.notes();
        let elapsed = self.clock.elapsed().saturating_sub(started);
        QueryResult { value, warnings, infos, stats: QueryStats { elapsed, ..query.stats() } }
    }
}
