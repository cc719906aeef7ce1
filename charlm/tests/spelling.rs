//! The mixture the service asks.

mod common;

use common::{close, corpus, files, questions, spelling};
use foretype_charlm::suggestible;

#[test]
fn mixes_both_models() {
    let spelling = spelling(&files());
    let lambda = spelling.chars().lambda();
    // 8 of the 10 held-out sightings are listed; the character model explains a little of those too.
    assert!((0.7..0.85).contains(&lambda), "{lambda}");
    for word in [" the", " unreconfigurably", "", "👍"] {
        let expected =
            lambda * spelling.lexicon().prob(word) + (1.0 - lambda) * spelling.chars().log_prob(word).exp();
        assert!(close(spelling.prob(word), expected), "{word:?}");
        assert!(close(spelling.log_prob(word).exp(), expected), "{word:?}");
    }
    assert!(spelling.contains(" the") && !spelling.contains(" unreconfigurably"));
}

#[test]
fn every_string_has_a_probability_below_the_mass_of_its_prefixes() {
    let spelling = spelling(&files());
    assert!(close(spelling.mass(""), 1.0));
    for question in questions() {
        let log = spelling.log_prob(&question);
        assert!(log.is_finite() && spelling.prob(&question) > 0.0);
        for (i, _) in question.char_indices().take(12) {
            assert!(spelling.log_mass(&question[..i]) >= log);
            assert!(spelling.mass(&question[..i]) > 0.0);
        }
    }
}

#[test]
fn top_words_continue_the_prefix_best_first() {
    let spelling = spelling(&files());
    for question in questions() {
        for (i, _) in question.char_indices().take(12) {
            let prefix = &question[..i];
            let top = spelling.top(prefix, 8);
            assert!(top.len() <= 8 && top.is_sorted_by(|a, b| a.1 >= b.1), "{top:?}");
            for (n, (word, p)) in top.iter().enumerate() {
                assert!(
                    word.starts_with(prefix)
                        && word.len() > prefix.len()
                        && suggestible(word.rsplit('_').next().unwrap_or(word)),
                    "{word:?}"
                );
                assert!(close(*p, spelling.prob(word)), "{word:?}: {p}");
                assert!(top[..n].iter().all(|(other, _)| other != word), "{word:?} twice");
            }
        }
    }
}

#[test]
fn without_letters_the_commonest_words_are_offered() {
    let spelling = spelling(&files());
    for prefix in ["", " "] {
        let top = spelling.top(prefix, 3);
        assert_eq!(top.iter().map(|(w, _)| w.as_str()).collect::<Vec<_>>(), [" the", " to", " and"]);
    }
}

#[test]
fn unlisted_words_come_only_after_two_letters() {
    let spelling = spelling(&files());
    assert!(spelling.top(" u", 200).iter().all(|(w, _)| spelling.contains(w)));
    let top = spelling.top(" unreconfigur", 8);
    assert!(top.iter().any(|(w, _)| w == " unreconfigurably"), "{top:?}");
    let most = corpus().len();
    assert!(spelling.top(" un", 2 * most).iter().any(|(w, _)| !spelling.contains(w)));
}
