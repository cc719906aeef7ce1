//! The neural tier's part in a keystroke: how deep it is asked, how long it is waited for, and what it reads ahead.

use std::time::Duration;

use foretype_markov::segment;

use super::place::Place;
use super::tables::neural_text;
use super::{Completion, Deadline, Engine, Neural, Request, Status, Tables};
use crate::ensemble::mixture::prefix_class;
use crate::inference::{Answered, Question};

/// The neural tier's share of what is left of a budget: what it finds in the rest is rarely worth being seen so late.
const SHARE: f32 = 0.7;

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
        deadline: Deadline,
    ) -> Option<Question> {
        let (inference, table) = (self.inference.as_ref()?, &tables.here);
        let Some(thrift) = self.thrift else { return Some(question) };
        let best = table.rows.iter().map(|row| table.mix(&row.probs)).fold(0.0, f32::max);
        let place = (prefix_class(&table.prefix), best);
        let cost = |max_passes| inference.own_cost(&question, max_passes);
        let wait = inference.wait(deadline).max(thrift);
        let max_passes = self.bundle.ensemble.gate.passes(place, wait, cost)?;
        Some(Question { max_passes, ..question })
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
