//! `GET /v1/stream`: a WebSocket for one writer's drafts.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::Response;

use super::asked::bearer;
use crate::app::App;
use crate::caller::Scope;
use crate::error::{ApiError, ErrorBody};
use crate::metrics::Turned;
use crate::stream::{Connection, LONGEST};
use crate::wire::ServerMessage;

/// The draft as it is typed
///
/// A WebSocket; messages are JSON text frames with a `type`. A client sends `open`, then an `edit` with a rising `seq` at every
/// key, `outcome` when a suggestion was taken or dismissed, and `learn` when the message was sent. The service answers `opened`;
/// `suggestions` with the edit's `seq`, first what the fast tier says (`"final":false`) if the GPT-2 takes longer than 4 ms,
/// then the whole answer (`"final":true`); `learned`; and `error`. An edit that a newer one overtakes is not answered.
#[utoipa::path(
    get, path = "/v1/stream", tag = "typing",
    responses(
        (status = 101, description = "What the service sends", body = ServerMessage),
        (status = 401, description = "The key in the header does not hold", body = ErrorBody),
        (status = 426, description = "Not a WebSocket", body = ErrorBody),
        (status = 503, description = "Too many connections, or too much to do", body = ErrorBody),
    )
)]
pub(super) async fn stream(
    State(mut app): State<App>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::Upgrade)?;
    // Nothing is known of its drafts yet, so that it counts as new.
    if !app.door.admits(false) {
        app.metrics.turned_away(Turned::Drafts);
        app.ledger.turned_away(None);
        return Err(ApiError::Busy);
    }
    // Browsers cannot send a header here: without one, `open` has the key.
    if let Some(key) = bearer(&headers) {
        app = app.asked_by(app.keys.caller(Some(key))?);
        app.caller.may(Scope::Complete)?;
    }
    let Ok(place) = Arc::clone(&app.streams).try_acquire_owned() else {
        app.metrics.turned_away(Turned::Streams);
        app.ledger.turned_away(Some(&app.caller.tenant));
        return Err(ApiError::Busy);
    };
    // A message that is a little too long is refused by name; one that is much too long ends the connection.
    let upgrade = upgrade.max_message_size(2 * LONGEST).max_frame_size(2 * LONGEST);
    Ok(upgrade.on_upgrade(async move |socket| {
        app.metrics.stream_opened();
        let end = Connection::new(app.clone()).run(socket).await;
        app.metrics.stream_ended(end.name());
        drop(place);
    }))
}
