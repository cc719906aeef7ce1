//! HTTP: a function that returns the router, and handlers that extract, call one method, and map.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::caller::Scope;
use crate::error::ApiError;
use crate::wire::{Edit, Open, Sent};

mod asked;
mod blocked;
mod complete;
mod forget;
mod guard;
mod headers;
mod import;
mod json;
mod learn;
mod lines;
mod llama;
mod observe;
mod openai;
mod page;
mod spoken;
mod stream;
mod tabby;
mod teams;
mod writers;

pub(crate) use guard::Foreign;
pub(crate) use headers::secure;
pub(crate) use json::Json;
pub(crate) use observe::panicked;
pub(crate) use page::{HTML, SCRIPT, STYLE, SVG, file};
pub(crate) use writers::exported;

/// What `/openapi.json` says beside the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Foretype",
        description = "Autocomplete for people who write all day. Ask `/v1/complete` on every keystroke, tell \
                       `/v1/feedback` what became of a suggestion and `/v1/learn` what was sent.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    modifiers(&Keys),
    security((), ("key" = [])),
    // Nothing refers to what clients send over a WebSocket.
    components(schemas(Open, Edit, Sent)),
    tags(
        (name = "typing", description = "On every keystroke, and when a message is sent"),
        (name = "editors", description = "For plugins that know OpenAI's protocol, Tabby's or llama.cpp's"),
        (name = "writers", description = "What is stored about a writer"),
        (name = "teams", description = "Writers who are shown what enough of them write")
    )
)]
struct Description;

/// Says how a key is sent.
struct Keys;

impl Modify for Keys {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let key = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some(
            "An API key of `foretype keys add`. While there is none, this machine's programs need none.",
        ));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(key.build()));
    }
}

/// The public side: API, its description, and the page to try it.
pub fn router(app: App) -> Router {
    let (api, description) = api(app.clone()).split_for_parts();
    observe::expect(&app, &description);
    let ledger = Arc::clone(&app.ledger);
    Router::new()
        .merge(api)
        .merge(SwaggerUi::new("/docs").url("/openapi.json", description))
        .merge(page::router())
        .fallback(async || ApiError::NotFound("no such path; see /docs".into()))
        .method_not_allowed_fallback(async || ApiError::Method("/docs"))
        .layer(from_fn_with_state(app.clone(), guard::loopback))
        .layer(CatchPanicLayer::custom(move |panic| panicked(&ledger, panic)))
        .layer(from_fn(spoken::as_spoken))
        // Outside of these: what was refused and what panicked counts too, with the status that is sent.
        .layer(from_fn_with_state(app, observe::count))
        .layer(from_fn(secure))
}

fn api(app: App) -> OpenApiRouter {
    let of = |paths: OpenApiRouter<App>, scope| {
        paths.route_layer(from_fn_with_state((app.clone(), scope), asked::authorise))
    };
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(of(completing(), Scope::Complete))
        .merge(of(learning(), Scope::Learn))
        .merge(of(about_writers(), Scope::Writers))
        // Its key may come in its first message.
        .routes(routes!(stream::stream))
        .layer(from_fn_with_state(app.clone(), guard::admit))
        .with_state(app)
}

fn completing() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(complete::complete))
        .routes(routes!(learn::feedback))
        .routes(routes!(openai::completions))
        .routes(routes!(openai::models))
        .routes(routes!(openai::model))
        .routes(routes!(tabby::events))
        .routes(routes!(tabby::health))
        .routes(routes!(tabby::settings))
        .routes(routes!(llama::infill))
}

fn learning() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(learn::learn)).routes(routes!(import::import))
}

fn about_writers() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(writers::about, writers::erase))
        .routes(routes!(writers::export))
        .routes(routes!(forget::forget))
        .routes(routes!(teams::join, teams::leave))
        .routes(routes!(teams::about))
        .routes(routes!(writers::snippets, writers::keep, writers::drop_snippets))
        .routes(routes!(blocked::blocked, blocked::block, blocked::unblock))
}
