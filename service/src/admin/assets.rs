//! The dashboard's page, compiled in.

use axum::Router;
use axum::routing::get;

use super::Admin;
use crate::http::{HTML, SCRIPT, STYLE, SVG, file};

/// A file of `service/assets/admin`, by name.
macro_rules! asset {
    ($name:literal, $kind:expr) => {
        (concat!("/admin/assets/", $name), $kind, include_str!(concat!("../../assets/admin/", $name)))
    };
}

/// Path, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/admin", HTML, include_str!("../../assets/admin/index.html")),
    ("/admin/assets/icon.svg", SVG, include_str!("../../assets/icon.svg")),
    asset!("style.css", STYLE),
    asset!("vendor/uPlot.css", STYLE),
    asset!("vendor/uPlot.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("app.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("holdout.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("log.js", SCRIPT),
    asset!("overview.js", SCRIPT),
    asset!("series.js", SCRIPT),
    asset!("specs.js", SCRIPT),
    asset!("tables.js", SCRIPT),
    asset!("verdicts.js", SCRIPT),
    asset!("words.js", SCRIPT),
    asset!("writer.js", SCRIPT),
    asset!("writers.js", SCRIPT),
];

pub(super) fn router() -> Router<Admin> {
    FILES.iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(async move || file(kind, content)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::FILES;

    #[test]
    fn every_module_that_is_imported_is_served() {
        let served: HashSet<&str> = FILES.iter().map(|(path, ..)| *path).collect();
        for (path, _, content) in FILES.iter().filter(|(path, ..)| path.ends_with(".js")) {
            let imports = content.lines().filter(|line| line.starts_with("import "));
            for name in imports.filter_map(|line| line.split('"').nth(1)) {
                let name = name.strip_prefix("./").unwrap_or(name);
                let folder = Path::new(path).parent().expect("a path has a folder");
                let target = folder.join(name);
                assert!(served.contains(&*target.to_string_lossy()), "{path} imports {name}");
            }
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for (path, _, content) in FILES.iter().filter(|(path, ..)| !path.contains("/vendor/")) {
            for mark in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "url(http", "@import"] {
                assert!(!content.contains(mark), "{path} has {mark}");
            }
        }
    }
}
