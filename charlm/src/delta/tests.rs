//! Against a naive twin: maps of strings, and the equations as they are written.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Delta, LONGEST, Seen};
use crate::tables::{END, FIRST, OTHER, START};
use crate::{CharBuilder, Lexicon, LexiconBuilder, Spelling};

/// A model of eight words over the letters a to e.
static SPELLING: LazyLock<Spelling> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let (lexicon, chars) = (folder.path().join("lexicon"), folder.path().join("chars"));
    let (mut words, mut spellings) = (LexiconBuilder::new(), CharBuilder::new());
    for word in ["abc", "abcd", "abcdee", "bcdea", " abca", " bade", "cabbab", "e"] {
        words.add(word, 3);
        spellings.add(word, 3);
    }
    words.finish(&lexicon).unwrap();
    spellings.finish(&chars, &Lexicon::open(&lexicon).unwrap(), &[]).unwrap();
    Spelling::open(lexicon, chars).unwrap()
});

fn symbols(word: &str) -> Vec<u8> {
    std::iter::once(START).chain(word.chars().map(|c| SPELLING.chars().symbol(c))).collect()
}

fn pack(context: &[u8]) -> u64 {
    context.iter().fold(0, |packed, &symbol| packed << 8 | u64::from(symbol))
}

/// What may come: END, OTHER and the alphabet.
fn all_symbols() -> impl Iterator<Item = u8> + Clone {
    let letters = FIRST..FIRST + SPELLING.chars().alphabet().len() as u8;
    [END, OTHER].into_iter().chain(letters)
}

struct Naive(HashMap<Vec<u8>, HashMap<u8, f64>>);

impl Naive {
    fn of(words: &[String]) -> Self {
        let different: HashSet<&String> = words.iter().filter(|word| !SPELLING.contains(word)).collect();
        let mut counts: HashMap<Vec<u8>, HashMap<u8, f64>> = HashMap::new();
        for word in different {
            let mut word = symbols(word);
            word.push(END);
            for (at, length) in (1..word.len()).flat_map(|at| (3..=6).map(move |length| (at, length))) {
                if at >= length {
                    let after = counts.entry(word[at - length..at].to_vec()).or_default();
                    *after.entry(word[at]).or_default() += 1.0;
                }
            }
        }
        Self(counts)
    }

    fn prob(&self, context: &[u8], symbol: u8) -> f64 {
        let tables = SPELLING.chars().tables();
        let fixed = |length: usize, symbol: u8| {
            tables.prob(pack(&context[context.len() - length..]), symbol, &Seen::default())
        };
        let mut prob = fixed(0, symbol);
        for length in 1..=context.len() {
            // What was never seen after a context has the escape alone.
            let ratio = |s: u8| fixed(length, s) / fixed(length - 1, s);
            let escape = all_symbols().map(ratio).fold(f64::INFINITY, f64::min);
            let share = fixed(length, symbol) - escape * fixed(length - 1, symbol);
            prob = share + escape * prob;
            if let Some(after) = self.0.get(&context[context.len() - length..]) {
                let (sum, types) = (after.values().sum::<f64>(), after.len() as f64);
                let held = 16.0 * types / (types + 2.0);
                prob = (after.get(&symbol).unwrap_or(&0.0) + held * prob) / (sum + held);
            }
        }
        prob
    }
}

fn learned(words: &[String]) -> Delta {
    let mut delta = Delta::default();
    words.iter().for_each(|word| delta.learn(&SPELLING, word));
    delta
}

proptest! {
    #[test]
    fn probabilities_are_those_of_the_equations(
        words in prop::collection::vec(" ?[a-e]{1,8}", 0..20),
        asked in " ?[a-e]{0,8}",
    ) {
        let (delta, naive) = (learned(&words), Naive::of(&words));
        let context = symbols(&asked);
        let newest = &context[context.len().saturating_sub(LONGEST)..];
        let (packed, tables) = (pack(&context), SPELLING.chars().tables());
        let seen = delta.seen(packed);
        let all = tables.distribution(packed, SPELLING.chars().alphabet().len(), &seen);
        for symbol in all_symbols() {
            let (expected, prob) = (naive.prob(newest, symbol), tables.prob(packed, symbol, &seen));
            prop_assert!((expected - prob).abs() < 1e-9, "{symbol} after {asked:?}: {prob}, not {expected}");
            prop_assert!((prob - f64::from(all[usize::from(symbol)])).abs() < 1e-6);
        }
        prop_assert!((all.iter().map(|&p| f64::from(p)).sum::<f64>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn words_learned_again_make_the_same(words in prop::collection::vec(" ?[a-e]{1,8}", 0..40)) {
        let delta = learned(&words);
        let kept: Vec<String> = delta.words(&SPELLING).collect();
        prop_assert_eq!(&learned(&kept), &delta);
        let mut different: Vec<&String> = Vec::new();
        words.iter().filter(|word| !SPELLING.contains(word)).for_each(|word| {
            if !different.contains(&word) {
                different.push(word);
            }
        });
        prop_assert_eq!(kept.iter().collect::<Vec<_>>(), different);
    }
}
