//! Which words of a corpus are slips of the keyboard, or misspelled: a list should not offer them.

use hashbrown::{HashMap, hash_map::Entry};

use crate::{channel, suggestible};

/// A word seen this often is written on purpose, whatever it resembles.
const MOST_SIGHTINGS: u64 = 50;
/// A word seen less often has no slips that are seen twice.
const LEAST_MEANT: u64 = 100;
/// Shorter words are one letter from too many others.
const SHORTEST: usize = 4;
/// From here on words have so few neighbours that more letters say no more.
const LONG: usize = 10;

/// Log-odds that a rare word is a slip of a given one, per doubling of what the other is commoner, per letter, and where
/// the slip is in the first or behind the last letter, where other words and other forms of the same word differ.
///
/// These and [`kind`]'s are a logistic regression's: 2,043 misspellings of codespell's list against 5,700 words of
/// hunspell's en_US dictionary, all seen at least twice in 21 million words and one slip from a commoner word.
const PER_DOUBLING: f32 = 0.67;
const PER_LETTER: f32 = 0.84;
const AT_FIRST: f32 = -2.03;
const AT_END: f32 = -1.24;
/// What the log-odds must be: at 0 there are more British spellings among those found than are worth it.
const LEAST_ODDS: f32 = 0.5;

/// What may be typed instead of a letter, or as one too many.
const ALPHABET: [char; 27] = {
    let mut letters = ['\''; 27];
    let mut i = 0;
    while i < 26 {
        letters[i] = (b'a' + i as u8) as char;
        i += 1;
    }
    letters
};

/// Rare words of a corpus that far commoner ones explain, as `recieve` is explained by `receive`.
///
/// Words are compared in small letters and without the space before them. A name is not a slip of a word that is none.
///
/// ```
/// use foretype_charlm::Slips;
/// let slips = Slips::find([(" receive", 9_000), (" recieve", 7), (" relieve", 7)]);
/// assert_eq!(slips.meant(" recieve"), Some("receive"));
/// assert_eq!(slips.meant("Recieve"), Some("receive"));
/// assert_eq!(slips.meant(" relieve"), None);
/// ```
#[derive(Debug, Default)]
pub struct Slips {
    meant: HashMap<String, String>,
}

/// How often a word was seen; within a text, where a capital says something; and there with one.
#[derive(Debug, Default, Clone, Copy)]
struct Sightings {
    all: u64,
    within: u64,
    capital: u64,
}

impl Sightings {
    fn is_name(self) -> bool {
        2 * self.capital > self.within
    }
}

/// What was typed instead of a word, and how.
struct Slip {
    typed: String,
    /// Log-odds at as many sightings of either, before its length counts.
    odds: f32,
}

impl Slips {
    /// Finds the slips among the surfaces of a corpus, given with how often each was seen.
    pub fn find<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let mut seen: HashMap<String, Sightings> = HashMap::new();
        for (surface, count) in counts.into_iter().filter(|(surface, _)| suggestible(surface)) {
            let sightings = seen.entry(fold(surface)).or_default();
            sightings.all += count;
            if surface.starts_with(' ') {
                sightings.within += count;
                sightings.capital += if surface.contains(char::is_uppercase) { count } else { 0 };
            }
        }
        let mut best: HashMap<String, (f32, &str)> = HashMap::new();
        for (word, meant) in seen.iter().filter(|(_, s)| s.all >= LEAST_MEANT) {
            for slip in slips_of(word) {
                let Some(rare) = seen.get(&slip.typed).filter(|s| s.all <= MOST_SIGHTINGS) else { continue };
                let odds = slip.odds
                    + PER_DOUBLING * (meant.all as f32 / rare.all as f32).log2()
                    + PER_LETTER * (slip.typed.chars().count().min(LONG) as f32 - 7.0);
                if odds < LEAST_ODDS || rare.is_name() && !meant.is_name() {
                    continue;
                }
                match best.entry(slip.typed) {
                    // Of two that explain it as well the first in order, so that a build can be repeated.
                    Entry::Occupied(mut known) if (odds, known.get().1) > (known.get().0, word.as_str()) => {
                        known.insert((odds, word));
                    }
                    Entry::Occupied(_) => {}
                    Entry::Vacant(new) => drop(new.insert((odds, word))),
                }
            }
        }
        Self { meant: best.into_iter().map(|(slip, (_, word))| (slip, word.to_owned())).collect() }
    }

    /// The word, in small letters, that this surface is a slip of.
    pub fn meant(&self, surface: &str) -> Option<&str> {
        self.meant.get(&fold(surface)).map(String::as_str)
    }

    /// The slips and the words meant, in small letters and no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.meant.iter().map(|(slip, word)| (slip.as_str(), word.as_str()))
    }

    /// How many words were found to be slips.
    pub fn len(&self) -> usize {
        self.meant.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.meant.is_empty()
    }
}

