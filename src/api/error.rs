use hyper::StatusCode;

use super::response::Reply;
use crate::promql::QueryError;
use crate::store::ReadError;

/// An error as the API answers it: interfaces of Prometheus name the type, HTTP the code.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    BadData(String),
    #[error("invalid parameter {name:?}: {message}")]
    Parameter { name: &'static str, message: String },
    /// What was asked for is switched off.
    #[error("{0}")]
    Unavailable(&'static str),
    #[error("{0}")]
    Internal(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Storage(#[from] ReadError),
}

impl ApiError {
    /// Returns `errorType` and status.
    fn kind(&self) -> (&'static str, StatusCode) {
        match self {
            ApiError::BadData(_) | ApiError::Parameter { .. } => {
                ("bad_data", StatusCode::BAD_REQUEST)
            }
            ApiError::Unavailable(_) => ("unavailable", StatusCode::INTERNAL_SERVER_ERROR),
            ApiError::Query(error) => query_kind(error),
            ApiError::Storage(_) | ApiError::Internal(_) => {
                ("internal", StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let (error_type, status) = self.kind();
        let body = serde_json::json!({
            "status": "error",
            "errorType": error_type,
            "error": self.to_string(),
        });
        Reply { status, ..Reply::json(body.to_string().into_bytes()) }
    }
}

fn query_kind(error: &QueryError) -> (&'static str, StatusCode) {
    match error {
        QueryError::Parse(_) => ("bad_data", StatusCode::BAD_REQUEST),
        QueryError::Execution(_) | QueryError::TooManySamples { .. } => {
            ("execution", StatusCode::UNPROCESSABLE_ENTITY)
        }
        QueryError::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
        // The client went away: nobody reads this.
        QueryError::Canceled => ("canceled", client_closed_request()),
        QueryError::Storage(_) => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Status 499, as upstream and nginx have it.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}
