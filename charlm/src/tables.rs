//! The character model as it lies in its file: a trie of contexts, newest character first.
//!
//! Node 0 is the empty context; a child extends its parent's context by one older symbol. Nodes are numbered level by
//! level, so the children of a node, and the symbols seen after it, are ranges that end where the next node's begin.
//!
//! ```text
//! 0  4  λ, f32            20  4  E, symbols after all contexts
//! 4  4  order             24     alphabet      u32 × A   scalar values, rising
//! 8  4  A, characters            first_child   u32 × N+1
//! 12 4  N, contexts              first_after   u32 × N+1
//! 16 4  zero                     escape        u16 × N   the share of 65,536 that goes to the shorter context
//!                                share         u16 × E   the share of each symbol seen after the context
//!                                child         u8 × N    the symbol by which a node extends its parent
//!                                after         u8 × E
//! ```

use std::{ops::Range, path::Path};

use crate::{
    Error,
    delta::Seen,
    file::{self, Bytes, Kind},
};

pub(crate) const KIND: Kind = Kind { magic: *b"FTCHARNG", version: 1, name: "character model" };
/// Shares are stored in 1/65,536, and those of a context sum to exactly 1 with its escape.
pub(crate) const WHOLE: u32 = 1 << 16;
/// The end of a word; as an older symbol of a context it stands for "nothing", and no node has it.
pub(crate) const END: u8 = 0;
/// Any character outside the alphabet.
pub(crate) const OTHER: u8 = 1;
/// The start of a word; only ever part of a context.
pub(crate) const START: u8 = 2;
/// The symbol of the first character of the alphabet.
pub(crate) const FIRST: u8 = 3;
/// So many characters have a symbol of their own at most.
pub(crate) const LARGEST_ALPHABET: usize = 256 - FIRST as usize;
/// A context is packed into a u64 with one byte to spare.
pub(crate) const HIGHEST_ORDER: u32 = 8;

const HEADER: usize = 24;

/// Everything a file holds, before it is written.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    pub(crate) order: u32,
    pub(crate) alphabet: Vec<u32>,
    pub(crate) first_child: Vec<u32>,
    pub(crate) first_after: Vec<u32>,
    pub(crate) escape: Vec<u16>,
    pub(crate) share: Vec<u16>,
    pub(crate) child: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

impl Trie {
    /// The size of the file's body in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let words = self.alphabet.len() + self.first_child.len() + self.first_after.len();
        HEADER + 4 * words + 2 * (self.escape.len() + self.share.len()) + self.child.len() + self.after.len()
    }

    pub(crate) fn write(&self, path: &Path, lambda: f32) -> Result<(), Error> {
        let mut body = Vec::with_capacity(self.bytes());
        body.extend_from_slice(&lambda.to_le_bytes());
        for number in
            [self.order, self.alphabet.len() as u32, self.escape.len() as u32, 0, self.share.len() as u32]
        {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(bytemuck::cast_slice(&self.alphabet));
        body.extend_from_slice(bytemuck::cast_slice(&self.first_child));
        body.extend_from_slice(bytemuck::cast_slice(&self.first_after));
        body.extend_from_slice(bytemuck::cast_slice(&self.escape));
        body.extend_from_slice(bytemuck::cast_slice(&self.share));
        body.extend_from_slice(&self.child);
        body.extend_from_slice(&self.after);
        file::write(path, KIND, &body)
    }
}

/// An open file: its numbers, and where its arrays lie.
#[derive(Debug)]
pub(crate) struct Layout {
    body: Bytes,
    pub(crate) lambda: f32,
    pub(crate) alphabet: Vec<char>,
    contexts: usize,
    afters: usize,
}

impl Layout {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let body = file::open(path, KIND)?;
        let bad = |reason: &str| Error::corrupt(path, reason);
        let head: &[u8] = body.as_ref().get(..HEADER).ok_or_else(|| bad("its header is missing"))?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (lambda, order) = (f32::from_bits(number(0)), number(4));
        let (letters, contexts, afters) = (number(8) as usize, number(12) as usize, number(20) as usize);
        let length = HEADER as u64 + 4 * letters as u64 + 11 * contexts as u64 + 8 + 3 * afters as u64;
        if !(0.0..1.0).contains(&lambda) || !(1..=HIGHEST_ORDER).contains(&order) {
            return Err(bad("its weight or its order is out of range"));
        }
        if letters > LARGEST_ALPHABET || contexts == 0 || length != body.as_ref().len() as u64 {
            return Err(bad("its tables have other sizes than stated"));
        }
        let mut layout = Self { lambda, alphabet: Vec::new(), contexts, afters, body };
        let alphabet: &[u32] = layout.cast(HEADER..HEADER + 4 * letters);
        let alphabet: Option<Vec<char>> = alphabet.iter().map(|&c| char::from_u32(c)).collect();
        layout.alphabet = alphabet
            .filter(|all| all.is_sorted_by(|a, b| a < b))
            .ok_or_else(|| bad("its alphabet is not one of rising characters"))?;
        layout.tables().check(layout.alphabet.len()).map_err(bad)?;
        Ok(layout)
    }

    fn cast<T: bytemuck::AnyBitPattern>(&self, range: Range<usize>) -> &[T] {
        bytemuck::cast_slice(&self.body.as_ref()[range])
    }

    /// The arrays; taken once per question, since a mapped file is only bytes.
    pub(crate) fn tables(&self) -> Tables<'_> {
        let (n, e) = (self.contexts, self.afters);
        let child = HEADER + 4 * self.alphabet.len();
        let after = child + 4 * (n + 1);
        let escape = after + 4 * (n + 1);
        let share = escape + 2 * n;
        let symbols = share + 2 * e;
        Tables {
            base: 1.0 / (self.alphabet.len() + 2) as f64,
            first_child: self.cast(child..after),
            first_after: self.cast(after..escape),
            escape: self.cast(escape..share),
            share: self.cast(share..symbols),
            child: self.cast(symbols..symbols + n),
            after: self.cast(symbols + n..symbols + n + e),
        }
    }
}

