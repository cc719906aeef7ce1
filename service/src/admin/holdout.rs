//! `/admin/api/holdout`: the share of sessions that are shown nothing.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Admin;
use super::number::number;
use crate::app::App;
use crate::error::ApiError;
use crate::holdout::{LEAST, MOST};
use crate::http::Json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Share {
    share: f32,
}

pub(super) async fn share(State(Admin { app, .. }): State<Admin>) -> axum::Json<Value> {
    told(&app)
}

/// Answers once the share is durable.
pub(super) async fn set(
    State(Admin { app, .. }): State<Admin>,
    Json { value: Share { share }, .. }: Json<Share>,
) -> Result<axum::Json<Value>, ApiError> {
    if share != 0.0 && !(LEAST..=MOST).contains(&share) {
        return Err(ApiError::invalid("share", format!("must be 0, or between {LEAST} and {MOST}")));
    }
    if app.holdout.set(app.writers.store(), share).await? {
        app.ledger.compare_anew();
    }
    tracing::info!(%share, "operators changed the share of sessions that are held out");
    Ok(told(&app))
}

fn told(app: &App) -> axum::Json<Value> {
    axum::Json(json!({"share": number(f64::from(app.holdout.share()))}))
}
