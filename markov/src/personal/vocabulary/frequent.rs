//! The most frequent words of the prefixes that have many: what is asked for before much is typed.

use super::WordId;

/// How many words of a list are kept in order.
const LISTED: usize = 16;

/// Lists: of all words, of those that begin with a space, and of those that begin with a space and one of the 26 letters.
pub(super) const LISTS: usize = 28;

/// The most frequent words of each list, best first, and the sum of the counts of all its words.
#[derive(Clone, Debug)]
pub(super) struct Frequent {
    lists: [Vec<WordId>; LISTS],
    sums: [u64; LISTS],
}

impl Default for Frequent {
    fn default() -> Self {
        Self { lists: [const { Vec::new() }; LISTS], sums: [0; LISTS] }
    }
}

impl Frequent {
    /// The sum of the counts of all words.
    pub(super) fn total(&self) -> u64 {
        self.sums[0]
    }

    /// The sum of the counts of the words that start with `prefix`; `None` where no list is kept.
    pub(super) fn sum(&self, prefix: &str) -> Option<u64> {
        listed_prefix(prefix).map(|number| self.sums[number])
    }

    /// The most frequent words with `prefix`, and whether these are all; `None` where no list is kept.
    pub(super) fn with(&self, prefix: &str) -> Option<(&[WordId], bool)> {
        let list = &self.lists[listed_prefix(prefix)?];
        Some((list, list.len() < LISTED))
    }

    /// The lists, a bit each, that hold a word.
    pub(super) fn containing(&self, surface: &str, id: WordId) -> u32 {
        let with = lists_of(surface).filter(|&number| self.lists[number].contains(&id));
        with.fold(0, |bits, number| bits | 1 << number)
    }

    /// Notes a change of a word's count.
    pub(super) fn count(&mut self, surface: &str, change: i64) {
        for number in lists_of(surface) {
            self.sums[number] = self.sums[number].wrapping_add_signed(change);
        }
    }

    /// Gives a word whose count has risen its place in a list, in the order `before`.
    pub(super) fn rise(&mut self, number: usize, id: WordId, before: impl Fn(WordId, WordId) -> bool) {
        let list = &mut self.lists[number];
        if list.len() == LISTED && list.last().is_some_and(|&last| last != id && before(last, id)) {
            return;
        }
        let listed = list.iter().position(|&other| other == id);
        let from = listed.unwrap_or(list.len());
        // Only those with the same count stand between it and its place: mostly none.
        let to = list[..from].iter().rposition(|&other| before(other, id)).map_or(0, |at| at + 1);
        if listed.is_some() {
            list[to..=from].rotate_right(1);
        } else {
            list.truncate(LISTED - 1);
            if list.capacity() == 0 {
                list.reserve_exact(LISTED);
            }
            list.insert(to, id);
        }
    }

    pub(super) fn clear(&mut self, number: usize) {
        self.lists[number].clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.lists.iter().map(Vec::capacity).sum::<usize>() * size_of::<WordId>()
    }
}

/// The lists a word belongs to.
pub(super) fn lists_of(surface: &str) -> impl Iterator<Item = usize> + use<> {
    let (spaced, letter) = match surface.as_bytes() {
        [b' ', letter @ b'a'..=b'z', ..] => (Some(1), Some(usize::from(letter - b'a') + 2)),
        [b' ', ..] => (Some(1), None),
        _ => (None, None),
    };
    std::iter::once(0).chain(spaced).chain(letter)
}

/// The list that holds just the words with `prefix`.
fn listed_prefix(prefix: &str) -> Option<usize> {
    match prefix.as_bytes() {
        [] | [b' '] | [b' ', b'a'..=b'z'] => lists_of(prefix).last(),
        _ => None,
    }
}

pub(super) fn prefix_of(number: usize) -> String {
    match number {
        0 => String::new(),
        1 => " ".to_owned(),
        _ => format!(" {}", char::from(b'a' + (number - 2) as u8)),
    }
}