/// The arrays of an open file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'a> {
    /// The probability of each symbol before any context: uniform over the alphabet, [`OTHER`] and [`END`].
    base: f64,
    first_child: &'a [u32],
    first_after: &'a [u32],
    escape: &'a [u16],
    share: &'a [u16],
    child: &'a [u8],
    after: &'a [u8],
}

impl Tables<'_> {
    /// P(symbol | context) = share + escape · P(symbol | the context without its oldest symbol); what a writer's words have
    /// after a context is weighed in before the next longer one.
    pub(crate) fn prob(&self, context: u64, symbol: u8, seen: &Seen<'_>) -> f64 {
        let mut nodes = self.chain(context);
        (0..HIGHEST_ORDER as usize).fold(self.base, |shorter, length| {
            let prob = nodes.next().map_or(shorter, |node| {
                let after = self.afters(node);
                let known = self.after[after.clone()].binary_search(&symbol);
                let share = known.map_or(0, |i| self.share[after.start + i]);
                (f64::from(self.escape[node]) * shorter + f64::from(share)) / f64::from(WHOLE)
            });
            seen.prob(length, symbol, prob)
        })
    }

    /// P(symbol | context) for each symbol; 0 for [`START`] and for what is beyond an alphabet of `letters`.
    pub(crate) fn distribution(&self, context: u64, letters: usize, seen: &Seen<'_>) -> [f32; 256] {
        let symbols = letters + usize::from(FIRST);
        let mut nodes = [None; HIGHEST_ORDER as usize];
        nodes.iter_mut().zip(self.chain(context)).for_each(|(slot, node)| *slot = Some(node));
        // Longest first, so that each share is weighed once instead of with every longer context.
        let mut all = [0.0; 256];
        let mut weight = 1.0;
        for (length, node) in nodes.into_iter().enumerate().rev() {
            weight = seen.add(length, weight, &mut all);
            if let Some(node) = node {
                let share = weight / WHOLE as f32;
                for i in self.afters(node) {
                    all[usize::from(self.after[i])] += share * f32::from(self.share[i]);
                }
                weight = share * f32::from(self.escape[node]);
            }
        }
        let base = weight * self.base as f32;
        all[..symbols].iter_mut().for_each(|p| *p += base);
        all[usize::from(START)] = 0.0;
        all
    }

    /// The nodes of a context's suffixes, shortest first, as far as the trie knows them.
    fn chain(&self, mut context: u64) -> impl Iterator<Item = usize> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let node = next?;
            let children = self.first_child[node] as usize..self.first_child[node + 1] as usize;
            next =
                self.child[children.clone()].binary_search(&(context as u8)).ok().map(|i| children.start + i);
            context >>= 8;
            Some(node)
        })
    }

    fn afters(&self, node: usize) -> Range<usize> {
        self.first_after[node] as usize..self.first_after[node + 1] as usize
    }

    /// Whether the arrays are a trie whose every context sums to one: after this no question can go out of bounds.
    fn check(&self, letters: usize) -> Result<(), &'static str> {
        let contexts = self.escape.len();
        let rising = |all: &[u32], first: u32, last: usize| {
            all.first() == Some(&first) && all.is_sorted() && all.last() == Some(&(last as u32))
        };
        if !rising(self.first_child, 1, contexts) || !rising(self.first_after, 0, self.share.len()) {
            return Err("its ranges overlap");
        }
        for node in 0..contexts {
            let children = self.first_child[node] as usize..self.first_child[node + 1] as usize;
            if children.start <= node || !self.child[children.clone()].is_sorted_by(|a, b| a < b) {
                return Err("its contexts are out of order");
            }
            if self.child[children]
                .iter()
                .any(|&s| s == END || usize::from(s) >= letters + usize::from(FIRST))
            {
                return Err("a context has a symbol outside the alphabet");
            }
            let after = self.afters(node);
            let known = |&s: &u8| s != START && usize::from(s) < letters + usize::from(FIRST);
            if !self.after[after.clone()].iter().all(known)
                || !self.after[after.clone()].is_sorted_by(|a, b| a < b)
            {
                return Err("its symbols are out of order");
            }
            let sum: u32 = self.share[after].iter().map(|&s| u32::from(s)).sum();
            if self.escape[node] == 0 || sum + u32::from(self.escape[node]) != WHOLE {
                return Err("the probabilities of a context do not sum to one");
            }
        }
        Ok(())
    }
}
