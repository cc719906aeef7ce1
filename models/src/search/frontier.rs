//! Nodes waiting to be opened, in the order in which they should be.

use std::cmp::Ordering;

/// A node that may be opened; the one of highest rank first, then the one made first.
pub(super) struct Open {
    pub(super) rank: f32,
    pub(super) node: usize,
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then_with(|| other.node.cmp(&self.node))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}
