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
