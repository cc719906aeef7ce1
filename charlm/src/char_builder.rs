//! Collects words and writes a [`CharNgram`] of them.

use std::path::Path;

use hashbrown::{HashMap, HashSet};

use crate::{
    CharNgram, Error, Lexicon,
    estimate::{Event, Events},
    lambda,
    tables::{END, FIRST, LARGEST_ALPHABET, OTHER, START},
};

/// Six spelled held-out words of the training corpora best: at this size 5 is 0.3 % worse and 7 is 0.5 % worse.
const ORDER: u32 = 6;
/// The largest file a bundle has room for; rare contexts are left out until the model fits.
const MOST_BYTES: usize = 3_000_000;

/// Collects the words of a corpus and writes a [`CharNgram`] of them.
///
/// Each different word counts once, however often it was seen: what the model has to spell are words that no list has,
/// and those are formed like the many rare ones. Weights of log(1 + count) spelled new words 4 % worse.
#[derive(Debug, Default)]
pub struct CharBuilder {
    words: HashSet<String>,
}

impl CharBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a surface that was seen `count` times. Add those seen once too; nothing is added for the empty one, or for a
    /// count of 0.
    pub fn add(&mut self, surface: &str, count: u64) {
        if !surface.is_empty() && count > 0 {
            self.words.get_or_insert_with(surface, str::to_owned);
        }
    }

    /// Writes the model to `path`, replacing what is there, with the λ that makes `held_out` likeliest.
    ///
    /// `held_out` are words with their counts from text that went neither into `lexicon` nor into this builder. They
    /// should be what the spelling model will be asked for: if an n-gram comes first, the words that were new to it.
    /// Without any, λ is 0.95.
    ///
    /// # Errors
    /// [`Error::Empty`] if nothing was added, [`Error::Write`] if the file cannot be written.
    pub fn finish(
        self,
        path: impl AsRef<Path>,
        lexicon: &Lexicon,
        held_out: &[(String, u64)],
    ) -> Result<(), Error> {
        let path = path.as_ref();
        if self.words.is_empty() {
            return Err(Error::Empty { path: path.to_owned(), reason: "add the surfaces of a corpus first" });
        }
        let alphabet = alphabet(&self.words);
        let events = Events::new(ORDER, events(&self.words, &alphabet));
        drop(self.words);
        let mut least = 1.0;
        let mut trie = events.trie(&alphabet, least as usize);
        while trie.bytes() > MOST_BYTES {
            least = f64::ceil(least * 1.2);
            trie = events.trie(&alphabet, least as usize);
        }
        // λ needs the probabilities, and they are easiest had from the file itself.
        trie.write(path, lambda::fit(&[]))?;
        let chars = CharNgram::open(path)?;
        let spelled = |w: &str| f64::from(chars.log_prob(w)).exp();
        let words: Vec<(f64, f64, f64)> = held_out
            .iter()
            .map(|(w, count)| (*count as f64, f64::from(lexicon.prob(w)), spelled(w)))
            .collect();
        trie.write(path, lambda::fit(&words))
    }
}

/// The characters of at least two words, the commonest if they are too many; sorted.
///
/// A character of one word only is left to the escape symbol, which so learns how often new characters come.
fn alphabet(words: &HashSet<String>) -> Vec<char> {
    let mut seen: HashMap<char, u32> = HashMap::new();
    for word in words {
        let mut different: Vec<char> = word.chars().collect();
        different.sort_unstable();
        different.dedup();
        different.into_iter().for_each(|c| *seen.entry(c).or_insert(0) += 1);
    }
    let mut common: Vec<(u32, char)> =
        seen.into_iter().filter(|&(_, n)| n > 1).map(|(c, n)| (n, c)).collect();
    common.sort_unstable_by(|a, b| b.cmp(a));
    common.truncate(LARGEST_ALPHABET);
    let mut alphabet: Vec<char> = common.into_iter().map(|(_, c)| c).collect();
    alphabet.sort_unstable();
    alphabet
}

fn events(words: &HashSet<String>, alphabet: &[char]) -> Vec<Event> {
    let mut events = Vec::new();
    for word in words {
        let mut context = u64::from(START);
        let symbols = word.chars().map(|c| alphabet.binary_search(&c).map_or(OTHER, |i| FIRST + i as u8));
        for symbol in symbols.chain([END]) {
            events.push(Event::new(context, symbol));
            context = context << 8 | u64::from(symbol);
        }
    }
    events
}
