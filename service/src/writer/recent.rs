//! The newest of what a writer sent: what the GPT-2 reads before a draft that has no conversation.

use std::collections::VecDeque;

use foretype_markov::Role;
use foretype_markov::segment::GAP;

use super::event::role_code;
use super::forget::Forgotten;

/// Bytes kept, about a hundred tokens. On held-out writers more said nothing more, and would have to be run before the
/// first key of every session.
const BYTES: usize = 400;

/// What the GPT-2 reads where a word was taken out: people write it for what they leave out.
const LEFT_OUT: &str = "…";

/// Messages, oldest first, of a few hundred bytes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent(VecDeque<(Role, String)>);

impl Recent {
    /// Adds the message `normal`, normalised text; the oldest go when it is too much, of a long one its end stays.
    pub fn learn(&mut self, normal: &str, role: Role) {
        let text = normal.trim_end();
        let from = text.len().saturating_sub(BYTES);
        let tail = &text[text.ceil_char_boundary(from)..];
        // From a word on, where the script has spaces.
        let word = tail.find(' ').filter(|_| from > 0).map_or(0, |at| at + 1);
        self.0.push_back((role, tail[word..].replace(GAP, LEFT_OUT)));
        while self.0.iter().map(|(_, text)| text.len()).sum::<usize>() > BYTES {
            self.0.pop_front();
        }
    }

    /// Takes a word out.
    pub fn forget(&mut self, word: &Forgotten) {
        for (_, text) in &mut self.0 {
            if let Some((gapped, _)) = word.take_out(text) {
                *text = gapped.replace(GAP, LEFT_OUT);
            }
        }
    }

    /// The messages, oldest first.
    pub fn turns(&self) -> impl Iterator<Item = (Role, &str)> {
        self.0.iter().map(|(role, text)| (*role, text.as_str()))
    }

    /// The stored form: `(role u8 | length u16 | UTF-8)*`, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (role, text) in &self.0 {
            let length = u16::try_from(text.len()).expect("messages are bounded in bytes");
            bytes.push(role_code(*role));
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// Reads the stored form.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut messages = VecDeque::new();
        while let Some((&[role, low, high], rest)) = bytes.split_first_chunk::<3>() {
            let role =
                [Role::Author, Role::Agent, Role::Customer].into_iter().find(|r| role_code(*r) == role)?;
            let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
            messages.push_back((role, std::str::from_utf8(text).ok()?.to_owned()));
            bytes = rest;
        }
        bytes.is_empty().then_some(Self(messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_and_of_a_long_message_the_end() {
        let mut recent = Recent::default();
        recent.learn("First.", Role::Author);
        recent.learn(&"word ".repeat(79), Role::Agent);
        assert_eq!(recent.turns().count(), 2);
        recent.learn("More.", Role::Author);
        assert_eq!(recent.turns().map(|(role, _)| role).collect::<Vec<_>>(), [Role::Agent, Role::Author]);
        recent.learn(&format!("start {}end", "word ".repeat(200)), Role::Author);
        let kept: Vec<&str> = recent.turns().map(|(_, text)| text).collect();
        assert!(kept.len() == 1 && kept[0].len() <= BYTES && kept[0].ends_with("word end"), "{kept:?}");
        recent.learn(&"漢".repeat(BYTES), Role::Author);
        assert_eq!(recent.turns().map(|(_, text)| text.chars().count()).sum::<usize>(), BYTES / 3);
    }

    #[test]
    fn a_forgotten_word_is_left_out() {
        let mut recent = Recent::default();
        recent.learn(&format!("Dear {GAP}, hello."), Role::Author);
        recent.learn("Ann's turn.", Role::Author);
        recent.forget(&Forgotten::new("ANN").expect("one word"));
        assert_eq!(recent.turns().map(|(_, text)| text).collect::<Vec<_>>(), ["Dear …, hello.", "… turn."]);
    }

    #[test]
    fn the_stored_form_reads_back() {
        let mut recent = Recent::default();
        recent.learn("Straße frei? ", Role::Customer);
        recent.learn("Ja.", Role::Agent);
        assert_eq!(Recent::from_bytes(&recent.to_bytes()), Some(recent.clone()));
        assert_eq!(Recent::from_bytes(&recent.to_bytes()[1..]), None);
    }
}
