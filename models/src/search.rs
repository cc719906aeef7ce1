//! Best-first search over the token tree for the words that agree with what is typed.
//!
//! A node is a path of tokens that spells text from the place where the model restarted (token healing: the unfinished
//! surface is taken back, and only tokens that agree with its bytes are allowed). Its probability bounds that of every
//! word below it, so the likeliest node is opened first, at one step of the network each. Opening a node tells how
//! likely its text ends there as a word: P(w) = P(its tokens) · P(the next token starts at a boundary).
//!
//! One tokenisation stands for a word, the one training used; other paths that spell it are not counted.

mod expand;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::boundary::End;
use crate::distribution::Distribution;
use crate::step::{Halt, Steps};
use crate::vocabulary::Vocabulary;

/// A word below this share of what agrees with the prefix is not worth a step when looking for the best.
const FLOOR_TOP: f32 = 0.01;
/// The same for a word that was asked for.
const FLOOR_ASKED: f32 = 0.004;
/// Words below this share are not listed.
const FLOOR_LISTED: f32 = 1e-3;
/// P(a word ends) where no step was left to find out.
pub(crate) const ENDING: f32 = 0.8;
/// P(next token of the word) where no step was left to find out.
pub(crate) const CONTINUING: f32 = 0.1;

/// Where and what to search.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    /// Tokens before the search begins.
    pub(crate) context: &'a [u32],
    /// Finished text that the first tokens must spell, as punctuation may be glued to what follows.
    pub(crate) held: &'a str,
    /// How the finished text ends.
    pub(crate) end: End,
    /// The unfinished surface.
    pub(crate) prefix: &'a str,
}

struct Node {
    path: Vec<u32>,
    text: Vec<u8>,
    prob: f32,
    /// What the node adds to the mass that agrees with the typed bytes.
    share: f64,
    /// Whether a word that was asked for leads through here.
    asked: bool,
    children: HashMap<u32, usize>,
    opened: Option<Arc<Distribution>>,
}

/// A word whose probability is asked for: how far along its tokens the search has come.
pub(crate) struct Goal {
    surface: Vec<u8>,
    path: Vec<u32>,
    node: usize,
    depth: usize,
}

/// The tree so far.
pub(crate) struct Search<'a> {
    query: Query<'a>,
    vocabulary: &'a Vocabulary,
    typed: Vec<u8>,
    /// Greedy encoding of what is typed; its beginning is most often that of the finished word's.
    canonical: Vec<u32>,
    nodes: Vec<Node>,
    open: BinaryHeap<Open>,
    ended: HashMap<Vec<u8>, f32>,
    /// What agrees with the typed bytes. Shares of unlike size come and go, hence double precision.
    mass: f64,
    /// P(what is held, and a boundary behind it): what the mass is a share of.
    whole: f32,
    message_end: f32,
}

impl<'a> Search<'a> {
    /// A search whose first tokens follow `root`, the distribution after the context.
    pub(crate) fn new(query: Query<'a>, vocabulary: &'a Vocabulary, root: &Arc<Distribution>) -> Self {
        let typed = [query.held, query.prefix].concat();
        let canonical = vocabulary.encode(&typed);
        let mut search = Self {
            query,
            vocabulary,
            typed: typed.into_bytes(),
            canonical,
            nodes: Vec::new(),
            open: BinaryHeap::new(),
            ended: HashMap::new(),
            mass: 0.0,
            whole: 0.0,
            message_end: 0.0,
        };
        search.nodes.push(Node {
            path: Vec::new(),
            text: Vec::new(),
            prob: 1.0,
            share: 0.0,
            asked: false,
            children: HashMap::new(),
            opened: None,
        });
        search.whole = if query.held.is_empty() {
            root.boundary(query.end)
        } else {
            search.agreeing(0, root, query.held.as_bytes()).iter().map(|&(_, prob, worth)| prob * worth).sum()
        };
        search.expand(0, root);
        search
    }

    /// The mark that follows `surface` through the tree; it must start with the prefix.
    pub(crate) fn goal(&mut self, surface: &str) -> Goal {
        let path = self.vocabulary.encode(&[self.query.held, surface].concat());
        let mut goal = Goal { surface: surface.as_bytes().to_vec(), path, node: 0, depth: 0 };
        self.follow(&mut goal);
        goal
    }

    /// Opens nodes, likeliest first, until the `top` best words and all `goals` worth a step are known.
    ///
    /// # Errors
    /// Why it ended early; what was found so far stands.
    pub(crate) fn run(&mut self, steps: &mut Steps<'_>, top: usize, goals: &mut [Goal]) -> Result<(), Halt> {
        let mut least = self.least_of_best(top);
        while let Some(Open { rank, node }) = self.open.pop() {
            if rank < FLOOR_ASKED * self.mass as f32 {
                break;
            }
            let good = rank > least && rank >= FLOOR_TOP * self.mass as f32;
            if self.nodes[node].opened.is_some() || !(good || self.nodes[node].asked) {
                continue;
            }
            self.step(steps, node)?;
            goals.iter_mut().for_each(|goal| self.follow(goal));
            least = self.least_of_best(top);
        }
        Ok(())
    }

