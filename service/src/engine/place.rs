//! Where the cursor stands, and what can be seen from there.

use std::borrow::Cow;

use foretype_markov::segment::{self, Cut};
use foretype_markov::{Conversation, Role};

use super::{Request, Turn};
use crate::predictors::{Query, Resolved};

/// Bytes of the conversation that any n-gram looks at, the newest first.
const CONVERSATION: usize = 4096;

/// The newest turns as the models see them, oldest first.
pub(crate) fn recent_turns(context: &[Turn]) -> Vec<(Role, Cow<'_, str>)> {
    let mut left = CONVERSATION;
    let newest = context.iter().rev().take_while(|turn| {
        let within = left > 0;
        left = left.saturating_sub(turn.text.len());
        within
    });
    let near = |turn: &'_ Turn| turn.text.ceil_char_boundary(turn.text.len().saturating_sub(CONVERSATION));
    let mut turns: Vec<_> =
        newest.map(|turn| (turn.role, segment::normalise(&turn.text[near(turn)..]))).collect();
    turns.reverse();
    turns
}

/// A draft cut at the cursor, with the conversation it continues.
pub(crate) struct Place<'a> {
    /// The draft, cut.
    pub(crate) cut: Cut<'a>,
    conversation: Conversation<'a>,
    role: Role,
    resolved: Resolved,
}

impl<'a> Place<'a> {
    /// `normal` is the request's draft, normalised; `turns` are its [`recent_turns`].
    pub(crate) fn new(normal: &'a str, turns: &'a [(Role, Cow<'_, str>)], request: &Request) -> Self {
        let cut = segment::cut(normal);
        let before = &normal[..normal.len() - cut.prefix.len()];
        let turns = turns.iter().map(|(role, text)| (*role, text.as_ref()));
        let conversation = Conversation::new(turns, request.role, before);
        Self { conversation, cut, role: request.role, resolved: Resolved::new() }
    }

    pub(super) fn query(&self) -> Query<'_> {
        Query {
            history: &self.cut.history,
            start: self.cut.start.then_some(self.role),
            prefix: self.cut.prefix,
            conversation: &self.conversation,
            resolved: Some(&self.resolved),
        }
    }
}
