//! What a suggestion saves when it is taken: its characters less the keys that are pressed for them.

use crate::engine::{Outcome, Predictor, Suggestion};

/// What an outcome needs to know of a suggestion; its text is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Who proposed it.
    pub predictor: Predictor,
    characters: u32,
    /// Characters before the cursor that go first.
    replace: u32,
    /// The characters its words begin at.
    starts: Box<[u32]>,
}

impl Offered {
    /// What is to be known of `suggestion`.
    pub fn new(suggestion: &Suggestion) -> Self {
        let (mut starts, mut characters, mut in_word) = (Vec::new(), 0, false);
        for c in suggestion.text.chars() {
            if !c.is_whitespace() && !in_word {
                starts.push(characters);
            }
            in_word = !c.is_whitespace();
            characters += 1;
        }
        Self {
            predictor: suggestion.predictor,
            characters,
            replace: suggestion.replace as u32,
            starts: starts.into(),
        }
    }

    /// Keystrokes saved. All of it is taken with one key, some of it with a key a word. `taken`: how many characters were; 0 of
    /// what was taken whole: the client does not say. What is replaced was typed as well, to no use.
    pub fn saved(&self, outcome: Outcome, taken: u32) -> u32 {
        let characters = match outcome {
            Outcome::Accepted if taken == 0 => self.characters,
            _ => taken.min(self.characters),
        };
        let keys = match outcome {
            Outcome::Accepted => 1,
            Outcome::Partial => self.starts.partition_point(|start| *start < characters) as u32,
            Outcome::Rejected => return 0,
        };
        characters.saturating_sub(keys + self.replace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Kind;

    fn offered(text: &str) -> Offered {
        let (text, predictor, kind) = (text.to_owned(), Predictor::Domain, Kind::Phrase);
        Offered::new(&Suggestion { text, replace: 0, confidence: 0.5, predictor, kind })
    }

    #[test]
    fn characters_less_keys() {
        let phrase = offered("lp you with? ");
        assert_eq!(phrase.saved(Outcome::Accepted, 13), 13 - 1);
        assert_eq!(phrase.saved(Outcome::Accepted, 0), 13 - 1, "not said");
        assert_eq!(phrase.saved(Outcome::Accepted, 9_999), 13 - 1, "no more than there was");
        assert_eq!(phrase.saved(Outcome::Partial, 3), 3 - 1);
        assert_eq!(phrase.saved(Outcome::Partial, 7), 7 - 2);
        assert_eq!(phrase.saved(Outcome::Partial, 13), 13 - 3);
        assert_eq!(phrase.saved(Outcome::Partial, 0), 0);
        assert_eq!(phrase.saved(Outcome::Rejected, 13), 0);
        assert_eq!(offered(" über alles").saved(Outcome::Partial, 6), 6 - 1);
        let (text, predictor, kind) = ("receive ".to_owned(), Predictor::Charlm, Kind::Word);
        let correction = Offered::new(&Suggestion { text, replace: 5, confidence: 0.5, predictor, kind });
        assert_eq!(correction.saved(Outcome::Accepted, 8), 8 - 5 - 1, "for recie");
        assert_eq!(offered("a").saved(Outcome::Accepted, 1), 0);
    }
}
