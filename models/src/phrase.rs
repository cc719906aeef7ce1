//! Continuation: the likeliest words after a word, one after the other, each found by a search of its own.

use std::sync::Arc;

use crate::boundary::End;
use crate::distribution::Distribution;
use crate::gpt2::Word;
use crate::search::{Aim, Query, Search};
use crate::step::Steps;
use crate::vocabulary::Vocabulary;

/// A word less likely than this, given all before it, ends the phrase.
const FLOOR_WORD: f32 = 0.15;
/// A phrase this unlikely as a whole, given its first word, is not worth another pass.
const FLOOR: f32 = 0.1;

/// A phrase in the making.
pub(crate) struct Phrase<'a> {
    /// The word it follows, and whether that follows the prefix instead of finishing it.
    pub(crate) first: String,
    pub(crate) follows: bool,
    /// The words found, each with its probability given all before it.
    pub(crate) words: Vec<Word>,
    /// All text up to here, as its end decides where the next word may begin.
    text: String,
    joint: f32,
    most: usize,
    search: Option<Search<'a>>,
}

impl<'a> Phrase<'a> {
    /// A phrase of at most `most` words after `first`, with which `text` ends; `reached` are the tokens up to there
    /// and what follows them.
    pub(crate) fn new(
        first: &str,
        follows: bool,
        text: String,
        reached: (Vec<u32>, Arc<Distribution>),
        most: usize,
        vocabulary: &'a Vocabulary,
    ) -> Self {
        let search = Some(next(&text, reached, vocabulary));
        Self { first: first.to_owned(), follows, words: Vec::new(), text, joint: 1.0, most, search }
    }

    /// Up to `room` nodes to open for the next word; empty when the phrase is at its end.
    ///
    /// That is after a sentence, where the message likelier ends than goes on, and where it becomes too unlikely.
    pub(crate) fn wanted(&mut self, steps: &mut Steps<'a>, room: usize) -> Vec<usize> {
        while let Some(search) = &mut self.search {
            let wanted = search.wanted(steps, Aim { top: 1, floor: FLOOR_WORD }, room);
            if !wanted.is_empty() {
                return wanted;
            }
            self.search = self.grow(steps.vocabulary);
        }
        Vec::new()
    }

    /// The search for the word after the one that was found, which joins the phrase.
    fn grow(&mut self, vocabulary: &'a Vocabulary) -> Option<Search<'a>> {
        let search = self.search.as_ref()?;
        let (surface, prob) = search.best(1).pop()?;
        if prob < FLOOR_WORD || prob <= search.message_end() || surface.trim().is_empty() {
            return None;
        }
        self.joint *= prob;
        self.text.push_str(&surface);
        let sentence = matches!(surface.as_str(), "." | "!" | "?");
        let more = self.words.len() + 1 < self.most && self.joint >= FLOOR && !sentence;
        // A word whose last token holds the beginning of another one is not reached by itself.
        let reached = search.reached(&surface).filter(|_| more);
        self.words.push(Word { surface, prob });
        Some(next(&self.text, reached?, vocabulary))
    }

    /// The search at work.
    pub(crate) fn search(&mut self) -> Option<&mut Search<'a>> {
        self.search.as_mut()
    }
}

/// The search for the word after `text`.
fn next<'a>(
    text: &str,
    (context, root): (Vec<u32>, Arc<Distribution>),
    vocabulary: &'a Vocabulary,
) -> Search<'a> {
    Search::new(Query::after(context, End::of(text.as_bytes())), vocabulary, &root)
}
