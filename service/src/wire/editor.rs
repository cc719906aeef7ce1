//! What the protocols of editors have in common: a document with a cursor in it, of which only what is near counts.

use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;

use super::{composed, last_characters, window};
use crate::app::Keystroke;
use crate::engine::{Completion, Turn};
use crate::error::ApiError;
use crate::writer::WriterId;

/// Characters after the cursor that count.
const AFTER: usize = 1_024;
/// Characters of other texts that count.
const EXTRA: usize = 4_096;
/// Texts to stop at.
const STOPS: usize = 64;

/// The name of what completes, where a protocol wants that of a model.
pub(super) const MODEL: &str = "foretype";

/// One text, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// A cursor in a document, and who is at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// The document up to the cursor.
    pub(crate) before: String,
    /// The document from there.
    pub(crate) after: String,
    /// Other texts the writer looked at, the newest last.
    pub(crate) extra: Vec<String>,
    /// What the protocol calls a user; nobody if empty.
    pub(crate) user: Option<String>,
    /// Keeps caches warm: the protocol, and the document if it has a name.
    pub(crate) session: String,
    /// How many suggestions at most.
    pub(crate) choices: usize,
    /// `None`: the server's.
    pub(crate) budget: Option<Duration>,
}

impl Draft {
    /// What the service is asked.
    pub(crate) fn keystroke(self) -> Keystroke {
        let writer = self.user.filter(|user| !user.trim().is_empty());
        Keystroke {
            text: composed(window(self.before)),
            after: composed(rest_of_paragraph(&self.after)),
            context: newest(self.extra),
            role: foretype_markov::Role::Author,
            writer: writer.as_deref().map(WriterId::of_name),
            session: Some(self.session),
            is_own: false,
            max_suggestions: self.choices,
            budget: self.budget,
            min_confidence: None,
            // Only sent messages teach; this keeps the session.
            learn: true,
            min_seq: None,
            corrections: false,
            look_ahead: true,
            debug: false,
        }
    }
}

/// What follows the cursor up to the next empty line, as far as it counts: what stands in the next paragraph may well be said
/// in this one.
fn rest_of_paragraph(after: &str) -> String {
    let mut lines = after.split_inclusive('\n');
    let here = lines.next().unwrap_or_default();
    let below = lines.take_while(|line| !line.trim().is_empty());
    let rest: String = std::iter::once(here).chain(below).flat_map(str::chars).take(AFTER).collect();
    if rest.trim().is_empty() { String::new() } else { rest }
}

/// Other texts as turns, the newest of them.
fn newest(extra: Vec<String>) -> Vec<Turn> {
    let mut left = EXTRA;
    let mut turns = Vec::new();
    for text in extra.into_iter().rev() {
        let text = last_characters(text, left);
        left -= text.chars().count();
        if !text.trim().is_empty() {
            turns.push(Turn { role: foretype_markov::Role::Author, text: composed(text) });
        }
    }
    turns.reverse();
    turns
}

/// How much of a suggestion a client takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Words at most. Clients count tokens; a word is one at least.
    words: Option<usize>,
    stops: Vec<String>,
}

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// It is all there is to say, or the client's stop follows.
    Stop,
    /// The client wants no more of it.
    Length,
}

impl Extent {
    /// Checked. `most`: tokens; `None` or less than none: as many as there are.
    pub(super) fn new(most: Option<i64>, stops: Option<Texts>) -> Result<Self, ApiError> {
        let mut stops = match stops {
            None => Vec::new(),
            Some(Texts::One(stop)) => vec![stop],
            Some(Texts::Many(stops)) => stops,
        };
        if stops.len() > STOPS {
            return Err(ApiError::invalid("stop", format!("must be {STOPS} texts at most")));
        }
        stops.retain(|stop| !stop.is_empty());
        Ok(Self { words: most.and_then(|most| usize::try_from(most).ok()), stops })
    }

    /// Whether nothing at all is taken, which says that more is to come.
    pub(super) fn is_nothing(&self) -> bool {
        self.words == Some(0)
    }

    /// The beginning of a suggestion that the client takes.
    pub(super) fn of<'a>(&self, text: &'a str) -> (&'a str, Finish) {
        let end = self.stops.iter().filter_map(|stop| text.find(stop)).min();
        let text = &text[..end.unwrap_or(text.len())];
        let mut ends = text.char_indices().scan(false, |in_word, (at, c)| {
            let ended = *in_word && c.is_whitespace();
            *in_word = !c.is_whitespace();
            Some((at, ended))
        });
        let cut = match self.words {
            None => None,
            Some(0) => Some(0),
            Some(words) => ends.by_ref().filter(|(_, ended)| *ended).nth(words - 1).map(|(at, _)| at),
        };
        match cut.filter(|at| !text[*at..].trim().is_empty()) {
            Some(at) => (&text[..at], Finish::Length),
            None => (text, Finish::Stop),
        }
    }

    /// What the client takes of each suggestion; of silence one that says nothing, as these protocols have no other.
    pub(super) fn of_each<'a>(&self, completion: &'a Completion) -> Vec<(&'a str, Finish)> {
        if completion.suggestions.is_empty() {
            return vec![("", Finish::Stop)];
        }
        completion.suggestions.iter().map(|suggestion| self.of(&suggestion.text)).collect()
    }
}

/// Words of a text: what is counted as tokens.
pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_the_paragraph() {
        for (after, counts) in [
            ("", ""),
            (" you.\nAnd more.\n\nNext.", " you.\nAnd more.\n"),
            ("\nThe next line.", "\nThe next line."),
            ("\n\nThe next paragraph.", ""),
            ("  \r\n\r\nThe next paragraph.", ""),
            ("you\n \t\nNext", "you\n"),
        ] {
            assert_eq!(rest_of_paragraph(after), counts, "{after:?}");
        }
        assert_eq!(rest_of_paragraph(&"ä".repeat(2_000)), "ä".repeat(AFTER));
    }

    #[test]
    fn the_newest_of_other_texts_count() {
        let turns = newest(vec!["old".into(), "x".repeat(EXTRA - 3), " ".into(), "new".into()]);
        let texts: Vec<_> = turns.iter().map(|turn| turn.text.as_str()).collect();
        assert_eq!(texts, [&*"x".repeat(EXTRA - 4), "new"]);
    }

    #[test]
    fn a_client_takes_so_many_words_and_stops_where_it_says() {
        let of = |most: Option<i64>, stops: &[&str], text: &'static str| {
            let stops = Texts::Many(stops.iter().map(|&stop| stop.to_owned()).collect());
            Extent::new(most, Some(stops)).expect("few enough").of(text)
        };
        let text = "lp you with that. ";
        assert_eq!(of(None, &[], text), (text, Finish::Stop));
        assert_eq!(of(Some(-1), &[], text), (text, Finish::Stop));
        assert_eq!(of(Some(0), &[], text), ("", Finish::Length));
        assert_eq!(of(Some(2), &[], text), ("lp you", Finish::Length));
        assert_eq!(of(Some(4), &[], text), (text, Finish::Stop), "all of it");
        assert_eq!(of(Some(2), &[], " with that."), (" with that.", Finish::Stop));
        assert_eq!(of(Some(1), &[], " with that."), (" with", Finish::Length));
        assert_eq!(of(None, &["\n", " that", " with"], text), ("lp you", Finish::Stop));
        assert_eq!(of(Some(1), &["", " with"], text), ("lp", Finish::Length));
        assert_eq!(of(Some(3), &["lp"], text), ("", Finish::Stop));
    }
}
