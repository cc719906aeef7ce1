//! `foretype build`: a bundle from little text of one's own, on top of the shipped one.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foretype::bundle::{Bundle, ENSEMBLE, MANIFEST, Manifest, REFERENCE};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle")
}

fn build(corpus: &Path, base: &Path, out: &Path) -> Output {
    build_with(corpus, "--base", base, out)
}

fn build_with(corpus: &Path, option: &str, folder: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foretype"));
    command.arg("build").arg("--corpus").arg(corpus).arg(option).arg(folder).arg("--out").arg(out);
    command.output().unwrap()
}

fn corpus(folder: &Path) -> PathBuf {
    let path = folder.join("mine");
    fs::create_dir(&path).unwrap();
    let lines = (0..120).map(|i| {
        format!("{{\"author\":\"w{}\",\"text\":\"Ticket {i} is waiting for a spare part.\"}}\n", i % 40)
    });
    fs::write(path.join("tickets.jsonl"), lines.collect::<String>()).unwrap();
    path
}

#[test]
fn little_text_keeps_the_rest_of_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, out) = (corpus(folder.path()), folder.path().join("bundle"));
    let done = build(&mine, &shipped(), &out);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Bundle::open(&out).unwrap();
    for name in [ENSEMBLE, REFERENCE] {
        assert_eq!(fs::read(out.join(name)).unwrap(), fs::read(shipped().join(name)).unwrap(), "{name}");
    }
    let (new, old) = (Manifest::read(&out).unwrap(), Manifest::read(&shipped()).unwrap());
    let named: Vec<_> = new.sources.iter().map(|source| (&source.name[..], &source.licence[..])).collect();
    assert_eq!(named.len(), old.sources.len() + 1, "whose licences still hold");
    assert_eq!(named.last().unwrap(), &("tickets", "the licence of its owner"));
}

#[test]
fn without_a_base_little_text_is_said_and_the_gpt2_still_counts_most() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, out) = (corpus(folder.path()), folder.path().join("bundle"));
    let done = build_with(&mine, "--gpt2", &shipped(), &out);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("too few held-out words"), "{said}");
    let fitted = Bundle::open(&out).unwrap().ensemble;
    assert!(fitted.prior.is_valid() && fitted.gate.is_valid() && fitted.threshold > 0.0);
    assert!(fitted.prior.weights.iter().all(|weights| weights[0] > 0.8), "{:?}", fitted.prior.weights[0]);
}

#[test]
fn a_base_that_is_no_bundle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, out) = (corpus(folder.path()), folder.path().join("bundle"));
    let done = build(&mine, &mine, &out);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("--base is the folder of a finished bundle"), "{said}");
    assert!(!out.join(MANIFEST).exists());
}
