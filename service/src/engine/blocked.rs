//! What the writer never wants to be shown is left out of the candidates, or cut off.

use std::sync::Arc;

use foretype_markov::segment::Cut;

use super::complete::{shy, without_last};
use super::{Request, Silence, read};
use crate::ensemble::rank::Ranked;
use crate::writer::Blocked;

/// A writer's list at one place.
pub(super) struct Barrier<'a> {
    list: Option<Arc<Blocked>>,
    /// The last words before the cursor, the unfinished one too.
    before: String,
    prefix: &'a str,
}

impl<'a> Barrier<'a> {
    /// At the cursor of a request, where its draft is cut.
    pub(super) fn new(request: &Request, cut: &Cut<'a>) -> Self {
        let list = request.memory.as_deref().map(|memory| Arc::clone(&read(memory).blocked));
        let list = list.filter(|list| !list.is_empty());
        // As much as a phrase may have begun with, and what the words of the text may still join: "3" and "." before "5".
        let before = list.as_ref().map_or_else(String::new, |list| {
            let from = cut.history.len().saturating_sub(list.longest() + 1);
            cut.history[from..].concat() + cut.prefix
        });
        Self { list, before, prefix: cut.prefix }
    }

    /// How many of a candidate's first surfaces may be shown; of a snippet all or nothing.
    pub(super) fn allows(&self, candidate: &Ranked) -> usize {
        let all = candidate.surfaces.len();
        let text = || candidate.text(self.prefix, "");
        let cut = self.list.is_some().then(|| self.cut(&text(), candidate.replace)).flatten();
        match cut {
            None => all,
            Some(_) if candidate.is_snippet() => 0,
            Some(cut) => {
                let ends = candidate.words(self.prefix).into_iter().scan(0, |end, (bytes, _)| {
                    *end += bytes;
                    Some(*end)
                });
                let allowed = ends.take_while(|end| *end <= cut).count();
                // Half of a word that is written of several surfaces ("e-mail") is none.
                let is_whole =
                    |count: &usize| candidate.surfaces.get(*count).is_none_or(|next| next.starts_with(' '));
                (0..=allowed).rev().find(is_whole).unwrap_or(0)
            }
        }
    }

    /// Whether a text shows something blocked at the cursor, `replace` characters of the draft taken away.
    pub(super) fn bars(&self, text: &str, replace: usize) -> bool {
        self.cut(text, replace).is_some()
    }

    /// Leaves out the candidates of which nothing may be shown. Says so if one of them would have been.
    pub(super) fn leave_out(&self, candidates: &mut Vec<Ranked>, least: f32) -> Option<Silence> {
        let mut missed = None;
        candidates.retain(|candidate| {
            let allowed = self.allows(candidate) > 0;
            if !allowed && shy(candidate, least).is_none() {
                missed = Some(Silence::Blocked);
            }
            allowed
        });
        missed
    }

    fn cut(&self, text: &str, replace: usize) -> Option<usize> {
        // Snippets have line breaks.
        let text = text.replace(|c: char| c.is_whitespace() || c.is_control(), " ");
        self.list.as_ref()?.cut(without_last(&self.before, replace), &text)
    }
}
