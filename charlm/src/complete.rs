//! Words nobody listed: best-first search through the character n-gram.

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::{
    AdaptedChars,
    adapted::extend,
    suggestible::{suggestible, word_part},
    tables::{END, FIRST},
};

/// A prefix longer than this is no word in the making; without a limit a hostile one would make the search dear.
const LONGEST_PREFIX: usize = 32;
/// ln of the least share of the prefix's mass that is followed: below 1 in 1,000 nothing is worth showing.
const LEAST_SHARE: f32 = -6.9;

/// A string being spelled; its text is read back along the parents.
#[derive(Debug, Clone, Copy)]
struct Spelled {
    parent: u32,
    symbol: u8,
    context: u64,
}

/// An open end of the search, ordered by probability, then oldest first so that runs repeat.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    log: f32,
    ended: bool,
    at: u32,
}

impl Eq for Open {}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.log.total_cmp(&other.log).then(other.at.cmp(&self.at)).then(self.ended.cmp(&other.ended))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl AdaptedChars<'_> {
    /// As [`CharNgram::complete`](crate::CharNgram::complete).
    pub fn complete(&self, prefix: &str, k: usize, beam: usize) -> Vec<(String, f32)> {
        self.complete_if(prefix, k, beam, f32::NEG_INFINITY, |_| true)
    }

    /// As [`complete`](Self::complete), with only the words of a log-probability above `floor` that `wanted` lets pass.
    pub(crate) fn complete_if(
        &self,
        prefix: &str,
        k: usize,
        beam: usize,
        floor: f32,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<(String, f32)> {
        let mut words = Vec::new();
        // Of an identifier the word at its end is completed; what stands before was typed.
        let typed = prefix.len() - word_part(prefix).len();
        if prefix.chars().nth(LONGEST_PREFIX).is_some() || k == 0 {
            return words;
        }
        let letters = self.chars().letters();
        let (log, context) = self.walk(prefix);
        let start = log as f32;
        let floor = floor.max(start + LEAST_SHARE);
        let mut spelled = vec![Spelled { parent: 0, symbol: END, context }];
        let mut open = BinaryHeap::from([Open { log: start, ended: false, at: 0 }]);
        let mut extended = 0;
        while let Some(best) = open.pop() {
            if best.ended {
                let word = self.text(prefix, &spelled, best.at);
                if suggestible(&word[typed..]) && wanted(&word) {
                    words.push((word, best.log.exp()));
                    if words.len() == k {
                        break;
                    }
                }
                continue;
            }
            if extended == beam {
                // Strings that have ended cost nothing more, so they are still taken.
                continue;
            }
            extended += 1;
            let from = spelled[best.at as usize];
            let next = self.distribution(from.context);
            let end = best.log + next[usize::from(END)].ln();
            if best.at > 0 && end > floor {
                open.push(Open { log: end, ended: true, at: best.at });
            }
            let least = (floor - best.log).exp();
            for (i, &p) in next[usize::from(FIRST)..].iter().enumerate().take(letters.len()) {
                if p > least && letters[i] {
                    let symbol = FIRST + i as u8;
                    let at = spelled.len() as u32;
                    spelled.push(Spelled { parent: best.at, symbol, context: extend(from.context, symbol) });
                    open.push(Open { log: best.log + p.ln(), ended: false, at });
                }
            }
        }
        words
    }

    fn text(&self, prefix: &str, spelled: &[Spelled], mut at: u32) -> String {
        let mut typed = Vec::new();
        while at > 0 {
            let step = spelled[at as usize];
            typed.extend(self.chars().char(step.symbol));
            at = step.parent;
        }
        prefix.chars().chain(typed.into_iter().rev()).collect()
    }
}
