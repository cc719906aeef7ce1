//! The search against a naive twin that holds every listed word against what was typed.

use hashbrown::HashMap;
use proptest::prelude::*;

use super::{LONGEST, SHORTEST, TWO_SLIPS_FROM};
use crate::{Lexicon, LexiconBuilder, casing::Casing, channel, suggestible};

/// A bound that is reached, and what one more path may take beyond it.
const FEW: usize = 30;
const SLACK: usize = 300;

fn lexicon(words: &[(&str, u64)]) -> Lexicon {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lexicon.fst");
    let mut builder = LexiconBuilder::new();
    for (word, count) in words {
        builder.add(word, *count);
    }
    builder.finish(&path).expect("written");
    Lexicon::open(path).expect("a lexicon")
}

fn small() -> Lexicon {
    lexicon(&[
        (" receive", 90),
        (" receives", 9),
        (" recipe", 20),
        (" Receive", 8),
        (" their", 200),
        (" there", 250),
        (" the", 900),
        (" John", 40),
        (" balance", 70),
        (" balanced", 8),
        (" occurred", 12),
        (" configuration", 30),
        (" NASA", 5),
        ("Straße", 6),
        (" שלום", 9),
        (" naïve", 7),
        (" x86", 30),
        ("Thanks", 60),
    ])
}

/// P(typed | a prefix of the word was meant) with at most `most` slips: dynamic programming over both.
fn channel(typed: &[char], word: &[char], casing: Casing, most: usize) -> f32 {
    let letters = casing.letters(&word.iter().collect::<String>());
    let cost = |j: usize| casing.cost(word[j], j == 0);
    let (n, m) = (typed.len(), word.len());
    let mut best = vec![vec![vec![0.0_f32; most + 1]; m + 1]; n + 1];
    best[0][0][0] = 1.0;
    for i in 0..=n {
        for j in 0..=m {
            for slips in 0..=most {
                let here = best[i][j][slips];
                let mut reach = |i: usize, j: usize, slips: usize, p: f32| {
                    if slips <= most {
                        best[i][j][slips] = best[i][j][slips].max(here * p);
                    }
                };
                if i == n {
                    continue;
                }
                reach(i + 1, j, slips + 1, channel::added(typed, i));
                if j == m {
                    continue;
                }
                reach(
                    i,
                    j + 1,
                    slips + 1,
                    channel::omitted(j.checked_sub(1).map(|j| letters[j]), letters[j]),
                );
                if letters[j] == typed[i] {
                    reach(i + 1, j + 1, slips, cost(j));
                    continue;
                }
                reach(i + 1, j + 1, slips + 1, channel::substituted(letters[j], typed[i], i));
                if i + 1 < n && j + 1 < m && letters[j] == typed[i + 1] && letters[j + 1] == typed[i] {
                    reach(i + 2, j + 2, slips + 1, channel::TRANSPOSED * cost(j) * cost(j + 1));
                }
            }
        }
    }
    best[n].iter().flatten().copied().fold(0.0, f32::max)
}

/// The scores of the k best words, by trying all.
fn naive(lexicon: &Lexicon, prefix: &str, k: usize) -> Vec<(String, f32)> {
    let letters = prefix.strip_prefix(' ').unwrap_or(prefix);
    let length = letters.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) || !letters.chars().all(char::is_alphabetic) {
        return Vec::new();
    }
    let casing = Casing::of(letters);
    let typed: Vec<char> = casing.letters(letters);
    let scored = |most: usize| -> Vec<(String, f32)> {
        let mut words: HashMap<String, f32> = HashMap::new();
        for surface in (0..lexicon.len()).filter_map(|i| lexicon.surface(i)).filter(|w| suggestible(w)) {
            let word = surface.strip_prefix(' ').unwrap_or(&surface);
            if (word.len() < surface.len()) != (letters.len() < prefix.len()) {
                continue;
            }
            let p = channel(&typed, &word.chars().collect::<Vec<_>>(), casing, most) * lexicon.prob(&surface);
            if p > 0.0 {
                let known = words.entry(casing.apply(surface)).or_insert(0.0);
                *known = known.max(p);
            }
        }
        let mut words: Vec<_> = words.into_iter().collect();
        words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words
    };
    let mut words = scored(1);
    if words.is_empty() && length >= TWO_SLIPS_FROM {
        words = scored(2);
    }
    words.truncate(k);
    words
}

