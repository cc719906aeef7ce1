//! Where to search, and what for.

use crate::boundary::End;

/// A word below this share of what agrees with the prefix is not worth a place in a pass when looking for the best.
const FLOOR_TOP: f32 = 0.01;

/// Where and what to search.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Tokens before the search begins.
    pub(crate) context: Vec<u32>,
    /// Finished text that the first tokens must spell, as punctuation may be glued to what follows.
    pub(crate) held: String,
    /// How the finished text ends.
    pub(crate) end: End,
    /// The unfinished surface.
    pub(crate) prefix: String,
}

impl Query {
    /// The place after `context`, whose text ends so, with nothing typed of what follows.
    pub(crate) fn after(context: Vec<u32>, end: End) -> Self {
        Self { context, held: String::new(), end, prefix: String::new() }
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Aim {
    /// So many of the best words.
    pub(crate) top: usize,
    /// Only words of at least this share.
    pub(crate) floor: f32,
}

impl Aim {
    /// The `top` best words that are worth a place in a pass.
    pub(crate) fn best(top: usize) -> Self {
        Self { top, floor: FLOOR_TOP }
    }
}
