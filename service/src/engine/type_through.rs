//! The writer typed what the last suggestion said: its rest stays. People hate flicker.

use std::time::{Duration, Instant};

use foretype_markov::segment::Cut;
use serde_json::json;

use super::blocked::Barrier;
use super::complete::{surroundings, without_last};
use super::passed::{MOST, looks, untaken};
use super::place::Place;
use super::{Completion, Engine, Kind, Predictor, Record, Request, Source, Status, Suggestion, Tables};
use crate::ensemble::expected::Expected;
use crate::ensemble::rank::rank;
use crate::ensemble::weights::MEMBERS;
use crate::ensemble::worth;
use crate::session::{self, Offer, Passes, Shown};
use crate::writer::slot;

/// The fast tier must find something this many times as urgent as the rest before the rest is given up.
const CLEARLY: f32 = 1.5;

impl Engine {
    /// The rest of the last suggestion, if the writer is typing it and nothing clearly likelier came up.
    pub(super) fn type_through(
        &self,
        request: &Request,
        place: &Place<'_>,
        tables: &Tables,
        statuses: [Status; MEMBERS],
        started: Instant,
    ) -> Option<Completion> {
        let key = request.session.as_ref()?;
        let shown = self.sessions.with(key, |session| session.shown.clone())?;
        let mut offers = rest(&shown, request)?;
        let least = request.min_confidence.unwrap_or(self.bundle.ensemble.threshold);
        let barrier = Barrier::new(request, &place.cut);
        let wanted = |offer: &Offer| {
            let (draft, text) = (&request.text, &offer.suggestion.text);
            if barrier.bars(text, 0) {
                return false;
            }
            let of =
                if offer.suggestion.kind == Kind::Snippet { Self::unwanted_here } else { Self::unwanted };
            of(self, request, draft, text, session::landing(draft, text)).is_none()
        };
        let first = offers.first().filter(|offer| wanted(offer))?;
        let word = first.first_word().to_owned();
        let passed = self.passed(request);
        let expected = expected(&shown, request, &passed);
        // Of a word that was begun by taking the one before, nothing else was looked at yet; how likely what a writer keeps ready is
        // to be meant is said by how much of it is typed, not by its words.
        let (now, other) = match &expected {
            Some(expected) => (expected.of(&word), expected.best_but(&word)),
            None if first.suggestion.kind == Kind::Snippet => return None,
            None => (first.suggestion.confidence, 0.0),
        };
        if now < other
            || now < least
            || self.clearly_better(first, now, request, &place.cut, tables, &barrier)
        {
            return None;
        }
        offers[0].suggestion.confidence = now.clamp(0.0, 1.0);
        if let Some(expected) = &expected {
            for offer in &mut offers[1..] {
                offer.suggestion.confidence = expected.of(offer.first_word()).clamp(0.0, 1.0);
            }
        }
        let expected = expected.unwrap_or_else(|| Expected::new(vec![(word, now)]));
        offers.retain(|offer| offer.suggestion.confidence >= least && wanted(offer));
        offers.truncate(request.max_suggestions);
        if offers.len() < request.max_suggestions {
            let (_, others, _) = self.decide(request, place, tables, statuses);
            fill(&mut offers, others, request);
        }
        let suggestions: Vec<_> = offers.iter().map(|offer| offer.suggestion.clone()).collect();
        let landings: Vec<_> = suggestions.iter().map(|s| landing(request, s)).collect();
        let looks = looks(&offers, &passed);
        self.sessions.with(key, |session| {
            session.shown =
                Some(Shown { draft: request.text.clone(), suggestions: offers, expected, ..shown });
        });
        Some(Completion {
            suggestions,
            silence: None,
            source: Source::TypeThrough,
            predictors: std::array::from_fn(|m| {
                let asked = Predictor::ALL[m] != Predictor::Gpt2 || statuses[m] == Status::Off;
                (Predictor::ALL[m], if asked { statuses[m] } else { Status::Skipped })
            }),
            began: started,
            fast: started.elapsed(),
            decided: Duration::ZERO,
            neural: None,
            debug: request.debug.then(|| json!({ "fast_ms": started.elapsed().as_secs_f64() * 1e3 })),
            record: Record { session: request.session.clone(), landings, looks },
        })
    }

    /// Whether the best of the fast tier that may be shown beats the rest by far.
    fn clearly_better(
        &self,
        rest: &Offer,
        confidence: f32,
        request: &Request,
        cut: &Cut<'_>,
        tables: &Tables,
        barrier: &Barrier<'_>,
    ) -> bool {
        // With the space behind it.
        let word = [(rest.first_word().trim_end().chars().count() + 1, confidence)];
        let limit = CLEARLY * worth::urgency(&word, worth::worth(&word)).max(0.0);
        let ranked = rank(&tables.here, tables.next.as_ref(), &self.bundle.ensemble.calibration);
        let may_be_shown = |text: &str| {
            let draft = &request.text;
            self.unwanted(request, draft, text, session::landing(draft, text)).is_none()
        };
        let rivals = ranked.iter().take_while(|ranked| ranked.urgency > limit);
        let mut rivals = rivals.filter(|ranked| barrier.allows(ranked) > 0);
        rivals
            .find(|ranked| may_be_shown(&ranked.text(cut.prefix, "")))
            .is_some_and(|best| best.first_word(cut.prefix).trim() != rest.first_word().trim())
    }
}

