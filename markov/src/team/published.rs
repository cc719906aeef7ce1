//! What enough writers share: n-grams with the number of their full rounds, each a child of the context its last word
//! came after. All that is ever served is here.

use super::keys::{self, LEVELS};
use super::words::Words;
use crate::personal::reserve;
use hashbrown::HashTable;

/// Stands for the word at the end of an n-gram: the end of a message, which is an event and no word.
pub(super) const END: u32 = u32::MAX;
/// The start of a message, which is only ever a context.
pub(super) const START: u32 = u32::MAX - 1;
/// Where the n-gram of no words is, and no n-gram at the end of a list of children.
pub(super) const ROOT: u32 = 0;

/// What is saved of an n-gram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gram {
    pub(super) key: u64,
    /// The last word.
    pub(super) word: u32,
    /// Where the n-gram without its last word is; before this one.
    pub(super) context: u32,
    /// Rounds that became full.
    pub(super) rounds: u32,
    /// When one last did.
    pub(super) seen: u32,
}

/// What is known of what came after an n-gram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    /// The newest of its children.
    first: u32,
    /// The next child of its own context.
    next: u32,
    pub(super) children: u32,
    /// Their rounds together.
    pub(super) sum: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Published {
    grams: Vec<Gram>,
    nodes: Vec<Node>,
    index: HashTable<u32>,
    words: Words,
}

impl Published {
    pub(super) fn new() -> Self {
        let mut empty =
            Self { grams: Vec::new(), nodes: Vec::new(), index: HashTable::new(), words: Words::default() };
        empty.push(Gram { key: keys::ROOT, word: START, context: ROOT, rounds: 0, seen: 0 });
        empty
    }

    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    /// All n-grams, contexts first; the first is that of no words.
    pub(super) fn grams(&self) -> &[Gram] {
        &self.grams
    }

    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let grams = &self.grams;
        self.index.find(key, |&at| grams[at as usize].key == key).copied()
    }

    pub(super) fn gram(&self, at: u32) -> &Gram {
        &self.grams[at as usize]
    }

    pub(super) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    /// The n-grams that are one word longer.
    pub(super) fn children(&self, at: u32) -> impl Iterator<Item = &Gram> {
        let some = |at: u32| (at != ROOT).then_some(at);
        let children =
            std::iter::successors(some(self.node(at).first), move |&child| some(self.node(child).next));
        children.map(|child| self.gram(child))
    }

    /// Words of an n-gram, the start of a message included.
    pub(super) fn order(&self, mut at: u32) -> usize {
        let mut order = 0;
        while at != ROOT {
            at = self.gram(at).context;
            order += 1;
        }
        order
    }

    /// Counts another round of an n-gram, if it was published before.
    pub(super) fn count(&mut self, key: u64, now: u32) -> bool {
        let Some(at) = self.find(key) else { return false };
        let gram = &mut self.grams[at as usize];
        gram.rounds = gram.rounds.saturating_add(1);
        gram.seen = now;
        let Gram { word, context, .. } = *gram;
        if word != START {
            let sum = &mut self.nodes[context as usize].sum;
            *sum = sum.saturating_add(1);
        }
        if context == ROOT && word < START {
            self.words.count(word);
        }
        true
    }

    /// Publishes a word that was not.
    pub(super) fn add_word(&mut self, surface: &str, key: u64, now: u32) {
        let word = self.words.add(surface);
        self.push(Gram { key, word, context: ROOT, rounds: 1, seen: now });
    }

    /// Adds an n-gram that is not there.
    pub(super) fn push(&mut self, gram: Gram) {
        let Self { grams, nodes, index, .. } = self;
        let at = grams.len() as u32;
        reserve(grams);
        reserve(nodes);
        let mut node = Node::default();
        if gram.word != START {
            let context = &mut nodes[gram.context as usize];
            node.next = std::mem::replace(&mut context.first, at);
            context.children += 1;
            context.sum = context.sum.saturating_add(gram.rounds);
        }
        grams.push(gram);
        nodes.push(node);
        index.insert_unique(gram.key, at, |&at| grams[at as usize].key);
    }

    /// Makes what [`grams`](Self::grams) and [`Words::surfaces`] said anew. `None` if they cannot have said so.
    pub(super) fn restore(grams: &[Gram], surfaces: &[&str]) -> Option<Self> {
        let mut made = Self::new();
        made.words = Words::restore(surfaces);
        let mut unigrams = 0;
        for &gram in grams.iter().skip(1) {
            let Gram { key, word, context, rounds, .. } = gram;
            let inside = (context as usize) < made.grams.len() && made.order(context) <= LEVELS;
            if !inside || rounds == 0 || made.find(key).is_some() {
                return None;
            }
            if context == ROOT && word < START {
                let token = keys::token(surfaces.get(unigrams)?);
                if word as usize != unigrams || keys::keys([token].into_iter()).next() != Some(key) {
                    return None;
                }
                made.words.set(word, rounds);
                unigrams += 1;
            }
            let known = (word as usize) < unigrams || word == END || word == START && context == ROOT;
            known.then(|| made.push(gram))?;
        }
        (unigrams == surfaces.len()).then_some(made)
    }

    /// Forgets the quarter of the n-grams whose last round is longest ago, and what is nothing without them.
    pub(super) fn forget(&mut self) {
        let mut ages: Vec<u32> = self.grams.iter().map(|gram| gram.seen).collect();
        let (_, &mut oldest, _) = ages.select_nth_unstable(self.grams.len() / 4);
        // Where each n-gram and each word goes.
        let mut places = vec![ROOT; self.grams.len()];
        let mut words = vec![None; self.words.len()];
        let (mut grams, mut surfaces) = (vec![self.grams[0]], Vec::new());
        for (at, gram) in self.grams.iter().enumerate().skip(1) {
            let context = places[gram.context as usize];
            if gram.seen <= oldest || context == ROOT && gram.context != ROOT {
                continue;
            }
            let word = match gram.word {
                START | END => gram.word,
                word if gram.context == ROOT => {
                    surfaces.push(self.words.surface(word));
                    *words[word as usize].insert(surfaces.len() as u32 - 1)
                }
                word => match words[word as usize] {
                    Some(word) => word,
                    None => continue,
                },
            };
            places[at] = grams.len() as u32;
            grams.push(Gram { word, context, ..*gram });
        }
        *self = Self::restore(&grams, &surfaces).unwrap_or_else(Self::new);
    }

    pub(super) fn bytes(&self) -> usize {
        self.grams.capacity() * size_of::<Gram>()
            + self.nodes.capacity() * size_of::<Node>()
            + self.index.allocation_size()
            + self.words.bytes()
    }

    /// An upper bound of `bytes` (less a constant) from the content alone: vectors have an eighth to spare, and the index has
    /// up to 16/7 slots an n-gram, of five bytes.
    pub(super) fn content_bytes(&self) -> usize {
        let gram = (size_of::<Gram>() + size_of::<Node>()) * 9 / 8 + 12;
        self.grams.len() * gram + self.words.content_bytes()
    }
}
