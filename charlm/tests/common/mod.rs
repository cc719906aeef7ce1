//! A small language for the tests: stems with affixes, in several scripts, and some things that are no words.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, reason = "a test that cannot write its files has failed")]

use std::path::PathBuf;

use foretype_charlm::{CharBuilder, Lexicon, LexiconBuilder, Spelling};
use tempfile::TempDir;

pub(crate) const STEMS: [&str; 12] = [
    "configur", "profit", "reason", "break", "think", "avoid", "read", "work", "manag", "measur", "prevent",
    "adjust",
];
pub(crate) const OTHERS: [&str; 20] = [
    " the",
    " to",
    " and",
    ",",
    ".",
    " 42",
    " 7:35",
    " don't",
    "Thanks",
    " foo_bar",
    "שלום",
    " שלום",
    " 東京",
    " 東",
    "👍",
    "e",
    "é",
    " café",
    " cafés",
    "\u{301}",
];

/// Strings to ask about: listed, unlisted, empty, strange and long ones.
pub(crate) fn questions() -> Vec<String> {
    let mut all: Vec<String> = corpus().into_iter().map(|(w, _)| w).collect();
    all.extend(
        ["", " ", "  ", "zzz", " unreconfigurably", "👩‍👩‍👧", "\0", "e\u{301}\u{301}", "\u{202e}abc"]
            .map(String::from),
    );
    all.extend(["x".repeat(10_000), " 東".repeat(5_000), "\u{10ffff}".repeat(300)]);
    all
}

/// Surfaces with counts; "unreconfigurably" is not among them, but all its parts are.
pub(crate) fn corpus() -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for (i, stem) in STEMS.iter().enumerate() {
        for (j, tail) in ["e", "able", "ably", "ing", "ation"].iter().enumerate() {
            for (k, head) in ["", "re", "un", "unre"].iter().enumerate() {
                if !(*stem == "configur" && *head == "unre" && *tail == "ably") {
                    all.push((format!(" {head}{stem}{tail}"), (7 * i + 3 * j + 11 * k) as u64 % 17));
                }
            }
        }
    }
    all.extend(OTHERS.iter().enumerate().map(|(i, w)| ((*w).to_owned(), 40 - i as u64)));
    all.retain(|&(_, count)| count > 0);
    all
}

/// The corpus as both files, in a folder that lives as long as this value.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) lexicon: PathBuf,
    pub(crate) chars: PathBuf,
}

pub(crate) fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let (lexicon, chars) = (folder.path().join("lexicon.fst"), folder.path().join("chars.bin"));
    let (mut words, mut spellings) = (LexiconBuilder::new(), CharBuilder::new());
    for (surface, count) in corpus() {
        words.add(&surface, count);
        spellings.add(&surface, count);
    }
    words.finish(&lexicon).unwrap();
    let held_out = [(" the".to_owned(), 8), (" unreconfigurably".to_owned(), 2)];
    spellings.finish(&chars, &Lexicon::open(&lexicon).unwrap(), &held_out).unwrap();
    Files { folder, lexicon, chars }
}

pub(crate) fn spelling(files: &Files) -> Spelling {
    Spelling::open(&files.lexicon, &files.chars).unwrap()
}

/// Whether two probabilities agree to a relative 1e-4 (or are both next to nothing).
pub(crate) fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * a.abs().max(b.abs()) + 1e-9
}
