//! The lexicon beside a plain list.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{close, corpus, files, questions};
use foretype_charlm::{Error, Lexicon, LexiconBuilder, suggestible};
use proptest::prelude::*;

/// The naive twin: the listed surfaces and their shares of the counts.
struct List(Vec<(String, f64)>);

impl List {
    fn new(words: &[(String, u64)]) -> Self {
        let listed: Vec<_> = words.iter().filter(|(_, count)| *count >= 2).collect();
        let total: u64 = listed.iter().map(|(_, count)| count).sum();
        Self(listed.iter().map(|(w, count)| (w.clone(), *count as f64 / total as f64)).collect())
    }

    fn mass(&self, prefix: &str) -> f32 {
        self.0.iter().filter(|(w, _)| w.starts_with(prefix)).map(|(_, p)| p).sum::<f64>() as f32
    }

    fn top(&self, prefix: &str, k: usize) -> Vec<&str> {
        let fits = |w: &str| w.starts_with(prefix) && w.len() > prefix.len() && suggestible(w);
        let mut all: Vec<_> = self.0.iter().filter(|(w, _)| fits(w)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.iter().take(k).map(|(w, _)| w.as_str()).collect()
    }
}

/// Weights keep a count to 0.04 %.
fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-3 * a.max(b) + 1e-7
}

fn built(words: &[(String, u64)]) -> Lexicon {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = LexiconBuilder::new();
    words.iter().for_each(|(w, count)| builder.add(w, *count));
    builder.finish(folder.path().join("lexicon.fst")).unwrap();
    Lexicon::open(folder.path().join("lexicon.fst")).unwrap()
}

fn check(lexicon: &Lexicon, list: &List, prefix: &str) {
    assert!(near(lexicon.mass(prefix), list.mass(prefix)), "mass of {prefix:?}");
    let listed = list.0.iter().find(|(w, _)| w == prefix);
    assert_eq!(lexicon.contains(prefix), listed.is_some(), "{prefix:?}");
    assert!(near(lexicon.prob(prefix), listed.map_or(0.0, |(_, p)| *p as f32)), "probability of {prefix:?}");
    for k in [0, 1, 3, 1000] {
        let top = lexicon.top(prefix, k);
        assert_eq!(
            top.iter().map(|(w, _)| w.as_str()).collect::<Vec<_>>(),
            list.top(prefix, k),
            "top of {prefix:?}"
        );
        assert!(top.iter().all(|(w, p)| close(*p, lexicon.prob(w))), "{top:?}");
    }
}

#[test]
fn agrees_with_a_plain_list() {
    let files = files();
    let lexicon = Lexicon::open(&files.lexicon).unwrap();
    let list = List::new(&corpus());
    assert_eq!(lexicon.len(), list.0.len());
    for question in questions() {
        let cuts = question.char_indices().map(|(i, _)| i).take(40);
        cuts.chain([question.len()]).for_each(|i| check(&lexicon, &list, &question[..i]));
    }
}

#[test]
fn probabilities_sum_to_one() {
    let lexicon = Lexicon::open(files().lexicon).unwrap();
    let sum: f32 = corpus().iter().map(|(w, _)| lexicon.prob(w)).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    assert!((lexicon.mass("") - 1.0).abs() < 1e-6);
}

#[test]
fn repeated_sightings_add_up_and_once_is_not_enough() {
    let words = [(" once", 1), (" twice", 1), (" twice", 1), ("", 9)].map(|(w, n)| (w.to_owned(), n));
    let lexicon = built(&words);
    assert_eq!(lexicon.len(), 1);
    assert!(lexicon.contains(" twice") && !lexicon.contains(" once") && !lexicon.contains(""));
}

#[test]
fn a_lexicon_without_words_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = LexiconBuilder::new();
    builder.add(" once", 1);
    let error = builder.finish(folder.path().join("lexicon.fst")).unwrap_err();
    assert!(matches!(error, Error::Empty { .. }) && error.to_string().contains("at least twice"), "{error}");
}

proptest! {
    #[test]
    fn agrees_with_a_plain_list_of_any_words(
        words in prop::collection::btree_map("[ ab]?[abé東]{1,6}", 1_u64..50, 1..300),
        prefix in "[ ab]?[abé東]{0,3}",
    ) {
        let mut words: Vec<_> = words.into_iter().collect();
        words.push((" ab".to_owned(), 2));
        words.sort();
        words.dedup_by(|a, b| a.0 == b.0);
        prop_assume!(words.iter().any(|(_, n)| *n >= 2));
        check(&built(&words), &List::new(&words), &prefix);
    }
}
