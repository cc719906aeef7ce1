//! Writes a static model, see [`layout`](crate::layout).

use super::Stats;
use super::count::Grams;
use super::prune::Kept;
use super::smooth::{Discounts, unigrams};
use crate::Error;
use crate::layout::{self, CHECKED_FROM, HEADER, LARGE, MAGIC, SECTIONS, SELECTED, VERSION};
use crate::static_model::ORDER;
use std::path::Path;

/// Bytes of the file without its n-grams.
pub(super) fn fixed_bytes(words: &[Box<str>]) -> u64 {
    let surfaces: usize = words.iter().map(|word| word.len()).sum();
    // Offsets, unigrams, the bits of order 1, and the padding of all sections.
    (HEADER + surfaces + (4 + 4 + 1) * (words.len() + 64) + 8 * SECTIONS) as u64
}

/// Bytes of the n-grams of orders 2 and up: 3 a node and its bit, 1 a context and its part of a select, 8 a large one, and
/// 12 for the bits of 64 nodes that may be contexts.
pub(super) fn ngram_bytes(orders: &[Grams], kept: &Kept) -> u64 {
    let mut bytes = 0;
    for (order, (grams, flags)) in (2..).zip(orders.iter().zip(&kept.flags)) {
        let (mut nodes, mut contexts, mut large) = (0, 0, 0);
        for run in grams.contexts() {
            let children = flags[run].iter().filter(|&&kept| kept).count();
            nodes += children;
            contexts += usize::from(children > 0);
            large += usize::from(children > LARGE);
        }
        let bits = if order < ORDER { 12 * nodes.div_ceil(64) } else { 0 };
        bytes += 3 * nodes + 8 * nodes.div_ceil(64) + bits;
        bytes += contexts + 4 * contexts.div_ceil(SELECTED) + 8 * large;
    }
    bytes as u64
}

pub(super) fn write(
    path: &Path,
    words: &[Box<str>],
    orders: &[Grams],
    discounts: &[Discounts; ORDER],
    kept: &Kept,
) -> Result<Stats, Error> {
    let mut sections = vec![Vec::new(); SECTIONS];
    let mut end = 0_u32;
    push(&mut sections[layout::OFFSETS], &end);
    for word in words {
        end += word.len() as u32;
        push(&mut sections[layout::OFFSETS], &end);
        sections[layout::SURFACES].extend_from_slice(word.as_bytes());
    }
    let unigrams = unigrams(&kept.counts[0], discounts[0]);
    sections[layout::UNIGRAMS].extend_from_slice(bytemuck::cast_slice(&unigrams));

    let mut ngrams = [0; ORDER];
    ngrams[0] = unigrams.len();
    // Where each node of the order below is in the file; those of order 1 are the ids.
    let mut places: Vec<u32> = (0..unigrams.len() as u32).collect();
    for order in 2..=ORDER {
        let grams = &orders[order - 2];
        let flags = &kept.flags[order - 2];
        let mut level = Level::new(ngrams[order - 2]);
        for run in grams.contexts().filter(|run| flags[run.clone()].contains(&true)) {
            let parent = places[grams.prefix[run.start] as usize];
            level.context(parent, grams, run, discounts[order - 1], &kept.counts[order - 1], flags);
        }
        ngrams[order - 1] = level.words.len();
        level.write(order, &mut sections);
        let mut next = 0;
        places = flags
            .iter()
            .map(|&kept| {
                next += u32::from(kept);
                next.wrapping_sub(1)
            })
            .collect();
    }
    let bytes = assemble(&sections);
    replace(path, &bytes).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    Ok(Stats { words: words.len(), ngrams, bytes: bytes.len() as u64 })
}

/// The contexts of one length and their children.
struct Level {
    has_children: Vec<u64>,
    firsts: Vec<u64>,
    selects: Vec<u32>,
    backoffs: Vec<u8>,
    large: Vec<u32>,
    sums: Vec<f32>,
    words: Vec<u16>,
    codes: Vec<u8>,
    table: [f32; 256],
}

impl Level {
    fn new(parents: usize) -> Self {
        Self {
            has_children: vec![0; parents.div_ceil(64)],
            firsts: Vec::new(),
            selects: Vec::new(),
            backoffs: Vec::new(),
            large: Vec::new(),
            sums: Vec::new(),
            words: Vec::new(),
            codes: Vec::new(),
            table: layout::prob_table(),
        }
    }

    /// Adds the kept n-grams of one context.
    fn context(
        &mut self,
        parent: u32,
        grams: &Grams,
        run: std::ops::Range<usize>,
        discounts: Discounts,
        counts: &[u32],
        flags: &[bool],
    ) {
        let first = self.words.len();
        let context = self.backoffs.len();
        self.has_children[parent as usize / 64] |= 1 << (parent % 64);
        self.firsts.resize(first / 64 + 1, 0);
        self.firsts[first / 64] |= 1 << (first % 64);
        if context.is_multiple_of(SELECTED) {
            self.selects.push(first as u32);
        }
        let total: f64 = counts[run.clone()].iter().map(|&count| f64::from(count)).sum();
        let kept = |run: std::ops::Range<usize>| run.filter(|&at| flags[at]);
        let counted = |at: usize| f64::from(discounts.apply(counts[at]));
        let most = kept(run.clone()).map(counted).fold(0.0, f64::max);
        let mut shares = 0.0;
        for at in kept(run) {
            shares += counted(at) / total;
            self.words.push(grams.words[at]);
            self.codes.push(layout::prob_code((counted(at) / most) as f32));
        }
        self.backoffs.push(layout::backoff_code(1.0 - shares));
        if self.words.len() - first > LARGE {
            self.large.push(context as u32);
            self.sums.push(self.codes[first..].iter().map(|&code| self.table[usize::from(code)]).sum());
        }
    }

    fn write(mut self, order: usize, sections: &mut [Vec<u8>]) {
        self.firsts.resize(self.words.len().div_ceil(64), 0);
        let mut before = 0;
        let rank = |bits: &u64| {
            before += bits.count_ones();
            before - bits.count_ones()
        };
        let ranks: Vec<u32> = self.has_children.iter().map(rank).collect();
        let at = layout::contexts(order - 1);
        let (words, codes) = layout::nodes(order);
        sections[at.has_children] = bytemuck::cast_slice(&self.has_children).to_vec();
        sections[at.ranks] = bytemuck::cast_slice(&ranks).to_vec();
        sections[at.firsts] = bytemuck::cast_slice(&self.firsts).to_vec();
        sections[at.selects] = bytemuck::cast_slice(&self.selects).to_vec();
        sections[at.backoffs] = self.backoffs;
        sections[at.large] = bytemuck::cast_slice(&self.large).to_vec();
        sections[at.sums] = bytemuck::cast_slice(&self.sums).to_vec();
        sections[words] = bytemuck::cast_slice(&self.words).to_vec();
        sections[codes] = self.codes;
    }
}

fn push(section: &mut Vec<u8>, value: &u32) {
    section.extend_from_slice(&value.to_le_bytes());
}

fn assemble(sections: &[Vec<u8>]) -> Vec<u8> {
    let len = HEADER + sections.iter().map(|section| section.len().next_multiple_of(8)).sum::<usize>();
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&(len as u64).to_le_bytes());
    for section in sections {
        out.extend_from_slice(&(section.len() as u64).to_le_bytes());
    }
    for section in sections {
        out.extend_from_slice(section);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let crc = crc32fast::hash(&out[CHECKED_FROM..]);
    out[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Writes beside `path` and renames, so that no reader ever sees half a file.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, path)
}
