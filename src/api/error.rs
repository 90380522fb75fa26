use hyper::StatusCode;

use super::response::Reply;

/// An error as the API answers it: interfaces of Prometheus name the type, HTTP the code.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    BadData(String),
    #[error("invalid parameter {name:?}: {message}")]
    Parameter { name: &'static str, message: String },
    #[error("{0}")]
    NotFound(String),
}

impl ApiError {
    /// Returns `errorType` and status.
    fn kind(&self) -> (&'static str, StatusCode) {
        match self {
            ApiError::BadData(_) | ApiError::Parameter { .. } => {
                ("bad_data", StatusCode::BAD_REQUEST)
            }
            ApiError::NotFound(_) => ("not_found", StatusCode::NOT_FOUND),
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
