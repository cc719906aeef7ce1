//! Best-first search over the token tree for the words that agree with what is typed.
//!
//! A node is a path of tokens that spells text from the place where the model restarted (token healing: the unfinished
//! surface is taken back, and only tokens that agree with its bytes are allowed). Its probability bounds that of every
//! word below it, so the likeliest nodes are opened first, several in one pass of the network. Opening a node tells how
//! likely its text ends there as a word: P(w) = P(its tokens) · P(the next token starts at a boundary).
//!
//! The search does not run the network itself: it names the nodes it would open ([`Search::wanted`]) and is told their
//! distributions ([`Search::open`]), so that several searches share a pass.
//!
//! One tokenisation stands for a word, the one training used; other paths that spell it are not counted.

mod expand;
mod frontier;
mod query;

use std::collections::BinaryHeap;
use std::sync::Arc;

use hashbrown::HashMap;

pub(crate) use query::{Aim, Query};

use self::frontier::Open;
use crate::distribution::Distribution;
use crate::step::Steps;
use crate::vocabulary::Vocabulary;

/// The same for a word that was asked for.
const FLOOR_ASKED: f32 = 0.004;
/// Words below this share are not listed.
const FLOOR_LISTED: f32 = 1e-3;
/// P(a word ends) where no step was left to find out.
pub(crate) const ENDING: f32 = 0.8;
/// P(next token of the word) where no step was left to find out.
pub(crate) const CONTINUING: f32 = 0.1;

/// Hundreds are made for each that is opened, so a node holds what leads to it by its parent alone.
struct Node {
    parent: usize,
    /// Of a child: the last of its path.
    token: u32,
    prob: f32,
    /// What the node adds to the mass that agrees with the typed bytes.
    share: f64,
    /// Whether a word that was asked for leads through here.
    asked: bool,
    children: Vec<usize>,
    opened: Option<Arc<Distribution>>,
}

/// The node of no tokens.
const ROOT: usize = 0;

/// A word whose probability is asked for: how far along its tokens the search has come.
struct Goal {
    surface: Vec<u8>,
    path: Vec<u32>,
    node: usize,
    depth: usize,
}

/// The tree so far.
pub(crate) struct Search<'a> {
    query: Query,
    vocabulary: &'a Vocabulary,
    typed: Vec<u8>,
    /// Greedy encoding of what is typed; its beginning is most often that of the finished word's.
    canonical: Vec<u32>,
    nodes: Vec<Node>,
    open: BinaryHeap<Open>,
    ended: HashMap<Vec<u8>, f32>,
    goals: Vec<Goal>,
    /// What agrees with the typed bytes. Shares of unlike size come and go, hence double precision.
    mass: f64,
    /// What of it are tokens that cover a part of the typed bytes and are not opened: there may be little behind them.
    unsure: f64,
    /// P(what is held, and a boundary behind it): what the mass is a share of.
    whole: f32,
    message_end: f32,
}

impl<'a> Search<'a> {
    /// A search whose first tokens follow `root`, the distribution after the context.
    pub(crate) fn new(query: Query, vocabulary: &'a Vocabulary, root: &Arc<Distribution>) -> Self {
        let typed = [query.held.as_str(), &query.prefix].concat();
        let canonical = vocabulary.encode(&typed);
        let mut search = Self {
            query,
            vocabulary,
            typed: typed.into_bytes(),
            canonical,
            nodes: Vec::new(),
            open: BinaryHeap::new(),
            ended: HashMap::new(),
            goals: Vec::new(),
            mass: 0.0,
            unsure: 0.0,
            whole: 0.0,
            message_end: 0.0,
        };
        search.nodes.push(Node {
            parent: ROOT,
            token: 0,
            prob: 1.0,
            share: 0.0,
            asked: false,
            children: Vec::new(),
            opened: None,
        });
        search.whole = if search.query.held.is_empty() {
            root.boundary(search.query.end)
        } else {
            let held = search.query.held.as_bytes();
            let (covering, partial) = search.agreeing(ROOT, root, held, &search.partial(ROOT, held));
            (covering + partial) as f32
        };
        search.expand(ROOT, root);
        search
    }

    /// Asks for `surface`, which must start with the prefix; its number from now on.
    pub(crate) fn ask(&mut self, surface: &str) -> usize {
        let path = self.vocabulary.encode(&[self.query.held.as_str(), surface].concat());
        self.goals.push(Goal { surface: surface.as_bytes().to_vec(), path, node: ROOT, depth: 0 });
        self.follow(self.goals.len() - 1);
        self.goals.len() - 1
    }

    /// Up to `room` nodes to open for the `aim` and all words asked for that are worth it, likeliest first. Empty when
    /// they are known. Nodes whose distribution is known already are opened on the way.
    pub(crate) fn wanted(&mut self, steps: &mut Steps<'_>, aim: Aim, room: usize) -> Vec<usize> {
        let mut least = self.least_of_best(aim.top);
        let mut wanted = Vec::new();
        while wanted.len() < room
            && let Some(&Open { rank, node }) = self.open.peek()
            && rank >= FLOOR_ASKED * self.mass as f32
        {
            self.open.pop();
            let good = rank > least && rank >= aim.floor * self.mass as f32;
            if self.nodes[node].opened.is_some()
                || wanted.contains(&node)
                || !(good || self.nodes[node].asked)
            {
                continue;
            }
            match steps.known(&self.tokens(node)) {
                Some(known) => {
                    self.open(node, Some(&known));
                    least = self.least_of_best(aim.top);
                }
                None => wanted.push(node),
            }
        }
        wanted
    }

