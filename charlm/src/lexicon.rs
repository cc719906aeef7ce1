//! The words of a corpus, sorted, with their weights.

use std::{cmp::Reverse, fmt, path::Path};

use fst::raw::{CompiledAddr, Fst, Node};

use crate::{
    Error,
    file::{self, Bytes, Kind},
};

pub(crate) const KIND: Kind = Kind { magic: *b"FTLEXICO", version: 1, name: "lexicon" };
/// Of a weight's 16 bits the highest says that the surface may be suggested, the others are its log count.
pub(crate) const SUGGESTIBLE: u16 = 1 << 15;
/// Steps per doubling of a count: a count is kept to 0.04 %.
pub(crate) const STEPS: f64 = 1024.0;
/// Surfaces whose highest weight is kept, so that the best of any range are found without looking at all of it.
const BLOCK: usize = 64;

/// A prefix in the lexicon: its node, and the numbers of the surfaces that start with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    node: CompiledAddr,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// The surfaces of a corpus with their relative weights; a perfect hash (FST) numbers them in byte order.
///
/// All that starts with a prefix is one range of numbers, so cumulative sums give its exact mass, and the highest
/// weights of blocks its best words, for short prefixes as for long ones.
pub struct Lexicon {
    fst: Fst<Bytes>,
    weights: Vec<u16>,
    /// `cumulative[i]` is the total weight of the surfaces before the i-th.
    cumulative: Vec<f64>,
    /// The highest weight of each [`BLOCK`] surfaces.
    highest: Vec<u16>,
}

