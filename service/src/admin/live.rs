//! `GET /admin/api/live`: what goes on, as it does, over server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream::poll_fn;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{interval, timeout};

use super::number::number;
use super::{Admin, now};
use crate::error::ApiError;
use crate::ledger::Degraded;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// Said to one dashboard more than [`super::READERS`].
const FULL: &str = "16 dashboards are open, and no more may be: close one that nobody looks at";
/// Events that may wait for a reader, and for how long.
const READY: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);

/// Events `now` and `degraded`, until the client goes, reads too slowly, or the service stops.
pub(super) async fn live(
    State(admin): State<Admin>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let permit = Arc::clone(&admin.readers).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::Crowded(FULL))?;
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let (events, mut ready) = mpsc::channel(READY);
    tokio::spawn(async move {
        // Who is gone or slow misses what it is told.
        tell(&admin, heard.unwrap_or(0), &events).await;
        drop(permit);
    });
    Ok(Sse::new(poll_fn(move |context| ready.poll_recv(context).map(|event| event.map(Ok::<_, Infallible>)))))
}

/// `None`: nobody reads any more, or fast enough.
async fn tell(admin: &Admin, heard: u64, events: &Sender<Event>) -> Option<()> {
    let (kept, mut news) = admin.app.ledger.degraded.listen();
    for degraded in kept.iter().filter(|degraded| degraded.id > heard) {
        send(events, event(degraded)).await?;
    }
    let mut stopping = admin.app.stopping();
    let mut looks = interval(EVERY);
    loop {
        tokio::select! {
            () = stopping.wait() => return None,
            () = events.closed() => return None,
            _ = looks.tick() => send(events, Event::default().event("now").data(now::text(admin).await)).await?,
            degraded = news.recv() => send(events, event(&*degraded.ok()?)).await?,
        }
    }
}

async fn send(events: &Sender<Event>, event: Event) -> Option<()> {
    timeout(PATIENCE, events.send(event)).await.ok()?.ok()
}

fn event(degraded: &Degraded) -> Event {
    let ms = |duration: Duration| number(duration.as_secs_f64() * 1e3);
    let predictors = degraded.predictors.iter();
    let predictors: Map<_, Value> =
        predictors.map(|(who, status)| (who.name().to_owned(), status.name().into())).collect();
    let data = json!({
        "at": degraded.at,
        "elapsed_ms": ms(degraded.elapsed),
        "budget_ms": ms(degraded.budget),
        "reason": degraded.reason.name(),
        "predictors": predictors,
        "tenant": degraded.tenant,
    });
    Event::default().event("degraded").id(degraded.id.to_string()).data(data.to_string())
}
