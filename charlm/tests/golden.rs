//! Files written by version 1 stay readable, with the same answers, for as long as the formats say version 1.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;

use common::close;
use foretype_charlm::Spelling;

#[test]
fn files_of_version_1_open_and_answer_as_they_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let spelling = Spelling::open(folder.join("lexicon.fst"), folder.join("chars.bin")).unwrap();
    // Counts 5, 3 and 2 for " the", " then" and " to".
    for (word, p) in [(" the", 5.0 / 10.0), (" then", 3.0 / 10.0), (" to", 2.0 / 10.0), (" tea", 0.0)] {
        let found = spelling.lexicon().prob(word);
        assert!((found - p).abs() < 1e-3, "{word:?}: {found}");
    }
    assert!(close(spelling.chars().lambda(), 0.95));
    for (word, log) in [
        (" the", -2.6155),
        (" tea", -16.3545),
        (" then", -16.82056),
        (" hat", -24.81376),
        ("", -3.59189),
        ("é", -18.51314),
    ] {
        let found = spelling.chars().log_prob(word);
        assert!((found - log).abs() < 1e-4, "{word:?}: {found}");
    }
}
