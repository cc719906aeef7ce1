//! Whatever happens to a file, opening it says so and never panics.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, sync::LazyLock};

use common::files;
use foretype_charlm::{CharNgram, Error, Lexicon, Spelling};
use proptest::prelude::*;

fn message(error: &Error, name: &str) {
    let text = error.to_string();
    assert!(text.contains(name) && text.contains("foretype build"), "{text}");
}

#[test]
fn a_missing_file_is_named_with_the_way_out() {
    let files = files();
    fs::remove_file(&files.chars).unwrap();
    let error = Spelling::open(&files.lexicon, &files.chars).unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
    message(&error, "chars.bin");
}

#[test]
fn one_file_is_not_taken_for_the_other() {
    let files = files();
    message(&Lexicon::open(&files.chars).unwrap_err(), "chars.bin");
    message(&CharNgram::open(&files.lexicon).unwrap_err(), "lexicon.fst");
}

#[test]
fn another_version_is_told_apart() {
    let files = files();
    let mut bytes = fs::read(&files.chars).unwrap();
    bytes[8] = 9;
    fs::write(&files.chars, bytes).unwrap();
    let error = CharNgram::open(&files.chars).unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
}

/// The bytes of both files, built once for all cases.
static INTACT: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let files = files();
    [&files.lexicon, &files.chars].map(|path| fs::read(path).unwrap())
});

/// Rewrites length and checksum, so that only the checks behind them stand between damage and use.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = (bytes.len() - 32) as u64;
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

proptest! {
    #[test]
    fn any_damage_is_noticed(which in any::<bool>(), at in any::<prop::sample::Index>(), bits in 1_u8.., cut in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["lexicon.fst", "chars.bin"].map(|name| folder.path().join(name));
        let mut files = INTACT.clone();
        let bytes = &mut files[usize::from(which)];
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= bits }
        paths.iter().zip(&files).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        let error = Spelling::open(&paths[0], &paths[1]).unwrap_err();
        prop_assert!(matches!(error, Error::Corrupt { .. } | Error::Read { .. }), "{error}");
    }

    /// A model with a right checksum over wrong contents is refused, or answers without a panic.
    #[test]
    fn a_wrong_model_does_not_panic(at in any::<prop::sample::Index>(), bits in 1_u8.., cut in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chars.bin");
        let mut bytes = INTACT[1].clone();
        let at = 32 + at.index(bytes.len() - 32);
        if cut { bytes.truncate(at) } else { bytes[at] ^= bits }
        fs::write(&path, sealed(bytes)).unwrap();
        if let Ok(chars) = CharNgram::open(&path) {
            chars.complete(" un", 4, 50);
            prop_assert!(chars.log_prob(" unreconfigurably").is_finite());
        }
    }
}
