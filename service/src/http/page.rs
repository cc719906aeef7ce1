//! The page to try it, compiled in.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(crate) const STYLE: &str = "text/css; charset=utf-8";
pub(crate) const SVG: &str = "image/svg+xml";

/// A script of `service/assets`, by name.
macro_rules! script {
    ($name:literal) => {
        (concat!("/assets/", $name), SCRIPT, include_str!(concat!("../../assets/", $name)))
    };
}

/// Path, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../../assets/index.html")),
    ("/assets/style.css", STYLE, include_str!("../../assets/style.css")),
    ("/assets/icon.svg", SVG, include_str!("../../assets/icon.svg")),
    script!("app.js"),
    script!("client.js"),
    script!("conversation.js"),
    script!("ghost-text.js"),
    script!("panel.js"),
    script!("stream.js"),
    script!("suggestion.js"),
];

pub(super) fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(async move || file(kind, content)))
    })
}

pub(crate) fn file(kind: &'static str, content: &'static str) -> impl IntoResponse + use<> {
    // Asked anew each time, so that an upgraded service never meets an old page.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, content)
}
