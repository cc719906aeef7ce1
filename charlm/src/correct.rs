//! What a mistyped prefix was to be: best-first search through the lexicon with a weighted Damerau distance.

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::{
    Lexicon,
    casing::Casing,
    channel,
    lexicon::Place,
    misspelt::{self, HABIT},
};

/// Fewer letters are closer to too many words.
pub(crate) const SHORTEST: usize = 3;
/// A prefix longer than this is no word in the making.
const LONGEST: usize = 32;
/// From so many letters on two slips are looked for, where one explains nothing.
const TWO_SLIPS_FROM: usize = 7;
/// Transitions of the lexicon that one question may look at: what bounds its time.
pub(crate) const STEPS: usize = 2_500;

/// No slip is likelier, given what was meant: a prefix that is, in its place, is none. Common misspellings may be.
pub const LIKELIEST_SLIP: f32 = channel::OMITTED_OF_TWO;

/// What a letter explained is worth in a search for two slips, which is too wide to be finished: those who have come far
/// are followed first. Of 7,382 mistyped prefixes 0.5 % more have the right word in the first three than with 1.
const EAGER: f32 = 30.0;

/// A word that a mistyped prefix may have been meant to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Correction {
    /// The whole surface, in the prefix's letter case and with its leading space.
    pub word: String,
    /// P(what was typed | a prefix of the word was meant), along the likeliest way.
    pub channel: f32,
    /// Whether what was typed is a common misspelling of it, and no slip.
    pub habit: bool,
    /// [`channel`](Self::channel) times the word's share of the lexicon: the order of answers.
    pub score: f32,
}

/// A way into the lexicon that explains the letters typed so far.
#[derive(Debug, Clone, Copy)]
struct Path {
    place: Place,
    /// P(the letters so far | the path).
    channel: f32,
    /// Letters explained.
    typed: usize,
    slips: usize,
    /// The letter of the word that came last, folded.
    last: Option<char>,
}

/// An open end, ordered by the best score a word below it could have, or what that promises.
#[derive(Debug, Clone, Copy)]
struct Open {
    promise: f32,
    path: Path,
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        let by = self.promise.total_cmp(&other.promise).then(self.path.typed.cmp(&other.path.typed));
        by.then(other.path.place.from.cmp(&self.path.place.from))
            .then(other.path.place.to.cmp(&self.path.place.to))
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

/// One search: what was typed, and the best found so far.
struct Search<'a> {
    lexicon: &'a Lexicon,
    typed: Vec<char>,
    casing: Casing,
    space: &'static str,
    most_slips: usize,
    k: usize,
    /// Transitions looked at, and how many may be.
    steps: usize,
    most: usize,
    open: BinaryHeap<Open>,
    /// Best first.
    found: Vec<Correction>,
}

impl Lexicon {
    /// The `k` likeliest [suggestible](crate::suggestible) words of which `prefix`, three letters at the least, is a
    /// mistyped beginning, or the whole: one slip, and from seven letters on two where one explains nothing.
    ///
    /// The slips are letters transposed, missing, added and replaced; and of some 400 words how they are commonly misspelt. Looks at about 2,500 transitions at the most: of long
    /// prefixes with two slips the best may be missing. Empty for what holds anything but letters.
    pub fn correct(&self, prefix: &str, k: usize) -> Vec<Correction> {
        let (mut found, _) = self.correct_within(prefix, k, STEPS);
        if let Some(habit) = self.habit(prefix) {
            found.retain(|known| known.word != habit.word);
            found.insert(found.partition_point(|known| known.score > habit.score), habit);
            found.truncate(k);
        }
        found
    }

    /// What a common misspelling was to be, if it is listed.
    fn habit(&self, prefix: &str) -> Option<Correction> {
        let letters = prefix.strip_prefix(' ').unwrap_or(prefix);
        let meant = format!("{}{}", &prefix[..prefix.len() - letters.len()], misspelt::meant(letters)?);
        let word = Casing::of(letters).apply(meant.clone());
        let score = HABIT * self.prob(&meant).max(self.prob(&word));
        (score > 0.0).then_some(Correction { word, channel: HABIT, habit: true, score })
    }

    /// [`correct`](Self::correct) with another bound, and the transitions it looked at.
    pub(crate) fn correct_within(&self, prefix: &str, k: usize, most: usize) -> (Vec<Correction>, usize) {
        let letters = prefix.strip_prefix(' ').unwrap_or(prefix);
        let length = letters.chars().take(LONGEST + 1).count();
        if !(SHORTEST..=LONGEST).contains(&length) || !letters.chars().all(char::is_alphabetic) || k == 0 {
            return (Vec::new(), 0);
        }
        let casing = Casing::of(letters);
        let mut search = Search {
            lexicon: self,
            typed: casing.letters(letters),
            casing,
            space: if letters.len() < prefix.len() { " " } else { "" },
            most_slips: 1,
            k,
            most,
            steps: 0,
            open: BinaryHeap::new(),
            found: Vec::new(),
        };
        search.run();
        if search.found.is_empty() && length >= TWO_SLIPS_FROM {
            search.most_slips = 2;
            search.run();
        }
        (search.found, search.steps)
    }
}

