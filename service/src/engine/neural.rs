//! The neural tier's part in a keystroke: how deep it is asked, how long it is waited for, and what it reads ahead.

use std::time::Duration;

use foretype_markov::segment;

use super::place::Place;
use super::tables::neural_text;
use super::{Completion, Engine, Neural, Request, Status, Tables, read};
use crate::ensemble::gate::Gain;
use crate::ensemble::mixture::prefix_class;
use crate::ensemble::weights::MEMBERS;
use crate::ensemble::worth;
use crate::inference::{Answered, Question};
use crate::session::{Offer, hashed};

/// The neural tier's share of what is left of a budget: what it finds in the rest is rarely worth being seen so late.
const SHARE: f32 = 0.7;

/// One place in so many is asked about as deep as can be whatever that costs, to learn what it gains.
const TRIALS: u64 = 16;

/// Timers fire up to this late.
const TIMER: Duration = Duration::from_millis(1);

/// Makes an answer of what the fast tier says.
pub(super) type SayEarly<'a> = dyn FnMut(&Tables) + Send + 'a;

impl Engine {
    /// The question as deep as it pays, given what waits for the neural tier; `None`: nobody is there, or it does not pay.
    pub(super) fn worthwhile(
        &self,
        question: Question,
        tables: &Tables,
        request: &Request,
    ) -> Option<Question> {
        let inference = self.inference.as_ref()?;
        let Some(thrift) = self.thrift else { return Some(question) };
        if is_trial(request) {
            return Some(question);
        }
        let cost = |depth| inference.own_cost(&question, depth);
        let usual = inference.usual();
        let wait = inference.wait(request.deadline).max(usual * thrift);
        let gain = match request.memory.as_deref().map(read) {
            Some(memory) => Gain::of(&self.gained, Some(&memory.gained)),
            None => Gain::of(&self.gained, None),
        };
        let depth = self.bundle.ensemble.gate.depth(standing(tables), gain, (wait, usual), cost)?;
        Some(Question { depth, ..question })
    }

    /// Whether an answer is compared with what it would have been without the neural tier. Where time costs nothing nobody needs
    /// to know.
    pub(super) fn tries(&self, request: &Request) -> bool {
        self.thrift.is_some() && request.learn && is_trial(request)
    }

    /// Learns what asking gained at a place: what `decided` shows, against what the tables `before` it would have.
    pub(super) fn learn_gain(
        &self,
        request: &Request,
        place: &Place<'_>,
        (before, after): (&Tables, &Tables),
        decided: &[Offer],
        statuses: [Status; MEMBERS],
    ) {
        let shows = |tables: &Tables| urgency(&self.decide(request, place, tables, statuses).1);
        let without = shows(before);
        // More passes than one find what follows the first words.
        let first = shows(&Tables { phrases: Vec::new(), ..after.clone() });
        let (class, best) = standing(before);
        let expected = self.bundle.ensemble.gate.gain(class, best);
        let (found, deeper) = (first - without, urgency(decided) - first);
        self.gained.learn(expected, found, deeper);
        if let Some(memory) = request.memory.as_deref().map(read) {
            memory.gained.learn(expected, found, deeper);
        }
    }

    /// Asks the neural tier and merges its answer, if both can be done in time.
    pub(super) async fn ask(
        &self,
        place: &Place<'_>,
        question: Question,
        tables: &mut Tables,
        request: &Request,
        early: Option<(Duration, &mut SayEarly<'_>)>,
    ) -> (Status, Option<Neural>) {
        let Some(inference) = &self.inference else { return (Status::Off, None) };
        let question = Question { deadline: request.deadline.sooner(SHARE), ..question };
        let Some(mut answer) = inference.ask(question.clone()) else { return (Status::Skipped, None) };
        let left = || question.deadline.left().saturating_sub(TIMER);
        let mut answered = None;
        if let Some((after, say)) = early.filter(|(after, _)| *after < left()) {
            answered = tokio::time::timeout(after, &mut answer).await.ok();
            if answered.is_none() {
                say(tables);
            }
        }
        let answered = match answered {
            Some(answered) => answered.ok(),
            None => tokio::time::timeout(left(), answer).await.ok().and_then(Result::ok),
        };
        let Some(Answered { words, waited, worked }) = answered else {
            return (Status::Late, Some(Neural::default()));
        };
        let (passes, tokens) = (words.passes, words.prefilled + words.tokens);
        let status = self.merge(tables, &question, &words, place, request);
        (status, Some(Neural { waited, worked, passes, tokens, ..Neural::default() }))
    }

    /// Lets the GPT-2 read what stands before the first key of a draft, when it has nothing else to do.
    pub fn prepare(&self, request: &Request) {
        let Some(inference) = &self.inference else { return };
        let Some(session) = &request.session else { return };
        inference.prepare(neural_text(request, ""), session.clone());
    }

    /// Lets the GPT-2 read on while a suggestion is shown, as if it were taken, so that the answer after that is as quick as others.
    pub(super) fn look_ahead(&self, request: &Request, completion: &Completion) {
        let (Some(inference), Some(session)) = (&self.inference, &request.session) else { return };
        let Some(first) = completion.suggestions.first().filter(|first| first.replace == 0) else { return };
        let taken = [request.text.as_str(), &first.text].concat();
        inference.prepare(neural_text(request, segment::normalise(&taken).trim_end()), session.clone());
    }
}

/// Always the same places: the same draft is answered in the same way.
fn is_trial(request: &Request) -> bool {
    hashed(&request.text).is_multiple_of(TRIALS)
}

/// What the gate goes by: how much of the word is typed, and how sure the fast tier is.
fn standing(tables: &Tables) -> (usize, f32) {
    let table = &tables.here;
    (prefix_class(&table.prefix), table.rows.iter().map(|row| table.mix(&row.probs)).fold(0.0, f32::max))
}

/// Expected keystrokes lost if the first offer were not shown.
fn urgency(offers: &[Offer]) -> f32 {
    offers.first().map_or(0.0, |offer| worth::urgency(&offer.words, worth::worth(&offer.words)))
}
