//! `/admin/api/tenants`: who writes here, what is stored of them, and what they may ask for: all of it, a word forgotten, all
//! erased. No text is shown; an export is a file.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Admin;
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::http::{self, exported};
use crate::store::{ListedWriter, WriterKey};
use crate::wire::{ForgetRequest, ForgetResponse, WriterResponse};
use crate::writer::{Id, WriterId};

/// Writers in a list, when the request does not say.
const FEW: usize = 50;
/// The same at most.
const MANY: usize = 500;

/// Which writers.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
}

pub(super) async fn tenants(State(Admin { app, .. }): State<Admin>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({"tenants": app.writers.store().tenants().await?})))
}

pub(super) async fn list(
    State(Admin { app, .. }): State<Admin>,
    tenant: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Path(tenant) = tenant.map_err(|error| ApiError::invalid("tenant", error.body_text()))?;
    let tenant = id("tenant", &tenant)?;
    let Query(Asked { prefix, limit }) =
        asked.map_err(|error| ApiError::invalid("limit", error.body_text()))?;
    if !prefix.is_empty() {
        id("prefix", &prefix)?;
    }
    let limit = limit.unwrap_or(FEW);
    if !(1..=MANY).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("must be between 1 and {MANY}")));
    }
    // One more tells whether there are more.
    let mut found = app.writers.store().writers(tenant.as_str(), &prefix, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let told = |ListedWriter { writer, last_seq, team }: ListedWriter| {
        let key = WriterKey { tenant: tenant.shared(), writer };
        let warm = app.writers.is_warm(&key);
        json!({"writer": key.writer, "warm": warm, "last_seq": last_seq, "team": team})
    };
    let writers: Vec<_> = found.into_iter().map(told).collect();
    Ok(Json(json!({"writers": writers, "more": more})))
}

pub(super) async fn about(
    State(admin): State<Admin>,
    named: Named,
) -> Result<Json<WriterResponse>, ApiError> {
    let (app, writer) = acting(admin, named)?;
    Ok(Json(app.about(&writer).await?.into()))
}

pub(super) async fn export(State(admin): State<Admin>, named: Named) -> Result<impl IntoResponse, ApiError> {
    let (app, writer) = acting(admin, named)?;
    let name = format!("attachment; filename=\"{writer}.jsonl\"");
    let name = HeaderValue::try_from(name).expect("ids are ASCII without quotes");
    Ok(([(header::CONTENT_DISPOSITION, name)], exported(app, &writer).await?))
}

pub(super) async fn forget(
    State(admin): State<Admin>,
    named: Named,
    http::Json { value, .. }: http::Json<ForgetRequest>,
) -> Result<Json<ForgetResponse>, ApiError> {
    let (app, writer) = acting(admin, named)?;
    let messages = app.forget(&writer, value.check()?).await?;
    Ok(Json(ForgetResponse { messages }))
}

pub(super) async fn erase(State(admin): State<Admin>, named: Named) -> Result<StatusCode, ApiError> {
    let (app, writer) = acting(admin, named)?;
    app.erase(&writer).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tenant and writer.
type Named = Result<Path<(String, String)>, PathRejection>;

/// The service, asked by an operator of the tenant, and the writer.
fn acting(Admin { app, .. }: Admin, named: Named) -> Result<(App, WriterId), ApiError> {
    let Path((tenant, writer)) = named.map_err(|error| ApiError::invalid("writer", error.body_text()))?;
    let (tenant, writer) = (id("tenant", &tenant)?, id("writer", &writer)?);
    Ok((app.asked_by(Arc::new(Caller::operator(&tenant))), writer))
}

fn id(what: &str, name: &str) -> Result<Id, ApiError> {
    Id::new(name).map_err(|error| ApiError::invalid(what, error.to_string()))
}
