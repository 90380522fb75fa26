#![expect(clippy::unnecessary_wraps, reason = "handlers share one signature")]

use hyper::StatusCode;

use super::app::App;
use super::request::Call;
use super::response::Reply;
use super::route::Answer;

/// `POST /-/reload`: reads configuration and rules again.
pub(super) fn reload(app: &App, _: &Call) -> Answer {
    if !app.config.load().web.enable_lifecycle {
        return Ok(lifecycle_is_off());
    }
    Ok(match app.control.reload() {
        Ok(()) => Reply::text(StatusCode::OK, ""),
        Err(why) => Reply::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to reload config: {why}\n"),
        ),
    })
}

/// `POST /-/quit`: drains and exits.
pub(super) fn quit(app: &App, _: &Call) -> Answer {
    if !app.config.load().web.enable_lifecycle {
        return Ok(lifecycle_is_off());
    }
    app.control.quit();
    Ok(Reply::text(StatusCode::OK, "Requesting termination... Goodbye!"))
}

fn lifecycle_is_off() -> Reply {
    Reply::text(
        StatusCode::FORBIDDEN,
        "Lifecycle API is not enabled. Start with --web.enable-lifecycle.\n",
    )
}
