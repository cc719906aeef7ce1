//! A conversation and a draft as the tokens the model was trained on: `<|role|>text<|role|>text…`, and between texts of their own
//! `<|endoftext|>`.

use crate::boundary::End;
use crate::config::Specials;
use crate::vocabulary::Vocabulary;

/// Who wrote a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The person who asks.
    Customer,
    /// The person who answers.
    Agent,
    /// The writer of a text that is no dialogue.
    Author,
    /// The same, of a text that is finished and stands for itself, as what one wrote before does.
    Document,
}

/// A place in a text. Texts are normalised: white space is one space, none at the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Prompt<'a> {
    /// The conversation before the draft, oldest turn first.
    pub turns: &'a [(Role, &'a str)],
    /// Who writes the draft.
    pub role: Role,
    /// The draft up to the start of the unfinished surface.
    pub before: &'a str,
    /// The unfinished surface, with its leading space: `" he"`, `" "`, `""`.
    pub prefix: &'a str,
}

/// Positions kept free behind the context for the word being typed and what may follow it.
const FREE: usize = 32;
/// A full context drops its oldest tokens in steps of so many, so that the cache survives the keystrokes in between.
const STRIDE: usize = 64;
/// Punctuation taken back for healing; longer runs are decoration, not a word one could foresee.
const HELD: usize = 16;

/// Where the model restarts: before the unfinished surface, and before the punctuation it may be glued to.
pub(crate) struct Place {
    /// The context in tokens.
    pub(crate) tokens: Vec<u32>,
    /// Bytes of finished text that the next tokens must spell before the surface begins.
    pub(crate) held: String,
    /// How the finished text ends.
    pub(crate) end: End,
}

/// Texts already encoded, so that a keystroke encodes only its last words.
#[derive(Default)]
pub(crate) struct Encoded {
    turns: Vec<(Role, String, Vec<u32>)>,
    draft: String,
    /// Tokens of `draft`, and how many of them spell it up to each of its spaces.
    tokens: Vec<u32>,
    spaces: Vec<(usize, usize)>,
}

impl Encoded {
    /// The memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let turns = self.turns.iter().map(|(_, text, tokens)| text.capacity() + size_of_val(&tokens[..]));
        let spaces = size_of_val(&self.spaces[..]);
        turns.sum::<usize>() + self.draft.capacity() + size_of_val(&self.tokens[..]) + spaces
    }

    /// The place `prompt` names, for a model of `positions` positions.
    pub(crate) fn place(
        &mut self,
        prompt: &Prompt<'_>,
        vocabulary: &Vocabulary,
        specials: &Specials,
        positions: usize,
    ) -> Place {
        let (settled, held) = prompt.before.split_at(settled(prompt.before, prompt.prefix));
        self.encode_turns(prompt.turns, vocabulary, specials);
        self.encode_draft(settled, vocabulary);
        let mut pieces: Vec<(u32, &[u32])> =
            self.turns.iter().map(|(role, _, tokens)| (specials.of(*role), tokens.as_slice())).collect();
        pieces.push((specials.of(prompt.role), &self.tokens));
        let tokens =
            fit(&pieces, positions.saturating_sub(FREE), |token| vocabulary.bytes(token).starts_with(b" "));
        Place { tokens, held: held.to_owned(), end: End::of(prompt.before.as_bytes()) }
    }

    fn encode_turns(&mut self, turns: &[(Role, &str)], vocabulary: &Vocabulary, specials: &Specials) {
        let mut known = std::mem::take(&mut self.turns);
        let encode = |role: Role, text: &str| {
            let mut tokens = vocabulary.encode(text);
            tokens.extend((role == Role::Document).then_some(specials.end));
            tokens
        };
        self.turns = turns
            .iter()
            .map(|(role, text)| match known.iter().position(|(who, what, _)| who == role && what == text) {
                Some(at) => known.swap_remove(at),
                None => (*role, (*text).to_owned(), encode(*role, text)),
            })
            .collect();
    }

    /// A space always begins a new piece for the pre-tokeniser, so what stands before one can be encoded by itself.
    fn encode_draft(&mut self, draft: &str, vocabulary: &Vocabulary) {
        let common = self.draft.bytes().zip(draft.bytes()).take_while(|(old, new)| old == new).count();
        self.spaces.truncate(self.spaces.partition_point(|&(at, _)| at < common));
        let (mut from, count) = self.spaces.pop().unwrap_or((0, 0));
        self.tokens.truncate(count);
        let resumed = from;
        for (at, _) in draft.match_indices(' ').filter(|&(at, _)| at >= resumed) {
            self.tokens.extend(vocabulary.encode(&draft[from..at]));
            self.spaces.push((at, self.tokens.len()));
            from = at;
        }
        self.tokens.extend(vocabulary.encode(&draft[from..]));
        draft.clone_into(&mut self.draft);
    }
}