impl Search<'_> {
    fn run(&mut self) {
        let root = self.lexicon.root();
        let start = if self.space.is_empty() { Some(root) } else { self.lexicon.child(root, ' ') };
        self.open.clear();
        if let Some(place) = start {
            self.push(Path { place, channel: 1.0, typed: 0, slips: 0, last: None });
        }
        while let Some(best) = self.open.pop() {
            if self.steps >= self.most {
                break;
            }
            if self.bound(&best.path) <= self.floor() {
                continue;
            }
            if best.path.typed == self.typed.len() {
                self.collect(best.path);
            } else {
                self.extend(best.path);
            }
        }
    }

    /// No word below a path scores more.
    fn bound(&self, path: &Path) -> f32 {
        path.channel * self.lexicon.share_of(path.place)
    }

    /// What a word must score to enter the list.
    fn floor(&self) -> f32 {
        if self.found.len() < self.k { 0.0 } else { self.found.last().map_or(0.0, |worst| worst.score) }
    }

    /// Adds an open end; of one that may not slip again only what agrees with all that was typed.
    fn push(&mut self, path: Path) {
        if path.slips == self.most_slips && path.typed < self.typed.len() {
            self.follow(path);
            return;
        }
        let bound = self.bound(&path);
        if bound > self.floor() {
            let eager = if self.most_slips > 1 { EAGER.powi(path.typed as i32) } else { 1.0 };
            self.open.push(Open { promise: bound * eager, path });
        }
    }

    /// Takes the next letter as it was typed.
    fn follow(&mut self, path: Path) {
        self.step(path, self.typed[path.typed], path.typed + 1);
    }

    /// Goes on with `letter`, in any case that may stand for it, after which `typed` letters are explained.
    fn step(&mut self, path: Path, letter: char, typed: usize) {
        for c in self.casing.variants(letter, path.last.is_none()) {
            self.steps += 1;
            if let Some(place) = self.lexicon.child(path.place, c) {
                let channel = path.channel * self.casing.cost(c, path.last.is_none());
                self.push(Path { place, channel, typed, last: Some(letter), ..path });
            }
        }
    }

    /// One letter more, typed as it should be or not.
    fn extend(&mut self, path: Path) {
        let at = path.typed;
        let typed = self.typed[at];
        let mut children = Vec::with_capacity(32);
        self.lexicon.children(path.place, &mut children);
        self.steps += children.len();
        // A space only begins a surface, and that it did not is no slip.
        for (c, place) in children.into_iter().filter(|&(c, _)| c != ' ') {
            let letter = self.casing.folded(c, path.last.is_none());
            let slip = |channel: f32, typed: usize| Path {
                place,
                channel: path.channel * channel,
                typed,
                slips: path.slips + 1,
                last: Some(letter),
            };
            if letter == typed {
                let as_meant = slip(self.casing.cost(c, path.last.is_none()), at + 1);
                self.push(Path { slips: path.slips, ..as_meant });
            } else if path.slips < self.most_slips {
                self.push(slip(channel::substituted(letter, typed, at), at + 1));
                if self.typed.get(at + 1) == Some(&letter) {
                    let cost = self.casing.cost(c, path.last.is_none());
                    self.step(slip(channel::TRANSPOSED * cost, at), typed, at + 2);
                }
            }
            if path.slips < self.most_slips {
                self.push(slip(channel::omitted(path.last, letter), at));
            }
        }
        if path.slips < self.most_slips {
            let channel = path.channel * channel::added(&self.typed, at);
            self.push(Path { channel, typed: at + 1, slips: path.slips + 1, ..path });
        }
    }

    /// The best words below a path that explains all that was typed.
    fn collect(&mut self, path: Path) {
        // In capitals and small letters one answer may be listed twice.
        for number in self.lexicon.best(path.place.from, path.place.to, 2 * self.k) {
            let score = path.channel * self.lexicon.weight(number);
            if score <= self.floor() {
                break;
            }
            let Some(word) = self.lexicon.surface(number) else { continue };
            let word = self.casing.apply(word);
            match self.found.iter().position(|known| known.word == word) {
                Some(known) if self.found[known].score >= score => continue,
                Some(known) => drop(self.found.remove(known)),
                None => {}
            }
            let before =
                |known: &Correction| known.score > score || known.score == score && known.word < word;
            let place = self.found.partition_point(before);
            self.found.insert(place, Correction { word, channel: path.channel, habit: false, score });
            self.found.truncate(self.k);
        }
    }
}

#[cfg(test)]
mod tests;
