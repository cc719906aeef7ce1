//! Every n-gram of the corpus with its count: packed into integers, sorted, counted in runs.

use std::ops::Range;

use crate::layout::{END, STARTS};
use crate::static_model::ORDER;

/// Occurrences sorted at once, 16 bytes each: what counting needs beside its result.
const SORTED_AT_ONCE: usize = 1 << 24;

/// Ids of 16 bits, the newest lowest.
type Key = u128;

/// The distinct n-grams of one order, from 2, sorted by their ids from the oldest on.
pub(super) struct Grams {
    /// The newest id of each.
    pub(super) words: Vec<u16>,
    /// How often each occurs.
    pub(super) counts: Vec<u32>,
    /// Index of the n-gram without its newest word in the order below; for bigrams the id.
    pub(super) prefix: Vec<u32>,
    /// Index of the n-gram without its oldest word in the order below; for bigrams the id.
    pub(super) suffix: Vec<u32>,
    /// Those whose oldest word is a start.
    starting: Range<usize>,
}

impl Grams {
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether the oldest word is a start. Nothing can come before it, so Kneser-Ney counts its occurrences.
    pub(super) fn starts_message(&self, at: usize) -> bool {
        self.starting.contains(&at)
    }

    /// The runs of n-grams that share a context.
    pub(super) fn contexts(&self) -> impl Iterator<Item = Range<usize>> {
        let mut at = 0;
        self.prefix.chunk_by(|a, b| a == b).map(move |run| {
            at += run.len();
            at - run.len()..at
        })
    }
}

/// The n-grams of orders 2 to [`ORDER`] of `tokens`, in which every message runs from a start to an [`END`].
pub(super) fn orders(tokens: &[u16], progress: &mut dyn FnMut(f32)) -> Vec<Grams> {
    let mut orders: Vec<Grams> = Vec::new();
    let mut below = Vec::new();
    for order in 2..=ORDER {
        let (keys, counts) = distinct(tokens, order, SORTED_AT_ONCE);
        let (prefix, suffix) = match order {
            2 => keys.iter().map(|&key| ((key >> 16) as u32, key as u32 & 0xffff)).unzip(),
            _ => links(&keys, &below, order),
        };
        let before = |id: u16| keys.partition_point(|&key| oldest(key, order) < id);
        let starting = before(STARTS.start)..before(STARTS.end);
        let words = keys.iter().map(|&key| key as u16).collect();
        orders.push(Grams { words, counts, prefix, suffix, starting });
        below = keys;
        progress((order as f32 - 1.0) / (ORDER as f32 - 1.0));
    }
    orders
}

fn oldest(key: Key, order: usize) -> u16 {
    (key >> (16 * (order - 1))) as u16
}

/// The distinct n-grams of one order, sorted, with their counts. Sorts those of some oldest words at a time, about
/// `at_once`, so that the occurrences are never all in memory.
fn distinct(tokens: &[u16], order: usize, at_once: usize) -> (Vec<Key>, Vec<u32>) {
    let mut occurrences = vec![0_usize; 1 << 16];
    tokens.iter().for_each(|&token| occurrences[usize::from(token)] += 1);
    let (mut keys, mut counts) = (Vec::new(), Vec::new());
    let mut from = 0;
    while from < occurrences.len() {
        let mut size = occurrences[from];
        let mut to = from + 1;
        while to < occurrences.len() && size + occurrences[to] <= at_once {
            size += occurrences[to];
            to += 1;
        }
        let mut part = Vec::with_capacity(size);
        windows(tokens, order, |key| {
            if (from..to).contains(&usize::from(oldest(key, order))) {
                part.push(key);
            }
        });
        part.sort_unstable();
        for run in part.chunk_by(|a, b| a == b) {
            keys.push(run[0]);
            counts.push(run.len() as u32);
        }
        from = to;
    }
    (keys, counts)
}

/// Every n-gram of `order` that lies within a message.
fn windows(tokens: &[u16], order: usize, mut each: impl FnMut(Key)) {
    let mask = Key::MAX >> (128 - 16 * order);
    let mut key = 0;
    let mut len = 0;
    for &token in tokens {
        key = (key << 16 | Key::from(token)) & mask;
        len += 1;
        if len >= order {
            each(key);
        }
        if token == END {
            len = 0;
        }
    }
}

/// For each key the indices of what is left of it without the newest and without the oldest word.
fn links(keys: &[Key], below: &[Key], order: usize) -> (Vec<u32>, Vec<u32>) {
    let shift = 16 * (order - 2);
    // Where the n-grams below start that begin with a given word.
    let mut first = vec![0; (1 << 16) + 1];
    for key in below {
        first[(key >> shift) as usize + 1] += 1;
    }
    for word in 1..first.len() {
        first[word] += first[word - 1];
    }
    let mask = Key::MAX >> (128 - 16 * (order - 1));
    let mut at = 0;
    keys.iter()
        .map(|&key| {
            while below[at] < key >> 16 {
                at += 1;
            }
            let rest = key & mask;
            let word = (rest >> shift) as usize;
            let run = &below[first[word]..first[word + 1]];
            (at as u32, (first[word] + run.partition_point(|&other| other < rest)) as u32)
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::FIRST_WORD;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn counts_what_a_map_counts(
            messages in prop::collection::vec(prop::collection::vec(FIRST_WORD..FIRST_WORD + 6, 0..9), 1..12),
            at_once in 1_usize..40,
        ) {
            let tokens: Vec<u16> =
                messages.iter().flat_map(|words| [&[STARTS.start][..], words, &[END]].concat()).collect();
            for order in 2..=ORDER {
                let mut naive: BTreeMap<&[u16], u32> = BTreeMap::new();
                for message in tokens.split_inclusive(|&token| token == END) {
                    message.windows(order).for_each(|gram| *naive.entry(gram).or_default() += 1);
                }
                let (keys, counts) = distinct(&tokens, order, at_once);
                let expected: Vec<Key> = naive
                    .keys()
                    .map(|gram| gram.iter().fold(0, |key, &id| key << 16 | Key::from(id)))
                    .collect();
                prop_assert_eq!(keys, expected);
                prop_assert_eq!(counts, naive.into_values().collect::<Vec<_>>());
            }
        }
    }
}