impl Specials {
    fn of(&self, role: Role) -> u32 {
        match role {
            Role::Customer => self.customer,
            Role::Agent => self.agent,
            Role::Author | Role::Document => self.author,
        }
    }
}

/// Up to where `before` is certain to be cut by the pre-tokeniser, whatever `prefix` grows into. Only punctuation can be
/// glued to punctuation (`"..."` is one token and three surfaces), so a run of it at the end is taken back.
fn settled(before: &str, prefix: &str) -> usize {
    let glues = |char: char| !char.is_alphanumeric() && !char.is_whitespace();
    if before.ends_with(' ') {
        return before.len() - 1;
    }
    if !prefix.chars().next().is_none_or(glues) {
        return before.len();
    }
    let run = before.trim_end_matches(glues);
    let at = run.strip_suffix(' ').unwrap_or(run).len();
    if before.len() - at > HELD { before.len() } else { at }
}

/// `<|role|>` and text of each piece; the newest `room` tokens of it, cut at a turn or before a word.
fn fit(pieces: &[(u32, &[u32])], room: usize, begins_word: impl Fn(u32) -> bool) -> Vec<u32> {
    let total: usize = pieces.iter().map(|(_, text)| text.len() + 1).sum();
    // A cut inside a turn gets its role back, hence the one more.
    let stride = STRIDE.min(room / 2).max(1);
    let mut drop = if total > room { (total + 1 - room).div_ceil(stride) * stride } else { 0 };
    let mut tokens = Vec::with_capacity(room);
    for (role, text) in pieces {
        let size = text.len() + 1;
        if drop >= size {
            drop -= size;
            continue;
        }
        let from = match drop {
            0 => 0,
            _ => (drop..text.len()).find(|&i| begins_word(text[i])).unwrap_or(drop - 1),
        };
        tokens.push(*role);
        tokens.extend_from_slice(&text[from..]);
        drop = 0;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_back_punctuation_only_when_more_may_be_glued_to_it() {
        for (before, prefix, expected) in [
            ("I can", " he", "I can"),
            ("calling,", "", "calling"),
            ("calling,", " I", "calling,"),
            ("see (", "", "see"),
            ("f()", ".", "f"),
            ("well", ",", "well"),
            ("", "", ""),
            ("(", "now", "("),
        ] {
            assert_eq!(&before[..settled(before, prefix)], expected, "{before}|{prefix}");
        }
    }

    #[test]
    fn a_full_context_keeps_the_newest_in_large_strides() {
        let (old, new): (Vec<u32>, Vec<u32>) = ((100..200).collect(), (200..330).collect());
        let cut = |n: usize| fit(&[(1, &old), (2, &new[..n])], 224, |token| token % 5 == 0);
        assert_eq!(cut(100).len(), 202, "it fits: all of it");
        let full = cut(125);
        assert!(
            full.len() <= 224 - STRIDE + 5 + 1 && full.starts_with(&[1]) && full.ends_with(&new[120..125])
        );
        assert_eq!(full[1] % 5, 0, "cut before a word");
        assert!(cut(130).starts_with(&full), "the next words only append");
        let long: Vec<u32> = (0..5_000).collect();
        assert!(fit(&[(1, &long)], 224, |_| false).len() <= 224);
    }
}