/// A surface in small letters, without its space and with one kind of apostrophe.
fn fold(surface: &str) -> String {
    let word = surface.strip_prefix(' ').unwrap_or(surface);
    word.chars().map(|c| if c == '\u{2019}' { '\'' } else { c }).flat_map(char::to_lowercase).collect()
}

/// Everything one slip makes of a word in small letters; the same string may come twice.
fn slips_of(word: &str) -> Vec<Slip> {
    let letters: Vec<char> = word.chars().collect();
    let n = letters.len();
    if n + 1 < SHORTEST || n > 32 {
        return Vec::new();
    }
    let mut slips = Vec::with_capacity(60 * n);
    let mut put = |typed: String, kind: f32, at: usize, end: bool| {
        if typed != word && typed.chars().count() >= SHORTEST {
            let place = if at == 0 { AT_FIRST } else { 0.0 } + if end { AT_END } else { 0.0 };
            slips.push(Slip { typed, odds: kind + place });
        }
    };
    let with = |from: usize, to: usize, instead: &[char]| -> String {
        letters[..from].iter().chain(instead).chain(&letters[to..]).collect()
    };
    for i in 0..n {
        let double = i > 0 && letters[i - 1] == letters[i] || letters.get(i + 1) == Some(&letters[i]);
        put(with(i, i + 1, &[]), kind::omitted(double), i, i + 1 == n);
        if i + 1 < n {
            let swapped = [letters[i + 1], letters[i]];
            put(with(i, i + 2, &swapped), kind::TRANSPOSED, i, i + 2 == n);
        }
        for c in ALPHABET {
            put(with(i, i + 1, &[c]), kind::substituted(letters[i], c), i, i + 1 == n);
        }
    }
    for i in 0..=n {
        for c in ALPHABET {
            let around = (i.checked_sub(1).map(|i| letters[i]), letters.get(i).copied());
            put(with(i, i, &[c]), kind::added(around, c), i, i == n);
        }
    }
    slips
}

/// Log-odds of the kinds of slips for words of seven letters, seen as often as the word meant.
mod kind {
    use super::channel::{are_neighbours, is_vowel};

    const BASE: f32 = -3.78;
    pub(super) const TRANSPOSED: f32 = BASE + 1.08;

    pub(super) fn omitted(double: bool) -> f32 {
        if double { BASE + 1.69 } else { BASE }
    }

    pub(super) fn substituted(meant: char, typed: char) -> f32 {
        BASE + if are_neighbours(meant, typed) {
            -2.43
        } else if is_vowel(meant) && is_vowel(typed) {
            -2.25
        } else {
            -3.71
        }
    }

    pub(super) fn added(around: (Option<char>, Option<char>), typed: char) -> f32 {
        let beside = |other: Option<char>| other.is_some_and(|other| are_neighbours(other, typed));
        BASE + if around.0 == Some(typed) || around.1 == Some(typed) {
            0.14
        } else if beside(around.0) || beside(around.1) {
            -3.01
        } else {
            -3.12
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slips;

    const WORDS: [(&str, u64); 7] = [
        (" receive", 600),
        ("Receive", 80),
        (" thanks", 20_000),
        ("Thanks", 4_000),
        (" about", 70_000),
        (" computer", 3_000),
        (" Michael", 500),
    ];

    fn found(rare: &[(&'static str, u64)]) -> Vec<(String, String)> {
        let slips = Slips::find(WORDS.iter().chain(rare).copied());
        let mut found: Vec<_> = slips.iter().map(|(slip, word)| (slip.to_owned(), word.to_owned())).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn what_a_commoner_word_explains_is_a_slip_of_it() {
        for (slip, count, meant) in [
            (" recieve", 20, "receive"),
            (" thnaks", 20, "thanks"),
            ("Thnaks", 1, "thanks"),
            (" abuot", 5, "about"),
            (" computter", 4, "computer"),
            (" compter", 4, "computer"),
        ] {
            let key = slip.trim_start().to_lowercase();
            assert_eq!(found(&[(slip, count)]), [(key, meant.to_owned())], "{slip}");
        }
    }

    #[test]
    fn other_words_names_and_what_is_written_often_are_not() {
        for other in [
            (" computers", 30),
            (" commuter", 30),
            (" bout", 20),
            (" Thnaks", 20),
            (" recieve", 60),
            (" thinks", 30),
            (" rec1eve", 3),
        ] {
            assert_eq!(found(&[other]), [], "{other:?}");
        }
        assert_eq!(found(&[(" Micheal", 3)]).len(), 1, "a slip of a name");
    }

    #[test]
    fn sightings_of_all_spellings_count_together() {
        assert_eq!(found(&[(" recieve", 30), ("Recieve", 25)]), []);
        assert_eq!(found(&[(" i\u{2019}ts", 1), (" it's", 90_000)]).len(), 1);
    }
}
