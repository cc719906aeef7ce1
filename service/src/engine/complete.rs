//! The path of one keystroke.

use std::time::{Duration, Instant};

use foretype_markov::segment;
use serde_json::json;

use super::blocked::Barrier;
use super::lines::Lines;
use super::neural::SayEarly;
use super::passed::looks;
use super::place::{Place, recent_turns};
use super::snippets::{before_repeating, snippets};
use super::tables::after;
use super::{
    Completion, Engine, Kind, Neural, Predictor, Record, Request, Silence, Source, Status, Suggestion, Tables,
};
use crate::ensemble::expected::Expected;
use crate::ensemble::mixture::{Learned, Views};
use crate::ensemble::phrase::Extension;
use crate::ensemble::rank::{Ranked, by_urgency, rank};
use crate::ensemble::weights::MEMBERS;
use crate::ensemble::{silence, worth};
use crate::session::{self, Offer, Shown};

/// The last words before the cursor that may have ended a line, marks counted in.
const WORDS_OF_A_LINE: usize = 4;

/// Characters after the cursor in which the next word is found.
const AFTER: usize = 256;

/// How many of the best first words are tried as phrases.
const EXTENDED: usize = 2;

/// Who hears the fast tier's answer while the neural tier is still at work.
pub struct Early<'a, T> {
    /// How long the neural tier is waited for first: an answer that is replaced at once is flicker.
    pub after: Duration,
    /// Hears it, at most once.
    pub hear: &'a mut (dyn FnMut(T) + Send),
}

impl Engine {
    /// Answers one keystroke by its deadline. Never fails: with nothing to say it is silent and says why.
    pub async fn complete(&self, request: Request) -> Completion {
        self.complete_in_stages(request, None).await
    }

