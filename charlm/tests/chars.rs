//! The character n-gram: sums to one everywhere, and spells what nobody listed.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::LazyLock;

use common::{close, corpus, files, questions};
use foretype_charlm::{CharBuilder, CharNgram, Error, suggestible};
use proptest::prelude::*;

fn chars() -> CharNgram {
    CharNgram::open(files().chars).unwrap()
}

/// Next characters sum to one, and mass(p) = P(p as a whole word) + Σ mass(p + c) over every c there is.
fn check(chars: &CharNgram, prefix: &str) {
    let next = chars.next_chars(prefix);
    let sum = next.end + next.other + next.chars.iter().map(|(_, p)| p).sum::<f32>();
    assert!((sum - 1.0).abs() < 1e-5, "{sum} after {prefix:?}");
    let mass = chars.log_mass(prefix);
    let share = |log: f32| (log - mass).exp();
    assert!((share(chars.log_prob(prefix)) - next.end).abs() < 2e-3, "end of {prefix:?}");
    for &(c, p) in &next.chars {
        assert!((share(chars.log_mass(&format!("{prefix}{c}"))) - p).abs() < 2e-3, "{c:?} after {prefix:?}");
    }
    // One of the 1,112,064 − A characters outside the alphabet, times their number.
    let outside = chars.log_mass(&format!("{prefix}\u{e000}")) + (1_112_064.0 - next.chars.len() as f32).ln();
    assert!((share(outside) - next.other).abs() < 2e-3, "others after {prefix:?}");
}

#[test]
fn what_comes_next_sums_to_one() {
    let chars = chars();
    assert!(chars.log_mass("").abs() < 1e-6);
    questions().iter().for_each(|q| check(&chars, q.get(..400).unwrap_or(q)));
}

#[test]
fn every_string_has_a_probability() {
    let chars = chars();
    for question in questions() {
        let (log, mass) = (chars.log_prob(&question), chars.log_mass(&question));
        assert!(log.is_finite() && mass.is_finite() && log <= mass && mass <= 0.0, "{log} {mass}");
    }
}

#[test]
fn probabilities_of_all_short_strings_approach_one() {
    // Over every string there is the sum is 1: what has ended within n characters, plus what goes on, by expansion.
    let chars = chars();
    let (mut ended, mut open) = (0.0_f64, vec![(String::new(), 1.0_f64)]);
    for _ in 0..4 {
        let mut longer = Vec::new();
        for (prefix, mass) in open {
            let next = chars.next_chars(&prefix);
            ended += mass * f64::from(next.end) + mass * f64::from(next.other);
            longer.extend(next.chars.iter().map(|&(c, p)| (format!("{prefix}{c}"), mass * f64::from(p))));
        }
        longer.retain(|(_, mass)| *mass > 1e-7);
        open = longer;
    }
    let left: f64 = open.iter().map(|(_, mass)| mass).sum();
    assert!((ended + left - 1.0).abs() < 1e-2, "{ended} + {left}");
}

#[test]
fn a_word_nobody_listed_is_spelled_from_its_morphemes() {
    let chars = chars();
    assert!(corpus().iter().all(|(w, _)| w != " unreconfigurably"));
    let words = chars.complete(" unreconfigur", 8, 200);
    assert!(words.iter().any(|(w, _)| w == " unreconfigurably"), "{words:?}");
    assert!(chars.log_prob(" unreconfigurably") > chars.log_prob(" ylbarugifnocernu") + 10.0);
}

#[test]
fn completions_are_longer_words_in_order_with_their_probability() {
    let chars = chars();
    for question in questions() {
        let prefix: String = question.chars().take(6).collect();
        let words = chars.complete(&prefix, 8, 100);
        assert!(words.is_sorted_by(|a, b| a.1 >= b.1), "{words:?}");
        for (word, p) in &words {
            assert!(
                word.starts_with(&prefix)
                    && word.len() > prefix.len()
                    && suggestible(word.rsplit('_').next().unwrap_or(word)),
                "{word:?}"
            );
            assert!(close(*p, chars.log_prob(word).exp()), "{word:?}: {p}");
        }
    }
}

#[test]
fn search_meets_the_likeliest_words_first() {
    // The naive twin spells everything above a floor, depth first, and sorts.
    fn spell(chars: &CharNgram, text: &str, least: f32, all: &mut Vec<(String, f32)>) {
        if suggestible(text) && chars.log_prob(text) > least {
            all.push((text.to_owned(), chars.log_prob(text)));
        }
        for (c, _) in chars.next_chars(text).chars {
            let longer = format!("{text}{c}");
            if chars.log_mass(&longer) > least {
                spell(chars, &longer, least, all);
            }
        }
    }
    let chars = chars();
    for prefix in [" unre", " caf", " measur"] {
        let mut all = Vec::new();
        spell(&chars, prefix, chars.log_mass(prefix) - 5.0, &mut all);
        all.retain(|(w, _)| w != prefix);
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let found = chars.complete(prefix, 5, 10_000);
        assert!(!found.is_empty());
        for ((_, naive), (word, p)) in all.iter().zip(&found) {
            assert!(close(naive.exp(), *p), "{word:?} is not the likeliest after {prefix:?}");
        }
    }
}

#[test]
fn the_work_is_bounded() {
    let chars = chars();
    assert!(chars.complete(" unre", 8, 0).is_empty());
    assert!(chars.complete(&"a".repeat(10_000), 8, 100).is_empty());
}

#[test]
fn one_word_is_enough() {
    let files = files();
    let lexicon = foretype_charlm::Lexicon::open(&files.lexicon).unwrap();
    let mut builder = CharBuilder::new();
    builder.add(" a", 1);
    builder.finish(&files.chars, &lexicon, &[]).unwrap();
    let chars = CharNgram::open(&files.chars).unwrap();
    ["", " a", " b"].iter().for_each(|text| check(&chars, text));
}

#[test]
fn nothing_to_learn_from_is_refused() {
    let files = files();
    let lexicon = foretype_charlm::Lexicon::open(&files.lexicon).unwrap();
    let error = CharBuilder::new().finish(&files.chars, &lexicon, &[]).unwrap_err();
    assert!(matches!(error, Error::Empty { .. }), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_fine(text in "\\PC{0,12}") {
        static CHARS: LazyLock<CharNgram> = LazyLock::new(chars);
        check(&CHARS, &text);
        prop_assert!(CHARS.complete(&text, 3, 20).iter().all(|(word, _)| word.starts_with(&text)));
    }
}