fn check(lexicon: &Lexicon, prefix: &str) -> Result<(), TestCaseError> {
    for k in [1, 3, 20] {
        let (found, _) = lexicon.correct_within(prefix, k, usize::MAX);
        let expected = naive(lexicon, prefix, k);
        prop_assert_eq!(found.len(), expected.len(), "{:?}: {:?}, not {:?}", prefix, found, expected);
        for (one, (_, score)) in found.iter().zip(&expected) {
            prop_assert!(
                (one.score - score).abs() <= 1e-5 * score,
                "{prefix:?}: {found:?}, not {expected:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn finds_what_was_meant() {
    let lexicon = small();
    for (typed, meant) in [
        (" recie", " receive"),
        (" Recie", " Receive"),
        (" RECIE", " RECEIVE"),
        (" jonh", " John"),
        (" blan", " balance"),
        (" baal", " balance"),
        (" ballan", " balance"),
        (" bakan", " balance"),
        (" ocurr", " occurred"),
        (" ocurrde", " occurred"),
        (" cofniguratoin", " configuration"),
        (" hte", " the"),
        (" naiv", " naïve"),
        (" שול", " שלום"),
        ("Srta", "Straße"),
        ("Tahn", "Thanks"),
    ] {
        let found = lexicon.correct(typed, 3);
        assert_eq!(found.first().map(|c| c.word.as_str()), Some(meant), "{typed:?}: {found:?}");
    }
}

#[test]
fn what_is_no_slip_is_not_corrected() {
    let lexicon = small();
    for typed in
        ["", " ", " th", " 204", " x8x", " a-b", " qqqqq", " zzzzzzzzzz", " re ceive", &" x".repeat(99)]
    {
        assert!(lexicon.correct(typed, 3).is_empty(), "{typed:?}: {:?}", lexicon.correct(typed, 3));
    }
    assert!(lexicon.correct(" recie", 0).is_empty());
}

#[test]
fn the_likelier_slip_wins() {
    let lexicon = lexicon(&[(" bat", 10), (" bag", 10)]);
    // F is beside G, and far from A and T.
    assert_eq!(lexicon.correct(" baf", 1)[0].word, " bag");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn agrees_with_its_naive_twin(
        words in prop::collection::btree_map(" ?[A-B]?[a-d]{2,9}", 2..999_u64, 1..40),
        typed in prop::collection::vec(" ?([A-B]?[a-d]{2,9}|[A-B]{3,5})", 12),
    ) {
        let words: Vec<_> = words.iter().map(|(w, n)| (w.as_str(), *n)).collect();
        let lexicon = lexicon(&words);
        for prefix in &typed {
            check(&lexicon, prefix)?;
        }
    }

    #[test]
    fn agrees_on_slips_of_listed_words(at in 0..18_usize, from in 0..9_usize, typed in "[a-zéA-Z]", cut in 3..12_usize) {
        let lexicon = small();
        let word = lexicon.surface(at % lexicon.len()).expect("listed");
        let mut letters: Vec<char> = word.chars().take(cut).collect();
        let from = from % letters.len();
        letters[from] = typed.chars().next().expect("a letter");
        check(&lexicon, &letters.iter().collect::<String>())?;
        letters.remove(from);
        check(&lexicon, &letters.iter().collect::<String>())?;
    }

    #[test]
    fn any_string_is_answered_within_bounds(prefix in "\\PC{0,40}", k in 0..9_usize) {
        let (found, steps) = small().correct_within(&prefix, k, FEW);
        prop_assert!(found.len() <= k && steps <= FEW + SLACK, "{steps}");
        for one in found {
            prop_assert!(suggestible(&one.word) && one.channel > 0.0 && one.channel <= 1.0);
        }
    }
}