    /// The node the word asked for as `goal` waits at, however unlikely, if it is not known yet.
    pub(crate) fn insisted(&mut self, steps: &mut Steps<'_>, goal: usize) -> Option<usize> {
        loop {
            let node = self.goals[goal].node;
            if self.nodes[node].opened.is_some() {
                return None;
            }
            let Some(known) = steps.known(&self.tokens(node)) else { return Some(node) };
            self.open(node, Some(&known));
        }
    }

    /// The context and the path of `node`.
    pub(crate) fn tokens(&self, node: usize) -> Vec<u32> {
        [self.query.context.as_slice(), &self.path(node)].concat()
    }

    /// The tokens of `node`.
    fn path(&self, mut node: usize) -> Vec<u32> {
        let mut path = Vec::new();
        while node != ROOT {
            path.push(self.nodes[node].token);
            node = self.nodes[node].parent;
        }
        path.reverse();
        path
    }

    /// What they spell.
    fn text(&self, path: &[u32]) -> Vec<u8> {
        path.iter().flat_map(|token| self.vocabulary.bytes(*token)).copied().collect()
    }

    /// Sequences to run with `node`: the context and its path, and what the words asked for have behind it. Their
    /// tokens are known beforehand, so they need no pass of their own. At most `room` of them.
    pub(crate) fn ahead(&self, node: usize, room: usize) -> Vec<Vec<u32>> {
        let waiting = self.goals.iter().filter(|goal| goal.node == node);
        waiting
            .flat_map(|goal| (goal.depth + 1..=goal.path.len()).map(|depth| &goal.path[..depth]))
            .take(room)
            .map(|path| [self.query.context.as_slice(), path].concat())
            .collect()
    }

    /// Tells how the token after `node` is distributed; `None`: there is no room for so long a word, but the others
    /// may be shorter.
    pub(crate) fn open(&mut self, node: usize, distribution: Option<&Arc<Distribution>>) {
        match distribution {
            Some(distribution) => self.expand(node, distribution),
            None => self.nodes[node].asked = false,
        }
        (0..self.goals.len()).for_each(|goal| self.follow(goal));
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
    pub(crate) fn prob(&self, goal: usize) -> (f32, bool) {
        let goal = &self.goals[goal];
        let ended = self.ended.get(&goal.surface).copied().unwrap_or(0.0);
        let node = &self.nodes[goal.node];
        if goal.depth == goal.path.len() && node.opened.is_some() {
            return (self.share(ended), true);
        }
        let missing = (goal.path.len() - goal.depth) as i32;
        (self.share(ended + node.prob * ENDING * CONTINUING.powi(missing)), false)
    }

    /// Context and tokens of `surface` and what follows them, if the search came to its end.
    pub(crate) fn reached(&self, surface: &str) -> Option<(Vec<u32>, Arc<Distribution>)> {
        let path = self.vocabulary.encode(&[self.query.held.as_str(), surface].concat());
        let node = path.iter().try_fold(ROOT, |node, token| self.known_child(node, *token))?;
        Some((self.tokens(node), Arc::clone(self.nodes[node].opened.as_ref()?)))
    }

    /// The best words longer than the prefix and P(word | prefix), best first, ties by text.
    pub(crate) fn best(&self, top: usize) -> Vec<(String, f32)> {
        let mut words: Vec<(String, f32)> = self
            .longer()
            .filter_map(|(surface, prob)| Some((String::from_utf8(surface.to_vec()).ok()?, self.share(prob))))
            .collect();
        // Behind a prefix nobody writes shares are too small for an f32.
        words.retain(|(_, share)| *share > 0.0);
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

    /// Walks a goal down the opened nodes and marks where it waits.
    fn follow(&mut self, goal: usize) {
        loop {
            let Goal { path, node, depth, .. } = &self.goals[goal];
            let (node, next) = (*node, path.get(*depth).copied());
            let (Some(opened), Some(token)) = (&self.nodes[node].opened, next) else { break };
            let prob = self.nodes[node].prob * opened.prob(token);
            self.goals[goal].node = self.child(node, token, prob);
            self.goals[goal].depth += 1;
        }
        let waits = &mut self.nodes[self.goals[goal].node];
        if waits.opened.is_none() && !waits.asked {
            waits.asked = true;
            // It may have been passed over before, for want of the mark.
            self.open.push(Open { rank: waits.prob, node: self.goals[goal].node });
        }
    }

    /// The child of `parent` along `token`, made if there is none.
    fn child(&mut self, parent: usize, token: u32, prob: f32) -> usize {
        self.known_child(parent, token).unwrap_or_else(|| self.add_child(parent, token, prob, prob, 0.0))
    }

    fn known_child(&self, parent: usize, token: u32) -> Option<usize> {
        self.nodes[parent].children.iter().copied().find(|child| self.nodes[*child].token == token)
    }

    /// Makes a child of `parent` that there is not yet.
    fn add_child(&mut self, parent: usize, token: u32, prob: f32, rank: f32, share: f64) -> usize {
        let node = self.nodes.len();
        self.nodes.push(Node {
            parent,
            token,
            prob,
            share,
            asked: false,
            children: Vec::new(),
            opened: None,
        });
        self.nodes[parent].children.push(node);
        self.open.push(Open { rank, node });
        node
    }
}
