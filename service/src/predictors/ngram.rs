//! `personal`, `recall`, `team` and `domain`: an n-gram model whose escape mass goes to the spelling model,
//! P(w | h) = P_ngram(w | h) + P(new | h) · P_spelling(w).

use std::sync::Arc;

use foretype_charlm::Spelling;
use foretype_markov::{Matched, NextWord, PersonalModel, Recall, StaticModel, TeamModel};

use super::{Query, Spells, View};

/// Sightings that make a word its writer's own, listed or not.
const SIGHTINGS: u32 = 2;

/// Letters of an ending, and of the shortest word that may have one.
const ENDING: usize = 3;
const STEM: usize = 4;

/// A word as it may be written elsewhere: with a space or without, as it is, small, or with a capital.
fn cased(word: &str) -> impl Iterator<Item = String> + use<> {
    let small = word.to_lowercase();
    let mut letters = small.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let forms = [word.to_owned(), small, capital];
    forms.into_iter().flat_map(|form| [format!(" {form}"), form])
}

/// What a model may show, and how much it has learned.
pub trait Suggest: NextWord {
    /// Whether it is a corpus that it knows, rather than those who write here.
    const OF_A_CORPUS: bool = false;

    /// Words it has learned from; a corpus counts as no end of them.
    fn experience(&self) -> u64;

    /// Resolves a place.
    fn place(&self, query: &Query<'_>) -> Arc<Self::History>;

    /// Whether a prefix begins a word that nobody should correct.
    fn knows(&self, history: &Self::History, prefix: &str) -> bool {
        self.mass(history, prefix) > 0.0
    }

    /// The `k` best words after `history` that start with `prefix`, are longer and may be shown, with P(w | history).
    fn suggest<'a>(
        &'a self,
        history: &'a Self::History,
        prefix: &str,
        k: usize,
        spelling: &Spelling,
    ) -> Vec<(&'a str, f32)>;
}

impl Suggest for StaticModel {
    const OF_A_CORPUS: bool = true;

    fn experience(&self) -> u64 {
        u64::MAX
    }

    fn place(&self, query: &Query<'_>) -> Arc<Self::History> {
        Arc::new(self.history(query.history, query.start))
    }

    fn suggest<'a>(
        &'a self,
        history: &'a Self::History,
        prefix: &str,
        k: usize,
        _: &Spelling,
    ) -> Vec<(&'a str, f32)> {
        self.top(history, prefix, k)
    }
}

impl Suggest for PersonalModel {
    fn experience(&self) -> u64 {
        self.words_learned()
    }

    /// A keystroke comes here once before and once after the GPT-2 has spoken; the history is the same if nothing was learned
    /// in between.
    fn place(&self, query: &Query<'_>) -> Arc<Self::History> {
        let resolve = || (self.words_learned(), Arc::new(self.history_in(query.conversation)));
        match query.resolved.map(|resolved| resolved.get_or_init(resolve)) {
            Some((learned, history)) if *learned == self.words_learned() => Arc::clone(history),
            _ => resolve().1,
        }
    }

    /// Neither with another space or capital is it a slip, nor if it is a word of the writer with an ending.
    fn knows(&self, history: &Self::History, prefix: &str) -> bool {
        let word = prefix.trim_start();
        let stems = word.char_indices().rev().take(ENDING).map(|(at, _)| &word[..at]);
        let stems = stems.filter(|stem| stem.chars().nth(STEM - 1).is_some());
        cased(word).any(|form| self.mass(history, &form) > 0.0)
            || stems.flat_map(cased).any(|form| self.score(history, &form).prob > 0.0)
    }

    /// A word seen once may be a slip: it is shown if the lexicon has it, or the conversation.
    fn suggest<'a>(
        &'a self,
        history: &'a Self::History,
        prefix: &str,
        k: usize,
        spelling: &Spelling,
    ) -> Vec<(&'a str, f32)> {
        let known = |word: &str, sightings: u32| sightings >= SIGHTINGS || spelling.contains(word);
        self.top_where(history, prefix, k, known)
    }
}

/// It has an index of its writer's text for a keystroke only: what it knows, `personal` knows.
impl Suggest for Recall<'_> {
    fn experience(&self) -> u64 {
        self.words_learned()
    }

    fn place(&self, query: &Query<'_>) -> Arc<Self::History> {
        Arc::new(self.history_in(query.conversation))
    }

    fn suggest<'a>(
        &'a self,
        history: &'a Self::History,
        prefix: &str,
        k: usize,
        spelling: &Spelling,
    ) -> Vec<(&'a str, f32)> {
        let known = |word: &str, sightings: u32| sightings >= SIGHTINGS || spelling.contains(word);
        self.top_where(history, prefix, k, known)
    }
}

/// What it says enough writers have used already.
impl Suggest for TeamModel {
    fn experience(&self) -> u64 {
        u64::MAX
    }

    fn place(&self, query: &Query<'_>) -> Arc<Self::History> {
        Arc::new(self.history(query.history, query.start))
    }

    fn suggest<'a>(
        &'a self,
        history: &'a Self::History,
        prefix: &str,
        k: usize,
        _: &Spelling,
    ) -> Vec<(&'a str, f32)> {
        self.top(history, prefix, k)
    }
}

/// An n-gram model at one place.
pub struct Ngram<'a, M: Suggest> {
    model: &'a M,
    spells: &'a Spells<'a>,
    history: Arc<M::History>,
    prefix: String,
    answers: bool,
}

impl<'a, M: Suggest> Ngram<'a, M> {
    /// Resolves the history once.
    pub fn new(model: &'a M, spells: &'a Spells<'a>, query: &Query<'_>) -> Self {
        let history = model.place(query);
        let answers = query.conversation.answers();
        Self { model, spells, history, prefix: query.prefix.to_owned(), answers }
    }

    /// The same place with another prefix.
    pub fn with_prefix(&self, prefix: &str) -> Self {
        Self { history: Arc::clone(&self.history), prefix: prefix.to_owned(), ..*self }
    }
}

impl<'a, M: Suggest> View<'a> for Ngram<'a, M>
where
    M::History: 'a,
{
    fn matched(&self) -> Matched {
        self.model.matched(&self.history)
    }

    fn experience(&self) -> u64 {
        self.model.experience()
    }

    fn answers(&self) -> bool {
        self.answers
    }

    fn mass(&self) -> f32 {
        let escape = self.model.escape(&self.history);
        self.model.mass(&self.history, &self.prefix) + escape * self.spells.mass(&self.prefix)
    }

    fn prob(&self, surface: &str) -> f32 {
        let known = self.model.score(&self.history, surface).prob;
        known + self.model.escape(&self.history) * self.spells.prob(surface)
    }

    fn top(&self, k: usize) -> Vec<(String, f32)> {
        let words = self.model.suggest(&self.history, &self.prefix, k, self.spells.model());
        words.into_iter().map(|(word, p)| (word.to_owned(), p)).collect()
    }

    fn knows_prefix(&self) -> bool {
        self.model.knows(&self.history, &self.prefix)
    }

    fn uses_prefix(&self) -> bool {
        !M::OF_A_CORPUS && self.knows_prefix()
    }

    fn uses(&self, surface: &str) -> bool {
        let known = |form: String| self.model.score(&self.history, &form).prob > 0.0;
        !M::OF_A_CORPUS && cased(surface.trim_start()).any(known)
    }

    fn after(&self, surface: &str) -> Box<dyn View<'a> + 'a> {
        let history = Arc::new(self.model.advance(&self.history, surface));
        Box::new(Self { history, prefix: String::new(), ..*self })
    }
}
