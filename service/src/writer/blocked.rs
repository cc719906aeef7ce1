//! Words and phrases that a writer never wants to be shown: whole words, whatever their case.

use std::collections::HashMap;

use foretype_markov::segment;

use super::spelt::{folded, words};

/// Words and phrases of one writer at most.
pub const MOST: usize = 500;

/// Characters of one at most.
pub const LONGEST: usize = 64;

/// Words of a phrase at most: so many are known of the text before the cursor.
pub const LONGEST_PHRASE: usize = 8;

/// The list of a writer, in the writer's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    entries: Vec<String>,
    /// The phrases as they are compared, by their last word.
    by_last: HashMap<String, Vec<Vec<String>>>,
}

/// A word of a text, and the byte where it begins.
type Seen = (usize, String);

impl Blocked {
    /// A list of words and phrases. One without a word blocks nothing.
    pub fn new(entries: Vec<String>) -> Self {
        let mut by_last: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for phrase in entries.iter().map(|entry| words(entry)) {
            if let Some(last) = phrase.last() {
                by_last.entry(last.clone()).or_default().push(phrase);
            }
        }
        Self { entries, by_last }
    }

    /// The words and phrases as they were given.
    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// Words of the longest phrase.
    pub fn longest(&self) -> usize {
        self.by_last.values().flatten().map(Vec::len).max().unwrap_or(0)
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.by_last.is_empty()
    }

    /// How many bytes of `text` may be shown at the end of `before`, of spaces only as blanks; `None`: all of it. A phrase is cut
    /// before its first word; if it began before the cursor, or nothing would be left, before its last.
    pub fn cut(&self, before: &str, text: &str) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let joined = format!("{before}{text}");
        let (mut seen, mut end, mut cut): (Vec<Seen>, _, Option<usize>) = (Vec::new(), 0, None);
        for surface in segment::surfaces(&joined) {
            let (last, word) = (end, folded(surface));
            end += surface.len();
            // Two spaces in a row are no word.
            if word.is_empty() {
                continue;
            }
            seen.push((last, word));
            if end > before.len() {
                let first = self.ends(&seen).map(|words| seen[seen.len() - words].0);
                let from = first.map(|first| if first > before.len() { first } else { last });
                cut = cut.into_iter().chain(from).min();
            }
        }
        cut.map(|cut| cut.saturating_sub(before.len()))
    }

    /// The lengths of the phrases that the words seen end with.
    fn ends(&self, seen: &[Seen]) -> impl Iterator<Item = usize> {
        let phrases = seen.last().and_then(|(_, last)| self.by_last.get(last)).into_iter().flatten();
        phrases.map(Vec::as_slice).filter_map(|phrase| {
            let tail = &seen[seen.len().checked_sub(phrase.len())?..];
            tail.iter().map(|(_, word)| word).eq(phrase).then_some(phrase.len())
        })
    }

    /// Bytes in memory, roughly: each entry as it was given, and as it is compared.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| 2 * (entry.len() + 3 * size_of::<String>())).sum()
    }

    /// The stored form: a list in JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.entries).expect("strings can be written to memory")
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocked(entries: &[&str]) -> Blocked {
        Blocked::new(entries.iter().map(|entry| (*entry).to_owned()).collect())
    }

    /// What may be shown of the text after the cursor `|`.
    #[track_caller]
    fn check(entries: &[&str], text: &str, shown: &str) {
        let (before, text) = text.split_once('|').expect("a cursor");
        let cut = blocked(entries).cut(before, text).unwrap_or(text.len());
        assert_eq!(&text[..cut], shown);
    }

    #[test]
    fn whole_words_are_left_out_whatever_their_case() {
        check(&["Help"], "I can he|lp you", "");
        check(&["help"], "I can| HELP you", "");
        check(&["help"], "I can| be of help to you", " be of");
        check(&["help"], "I can he|lpfully say", "lpfully say");
        check(&["help"], "Help| you", " you");
        check(&["don't"], "I| don’t know", "");
        check(&[], "I can he|lp", "lp");
        check(&[" ", "\0"], "I can he|lp", "lp");
    }

    #[test]
    fn a_phrase_is_cut_where_it_begins() {
        let regards = ["kind regards"];
        check(&regards, "So| long and kind regards, Ann", " long and");
        check(&regards, "So| long and kind of you", " long and kind of you");
        check(&regards, "So long. |Kind regards", "Kind");
        check(&regards, "So long. Ki|nd regards", "nd");
        check(&regards, "So long. Kind| regards, Ann", "");
        check(&regards, "So long. Kind reg|ards", "");
        check(&["as soon as possible"], "as |soon as possible", "soon as");
        check(&["e-mail"], "an |e-mail", "e-");
        check(&["kind regards", "so long"], "|say so long and kind regards", "say");
    }

    proptest! {
        #[test]
        fn what_is_left_shows_none(
            entries in prop::collection::vec("[ab]{1,2}( [ab]{1,2}){0,2}", 0..4),
            before in "([abAB']{1,2}[ ,]){0,3}[ab]{0,1}",
            text in "[ abAB',]{1,12}",
        ) {
            let (before, text) = (segment::normalise(&before), segment::normalise(&text));
            let blocked = Blocked::new(entries.clone());
            let left = blocked.cut(&before, &text).map_or(&*text, |cut| &text[..cut]);
            prop_assert!(blocked.cut(&before, left).is_none(), "{before:?} {left:?}");
            // The naive twin: every run of words that ends behind the cursor, compared as text.
            let shown = format!("{before}{left}");
            let all: Vec<_> = segment::surfaces(&shown).collect();
            for to in 1..=all.len() {
                for from in 0..to {
                    let phrase = all[from..to].concat();
                    let same = |entry: &String| words(entry) == words(&phrase);
                    if all[..to].concat().len() > before.len() {
                        prop_assert!(!entries.iter().any(same), "{phrase:?} in {shown:?}");
                    }
                }
            }
            prop_assert_eq!(Blocked::from_bytes(&blocked.to_bytes()), Some(blocked));
        }
    }
}
