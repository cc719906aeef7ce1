//! The typist before the shipped models, in process: the same figures however many type, and what is taught helps.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use foretype::engine::Predictor;
use foretype_loadtests::corpus::streams;
use foretype_loadtests::desk::Setup;
use foretype_loadtests::score::Figures;
use foretype_loadtests::{ablation, quality, wrong};
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

fn setup() -> Setup {
    Setup {
        bundle: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle")),
        predictors: vec![Predictor::Personal, Predictor::Domain, Predictor::Charlm],
        attention: 1.0,
        min_confidence: Some(0.0),
        jobs: Some(1),
        ..Setup::default()
    }
}

/// All but the times, which no two runs share.
fn run(path: &Path, change: impl FnOnce(&mut Setup)) -> Figures {
    let mut setup = setup();
    change(&mut setup);
    let figures = quality::run(&setup, &streams(path).unwrap()).unwrap();
    assert!(figures.fast_ms_p50 > 0.0 && figures.fast_ms_p50 <= figures.fast_ms_p99, "{figures:?}");
    Figures { fast_ms_p50: 0.0, fast_ms_p99: 0.0, ..figures }
}

#[test]
fn figures_do_not_depend_on_how_many_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path());
    let one = run(&path, |_| {});
    assert_eq!(run(&path, |setup| setup.jobs = Some(3)), one);
    assert_eq!(one.characters, 3 * (56 + 36));
    assert!(one.used["personal"] > 0.9 && one.net < one.ksr, "{one:?}");
    let stranger = run(&path, |setup| setup.no_personal = true);
    assert!(one.ksr > stranger.ksr + 0.1, "{} is not above {}", one.ksr, stranger.ksr);
    assert_eq!(run(&path, |setup| setup.limit = Some(1)).characters, 3 * 56);
}

#[test]
fn what_was_measured_is_used_again_for_the_same_set_up_only() {
    let folder = tempfile::tempdir().unwrap();
    let (file, results) = (write(folder.path()), folder.path().join("rows.jsonl"));
    let setup = Setup { predictors: vec![Predictor::Domain], limit: Some(1), ..setup() };
    let row = "ensemble, not personal";
    // As earlier releases left it.
    let unknown = format!("{{\"configuration\":\"{row}\",\"set\":\"streams\",\"limit\":1,\"ksr\":0.9}}\n");
    fs::write(&results, unknown).unwrap();
    let measure = |setup: &Setup| {
        let table = ablation::run(setup, std::slice::from_ref(&file), &[row.to_owned()], &results).unwrap();
        (table.to_string(), fs::read_to_string(&results).unwrap().lines().count())
    };
    let (table, rows) = measure(&setup);
    assert!(rows == 2 && !table.contains("0.900"), "{table}");
    assert_eq!(measure(&setup), (table.clone(), 2), "it goes on where it was");
    let blind = Setup { attention: 0.0, ..setup.clone() };
    let (other, rows) = measure(&blind);
    assert!(rows == 3 && other.contains("| 0.000 |"), "{other}");
    assert_eq!(measure(&setup), (table, 3), "neither takes the other's place");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("Zarvox", "Nyxtor")).unwrap();
    assert_eq!(measure(&setup).1, 4);
}

#[test]
fn a_line_that_is_no_stream_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.jsonl");
    fs::write(&path, "{\"messages\":[]}\n{\"text\":\"x\"}\n").unwrap();
    let error = format!("{:#}", streams(&path).unwrap_err());
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn every_key_by_hand_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path());
    let setup = setup();
    let report = wrong::run(&setup, &streams(&path).unwrap(), 5).unwrap();
    let words = report.words();
    let by_hand: usize = words.iter().map(|word| word.keys.len()).sum();
    let figures = quality::run(&setup, &streams(&path).unwrap()).unwrap();
    let keys = ((1.0 - figures.ksr) * figures.characters as f64).round() as usize;
    assert!(
        by_hand < keys && keys <= by_hand + words.len(),
        "{by_hand} of {keys} by hand, the others accept"
    );
    // What its writer had written four times.
    let name = words.iter().find(|word| word.word == " gateway").unwrap();
    assert!(name.foreseen["personal"] > 0.3, "{name:?}");
    let shown = report.to_string();
    assert!(shown.contains("100 characters take") && shown.contains("domain"), "{shown}");
}
