//! A model of a corpus: one file, made by [`Builder`](crate::Builder), mapped into memory, never changed.

mod mapped;
mod predict;
mod sections;
mod top;
mod validate;

use crate::layout::FIRST_WORD;
use crate::{Error, Stats};
pub use predict::StaticHistory;
use sections::Sections;
use std::path::Path;

/// The length of its longest n-grams: four words of history and the next one.
pub(crate) const ORDER: usize = 5;

/// An n-gram model of a corpus. Opening costs some milliseconds and memory for the unigrams only; the n-grams stay in
/// the page cache, shared by all processes that map the file.
#[derive(Debug)]
pub struct StaticModel {
    sections: Sections,
    /// What a share's code stands for.
    probs: [f32; 256],
    /// What a backoff's code stands for.
    backoffs: [f32; 256],
    /// The sum of the unigrams before each word.
    unigrams_before: Vec<f64>,
    /// The most frequent words of prefixes that very many words share.
    frequent: top::Frequent,
}

impl StaticModel {
    /// Opens and checks the whole file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Corrupt`] if it is not a model of this version or anything in
    /// it is not as it must be. Both name the file and the way out.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let map = mapped::map(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let corrupt = |reason| Error::Corrupt { path: path.to_owned(), reason };
        let mut sections = Sections::new(map).map_err(corrupt)?;
        validate::validate(&sections).map_err(corrupt)?;
        sections.index();
        let mut sum = 0.0;
        let unigrams_before = std::iter::once(0.0)
            .chain(sections.unigrams()[FIRST_WORD.into()..].iter().map(|&prob| {
                sum += f64::from(prob);
                sum
            }))
            .collect();
        let mut model = Self {
            sections,
            probs: crate::layout::prob_table(),
            backoffs: crate::layout::backoff_table(),
            unigrams_before,
            frequent: top::Frequent::default(),
        };
        model.frequent = top::Frequent::new(&model.sections);
        Ok(model)
    }

    /// What the file holds.
    pub fn stats(&self) -> Stats {
        let ngrams = std::array::from_fn(|at| match at {
            0 => self.sections.unigrams().len(),
            _ => self.sections.words(at + 1).len(),
        });
        debug_assert_eq!(ngrams.len(), ORDER);
        Stats { words: self.sections.vocabulary_len(), ngrams, bytes: self.sections.file_len() as u64 }
    }
}

#[cfg(test)]
mod tests;
