//! `GET /admin/api/history?range=hour|day|month`: what happened, in columns.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Admin;
use super::number::number;
use crate::clock;
use crate::error::ApiError;
use crate::history::{FIVE_MINUTES, HOUR};

#[derive(Deserialize)]
pub(super) struct Asked {
    range: Range,
}

/// How far back.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Range {
    Hour,
    Day,
    Month,
}

impl Range {
    const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

pub(super) async fn history(
    State(Admin { history, .. }): State<Admin>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(Asked { range }) =
        asked.map_err(|_| ApiError::invalid("range", "must be hour, day or month"))?;
    let now = clock::now_ms() / 1_000;
    let day = 86_400;
    let columns = match range {
        Range::Hour => history.hour(now),
        Range::Day => history.past(FIVE_MINUTES, day, now).await?,
        Range::Month => history.past(HOUR, 30 * day, now).await?,
    };
    let column = |values: Vec<f64>| Value::from_iter(values.into_iter().map(number));
    let series = columns.series.into_iter().map(|(name, values)| (name.into_owned(), column(values)));
    let (at, series) = (columns.at, Map::from_iter(series));
    Ok(Json(json!({"range": range.name(), "step_s": columns.step_s, "at": at, "series": series})))
}
