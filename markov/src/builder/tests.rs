#![allow(clippy::unwrap_used)]
use super::*;
use crate::{NextWord, StaticModel};

fn build(messages: &[&str], options: BuildOptions) -> StaticModel {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.ngram");
    let mut builder = Builder::new(options);
    messages.iter().for_each(|message| builder.add_message(message, Role::Author));
    let stats = builder.finish(&path, &mut |_| ()).unwrap();
    let model = StaticModel::open(&path).unwrap();
    assert_eq!(model.stats(), stats);
    model
}

/// Within the rounding of one code.
fn close(found: f32, expected: f32) {
    assert!((found / expected - 1.0).abs() < 0.033, "{found} is not {expected}");
}

#[test]
fn kneser_ney_by_hand() {
    // Too small to estimate discounts from: 0.5, 1 and 1.5 are taken from counts of 1, 2 and more.
    let model = build(&["a b", "a b", "a c", "d b", "d c"], BuildOptions::default());
    // Continuation counts of unigrams: a 1 (after START), d 1, b 2 (a, d), c 2 (a, d), END 2 (b, c); 6 events.
    let (once, twice) = (1.0 - 0.5, 2.0 - 1.0);
    let uniform = (8.0 - 2.0 * once - 3.0 * twice) / 8.0 / 6.0;
    let unigram_b = twice / 8.0 + uniform;
    // Bigrams after a: b and c each after one word, START: 1 and 1.
    let bigram_b = once / 2.0 + (0.5 + 0.5) / 2.0 * unigram_b;
    let history = model.history(&["a"], None);
    close(model.score(&history, " b").prob, bigram_b);
    // Trigrams after START a: b 2, c 1, as nothing comes before a start.
    let history = model.history(&["a"], Some(Role::Author));
    close(model.score(&history, " b").prob, (2.0 - 1.0) / 3.0 + (1.0 + 0.5) / 3.0 * bigram_b);
    assert_eq!(model.matched(&history), crate::Matched { order: 2, count: 3 });
    assert_eq!(model.score(&history, " b").order, 2);
    // After START a b: END 2. After a b: one kind of start: 1. After b: a, d: 2.
    let end = twice / 8.0 + uniform;
    let end = (2.0 - 1.0) / 2.0 + 1.0 / 2.0 * end;
    let end = (1.0 - 0.5) / 1.0 + 0.5 * end;
    let history = model.history(&["a", " b"], Some(Role::Author));
    close(model.end(&history), (2.0 - 1.0) / 2.0 + 1.0 / 2.0 * end);
}

#[test]
fn words_that_occur_once_are_unknown() {
    let model = build(&["one two", "one three", "one two"], BuildOptions::default());
    assert_eq!(model.stats().words, 2);
    let history = model.history(&["one"], None);
    assert_eq!(model.score(&history, " three").prob, 0.0);
    assert!(model.escape(&history) > 0.1);
}

#[test]
fn what_is_not_kept_is_unknown_and_still_stands_between_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.ngram");
    let mut builder = Builder::new(BuildOptions::default());
    (0..3).for_each(|_| builder.add_message("we recieve it", Role::Author));
    builder.retain(|surface| surface != " recieve");
    builder.finish(&path, &mut |_| ()).unwrap();
    let model = StaticModel::open(&path).unwrap();
    assert_eq!(model.stats().words, 2);
    let after = |history: &[&str], word: &str| model.score(&model.history(history, None), word).prob;
    assert_eq!(after(&["we"], " recieve"), 0.0);
    assert!(after(&[" recieve"], " it") > after(&["we"], " it"), "it follows the unknown word");
}

#[test]
fn roles_begin_differently() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.ngram");
    let mut builder = Builder::new(BuildOptions::default());
    for _ in 0..3 {
        builder.add_message("welcome here", Role::Agent);
        builder.add_message("help me", Role::Customer);
    }
    builder.finish(&path, &mut |_| ()).unwrap();
    let model = StaticModel::open(&path).unwrap();
    let first = |role| model.top(&model.history(&[], Some(role)), "", 1)[0].0.to_owned();
    assert_eq!((first(Role::Agent), first(Role::Customer)), ("welcome".to_owned(), "help".to_owned()));
}

#[test]
fn the_file_is_as_small_as_asked() {
    let messages: Vec<String> = (0..4000_u32)
        .map(|i| format!("w{} w{} w{} and w{}", i % 7, i * i % 101, i * 31 % 57, i % 13))
        .collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let full = build(&messages, BuildOptions::default()).stats();
    let max_bytes = full.bytes * 2 / 3;
    let pruned = build(&messages, BuildOptions { max_bytes, ..BuildOptions::default() });
    assert!(
        pruned.stats().bytes <= max_bytes && pruned.stats().bytes > max_bytes / 2,
        "{:?}",
        pruned.stats()
    );
    let history = pruned.history(&[" w3"], None);
    let total: f32 = pruned.distribution(&history).iter().map(|(_, prob)| prob).sum();
    assert!((total - 1.0).abs() < 1e-4);
}

#[test]
fn an_empty_corpus_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new(BuildOptions::default());
    builder.add_message("nothing twice", Role::Author);
    let result = builder.finish(&dir.path().join("model.ngram"), &mut |_| ());
    assert!(matches!(result, Err(Error::EmptyCorpus)));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
