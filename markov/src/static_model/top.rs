//! The most probable words, exactly, without looking at most of them.
//!
//! P(w|h) is a sum of one part from each context and one from the unigrams. The threshold algorithm (Fagin, Lotem and
//! Naor 2001): take the m words with the largest part from each list and compute their probabilities in full. No other
//! word can exceed the sum of the smallest parts taken. If the k-th best reaches that bound the answer is exact; if
//! not, m grows.

use super::StaticModel;
use super::predict::StaticHistory;
use super::sections::Sections;
use std::cmp::Reverse;
use std::ops::Range;

/// How many words `Frequent` lists for a prefix.
const LISTED: usize = 256;
/// A range of fewer words is scanned.
const LARGE: usize = 1024;

/// For prefixes that many words share, the most frequent words, best first.
#[derive(Debug, Default)]
pub(super) struct Frequent {
    /// By the range of ids that the prefix is; sorted.
    lists: Vec<(Range<u16>, Vec<u16>)>,
}

impl Frequent {
    /// Finds the prefixes by descending into each that is shared by enough words.
    pub(super) fn new(sections: &Sections) -> Self {
        let mut frequent = Self::default();
        let mut open = vec![String::new()];
        while let Some(prefix) = open.pop() {
            let range = sections.with_prefix(&prefix);
            if range.len() < LARGE {
                continue;
            }
            let mut id = range.start;
            while id < range.end {
                let Some(next) = sections.surface(id)[prefix.len()..].chars().next() else {
                    id += 1;
                    continue;
                };
                let longer = format!("{prefix}{next}");
                id = sections.with_prefix(&longer).end;
                open.push(longer);
            }
            let list = most_frequent(sections.unigrams(), range.clone(), LISTED);
            frequent.lists.push((range, list));
        }
        frequent.lists.sort_unstable_by_key(|(range, _)| (range.start, range.end));
        frequent.lists.dedup_by(|a, b| a.0 == b.0);
        frequent
    }

    fn list(&self, range: &Range<u16>) -> Option<&[u16]> {
        let key = (range.start, range.end);
        let at = self.lists.binary_search_by_key(&key, |(range, _)| (range.start, range.end)).ok()?;
        Some(&self.lists[at].1)
    }
}

/// The `m` ids of a range with the highest probability.
fn most_frequent(unigrams: &[f32], range: Range<u16>, m: usize) -> Vec<u16> {
    let mut ids: Vec<u16> = range.collect();
    let key = |&id: &u16| Reverse(unigrams[usize::from(id)].to_bits());
    if m < ids.len() {
        ids.select_nth_unstable_by_key(m - 1, key);
        ids.truncate(m);
    }
    ids.sort_unstable_by_key(key);
    ids
}

impl StaticModel {
    /// The `k` most probable words that start with `prefix` and are longer, ties by id.
    pub(super) fn top_ids(&self, history: &StaticHistory, prefix: &str, k: usize) -> Vec<(u16, f32)> {
        let mut ids = self.sections.with_prefix(prefix);
        // The prefix itself, if it is a word, is the first of them.
        let whole = ids.clone();
        if self.sections.find(prefix) == Some(ids.start) && !prefix.is_empty() {
            ids.start += 1;
        }
        if k == 0 || ids.is_empty() {
            return Vec::new();
        }
        let mut m = 2 * k + 16;
        loop {
            let mut candidates = Vec::with_capacity(4 * m);
            let mut bound = history.base * self.collect_frequent(&whole, m, &mut candidates);
            for level in history.levels.iter().flatten() {
                let children = self.children_in(level, &ids);
                bound += level.weight * self.collect_children(level.order, children, m, &mut candidates);
            }
            candidates.retain(|id| ids.contains(id));
            candidates.sort_unstable();
            candidates.dedup();
            let mut top: Vec<(u16, f32)> =
                candidates.into_iter().map(|id| (id, self.prob(history, id).prob)).collect();
            top.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            top.truncate(k);
            // Slightly above the bound, as the sums round; a tie might come before in byte order.
            let exact = top.len() == k && top[k - 1].1 > bound * (1.0 + 1e-5);
            if exact || m >= ids.len() {
                return top;
            }
            m *= 4;
        }
    }

    /// Adds the `m` most frequent words of a range; returns the most that any other can have.
    fn collect_frequent(&self, range: &Range<u16>, m: usize, into: &mut Vec<u16>) -> f32 {
        let unigrams = self.sections.unigrams();
        let made;
        let list = match self.frequent.list(range) {
            Some(list) if m <= list.len() => &list[..m],
            _ => {
                made = most_frequent(unigrams, range.clone(), m);
                &made
            }
        };
        into.extend_from_slice(list);
        match list.last() {
            Some(&last) if list.len() < range.len() => unigrams[usize::from(last)],
            _ => 0.0,
        }
    }

    /// Adds the `m` children with the largest shares and those that tie with them; returns the most any other can have.
    fn collect_children(&self, order: usize, children: Range<usize>, m: usize, into: &mut Vec<u16>) -> f32 {
        let words = &self.sections.words(order)[children.clone()];
        let codes = &self.sections.codes(order)[children];
        if words.len() <= m {
            into.extend_from_slice(words);
            return 0.0;
        }
        let mut with_code = [0_u32; 256];
        for &code in codes {
            with_code[usize::from(code)] += 1;
        }
        let mut taken = 0;
        let mut worst = 0;
        for (code, &number) in with_code.iter().enumerate() {
            taken += number as usize;
            worst = code;
            if taken >= m {
                break;
            }
        }
        into.extend(
            words.iter().zip(codes).filter(|&(_, &code)| usize::from(code) <= worst).map(|(&word, _)| word),
        );
        if worst == 255 { 0.0 } else { self.probs[worst + 1] }
    }
}
