//! Modified Kneser-Ney estimation (Chen and Goodman 1999, equations 25 and 26) of the trie of contexts.
//!
//! Sorted events make it a walk over ranges: all events of one context lie together, and inside that range all events
//! of each longer context do.

use std::ops::Range;

use crate::tables::{END, START, Trie, WHOLE};

/// One symbol in its context. As a number it sorts by the newest symbol of the context, then the older ones, then itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event(u64);

impl Event {
    /// `context` holds the symbols before, the newest in the lowest byte; seven of them count.
    pub(crate) fn new(context: u64, symbol: u8) -> Self {
        Self(context.swap_bytes() >> 8 << 8 | u64::from(symbol))
    }

    /// The symbol `back` places before the newest of the context; [`END`] where the context is not that long.
    fn older(self, back: usize) -> u8 {
        (self.0 >> (56 - 8 * back)) as u8
    }

    fn symbol(self) -> u8 {
        self.0 as u8
    }
}

/// How often each symbol was seen after a context.
type Counts = [u32; 256];
/// What is taken from counts of 1, 2, and 3 or more.
type Discounts = [f64; 3];

/// A context of `length` symbols: where its events are, and its oldest symbol.
#[derive(Debug, Clone)]
struct Context {
    range: Range<usize>,
    length: usize,
    oldest: u8,
}

/// All events of a corpus, sorted, with the discounts for each length of context.
#[derive(Debug)]
pub(crate) struct Events {
    order: u32,
    events: Vec<Event>,
    discounts: Vec<Discounts>,
}

impl Events {
    pub(crate) fn new(order: u32, mut events: Vec<Event>) -> Self {
        events.sort_unstable();
        let mut all = Self { order, events, discounts: Vec::new() };
        let mut counts_of_counts = vec![[0_u32; 5]; order as usize];
        for context in &all.contexts(1).0 {
            for count in all.counts(context).into_iter().filter(|&n| (1..=4).contains(&n)) {
                counts_of_counts[context.length][count as usize] += 1;
            }
        }
        all.discounts = counts_of_counts.iter().map(discounts).collect();
        all
    }

    /// The model with all contexts that were seen at least `least` times.
    pub(crate) fn trie(&self, alphabet: &[char], least: usize) -> Trie {
        let (contexts, first_child) = self.contexts(least);
        let alphabet = alphabet.iter().map(|&c| c.into()).collect();
        let mut trie =
            Trie { order: self.order, alphabet, first_child, first_after: vec![0], ..Trie::default() };
        for context in &contexts {
            trie.child.push(context.oldest);
            append(&mut trie, &self.counts(context), &self.discounts[context.length]);
        }
        trie
    }

    /// All contexts level by level, each level sorted as the one above, and where the children of each begin.
    fn contexts(&self, least: usize) -> (Vec<Context>, Vec<u32>) {
        let mut contexts = vec![Context { range: 0..self.events.len(), length: 0, oldest: END }];
        let mut first_child = Vec::new();
        while let Some(context) = contexts.get(first_child.len()).cloned() {
            first_child.push(contexts.len() as u32);
            let length = context.length + 1;
            if length < self.order as usize {
                let longer = self
                    .extensions(&context)
                    .filter(|(oldest, range)| *oldest != END && range.len() >= least);
                contexts.extend(longer.map(|(oldest, range)| Context { range, length, oldest }));
            }
        }
        first_child.push(contexts.len() as u32);
        (contexts, first_child)
    }

    /// The older symbols before a context, each with its events.
    fn extensions(&self, context: &Context) -> impl Iterator<Item = (u8, Range<usize>)> {
        let Range { mut start, end } = context.range;
        let back = context.length;
        std::iter::from_fn(move || {
            let oldest = self.events[start..end].first()?.older(back);
            let from = start;
            start += self.events[start..end].partition_point(|e| e.older(back) == oldest);
            Some((oldest, from..start))
        })
    }

    /// For the longest contexts, and those that begin with the word, how often each symbol followed; for the others
    /// after how many *different* older symbols it did, because that is when a model asks for the shorter context.
    fn counts(&self, context: &Context) -> Counts {
        let mut counts = [0; 256];
        if context.length + 1 == self.order as usize || context.oldest == START {
            self.events[context.range.clone()].iter().for_each(|e| counts[usize::from(e.symbol())] += 1);
            return counts;
        }
        for (_, range) in self.extensions(context) {
            let mut seen = [false; 256];
            self.events[range].iter().for_each(|e| seen[usize::from(e.symbol())] = true);
            counts.iter_mut().zip(seen).for_each(|(count, seen)| *count += u32::from(seen));
        }
        counts
    }
}

/// Chen and Goodman's estimates from how many counts are 1, 2, 3 and 4, kept where they make sense for few words.
fn discounts(n: &[u32; 5]) -> Discounts {
    let n = n.map(f64::from);
    let y = n[1] / (n[1] + 2.0 * n[2]).max(1.0);
    let of = |k: usize| k as f64 - (k + 1) as f64 * y * n[k + 1] / n[k].max(1.0);
    [of(1).clamp(0.3, 0.95), of(2).clamp(0.5, 1.5), of(3).clamp(0.7, 2.0)]
}

/// Appends what one context says. Rounding down leaves a little more to the shorter context, never less.
fn append(trie: &mut Trie, counts: &Counts, discounts: &Discounts) {
    let total: f64 = counts.iter().map(|&n| f64::from(n)).sum();
    let mut escape = WHOLE;
    for (symbol, &count) in counts.iter().enumerate().filter(|&(_, &n)| n > 0) {
        let p = (f64::from(count) - discounts[count.min(3) as usize - 1]) / total;
        let share = (p * f64::from(WHOLE)) as u32;
        if share > 0 {
            escape -= share;
            trie.after.push(symbol as u8);
            trie.share.push(share as u16);
        }
    }
    // The commonest of 256 symbols keeps (1 − 0.95)/256 at the least, so the escape is below 65,536.
    trie.escape.push(escape as u16);
    trie.first_after.push(trie.after.len() as u32);
}
