//! Writes a static model, see [`layout`](crate::layout).

use super::Stats;
use super::count::Grams;
use super::prune::Kept;
use super::smooth::{Discounts, unigrams};
use crate::layout::{self, CHECKED_FROM, HEADER, MAGIC, SECTIONS, VERSION};
use crate::{Error, ORDER};
use std::path::Path;

/// Bytes of the file without its n-grams.
pub(super) fn fixed_bytes(words: &[Box<str>]) -> u64 {
    let surfaces: usize = words.iter().map(|word| word.len()).sum();
    // Offsets, unigrams, the bits of order 1, and the padding of all sections.
    (HEADER + surfaces + (4 + 4 + 1) * (words.len() + 64) + 8 * SECTIONS) as u64
}

/// Bytes of the n-grams of orders 2 and up: 3 a node, 9 a context, and 12 for the bits of 64 nodes that may be contexts.
pub(super) fn ngram_bytes(orders: &[Grams], kept: &Kept) -> u64 {
    let mut bytes = 0;
    for (order, (grams, flags)) in (2..).zip(orders.iter().zip(&kept.flags)) {
        let nodes = flags.iter().filter(|&&kept| kept).count();
        let contexts = grams.contexts().filter(|run| flags[run.clone()].contains(&true)).count();
        let bits = if order < ORDER { 12 * nodes.div_ceil(64) } else { 0 };
        bytes += 3 * nodes + 9 * contexts + bits;
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
    starts: Vec<u32>,
    backoffs: Vec<f32>,
    evidence: Vec<u8>,
    words: Vec<u16>,
    codes: Vec<u8>,
    table: [f32; 256],
}

impl Level {
    fn new(parents: usize) -> Self {
        Self {
            has_children: vec![0; parents.div_ceil(64)],
            starts: Vec::new(),
            backoffs: Vec::new(),
            evidence: Vec::new(),
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
        self.has_children[parent as usize / 64] |= 1 << (parent % 64);
        self.starts.push(self.words.len() as u32);
        let total = counts[run.clone()].iter().map(|&count| u64::from(count)).sum::<u64>() as f32;
        let mut sum = 0.0_f64;
        let mut exact = 0.0_f64;
        let first = self.codes.len();
        for at in run.filter(|&at| flags[at]) {
            let share = discounts.apply(counts[at]) / total;
            let code = layout::prob_code(share);
            exact += f64::from(share);
            sum += f64::from(self.table[usize::from(code)]);
            self.words.push(grams.word(at));
            self.codes.push(code);
        }
        // What the rounded shares leave is the backoff weight, so the sum is one in spite of rounding. Where rounding up
        // would leave too little, round down.
        if 1.0 - sum < 0.5 * (1.0 - exact) {
            sum = 0.0;
            for code in &mut self.codes[first..] {
                *code = code.saturating_add(1);
                sum += f64::from(self.table[usize::from(*code)]);
            }
        }
        self.backoffs.push((1.0 - sum) as f32);
        self.evidence.push(layout::evidence_code(total as u32));
    }

    fn write(mut self, order: usize, sections: &mut [Vec<u8>]) {
        self.starts.push(self.words.len() as u32);
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
        sections[at.starts] = bytemuck::cast_slice(&self.starts).to_vec();
        sections[at.backoffs] = bytemuck::cast_slice(&self.backoffs).to_vec();
        sections[at.evidence] = self.evidence;
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
