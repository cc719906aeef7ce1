//! A model of what several writers share, under the rule of k writers.
//!
//! An n-gram counts in *rounds*: a round is full once k different writers have used the n-gram since the last one was.
//! One full round publishes it, every further one counts once more. So nothing is served that fewer than k writers
//! used, and no writer adds to what is served by repeating something alone: each single count is backed by k different
//! writers. With c(hw) the rounds of an n-gram, T(h) the number of words published after h, N(h) the sum of their rounds and
//! M(h) = max(c(h), N(h)),
//!
//! ```text
//! P(w | h) = [c(h, w) − d + (M(h) − N(h) + d·T(h)) · P(w | shorter h)] / M(h)
//! P(w)     = c(w) / (N + escape)
//! ```
//!
//! which is interpolated absolute discounting, save that what followed h and was not shared enough to be published (h had
//! more rounds than all that came after it together) is left to the shorter context as well.
//!
//! What is not published is kept as 64-bit keys with the numbers of the writers: which words these are is not known.

mod keys;
mod predict;
mod published;
mod rounds;
mod snapshot;
mod words;

use crate::personal::{MAX_SURFACE, reserve};
use crate::{Role, segment};
use keys::Recent;
pub use predict::TeamHistory;
use published::{Gram, Published};
use rounds::{Rounds, Use};

/// How much a team's model may hold, and when it may say something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TeamLimits {
    /// Bytes of memory, 64 KiB to 256 MiB; half as much again for a moment when tables grow. When they are used up the
    /// model forgets what is rare and old.
    pub max_bytes: usize,
    /// How many different writers must have used an n-gram before it counts, 1 to 16.
    pub writers_needed: u8,
}

impl TeamLimits {
    const LEAST: usize = 64 << 10;
    const MOST: usize = 256 << 20;
    /// Several rounds must fit a bucket.
    const MOST_WRITERS: u8 = 16;
}

impl Default for TeamLimits {
    fn default() -> Self {
        Self { max_bytes: 4 << 20, writers_needed: 5 }
    }
}

/// An n-gram model of what several writers share.
///
/// It behaves as if n-grams that fewer than `writers_needed` different writers used did not exist: no answer depends on
/// them. Only where memory is short do they show, as room that is taken. There is no taking back: to remove a writer,
/// learn all messages of the others anew, in the same order.
///
/// ```
/// use foretype_markov::{NextWord, Role, TeamLimits, TeamModel};
/// let mut model = TeamModel::new(TeamLimits { writers_needed: 3, ..TeamLimits::default() });
/// for writer in 0..3 {
///     let name = ["Ann", "Bob", "Cleo"][writer as usize];
///     model.learn(writer, &format!("Ask Zentiva, {name}"), Role::Agent);
/// }
/// let history = model.history(&["Ask"], Some(Role::Agent));
/// assert_eq!(model.top(&history, " Z", 1)[0].0, " Zentiva");
/// assert_eq!(model.score(&history, " Ann").prob, 0.0);
/// ```
#[derive(Clone, Debug)]
pub struct TeamModel {
    limits: TeamLimits,
    rounds: Rounds,
    published: Published,
    /// The numbers of the writers, sorted.
    writers: Vec<u32>,
    /// Messages learned.
    now: u32,
}

impl TeamModel {
    /// A model that knows nothing yet: [`escape`](crate::NextWord::escape) is 1.
    pub fn new(limits: TeamLimits) -> Self {
        let limits = TeamLimits {
            max_bytes: limits.max_bytes.clamp(TeamLimits::LEAST, TeamLimits::MOST),
            writers_needed: limits.writers_needed.clamp(1, TeamLimits::MOST_WRITERS),
        };
        Self {
            limits,
            rounds: Rounds::new(limits.max_bytes / 8 * 5, limits.writers_needed.into()),
            published: Published::new(),
            writers: Vec::new(),
            now: 0,
        }
    }

    /// What it may hold, and when it says something.
    pub fn limits(&self) -> TeamLimits {
        self.limits
    }

