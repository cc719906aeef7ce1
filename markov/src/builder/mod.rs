//! Builds a [`StaticModel`](crate::StaticModel) from a corpus.
//!
//! Interpolated Kneser-Ney with three discounts an order (Chen and Goodman 1998, "modified"), pruned to a given size.
//! Plain pruning hurts Kneser-Ney models, because their lower orders are made for what the higher ones do not cover
//! (Chelba et al. 2010). So, as Siivola et al. (2007) propose, an n-gram that is dropped hands its whole count down to
//! the next order, while one that is kept hands down a single one.

mod count;
mod prune;
mod smooth;
mod write;

use crate::layout::{END, FIRST_WORD, STARTS, UNKNOWN};
use crate::static_model::ORDER;
use crate::{Error, Role, segment};
use hashbrown::HashMap;
use std::path::Path;

/// Longer surfaces are links and keys, not words.
const MAX_SURFACE: usize = 64;

/// What a static model may hold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BuildOptions {
    /// The most surfaces in the vocabulary, at most 65,000.
    pub max_words: usize,
    /// How often a surface must occur to be in the vocabulary.
    pub min_count: u32,
    /// The largest file, in bytes. N-grams are dropped until it is small enough.
    pub max_bytes: u64,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { max_words: 65_000, min_count: 2, max_bytes: 12_000_000 }
    }
}

/// What a static model holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Surfaces in the vocabulary.
    pub words: usize,
    /// N-grams of each order, from 1.
    pub ngrams: [usize; ORDER],
    /// Bytes of the file.
    pub bytes: u64,
}

/// Collects messages, then builds the model of them. Holds four bytes a word and every distinct surface.
#[derive(Debug)]
pub struct Builder {
    options: BuildOptions,
    surfaces: HashMap<Box<str>, u32>,
    counts: Vec<u32>,
    /// Messages one after another: `START_MARK` + role, surfaces by number of first occurrence, `END_MARK`.
    tokens: Vec<u32>,
}

const END_MARK: u32 = u32::MAX;
const START_MARK: u32 = u32::MAX - 4;

impl Builder {
    /// A builder that has seen nothing.
    pub fn new(options: BuildOptions) -> Self {
        let options = BuildOptions {
            max_words: options.max_words.min(65_000),
            min_count: options.min_count.max(1),
            ..options
        };
        Self { options, surfaces: HashMap::new(), counts: Vec::new(), tokens: Vec::new() }
    }

    /// Adds one message, which is [normalised](segment::normalise) first.
    pub fn add_message(&mut self, text: &str, role: Role) {
        let normal = segment::normalise(text);
        self.tokens.push(START_MARK + role as u32);
        for surface in segment::surfaces(&normal) {
            let token = match self.surfaces.get(surface) {
                Some(&token) => token,
                None => {
                    let token = self.counts.len() as u32;
                    self.surfaces.insert(surface.into(), token);
                    self.counts.push(0);
                    token
                }
            };
            self.counts[token as usize] += 1;
            self.tokens.push(token);
        }
        self.tokens.push(END_MARK);
    }

    /// Keeps of the surfaces seen so far only those that `keep` accepts. The others are unknown to the model, as if they
    /// had been seen too rarely; what stands around them is counted.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        for (_, &token) in self.surfaces.iter().filter(|(surface, _)| !keep(surface)) {
            self.counts[token as usize] = 0;
        }
    }

    /// Builds the model and writes it to `path`, at once or not at all. `progress` is told the share done, 0 to 1.
    ///
    /// # Errors
    /// [`Error::EmptyCorpus`] if no surface occurs often enough, [`Error::Io`] if the file cannot be written.
    pub fn finish(self, path: &Path, progress: &mut dyn FnMut(f32)) -> Result<Stats, Error> {
        let max_bytes = self.options.max_bytes;
        let (words, tokens) = self.vocabulary();
        if words.is_empty() {
            return Err(Error::EmptyCorpus);
        }
        progress(0.02);
        let ids = usize::from(FIRST_WORD) + words.len();
        let orders = count::orders(&tokens, &mut |share| progress(0.02 + 0.4 * share));
        drop(tokens);
        let gains = smooth::gains(&orders, ids, &mut |share| progress(0.42 + 0.18 * share));
        let fixed = write::fixed_bytes(&words);
        let kept =
            prune::to_size(&orders, &gains, fixed, max_bytes, &mut |share| progress(0.6 + 0.35 * share));
        let stats = write::write(path, &words, &orders, &gains.discounts, &kept)?;
        progress(1.0);
        Ok(stats)
    }

    /// The words in byte order, and the corpus in ids.
    fn vocabulary(self) -> (Vec<Box<str>>, Vec<u16>) {
        let Self { options, surfaces, counts, tokens } = self;
        let mut chosen: Vec<(Box<str>, u32)> = surfaces
            .into_iter()
            .filter(|(surface, token)| {
                counts[*token as usize] >= options.min_count && surface.len() <= MAX_SURFACE
            })
            .collect();
        chosen.sort_unstable_by(|a, b| {
            counts[b.1 as usize].cmp(&counts[a.1 as usize]).then_with(|| a.0.cmp(&b.0))
        });
        chosen.truncate(options.max_words);
        chosen.sort_unstable();
        let mut ids = vec![UNKNOWN; counts.len()];
        for (id, (_, token)) in (FIRST_WORD..).zip(&chosen) {
            ids[*token as usize] = id;
        }
        let tokens = tokens.into_iter().map(|token| match token {
            END_MARK => END,
            START_MARK.. => STARTS.start + (token - START_MARK) as u16,
            _ => ids[token as usize],
        });
        (chosen.into_iter().map(|(surface, _)| surface).collect(), tokens.collect())
    }
}

#[cfg(test)]
mod tests;
