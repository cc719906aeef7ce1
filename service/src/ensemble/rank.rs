//! From tables to candidates that can be shown: first words, most urgent first.

use std::cmp::Ordering;

use foretype_charlm::is_misspelt;

use super::calibrate::Calibration;
use super::mixture::{Table, prefix_class};
use super::worth;
use crate::engine::Predictor;

/// How likely each word of a snippet is after the one before.
const GOES_ON: f32 = 0.98;

/// A suggestion in the making.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The surfaces it says, the first one whole (typed prefix included) or following a finished prefix.
    pub surfaces: Vec<String>,
    /// Calibrated probability of each surface given those before it.
    pub probs: Vec<f32>,
    /// The mixture's probability of the first surface before calibration.
    pub raw: f32,
    /// Whether it follows a finished prefix instead of finishing it.
    pub follows: bool,
    /// Characters of the prefix that it replaces, because they are mistyped; 0: it goes on from them.
    pub replace: usize,
    /// Who proposed the first surface.
    pub predictor: Predictor,
    /// Expected keystrokes saved.
    pub worth: f32,
    /// Expected keystrokes lost if it is not shown now: what the order goes by.
    pub urgency: f32,
}

impl Ranked {
    /// What of the draft the surfaces begin with.
    fn typed<'a>(&self, prefix: &'a str) -> &'a str {
        match (self.follows || self.is_snippet(), self.replace) {
            (true, _) => "",
            (false, 0) => prefix,
            (false, _) => &prefix[..prefix.len() - prefix.trim_start().len()],
        }
    }

    /// The text to insert at the cursor.
    pub fn text(&self, prefix: &str, after: &str) -> String {
        if self.is_snippet() {
            return self.surfaces.concat();
        }
        worth::text(self.typed(prefix), &self.borrowed(), after)
    }

    /// What the first surface inserts.
    pub fn first_word(&self, prefix: &str) -> String {
        self.surfaces[0].get(self.typed(prefix).len()..).unwrap_or_default().to_owned()
    }

    /// Keeps the first `count` surfaces.
    pub fn shorten(&mut self, count: usize, prefix: &str) {
        self.surfaces.truncate(count);
        self.probs.truncate(count);
        self.reckon(prefix);
    }

    /// The bytes each surface inserts, and its probability.
    pub fn words(&self, prefix: &str) -> Vec<(usize, f32)> {
        let typed = self.typed(prefix).len();
        let inserts = |(i, surface): (usize, &String)| surface.len() - if i == 0 { typed } else { 0 };
        self.surfaces.iter().enumerate().map(inserts).zip(self.probs.iter().copied()).collect()
    }

    /// The urgency that it is unlikely to exceed as a phrase.
    pub fn may_reach(&self) -> f32 {
        worth::urgency_of_phrase(self.probs[0])
    }

    /// Recomputes the worth after words were added.
    pub fn reckon(&mut self, prefix: &str) {
        let mut inserted = worth::inserted(self.typed(prefix), &self.borrowed());
        if let (Some(first), true) = (inserted.first_mut(), self.replace > 0 && !self.is_snippet()) {
            // By hand the typed letters go back to where they part from the word, and what they share stays.
            let (typed, word) = (prefix.trim_start().chars(), self.surfaces[0].trim_start().chars());
            let shared = typed.zip(word).take_while(|(a, b)| a == b).count();
            *first = (*first + self.replace).saturating_sub(2 * shared);
        }
        let words: Vec<_> = inserted.into_iter().zip(self.probs.iter().copied()).collect();
        self.worth = worth::worth(&words);
        self.urgency = worth::urgency(&words, self.worth);
    }

    /// What is left of a snippet, or one that takes the place of the last `replace` characters. `texts` together are inserted
    /// as they stand.
    pub fn snippet(texts: Vec<String>, prob: f32, replace: usize, prefix: &str) -> Self {
        let later = std::iter::repeat_n(GOES_ON, texts.len().saturating_sub(1));
        let mut ranked = Self {
            probs: std::iter::once(prob).chain(later).collect(),
            surfaces: texts,
            raw: prob,
            follows: false,
            replace,
            predictor: Predictor::Snippet,
            worth: 0.0,
            urgency: 0.0,
        };
        ranked.reckon(prefix);
        ranked
    }

    /// Whether it is a text the writer keeps ready.
    pub fn is_snippet(&self) -> bool {
        self.predictor == Predictor::Snippet
    }

    fn borrowed(&self) -> Vec<&str> {
        self.surfaces.iter().map(String::as_str).collect()
    }
}

/// All single-word candidates of a place, most urgent first, but for common misspellings and numbers that are made up.
///
/// `next` is the table one word later, if the prefix may be finished.
pub fn rank(here: &Table, next: Option<&Table>, calibration: &Calibration) -> Vec<Ranked> {
    let class = prefix_class(&here.prefix);
    let single = |surface: &str, raw: f32, follows: bool, predictor: Predictor| {
        let mut ranked = Ranked {
            surfaces: vec![surface.to_owned()],
            probs: vec![calibration.confidence(class, raw)],
            raw,
            follows,
            replace: 0,
            predictor,
            worth: 0.0,
            urgency: 0.0,
        };
        ranked.reckon(&here.prefix);
        ranked
    };
    let rows = here.rows.iter().filter(|row| !row.made_up);
    let finishing = rows.map(|row| single(&row.surface, here.mix(&row.probs), false, here.proposer(row)));
    let done = here.done();
    let following = next.into_iter().flat_map(|next| {
        next.rows
            .iter()
            .map(move |row| single(&row.surface, done * next.mix(&row.probs), true, next.proposer(row)))
    });
    let offered = |ranked: &Ranked| ranked.raw > 0.0 && !is_misspelt(&ranked.surfaces[0]);
    let mut all: Vec<_> = finishing.chain(following).filter(offered).collect();
    all.sort_by(by_urgency);
    all
}

/// Most urgent first; ties by probability, then by surface.
pub fn by_urgency(a: &Ranked, b: &Ranked) -> Ordering {
    let by = b.urgency.total_cmp(&a.urgency).then(b.raw.total_cmp(&a.raw));
    by.then_with(|| a.surfaces.cmp(&b.surfaces))
        .then(a.follows.cmp(&b.follows))
        .then(a.replace.cmp(&b.replace))
}