    /// Learns one message that a writer, known by a number, has sent. `normal` is [normalised](segment::normalise).
    /// Deterministic: the same calls in the same order make the same model. Histories made before are void.
    pub fn learn(&mut self, writer: u32, normal: &str, role: Role) {
        self.now = self.now.saturating_add(1);
        if let Err(rank) = self.writers.binary_search(&writer)
            && self.writers.len() < self.most_writers()
        {
            reserve(&mut self.writers);
            self.writers.insert(rank, writer);
        }
        let mut recent = Recent::default();
        self.saw(writer, recent, keys::start(role), Last::Start);
        recent.push(keys::start(role));
        for surface in segment::surfaces(normal) {
            // An over-long word is no event and breaks the context, as a gap does.
            if surface.len() > MAX_SURFACE || segment::is_gap(surface) {
                recent = Recent::default();
                continue;
            }
            let token = keys::token(surface);
            self.saw(writer, recent, token, Last::Surface(surface));
            recent.push(token);
        }
        self.saw(writer, recent, keys::END, Last::End);
    }

    /// Notes all n-grams that end here.
    fn saw(&mut self, writer: u32, recent: Recent, token: u64, last: Last<'_>) {
        let keys = keys::keys(std::iter::once(token).chain(recent.iter()));
        let contexts = std::iter::once(keys::ROOT).chain(keys::keys(recent.iter()));
        let (mut alone, mut shorter, mut hopeful) = (None, keys::ROOT, true);
        for (key, context) in keys.zip(contexts) {
            let alone = *alone.get_or_insert(key);
            hopeful = hopeful && self.is_shared(shorter, writer) && self.is_shared(context, writer);
            let full = self.rounds.fill(Use { key, writer, seen: self.now }, hopeful);
            if full && !self.published.count(key, self.now) {
                self.publish(key, context, alone, last);
            }
            shorter = key;
        }
    }

    /// Whether others use an n-gram too. One that is longer than what nobody else uses has far to go (the Apriori
    /// principle, Agrawal and Srikant 1994).
    fn is_shared(&self, key: u64, writer: u32) -> bool {
        self.published.find(key).is_some() || self.rounds.has_others(key, writer)
    }

    /// Publishes an n-gram, given the keys of its context and of its last word alone.
    fn publish(&mut self, key: u64, context: u64, alone: u64, last: Last<'_>) {
        // Rounds that are not full take five eighths of the bytes, the writers' numbers a sixteenth.
        while self.published.content_bytes() > self.limits.max_bytes / 16 * 5 - 1024 {
            self.published.forget();
        }
        let Some(context) = self.published.find(context) else { return };
        let word = match last {
            Last::Surface(surface) if key == alone => return self.published.add_word(surface, key, self.now),
            Last::Start => published::START,
            Last::End => published::END,
            // Its word was published before it; if that was forgotten, it waits.
            Last::Surface(_) => match self.published.find(alone) {
                Some(alone) => self.published.gram(alone).word,
                None => return,
            },
        };
        self.published.push(Gram { key, word, context, rounds: 1, seen: self.now });
    }

    /// Words that are published.
    pub fn words(&self) -> usize {
        self.published.words().len()
    }

    /// Published n-grams of one to four words; the ends of messages count as words, their starts within longer ones.
    pub fn ngrams(&self) -> [usize; keys::LEVELS + 1] {
        let mut numbers = [0; keys::LEVELS + 1];
        for (gram, at) in self.published.grams().iter().zip(0..) {
            if gram.word != published::START {
                numbers[self.published.order(at) - 1] += 1;
            }
        }
        numbers
    }

    /// Different writers who have written so far; exact up to one for each 72 bytes of the limit.
    pub fn writers(&self) -> usize {
        self.writers.len()
    }

    fn most_writers(&self) -> usize {
        self.limits.max_bytes / 72
    }

    /// Bytes of memory in use, counting capacity rather than content.
    pub fn bytes(&self) -> usize {
        let writers = self.writers.capacity() * size_of::<u32>();
        size_of::<Self>() + self.rounds.bytes() + self.published.bytes() + writers
    }
}

/// The last word of an n-gram.
#[derive(Clone, Copy)]
enum Last<'a> {
    Start,
    Surface(&'a str),
    End,
}

#[cfg(test)]
mod tests;
