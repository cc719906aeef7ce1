//! Every n-gram of the corpus with its count: packed into integers, sorted, counted in runs.

use crate::ORDER;
use crate::layout::{END, STARTS};

/// The distinct n-grams of one order, from 2, sorted.
pub(super) struct Grams {
    /// Ids of 16 bits, the newest lowest.
    pub(super) keys: Vec<u64>,
    /// How often each occurs.
    pub(super) counts: Vec<u32>,
    /// Index of the n-gram without its newest word in the order below; for bigrams the id.
    pub(super) prefix: Vec<u32>,
    /// Index of the n-gram without its oldest word in the order below; for bigrams the id.
    pub(super) suffix: Vec<u32>,
    order: usize,
}

impl Grams {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn word(&self, at: usize) -> u16 {
        self.keys[at] as u16
    }

    /// Whether the oldest word is a start. Nothing can come before it, so Kneser-Ney counts its occurrences.
    pub(super) fn starts_message(&self, at: usize) -> bool {
        STARTS.contains(&((self.keys[at] >> (16 * (self.order - 1))) as u16))
    }

    /// The runs of n-grams that share a context.
    pub(super) fn contexts(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
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
    for order in 2..=ORDER {
        let mut windows = windows(tokens, order);
        windows.sort_unstable();
        progress((order as f32 - 1.5) / 3.0);
        let mut keys = Vec::new();
        let mut counts = Vec::new();
        for run in windows.chunk_by(|a, b| a == b) {
            keys.push(run[0]);
            counts.push(run.len() as u32);
        }
        drop(windows);
        let (prefix, suffix) = match orders.last() {
            None => keys.iter().map(|&key| ((key >> 16) as u32, key as u32 & 0xffff)).unzip(),
            Some(below) => links(&keys, &below.keys, order),
        };
        orders.push(Grams { keys, counts, prefix, suffix, order });
        progress((order as f32 - 1.0) / 3.0);
    }
    orders
}

fn windows(tokens: &[u16], order: usize) -> Vec<u64> {
    let mask = u64::MAX >> (64 - 16 * order);
    let mut windows = Vec::with_capacity(tokens.len());
    let mut key = 0;
    let mut len = 0;
    for &token in tokens {
        key = (key << 16 | u64::from(token)) & mask;
        len += 1;
        if len >= order {
            windows.push(key);
        }
        if token == END {
            len = 0;
        }
    }
    windows
}

/// For each key the indices of what is left of it without the newest and without the oldest word.
fn links(keys: &[u64], below: &[u64], order: usize) -> (Vec<u32>, Vec<u32>) {
    let shift = 16 * (order - 2);
    // Where the n-grams below start that begin with a given word.
    let mut first = vec![0; (1 << 16) + 1];
    for key in below {
        first[(key >> shift) as usize + 1] += 1;
    }
    for word in 1..first.len() {
        first[word] += first[word - 1];
    }
    let mask = u64::MAX >> (64 - 16 * (order - 1));
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
