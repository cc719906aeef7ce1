//! Words of the conversation that the model does not know.

use std::sync::Arc;

use super::vocabulary::{FRESH, NONE, WordId};

/// A few hundred at most: looked for one after the other, by hash.
#[derive(Clone, Debug, Default)]
pub(super) struct FreshWords {
    hashes: Vec<u32>,
    surfaces: Vec<Arc<str>>,
}

impl FreshWords {
    /// The id of a word with its hash, if it is there.
    pub(super) fn find(&self, surface: &str, hash: u32) -> Option<WordId> {
        let same = |&at: &usize| self.hashes[at] == hash && *self.surfaces[at] == *surface;
        (0..self.hashes.len()).find(same).map(|at| FRESH + at as WordId)
    }

    /// The id of a word with its hash, which is added if it is not there.
    pub(super) fn intern(&mut self, surface: &str, hash: u32) -> WordId {
        self.find(surface, hash).unwrap_or_else(|| {
            if self.hashes.len() >= usize::from(NONE - FRESH) {
                return NONE;
            }
            self.hashes.push(hash);
            self.surfaces.push(surface.into());
            FRESH + (self.hashes.len() - 1) as WordId
        })
    }

    /// The surface of an id from [`FRESH`] on; empty for one that was not given out.
    pub(super) fn surface(&self, id: WordId) -> &str {
        self.surfaces.get(usize::from(id - FRESH)).map_or("", |surface| surface)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = WordId> {
        (0..self.hashes.len()).map(|at| FRESH + at as WordId)
    }
}
