//! `/api/v1/admin/tsdb/`: deleting samples, and snapshots.

use hyper::StatusCode;
use serde_json::json;

use super::app::App;
use super::error::ApiError;
use super::request::Call;
use super::response::Reply;
use super::route::Answer;
use super::series::selectors;
use crate::store::MaintainError;

/// `/delete_series`: deletes the samples of the series that match within a range.
pub(super) fn delete_series(app: &App, call: &Call) -> Answer {
    admit(app)?;
    let (selectors, range) = (selectors(call)?, call.range()?);
    if selectors.is_empty() {
        return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
    }
    for matchers in &selectors {
        app.store.delete_series(matchers, range)?;
    }
    Ok(Reply::text(StatusCode::NO_CONTENT, ""))
}

/// `/clean_tombstones`: gives the room of deleted samples back.
pub(super) fn clean_tombstones(app: &App, _: &Call) -> Answer {
    admit(app)?;
    app.store.clean_tombstones()?;
    Ok(Reply::text(StatusCode::NO_CONTENT, ""))
}

/// `/snapshot`: makes a snapshot and names it.
pub(super) fn snapshot(app: &App, call: &Call) -> Answer {
    admit(app)?;
    let skip_head = match call.parameters.get("skip_head") {
        None | Some("" | "false" | "0") => false,
        Some("true" | "1") => true,
        Some(other) => {
            let message = format!("unable to parse boolean {other:?}");
            return Err(ApiError::Parameter { name: "skip_head", message });
        }
    };
    let name = app.store.back_up(!skip_head)?;
    Ok(Reply::data(&json!({ "name": name })))
}

fn admit(app: &App) -> Result<(), ApiError> {
    if app.config.load().web.enable_admin_api {
        return Ok(());
    }
    Err(ApiError::Unavailable("admin APIs disabled"))
}

impl From<MaintainError> for ApiError {
    fn from(error: MaintainError) -> ApiError {
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}"));
        ApiError::Internal(format!("{error}{}", cause.unwrap_or_default()))
    }
}
