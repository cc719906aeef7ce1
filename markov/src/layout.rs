//! The file of a static model: what the builder writes and the model reads.
//!
//! Little endian. A header of magic, version, CRC-32 of all that follows it, zero, and the length of the file (u64); then
//! the lengths in bytes of all sections (u64 each); then the sections, each padded to a multiple of 8 bytes:
//!
//! | section | element | what |
//! |---|---|---|
//! | `OFFSETS` | u32 | where each word's surface starts, and the end of the last |
//! | `SURFACES` | u8 | the surfaces one after another, in byte order |
//! | `UNIGRAMS` | f32 | P(id) for each id |
//! | `has_children`, `ranks` | u64, u32 | for each 64 nodes: which are contexts, and how many contexts come before |
//! | `firsts` | u64 | which nodes of the next order are the first child of their context |
//! | `selects` | u32 | where the first child of every [`SELECTED`]th context is |
//! | `backoffs` | u8 | [`backoff_code`] of the weight of the shorter context |
//! | `large`, `sums` | u32, f32 | the contexts of more than [`LARGE`] children, and the sums of their shares |
//! | `words`, `codes` | u16, u8 | the nodes of an order: the id of the last word, and [`prob_code`] of its share |
//!
//! The n-grams are a trie by words from the oldest on. The nodes of order 1 are the ids themselves; those of the next
//! orders lie in the order of their parents, siblings by id. As ids of words are in byte order of their surfaces, the
//! words with a given prefix are a range of ids, hence a slice of the children of any context.
//!
//! Shares are relative: the children of a context have 1 - backoff together, each in proportion to its share. So they sum
//! to one whatever rounding does, an only child is exact, and a context takes a byte and some bits.

use crate::static_model::ORDER;

pub(crate) const MAGIC: [u8; 4] = *b"FTNG";
pub(crate) const VERSION: u32 = 2;

/// The end of a message.
pub(crate) const END: u16 = 0;
/// A word outside the vocabulary.
pub(crate) const UNKNOWN: u16 = 1;
/// The start of a message by an author, agent or customer; only in histories.
pub(crate) const STARTS: std::ops::Range<u16> = 2..5;
/// The id of the first word.
pub(crate) const FIRST_WORD: u16 = 5;

pub(crate) const OFFSETS: usize = 0;
pub(crate) const SURFACES: usize = 1;
pub(crate) const UNIGRAMS: usize = 2;
/// Sections about the contexts of one length.
const CONTEXT_SECTIONS: usize = 7;
/// Number of sections.
pub(crate) const SECTIONS: usize = 3 + CONTEXT_SECTIONS * (ORDER - 1) + 2 * (ORDER - 1);
/// Bytes before the first section.
pub(crate) const HEADER: usize = 24 + 8 * SECTIONS;
/// The checksum covers the file from here on.
pub(crate) const CHECKED_FROM: usize = 12;

/// The sections about contexts of `len` words, 1 to `ORDER - 1`.
pub(crate) struct ContextSections {
    pub(crate) has_children: usize,
    pub(crate) ranks: usize,
    pub(crate) firsts: usize,
    pub(crate) selects: usize,
    pub(crate) backoffs: usize,
    pub(crate) large: usize,
    pub(crate) sums: usize,
}

pub(crate) const fn contexts(len: usize) -> ContextSections {
    let at = 3 + CONTEXT_SECTIONS * (len - 1);
    ContextSections {
        has_children: at,
        ranks: at + 1,
        firsts: at + 2,
        selects: at + 3,
        backoffs: at + 4,
        large: at + 5,
        sums: at + 6,
    }
}

/// One in so many contexts says where its children start; of those between, the bits are counted.
pub(crate) const SELECTED: usize = 32;
/// The shares of contexts with more children than this are summed when the model is built, those of others when asked.
pub(crate) const LARGE: usize = 64;

/// The sections `words` and `codes` of the n-grams of `order`, 2 to `ORDER`.
pub(crate) const fn nodes(order: usize) -> (usize, usize) {
    let at = 3 + CONTEXT_SECTIONS * (ORDER - 1) + 2 * (order - 2);
    (at, at + 1)
}

/// A step of [`prob_code`]: 255 of them reach from 1 to about 1e-7.
const STEP: f32 = 0.0632;

/// Nats below 1 in steps, to the nearest: within 3.2 %.
pub(crate) fn prob_code(prob: f32) -> u8 {
    (-prob.ln() / STEP).round().clamp(0.0, 255.0) as u8
}

/// What each code stands for.
pub(crate) fn prob_table() -> [f32; 256] {
    std::array::from_fn(|code| (-(code as f32) * STEP).exp())
}

/// Steps of [`backoff_code`] from 1e-5 to 1 - 1e-3, where what is left for the children matters as much.
const LOGIT_STEP: f64 = 0.0723;
const LEAST_LOGIT: f64 = -11.5;

/// The log-odds of a backoff weight: it and its complement within 3.7 %.
pub(crate) fn backoff_code(backoff: f64) -> u8 {
    let logit = (backoff / (1.0 - backoff)).ln();
    ((logit - LEAST_LOGIT) / LOGIT_STEP).round().clamp(0.0, 255.0) as u8
}

/// What each code stands for.
pub(crate) fn backoff_table() -> [f32; 256] {
    std::array::from_fn(|code| {
        let logit = code as f64 * LOGIT_STEP + LEAST_LOGIT;
        (1.0 / (1.0 + (-logit).exp())) as f32
    })
}