    /// Opens all that `goal` needs, however unlikely.
    pub(crate) fn insist(&mut self, steps: &mut Steps<'_>, goal: &mut Goal) -> Result<(), Halt> {
        while self.nodes[goal.node].opened.is_none() {
            self.step(steps, goal.node)?;
            self.follow(goal);
        }
        Ok(())
    }

    fn step(&mut self, steps: &mut Steps<'_>, node: usize) -> Result<(), Halt> {
        match steps.after(self.query.context, &self.nodes[node].path) {
            Ok(distribution) => self.expand(node, &distribution),
            // No room for so long a word: the others may be shorter.
            Err(Halt::Full) if node != 0 => self.nodes[node].asked = false,
            Err(halt) => return Err(halt),
        }
        Ok(())
    }

    /// P(the surface starts with the prefix | what is finished); 1 for an empty prefix.
    pub(crate) fn mass(&self) -> f32 {
        if self.query.prefix.is_empty() {
            1.0
        } else {
            (self.whole_mass() / self.whole.max(f32::MIN_POSITIVE)).min(1.0)
        }
    }

    /// P(the message ends here); an empty prefix only.
    pub(crate) fn message_end(&self) -> f32 {
        self.share(self.message_end)
    }

    /// P(the surface is the goal's | prefix), and whether it is known rather than estimated from above.
    pub(crate) fn prob(&self, goal: &Goal) -> (f32, bool) {
        let ended = self.ended.get(&goal.surface).copied().unwrap_or(0.0);
        let node = &self.nodes[goal.node];
        if goal.depth == goal.path.len() && node.opened.is_some() {
            return (self.share(ended), true);
        }
        let missing = (goal.path.len() - goal.depth) as i32;
        (self.share(ended + node.prob * ENDING * CONTINUING.powi(missing)), false)
    }

    /// Tokens and distribution of the goal's word, if the search came to its end.
    pub(crate) fn reached(&self, goal: &Goal) -> Option<(&[u32], &Arc<Distribution>)> {
        let node = &self.nodes[goal.node];
        (goal.depth == goal.path.len()).then_some(())?;
        Some((&node.path, node.opened.as_ref()?))
    }

    /// The best words longer than the prefix and P(word | prefix), best first, ties by text.
    pub(crate) fn best(&self, top: usize) -> Vec<(String, f32)> {
        let mut words: Vec<(String, f32)> = self
            .longer()
            .filter_map(|(surface, prob)| Some((String::from_utf8(surface.to_vec()).ok()?, self.share(prob))))
            .collect();
        words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(top);
        words
    }

    /// Words found that are longer than the prefix and worth listing.
    fn longer(&self) -> impl Iterator<Item = (&[u8], f32)> {
        let listed = self.ended.iter().filter(|(_, prob)| **prob >= FLOOR_LISTED * self.mass as f32);
        listed
            .map(|(surface, prob)| (surface.as_slice(), *prob))
            .filter(|(surface, _)| surface.len() > self.query.prefix.len())
    }

    /// P(what agrees with the prefix). Tokens that cover only a part of it count little until they are opened, so what
    /// was found can be more than was foreseen.
    fn whole_mass(&self) -> f32 {
        (self.mass as f32).max(self.ended.values().sum::<f32>() + self.message_end)
    }

    fn share(&self, prob: f32) -> f32 {
        (prob / self.whole_mass().max(f32::MIN_POSITIVE)).min(1.0)
    }

    fn least_of_best(&self, top: usize) -> f32 {
        if top == 0 {
            return f32::INFINITY;
        }
        let mut probs: Vec<f32> = self.longer().map(|(_, prob)| prob).collect();
        probs.sort_by(|a, b| b.total_cmp(a));
        probs.get(top - 1).copied().unwrap_or(0.0)
    }

    /// Walks `goal` down the opened nodes and marks where it waits.
    fn follow(&mut self, goal: &mut Goal) {
        while let (Some(opened), Some(&token)) = (&self.nodes[goal.node].opened, goal.path.get(goal.depth)) {
            let prob = self.nodes[goal.node].prob * opened.prob(token);
            goal.node = self.child(goal.node, token, prob, prob, 0.0);
            goal.depth += 1;
        }
        if self.nodes[goal.node].opened.is_none() && !self.nodes[goal.node].asked {
            self.nodes[goal.node].asked = true;
            // It may have been passed over before, for want of the mark.
            self.open.push(Open { rank: self.nodes[goal.node].prob, node: goal.node });
        }
    }

    /// The child of `parent` along `token`, made if there is none.
    fn child(&mut self, parent: usize, token: u32, prob: f32, rank: f32, share: f64) -> usize {
        if let Some(&known) = self.nodes[parent].children.get(&token) {
            return known;
        }
        let path = [self.nodes[parent].path.as_slice(), &[token]].concat();
        let text = [self.nodes[parent].text.as_slice(), self.vocabulary.bytes(token)].concat();
        let node = self.nodes.len();
        self.nodes.push(Node {
            path,
            text,
            prob,
            share,
            asked: false,
            children: HashMap::new(),
            opened: None,
        });
        self.nodes[parent].children.insert(token, node);
        self.open.push(Open { rank, node });
        node
    }
}

/// A node that may be opened; the one of highest rank first, then the one made first.
struct Open {
    rank: f32,
    node: usize,
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