impl Lexicon {
    /// Opens a file that a [`LexiconBuilder`](crate::LexiconBuilder) wrote.
    ///
    /// # Errors
    /// [`Error::Read`] if it cannot be read, [`Error::Corrupt`] if it is not an intact lexicon.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let body = file::open(path, KIND)?;
        let truncated = || Error::corrupt(path, "a section is missing");
        let words: [u8; 4] = body.as_ref().get(..4).and_then(|b| b.try_into().ok()).ok_or_else(truncated)?;
        let fst_at = (u32::from_le_bytes(words) as usize).checked_mul(2).and_then(|n| n.checked_add(8));
        let fst_at = fst_at.filter(|&at| at <= body.as_ref().len()).ok_or_else(truncated)?;
        let weights: Vec<u16> =
            body.as_ref()[8..fst_at].chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        let fst = body.slice(fst_at..body.as_ref().len()).ok_or_else(truncated)?;
        let fst = Fst::new(fst).map_err(|e| Error::corrupt(path, e.to_string()))?;
        if fst.len() != weights.len() || weights.is_empty() {
            return Err(Error::corrupt(path, format!("{} words but {} weights", fst.len(), weights.len())));
        }
        let mut cumulative = Vec::with_capacity(weights.len() + 1);
        let mut sum = 0.0;
        cumulative.push(sum);
        cumulative.extend(weights.iter().map(|&w| {
            sum += (f64::from(w & !SUGGESTIBLE) / STEPS).exp2();
            sum
        }));
        let highest = weights.chunks(BLOCK).filter_map(|b| b.iter().copied().max()).collect();
        Ok(Self { fst, weights, cumulative, highest })
    }

    /// How many surfaces are listed; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a builder refuses to write an empty lexicon")]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether the surface is listed.
    pub fn contains(&self, surface: &str) -> bool {
        self.ordinal(surface).is_some()
    }

    /// The relative weight of a surface: 0 if it is not listed; all together sum to 1.
    pub fn prob(&self, surface: &str) -> f32 {
        self.ordinal(surface).map_or(0.0, |i| self.weight(i))
    }

    /// The probability of all surfaces that start with `prefix`, itself included: 1 for the empty prefix.
    pub fn mass(&self, prefix: &str) -> f32 {
        self.range(prefix).map_or(0.0, |(from, to, _)| self.share(from, to)) as f32
    }

    /// The `k` likeliest [suggestible](crate::suggestible) surfaces that start with `prefix` and are longer than it, with
    /// their probabilities ([`prob`](Self::prob)): best first, ties in byte order.
    pub fn top(&self, prefix: &str, k: usize) -> Vec<(String, f32)> {
        let Some((from, to, listed)) = self.range(prefix) else { return Vec::new() };
        self.best(from + usize::from(listed), to, k)
            .into_iter()
            .filter_map(|i| Some((self.surface(i)?, self.weight(i))))
            .collect()
    }

    /// The surface of this number.
    pub(crate) fn surface(&self, ordinal: usize) -> Option<String> {
        String::from_utf8(self.fst.get_key(ordinal as u64)?).ok()
    }

    /// The relative weight of the surface of this number.
    pub(crate) fn weight(&self, ordinal: usize) -> f32 {
        self.share(ordinal, ordinal + 1) as f32
    }

    fn share(&self, from: usize, to: usize) -> f64 {
        (self.cumulative[to] - self.cumulative[from]) / self.cumulative[self.weights.len()]
    }

    /// The number of a listed surface, in byte order from 0.
    pub(crate) fn ordinal(&self, surface: &str) -> Option<usize> {
        let i = self.fst.get(surface.as_bytes())?.value() as usize;
        (i < self.len()).then_some(i)
    }

    /// The numbers `from..to` of the surfaces that start with `prefix`, and whether the first is the prefix itself.
    ///
    /// Numbers rise in byte order, and the FST moves them as far to the front as it can: the sum along the path to a
    /// node is the number of the first surface below it, and following last transitions leads to the last one.
    fn range(&self, prefix: &str) -> Option<(usize, usize, bool)> {
        let mut node = self.fst.root();
        let mut first = 0;
        for &byte in prefix.as_bytes() {
            let step = node.transition(node.find_input(byte)?);
            first += step.out.value();
            node = self.fst.node(step.addr);
        }
        let listed = node.is_final();
        let (from, to) = (first as usize, self.last(node, first) as usize + 1);
        (from < to && to <= self.len()).then_some((from, to, listed))
    }

    /// The empty prefix.
    pub(crate) fn root(&self) -> Place {
        Place { node: self.fst.root().addr(), from: 0, to: self.len() }
    }

    /// The relative weight of all surfaces at a place.
    pub(crate) fn share_of(&self, place: Place) -> f32 {
        self.share(place.from, place.to) as f32
    }

    /// The place one character on.
    pub(crate) fn child(&self, place: Place, c: char) -> Option<Place> {
        c.encode_utf8(&mut [0; 4]).bytes().try_fold(place, |place, byte| {
            let node = self.fst.node(place.node);
            Some(self.below(place, &node, node.find_input(byte)?))
        })
    }

    /// All places one character on, in byte order.
    pub(crate) fn children(&self, place: Place, children: &mut Vec<(char, Place)>) {
        self.each_byte(place, 0, &mut [0; 4], children);
    }

    /// Follows bytes until they are a character: a surface is UTF-8, so four levels are enough.
    fn each_byte(&self, place: Place, length: usize, utf8: &mut [u8; 4], children: &mut Vec<(char, Place)>) {
        let node = self.fst.node(place.node);
        for i in 0..node.len() {
            utf8[length] = node.transition(i).inp;
            let below = self.below(place, &node, i);
            match std::str::from_utf8(&utf8[..=length]) {
                Ok(c) => children.extend(c.chars().map(|c| (c, below))),
                Err(_) if length < 3 => self.each_byte(below, length + 1, utf8, children),
                Err(_) => {}
            }
        }
    }

    /// Where the i-th transition leads: its surfaces end where those of the next one begin.
    fn below(&self, place: Place, node: &Node<'_>, i: usize) -> Place {
        let first = |i: usize| (place.from + node.transition(i).out.value() as usize).min(place.to);
        let (from, to) = (first(i), if i + 1 < node.len() { first(i + 1) } else { place.to });
        Place { node: node.transition(i).addr, from, to: to.max(from) }
    }

    fn last<'a>(&'a self, mut node: Node<'a>, mut number: u64) -> u64 {
        while let Some(i) = node.len().checked_sub(1) {
            let step = node.transition(i);
            number += step.out.value();
            node = self.fst.node(step.addr);
        }
        number + if node.is_final() { node.final_output().value() } else { 0 }
    }

    /// The numbers of the k highest suggestible weights in `from..to`.
    pub(crate) fn best(&self, from: usize, to: usize, k: usize) -> Vec<usize> {
        let mut best: Vec<(Reverse<u16>, usize)> = Vec::with_capacity(k.min(to.saturating_sub(from)) + 1);
        let mut floor = SUGGESTIBLE - 1;
        let mut at = from;
        while at < to && k > 0 {
            let block = at / BLOCK;
            let end = to.min((block + 1) * BLOCK);
            if self.highest[block] > floor {
                for i in at..end {
                    let weight = self.weights[i];
                    if weight > floor {
                        let place = best.partition_point(|&b| b < (Reverse(weight), i));
                        best.insert(place, (Reverse(weight), i));
                        best.truncate(k);
                        if best.len() == k {
                            floor = best[k - 1].0.0;
                        }
                    }
                }
            }
            at = end;
        }
        best.into_iter().map(|(_, i)| i).collect()
    }
}

impl fmt::Debug for Lexicon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lexicon").field("surfaces", &self.len()).finish_non_exhaustive()
    }
}
