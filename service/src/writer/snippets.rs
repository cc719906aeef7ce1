//! Texts that a writer keeps ready: suggested where one is begun, or where its trigger is typed.

use foretype_markov::segment;
use serde::{Deserialize, Serialize};

/// Snippets of one writer at most.
pub const MOST: usize = 100;

/// Characters of a text at most.
pub const LONGEST_TEXT: usize = 2_000;

/// Characters of a trigger at most.
pub const LONGEST_TRIGGER: usize = 32;

/// Characters of a snippet that must be there before it is suggested.
const BEGUN: usize = 3;

/// Of the end of a draft this many bytes are held against the beginnings of snippets: further on the draft is typed through
/// what was suggested.
const LOOKED_AT: usize = 160;

/// So many agreeing characters make a snippet as likely as not.
const EVEN: f32 = 6.0;

/// How likely a snippet is at its trigger.
const TRIGGERED: f32 = 0.95;

/// One text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// What is typed for it, a word; `None`: it is suggested only where its text is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The text, as it is inserted.
    pub text: String,
}

/// The texts of a writer, in the writer's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippets(pub Vec<Snippet>);

/// A snippet at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Begun<'a> {
    /// What is missing of it.
    pub rest: &'a str,
    /// Characters before the cursor that it takes the place of: its trigger's.
    pub replace: usize,
    /// How likely it is what the writer wants.
    pub prob: f32,
}

impl<'a> Begun<'a> {
    /// What is missing, in pieces for the words to be counted by: together all of it. The first one is a word as the models have it,
    /// the others begin with the blank before them.
    pub fn pieces(&self) -> impl Iterator<Item = &'a str> {
        let (first, end) = (segment::surfaces(self.rest).next(), self.rest.trim_end().len());
        let first = first.map_or(0, str::len);
        let blank = |at: usize| self.rest[at..].starts_with(char::is_whitespace);
        let mut before = 0;
        let begins = self.rest[..end].char_indices().map(|(at, _)| at).filter(move |&at| {
            let begins = at == first || at > first && blank(at) && !blank(before);
            before = at;
            at > 0 && begins
        });
        let mut from = 0;
        begins
            .chain(std::iter::once(self.rest.len()))
            .map(move |to| &self.rest[std::mem::replace(&mut from, to)..to])
    }
}

impl Snippets {
    /// Those that are begun at the end of `draft`, or called by their trigger.
    pub fn begun<'a>(&'a self, draft: &'a str) -> impl Iterator<Item = Begun<'a>> + 'a {
        let word = draft.rsplit(char::is_whitespace).next().unwrap_or_default();
        self.0.iter().filter_map(move |snippet| {
            if !word.is_empty() && snippet.trigger.as_deref() == Some(word) {
                return Some(Begun { rest: &snippet.text, replace: word.chars().count(), prob: TRIGGERED });
            }
            let typed = beginning(&snippet.text, draft)?;
            let characters = snippet.text[..typed].chars().count() as f32;
            let prob = characters / (characters + EVEN);
            Some(Begun { rest: &snippet.text[typed..], replace: 0, prob })
        })
    }

    /// Bytes in memory, roughly.
    pub fn bytes(&self) -> usize {
        let of = |snippet: &Snippet| {
            size_of::<Snippet>() + snippet.text.len() + snippet.trigger.as_ref().map_or(0, String::len)
        };
        self.0.iter().map(of).sum()
    }

    /// The stored form: JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings can be written to memory")
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// How many bytes of `text`, but not all, the draft ends with, from the start of a word on.
fn beginning(text: &str, draft: &str) -> Option<usize> {
    let last = *draft.as_bytes().last()?;
    let least = text.char_indices().nth(BEGUN)?.0;
    let most = (text.len() - 1).min(LOOKED_AT).min(draft.len());
    // The longest first; the last byte tells most lengths apart.
    let lengths = (least..=most).rev().filter(|&length| text.as_bytes()[length - 1] == last);
    lengths.into_iter().find(|&length| {
        text.is_char_boundary(length)
            && draft.ends_with(&text[..length])
            && !draft[..draft.len() - length].ends_with(char::is_alphanumeric)
            && text[length..].chars().nth(1).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn snippets() -> Snippets {
        let snippet = |trigger: Option<&str>, text: &str| Snippet {
            trigger: trigger.map(str::to_owned),
            text: text.to_owned(),
        };
        Snippets(vec![
            snippet(Some(";sig"), "Kind regards,\nAnn Ōta"),
            snippet(None, "Your refund takes five days."),
        ])
    }

    fn rests(draft: &str) -> Vec<(String, usize)> {
        let snippets = snippets();
        let found: Vec<_> = snippets.begun(draft).collect();
        found.iter().map(|begun| (begun.rest.to_owned(), begun.replace)).collect()
    }

    #[test]
    fn a_snippet_is_found_where_it_is_begun_or_called() {
        assert_eq!(rests("Hello. Your re"), [("fund takes five days.".to_owned(), 0)]);
        assert_eq!(rests("Yo"), [], "too little");
        assert_eq!(rests("DearYour"), [], "inside a word");
        assert_eq!(rests("so ;sig"), [("Kind regards,\nAnn Ōta".to_owned(), 4)]);
        assert_eq!(rests("Kind regards,\nAnn Ō"), [("ta".to_owned(), 0)]);
        assert_eq!(rests("Your refund takes five days"), [], "one key saves nothing");
        assert_eq!(rests(""), []);
    }

    #[test]
    fn the_more_agrees_the_likelier_it_is() {
        let snippets = snippets();
        let prob = |draft: &str| snippets.begun(draft).next().map_or(0.0, |begun| begun.prob);
        assert!(prob("You") < prob("Your ref") && prob("Your refund takes") < 1.0);
        assert!((prob("Your r") - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_pieces_are_words_with_their_blanks() {
        let pieces = |rest| Begun { rest, replace: 0, prob: 0.5 }.pieces().collect::<Vec<_>>();
        assert_eq!(pieces("fund takes 5 days. "), ["fund", " takes", " 5", " days. "]);
        assert_eq!(pieces(" regards,\n\nAnn Ōta\n"), [" regards", ",", "\n\nAnn", " Ōta\n"]);
        assert_eq!(pieces("-----"), ["-", "----"]);
        assert_eq!(pieces("  "), ["  "]);
    }

    proptest! {
        #[test]
        fn pieces_are_all_of_a_text(rest in "[aé,. \n\t-]{1,12}") {
            let pieces: Vec<_> = Begun { rest: &rest, replace: 0, prob: 0.5 }.pieces().collect();
            prop_assert_eq!(pieces.concat(), rest.clone());
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty()), "{:?}", pieces);
        }

        #[test]
        fn what_is_begun_goes_on(text in "[aé ]{1,12}", draft in "[aé ]{0,12}") {
            let snippets = Snippets(vec![Snippet { trigger: None, text: text.clone() }]);
            for begun in snippets.begun(&draft) {
                let typed = &text[..text.len() - begun.rest.len()];
                prop_assert!(draft.ends_with(typed) && typed.chars().count() >= BEGUN);
            }
            prop_assert_eq!(Snippets::from_bytes(&snippets.to_bytes()), Some(snippets));
        }
    }
}
