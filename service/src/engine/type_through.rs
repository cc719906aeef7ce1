//! The writer typed what the last suggestion said: its rest stays. People hate flicker.

use std::time::Instant;

use foretype_markov::segment::Cut;

use super::complete::surroundings;
use super::{Completion, Engine, Kind, Predictor, Record, Request, Source, Status, Suggestion, Tables};
use crate::ensemble::rank::rank;
use crate::ensemble::weights::MEMBERS;
use crate::ensemble::worth;
use crate::session::{self, Shown};

/// The fast tier must find something worth this many times the rest before the rest is given up.
const CLEARLY: f32 = 1.5;

impl Engine {
    /// The rest of the last suggestion, if the writer is typing it and nothing clearly likelier came up.
    pub(super) fn type_through(
        &self,
        request: &Request,
        cut: &Cut<'_>,
        tables: &Tables,
        statuses: [Status; MEMBERS],
        started: Instant,
    ) -> Option<Completion> {
        let key = request.session.as_ref()?;
        let shown = self.sessions.with(key, |session| session.shown.clone())?;
        let suggestions = rest(&shown, request)?;
        let least = request.min_confidence.unwrap_or(self.bundle.ensemble.threshold);
        let first = suggestions.first()?;
        if first.confidence < least || self.clearly_better(first, cut, tables) {
            return None;
        }
        let landings: Vec<_> = suggestions.iter().map(|s| session::landing(&request.text, &s.text)).collect();
        self.sessions.with(key, |session| {
            session.shown =
                Some(Shown { draft: request.text.clone(), suggestions: suggestions.clone(), ..shown });
        });
        Some(Completion {
            suggestions,
            silence: None,
            source: Source::TypeThrough,
            predictors: std::array::from_fn(|m| {
                let asked = Predictor::ALL[m] != Predictor::Gpt2 || statuses[m] == Status::Off;
                (Predictor::ALL[m], if asked { statuses[m] } else { Status::Skipped })
            }),
            fast: started.elapsed(),
            neural: None,
            debug: None,
            record: Record { session: request.session.clone(), landings },
        })
    }

    /// Whether the fast tier's best beats the rest by far.
    fn clearly_better(&self, rest: &Suggestion, cut: &Cut<'_>, tables: &Tables) -> bool {
        let ranked = rank(&tables.here, tables.next.as_ref(), &self.bundle.ensemble.calibration);
        let Some(best) = ranked.first() else { return false };
        let first = rest.text.split_whitespace().next().unwrap_or_default();
        let lead = rest.text.len() - rest.text.trim_start().len();
        let worth = worth::worth(&[(lead + first.chars().count() + 1, rest.confidence)]);
        let same = best.text(cut.prefix, "").trim_start().starts_with(first);
        !same && best.worth > CLEARLY * worth.max(0.0)
    }
}

/// What is left of the suggestions that the new draft agrees with; `None` when the first is not among them.
fn rest(shown: &Shown, request: &Request) -> Option<Vec<Suggestion>> {
    let typed = request.text.strip_prefix(&shown.draft)?;
    if typed.is_empty() || shown.surroundings != surroundings(request) {
        return None;
    }
    let left = |suggestion: &Suggestion| {
        let text = suggestion.text.strip_prefix(typed)?;
        let words = text.split_whitespace().count();
        let kind = if words > 1 { suggestion.kind } else { Kind::Word };
        (words > 0).then(|| Suggestion { text: text.to_owned(), kind, ..suggestion.clone() })
    };
    let mut suggestions = vec![left(shown.suggestions.first()?)?];
    suggestions.extend(shown.suggestions.iter().skip(1).take(request.max_suggestions - 1).filter_map(left));
    suggestions.truncate(request.max_suggestions);
    Some(suggestions)
}
