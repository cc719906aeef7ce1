//! What is at hand while a message is written: the conversation before it, and the message so far.

use super::vocabulary::MAX_SURFACE;
use crate::{Role, segment};

/// The newest surfaces that are looked at.
pub(super) const LONGEST: usize = 256;

/// Bytes of a text that hold the newest surfaces in all likelihood.
const TAIL: usize = LONGEST * 12;

/// A surface of the conversation, or the start of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken<'a> {
    Start(Role),
    /// And whether it was sent, rather than being part of the draft.
    Surface(&'a str, bool),
}

/// The newest surfaces of a conversation and of the draft that continues it: what was said a moment ago is likely to be
/// said again. Made once a keystroke, it serves any number of histories.
///
/// ```
/// use foretype_markov::{Conversation, Limits, NextWord, PersonalModel, Role};
/// let model = PersonalModel::new(Limits::default());
/// let conversation = Conversation::new([(Role::Customer, "I lost my Zentiva card")], Role::Agent, "Your");
/// let history = model.history_in(&conversation);
/// assert_eq!(model.top(&history, " Z", 1)[0].0, " Zentiva");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Conversation<'a> {
    spoken: Vec<Spoken<'a>>,
}

impl<'a> Conversation<'a> {
    /// `turns` are sent messages, oldest first; `draft` is the message being written up to a boundary, by `role`. All
    /// are [normalised](segment::normalise).
    pub fn new(
        turns: impl IntoIterator<Item = (Role, &'a str), IntoIter: DoubleEndedIterator>,
        role: Role,
        draft: &'a str,
    ) -> Self {
        // Newest first, until enough is there.
        let mut spoken = Vec::with_capacity(LONGEST + 1);
        add(&mut spoken, role, draft, false);
        for (role, text) in turns.into_iter().rev() {
            if spoken.len() >= LONGEST {
                break;
            }
            add(&mut spoken, role, text, true);
        }
        spoken.truncate(LONGEST);
        spoken.reverse();
        Self { spoken }
    }

    /// The end of a draft whose surfaces are known; with `start` the message begins right before the first.
    pub(super) fn of(surfaces: &[&'a str], start: Option<Role>) -> Self {
        let start = start.map(Spoken::Start);
        let surfaces = &surfaces[surfaces.len().saturating_sub(LONGEST)..];
        Self { spoken: start.into_iter().chain(surfaces.iter().map(|s| Spoken::Surface(s, false))).collect() }
    }

    /// Whether nothing has been said.
    pub fn is_empty(&self) -> bool {
        !self.spoken.iter().any(|spoken| matches!(spoken, Spoken::Surface(..)))
    }

    /// Whether messages that were sent are looked at, beside the draft.
    pub fn answers(&self) -> bool {
        // They come first.
        let surface = self.spoken.iter().find(|spoken| matches!(spoken, Spoken::Surface(..)));
        matches!(surface, Some(Spoken::Surface(_, true)))
    }

    pub(super) fn spoken(&self) -> &[Spoken<'a>] {
        &self.spoken
    }
}

/// Appends a message backwards; of a long one its end.
fn add<'a>(spoken: &mut Vec<Spoken<'a>>, role: Role, text: &'a str, sent: bool) {
    let from = spoken.len();
    let cut = text.len().saturating_sub(TAIL);
    let tail = &text[text.ceil_char_boundary(cut)..];
    // From a space on, so that no surface is cut; some scripts have none.
    let space = tail.find(' ').filter(|&at| cut > 0 && at <= MAX_SURFACE);
    let tail = &tail[space.unwrap_or(0)..];
    if cut == 0 {
        spoken.push(Spoken::Start(role));
    }
    spoken.extend(segment::surfaces(tail).map(|surface| Spoken::Surface(surface, sent)));
    spoken[from..].reverse();
}
