//! The typist before the shipped models, in process: the same figures however many type, and what is taught helps.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use foretype::engine::Predictor;
use foretype_loadtests::quality::{self, Plan};
use foretype_loadtests::score::Figures;
use serde_json::json;

fn write(folder: &Path) -> PathBuf {
    let history = ["The Zarvox gateway dropped the nightly batch again."; 4];
    let message =
        |text: &str| json!({"context": [{"role": "customer", "text": "Is it down?"}], "text": text});
    let stream = json!({
        "writer": "w", "history": history,
        "messages": [
            message("Yes, the Zarvox gateway dropped the nightly batch again."),
            message("I will let you know when it is back."),
        ],
    });
    let path = folder.join("streams.jsonl");
    fs::write(&path, format!("{stream}\n{stream}\n{stream}\n")).unwrap();
    path
}

fn run(path: &Path, change: impl FnOnce(&mut Plan)) -> Figures {
    let mut plan = Plan {
        streams: vec![path.to_owned()],
        bundle: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle")),
        runtime: None,
        predictors: vec![Predictor::Personal, Predictor::Domain, Predictor::Charlm],
        k: 1,
        attention: 1.0,
        min_confidence: Some(0.0),
        no_personal: false,
        no_feedback: false,
        limit: None,
        budget_ms: 1000.0,
        jobs: Some(1),
    };
    change(&mut plan);
    quality::run(&plan, &quality::streams(path).unwrap()).unwrap()
}

#[test]
fn figures_do_not_depend_on_how_many_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path());
    let one = run(&path, |_| {});
    assert_eq!(run(&path, |plan| plan.jobs = Some(3)), one);
    assert_eq!(one.characters, 3 * (56 + 36));
    assert!(one.used["personal"] > 0.9 && one.net < one.ksr, "{one:?}");
    let stranger = run(&path, |plan| plan.no_personal = true);
    assert!(one.ksr > stranger.ksr + 0.1, "{} is not above {}", one.ksr, stranger.ksr);
    assert_eq!(run(&path, |plan| plan.limit = Some(1)).characters, 3 * 56);
}

#[test]
fn a_line_that_is_no_stream_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.jsonl");
    fs::write(&path, "{\"messages\":[]}\n{\"text\":\"x\"}\n").unwrap();
    let error = format!("{:#}", quality::streams(&path).unwrap_err());
    assert!(error.contains("line 2"), "{error}");
}