/// What may come next, now that what was shown was seen and the writer typed on; `None` when its first word is behind.
fn expected(shown: &Shown, request: &Request, passed: &[(String, Passes)]) -> Option<Expected> {
    let typed = request.text.strip_prefix(&shown.draft)?;
    shown.suggestions.first().filter(|offer| offer.is_passed_by(typed))?;
    let (mut expected, untaken) = (shown.expected.clone(), untaken(request));
    for (index, offer) in shown.suggestions.iter().enumerate().filter(|(_, offer)| offer.is_passed_by(typed))
    {
        let left = offer.first_word().strip_prefix(typed);
        let passes = passed.iter().find(|(word, _)| Some(&**word) == left);
        if passes.map_or(0, |(_, passes)| passes.all()) <= MOST.into() {
            expected.pass(offer.first_word(), untaken[slot(index)]);
        }
    }
    Some(expected.typed(typed))
}

/// What is left of the suggestions that the new draft agrees with; `None` when the first is not among them.
fn rest(shown: &Shown, request: &Request) -> Option<Vec<Offer>> {
    let typed = request.text.strip_prefix(&shown.draft)?;
    if typed.is_empty() || shown.surroundings != surroundings(request) {
        return None;
    }
    let first = left(shown.suggestions.first()?, typed)?;
    let others = shown.suggestions.iter().skip(1).filter_map(|offer| left(offer, typed));
    Some(std::iter::once(first).chain(others).collect())
}

/// Takes in of other suggestions those that begin with other words, as many as there is room for: a list stays a list.
fn fill(offers: &mut Vec<Offer>, others: Vec<Offer>, request: &Request) {
    let mut taken: Vec<_> = offers.iter().map(|offer| landing(request, &offer.suggestion)).collect();
    for other in others {
        let landing = landing(request, &other.suggestion);
        if offers.len() < request.max_suggestions && !taken.contains(&landing) {
            taken.push(landing);
            offers.push(other);
        }
    }
}

/// Where a suggestion would take the draft.
fn landing(request: &Request, suggestion: &Suggestion) -> u64 {
    session::landing(without_last(&request.text, suggestion.replace), &suggestion.text)
}

/// One suggestion without what was typed of it. Its confidence is that of the word the writer is at.
fn left(offer: &Offer, typed: &str) -> Option<Offer> {
    // What replaces the word goes on from elsewhere: letters that happen to agree are not its next ones.
    if offer.suggestion.replace > 0 {
        return None;
    }
    let text = offer.suggestion.text.strip_prefix(typed)?;
    if text.trim().is_empty() {
        return None;
    }
    let (mut words, mut gone) = (offer.words.as_slice(), typed.len());
    while let Some(((inserted, _), later)) = words.split_first()
        && *inserted <= gone
    {
        gone -= inserted;
        words = later;
    }
    let mut words = words.to_vec();
    let (inserted, confidence) = words.first_mut()?;
    *inserted -= gone;
    let confidence = confidence.clamp(0.0, 1.0);
    let stays = words.len() > 1 || offer.suggestion.kind == Kind::Snippet;
    let kind = if stays { offer.suggestion.kind } else { Kind::Word };
    let suggestion = Suggestion { text: text.to_owned(), confidence, kind, ..offer.suggestion.clone() };
    Some(Offer { suggestion, words, ..*offer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_that_of_the_word_the_writer_is_at() {
        let suggestion = Suggestion {
            text: "lp you with ".to_owned(),
            replace: 0,
            confidence: 0.9,
            predictor: Predictor::Gpt2,
            kind: Kind::Phrase,
        };
        let offer = Offer { suggestion, words: vec![(2, 0.9), (4, 0.7), (5, 0.5)], weight: 1.0 };
        let at = |typed: &str| {
            left(&offer, typed).map(|o| (o.suggestion.text, o.suggestion.confidence, o.words.len()))
        };
        assert_eq!(at("l"), Some(("p you with ".to_owned(), 0.9, 3)));
        assert_eq!(at("lp"), Some((" you with ".to_owned(), 0.7, 2)));
        assert_eq!(at("lp you w"), Some(("ith ".to_owned(), 0.5, 1)));
        assert_eq!(at("lp you with"), None, "only the space is left");
        assert_eq!(at("x"), None);
    }
}