    /// The same, with what the fast tier says as an answer of its own before. The last answer is remembered.
    pub async fn complete_in_stages(
        &self,
        request: Request,
        early: Option<Early<'_, Completion>>,
    ) -> Completion {
        let started = Instant::now();
        let normal = segment::normalise(&request.text).into_owned();
        let turns = recent_turns(&request.context);
        let place = Place::new(&normal, &turns, &request);
        if let Some(reason) = silence::before(&place.cut, &request) {
            self.see(&request);
            return self.silent(reason, &request, started);
        }
        let turn = self.pass(&request);
        let mut tables = self.fast(&place, &request);
        let mut statuses = self.fast_statuses(&tables);
        if let Some(completion) = self.type_through(&request, &place, &tables, statuses, started) {
            return completion;
        }
        let fast = started.elapsed();
        let asked = Instant::now();
        let question = self.question(&place, &normal, &tables, &request);
        let mut early = early.map(|Early { after, hear }| {
            let (mut statuses, request, place) = (statuses, &request, &place);
            statuses[Predictor::Gpt2 as usize] = Status::Late;
            let say = move |tables: &Tables| {
                let (completion, offers, expected) = self.decide(request, place, tables, statuses);
                self.remember(request, turn, offers, expected);
                hear(Completion { fast, ..completion });
            };
            (after, say)
        });
        let early = early.as_mut().map(|(after, say)| (*after, say as &mut SayEarly<'_>));
        let before = self.tries(&request).then(|| tables.clone());
        let (status, neural) = match self.worthwhile(question, &tables, &request) {
            Some(question) => self.ask(&place, question, &mut tables, &request, early).await,
            None if self.inference.is_some() => (Status::Skipped, None),
            None => (Status::Off, None),
        };
        statuses[Predictor::Gpt2 as usize] = status;
        let neural = neural.map(|neural| Neural { elapsed: asked.elapsed(), ..neural });
        let deciding = Instant::now();
        let (mut completion, offers, expected) = self.decide(&request, &place, &tables, statuses);
        // What an answer takes without the neural tier: its tables, and the decision.
        completion.decided = deciding.elapsed();
        completion.fast = fast + completion.decided;
        completion.began = started;
        completion.neural = neural;
        if let (Some(before), Status::Used) = (&before, status) {
            self.learn_gain(&request, &place, (before, &tables), &offers, statuses);
        }
        if let Some(debug) = &mut completion.debug {
            let ms = |duration: Duration| json!(duration.as_secs_f64() * 1e3);
            debug["fast_ms"] = ms(completion.fast);
            debug["neural_ms"] = json!(neural.map(|neural| ms(neural.elapsed)));
            debug["neural"] = json!(neural.map(|neural| {
                json!({
                    "waited_ms": ms(neural.waited), "worked_ms": ms(neural.worked),
                    "passes": neural.passes, "tokens": neural.tokens,
                })
            }));
        }
        self.remember(&request, turn, offers, expected);
        if request.look_ahead && status == Status::Used {
            self.look_ahead(&request, &completion);
        }
        completion
    }

    /// Ranks, extends, filters: the answer of the models.
    pub(super) fn decide(
        &self,
        request: &Request,
        place: &Place<'_>,
        tables: &Tables,
        statuses: [Status; MEMBERS],
    ) -> (Completion, Vec<Offer>, Expected) {
        let ensemble = &self.bundle.ensemble;
        let prefix = place.cut.prefix;
        let mut ranked = rank(&tables.here, tables.next.as_ref(), &ensemble.calibration);
        ranked.extend(tables.meant());
        ranked.extend(snippets(request, prefix));
        let passed = self.passed(request);
        let expected = self.pass_over(&mut ranked, &passed, request, prefix);
        let least = request.min_confidence.unwrap_or(ensemble.threshold);
        let barrier = Barrier::new(request, &place.cut);
        let mut against = barrier.leave_out(&mut ranked, least);
        ranked.sort_by(by_urgency);
        let tried = request.max_suggestions.max(EXTENDED);
        // The writer's own texts take no word's place.
        let mut room = tried + 4;
        ranked.retain(|candidate| {
            let kept = candidate.is_snippet() || room > 0;
            room = room.saturating_sub(usize::from(!candidate.is_snippet()));
            kept
        });
        self.with_views(place, request, |views, learned| {
            let mut most = f32::NEG_INFINITY;
            for candidate in ranked.iter_mut().filter(|candidate| !candidate.is_snippet()).take(tried) {
                // What is not shown need not be longer, nor what will stay far behind the best.
                let shown = candidate.probs[0] >= least;
                if shown && (request.max_suggestions > 1 || candidate.may_reach() >= most) {
                    self.extend(candidate, tables, prefix, views, learned);
                }
                most = most.max(candidate.urgency);
            }
        });
        ranked.sort_by(by_urgency);
        let after = segment::normalise(first_characters(&request.after, AFTER));
        let repeated = segment::surfaces(&after).next();
        let lines = Lines::of(&request.text);
        let line = |candidate: &Ranked, surfaces: &[String]| {
            let history = &place.cut.history[place.cut.history.len().saturating_sub(WORDS_OF_A_LINE)..];
            let words: Vec<_> = history.iter().copied().chain(candidate.follows.then_some(prefix)).collect();
            let begun = !candidate.follows && !prefix.trim().is_empty();
            lines.before_break(&words, begun || lines.begins(), surfaces)
        };
        let (mut offers, mut landings) = (Vec::new(), Vec::new());
        for candidate in &mut ranked {
            if offers.len() == request.max_suggestions {
                break;
            }
            let ends = [
                (before_repeating(candidate, repeated), Silence::RepeatsAfter),
                (barrier.allows(candidate), Silence::Blocked),
                (before(candidate, |surfaces| line(candidate, surfaces)), Silence::NoCandidate),
                (before(candidate, silence::before_placeholder), Silence::PrivateData),
                (before(candidate, silence::before_loose_mark), Silence::NoCandidate),
            ];
            let kept = ends.iter().map(|(kept, _)| *kept).min().unwrap_or_default();
            if kept == 0 {
                against = against.or(ends.iter().find(|(kept, _)| *kept == 0).map(|(_, why)| *why));
                continue;
            }
            candidate.shorten(kept, prefix);
            let text = candidate.text(prefix, &request.after);
            let draft = without_last(&request.text, candidate.replace);
            let landing = session::landing(draft, &text);
            let unwanted = || {
                let of = if candidate.is_snippet() { Self::unwanted_here } else { Self::unwanted };
                of(self, request, draft, &text, landing)
            };
            if let Some(reason) = unwanted().or_else(|| shy(candidate, least)) {
                against = against.or((reason != Silence::LowConfidence).then_some(reason));
            } else if !landings.contains(&landing) {
                landings.push(landing);
                let (words, suggestion) = (candidate.words(prefix), suggestion(candidate, text));
                offers.push(Offer { suggestion, words, weight: 1.0 });
            }
        }
        if let Some(shuffle) = request.shuffle {
            let order = shuffle.order(offers.len());
            landings = order.iter().map(|rank| landings[*rank]).collect();
            offers = shuffle.placed(&order, &offers);
        }
        let silence = offers
            .is_empty()
            .then(|| against.unwrap_or_else(|| silence::none_shown(&place.cut, &ranked, tables.here.done())));
        let looks = looks(&offers, &passed);
        let record = Record { session: request.session.clone(), landings, looks };
        let suggestions = offers.iter().map(|offer| offer.suggestion.clone()).collect();
        let completion = Completion {
            suggestions,
            silence,
            source: Source::Models,
            predictors: std::array::from_fn(|m| (Predictor::ALL[m], statuses[m])),
            began: Instant::now(),
            fast: Duration::ZERO,
            decided: Duration::ZERO,
            neural: None,
            debug: request.debug.then(|| explain(tables, &ranked)),
            record,
        };
        (completion, offers, expected)
    }

    /// What speaks against showing a text at the end of `draft` at all.
    pub(super) fn unwanted(
        &self,
        request: &Request,
        draft: &str,
        text: &str,
        landing: u64,
    ) -> Option<Silence> {
        silence::against(text, draft).or_else(|| self.unwanted_here(request, draft, text, landing))
    }

    /// The same of a text that may hold whatever its writer put there.
    pub(super) fn unwanted_here(
        &self,
        request: &Request,
        draft: &str,
        text: &str,
        landing: u64,
    ) -> Option<Silence> {
        if silence::splits_grapheme(draft, text) {
            return Some(Silence::NoCandidate);
        }
        if let Some(key) = &request.session
            && self.sessions.with(key, |session| session.was_rejected(landing))
        {
            return Some(Silence::RejectedHere);
        }
        None
    }

    /// Lets a first word go on as far as that is worth it.
    fn extend(
        &self,
        candidate: &mut Ranked,
        tables: &Tables,
        prefix: &str,
        views: &Views<'_>,
        learned: Learned<'_>,
    ) {
        let first = candidate.surfaces[0].clone();
        let goes_on = tables.phrases.iter().find(|p| p.first == first && p.follows == candidate.follows);
        let ensemble = &self.bundle.ensemble;
        let extension = Extension {
            prior: &ensemble.prior,
            learned,
            calibration: &ensemble.calibration,
            neural: goes_on.map_or(&[][..], |phrase| phrase.words.as_slice()),
            prefix,
        };
        let base = if candidate.follows { &after(views, prefix) } else { views };
        let mut later = after(base, &first);
        // Spelling alone says nothing about what comes after a word, and looking costs.
        if later.len() > 1 {
            later.retain(|(predictor, _)| *predictor != Predictor::Charlm);
        }
        extension.extend(candidate, &later);
    }

    /// Keeps the answer for type-through, unless something was asked in the session since `turn`: an answer that comes late is not
    /// on the screen.
    fn remember(&self, request: &Request, turn: u64, offers: Vec<Offer>, expected: Expected) {
        let Some(key) = &request.session else { return };
        let shown = (!offers.is_empty()).then(|| Shown {
            draft: request.text.clone(),
            surroundings: surroundings(request),
            suggestions: offers,
            expected,
        });
        self.sessions.with(key, |session| {
            if session.turn == turn {
                session.shown = shown;
            }
        });
    }

    fn silent(&self, reason: Silence, request: &Request, began: Instant) -> Completion {
        let status = |p| if self.is_enabled(p) { Status::Skipped } else { Status::Off };
        Completion {
            suggestions: Vec::new(),
            silence: Some(reason),
            source: Source::Models,
            predictors: Predictor::ALL.map(|p| (p, status(p))),
            began,
            fast: began.elapsed(),
            decided: Duration::ZERO,
            neural: None,
            debug: None,
            record: Record { session: request.session.clone(), landings: Vec::new(), looks: Vec::new() },
        }
    }
}

/// Everything but the draft that an answer depends on.
pub(super) fn surroundings(request: &Request) -> u64 {
    let context: Vec<_> = request.context.iter().map(|turn| (turn.role, turn.text.as_str())).collect();
    session::hashed(&(request.after.as_str(), request.role, request.corrections, context))
}

/// How many surfaces of a candidate come before something; what a writer keeps ready is theirs.
fn before(candidate: &Ranked, something: impl Fn(&[String]) -> usize) -> usize {
    if candidate.is_snippet() { candidate.surfaces.len() } else { something(&candidate.surfaces) }
}

/// At a threshold of zero whatever was found is shown.
pub(super) fn shy(candidate: &Ranked, least: f32) -> Option<Silence> {
    let shy = least > 0.0 && (candidate.probs[0] < least || candidate.worth <= 0.0);
    shy.then_some(Silence::LowConfidence)
}

/// The first `count` characters, or all there are.
fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}

/// A draft without its last `count` characters.
pub(super) fn without_last(draft: &str, count: usize) -> &str {
    let end = count.checked_sub(1).and_then(|last| draft.char_indices().rev().nth(last));
    end.map_or(draft, |(at, _)| &draft[..at])
}

fn suggestion(candidate: &Ranked, text: String) -> Suggestion {
    let kind = match candidate.surfaces.as_slice() {
        _ if candidate.is_snippet() => Kind::Snippet,
        [_] => Kind::Word,
        [.., last] if worth::ends_sentence(last) => Kind::Sentence,
        _ => Kind::Phrase,
    };
    let confidence = candidate.probs[0].clamp(0.0, 1.0);
    Suggestion { text, replace: candidate.replace, confidence, predictor: candidate.predictor, kind }
}

/// What `debug` shows: shares of the members and the candidates with what each member gave them.
fn explain(tables: &Tables, ranked: &[Ranked]) -> serde_json::Value {
    let named = |values: [f32; MEMBERS]| -> serde_json::Map<_, _> {
        Predictor::ALL.iter().map(|p| (p.name().to_owned(), json!(values[*p as usize]))).collect()
    };
    let candidates: Vec<_> = ranked
        .iter()
        .map(|candidate| {
            let table = if candidate.follows { tables.next.as_ref() } else { Some(&tables.here) };
            let row = table.and_then(|t| t.rows.iter().find(|row| row.surface == candidate.surfaces[0]));
            json!({
                "surfaces": candidate.surfaces,
                "probabilities": candidate.probs,
                "worth": candidate.worth,
                "follows": candidate.follows,
                "replace": candidate.replace,
                "members": row.map(|row| named(row.probs)),
            })
        })
        .collect();
    json!({
        "prefix": tables.here.prefix,
        "done": tables.here.done(),
        "bucket": tables.here.bucket,
        "weights": named(tables.here.weights()),
        "shares": named(tables.here.shares()),
        "candidates": candidates,
    })
}
