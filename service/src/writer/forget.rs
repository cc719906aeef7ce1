//! Forgetting a word: it is taken out of what its writer sent, and a gap stands where it was.

use foretype_markov::segment::{self, GAP};

use super::event::Learned;
use super::spelt::{folded, words};
use crate::ensemble::weights::MEMBERS;

/// Characters of a word that is to be forgotten, at most.
pub const LONGEST: usize = 64;

/// A word to be forgotten, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten(String);

/// A text with gaps, and which of its words these took the place of.
type Gapped = (String, Vec<usize>);

impl Forgotten {
    /// `None`: not one word, or no letter and no digit in it.
    pub fn new(word: &str) -> Option<Self> {
        let mut all = words(word);
        let one = all.pop().filter(|word| all.is_empty() && word.contains(char::is_alphanumeric))?;
        Some(Self(one))
    }

    /// Whether a surface is the word, whatever its case, or its possessive: a name goes with what is somebody's.
    pub fn is(&self, surface: &str) -> bool {
        let surface = folded(surface);
        surface == self.0 || surface.strip_suffix("'s") == Some(&self.0)
    }

    /// The text with a gap for each place where the word stood; `None`: it stood nowhere. Blanks stay as they are, and every
    /// other word the one it was.
    pub fn take_out(&self, text: &str) -> Option<Gapped> {
        let normal = segment::normalise(text);
        let (mut rest, mut left, mut gone) = (text, String::with_capacity(text.len()), Vec::new());
        for (at, surface) in segment::surfaces(&normal).enumerate() {
            let word = surface.trim_start_matches(' ');
            // The text has the same words in the same order, with other blanks between them.
            let start = rest.find(word)?;
            left.push_str(&rest[..start]);
            if self.is(word) {
                left.push(GAP);
                gone.push(at);
            } else {
                left.push_str(word);
            }
            rest = &rest[start + word.len()..];
        }
        left.push_str(rest);
        (!gone.is_empty()).then_some((left, gone))
    }

    /// A message without the word; `None`: it has not got it. What the predictors thought of the word goes as well.
    pub fn take_out_of(&self, message: &Learned) -> Option<Learned> {
        let (text, gone) = self.take_out(&message.text)?;
        let mut losses = message.losses.clone();
        for at in gone {
            if let Some(loss) = losses.0.get_mut(at) {
                loss.log_probs = [None; MEMBERS];
            }
        }
        Some(Learned { text, role: message.role, losses })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use foretype_markov::Role;
    use proptest::prelude::*;

    use super::*;
    use crate::ensemble::weights::{Loss, Losses};

    fn forgotten(word: &str) -> Forgotten {
        Forgotten::new(word).unwrap()
    }

    #[test]
    fn one_word_is_forgotten_at_a_time() {
        for bad in ["", " ", ",", "two words", "e-mail", "\0"] {
            assert_eq!(Forgotten::new(bad), None, "{bad:?}");
        }
        assert_eq!(forgotten(" Ōta "), forgotten("ŌTA"));
    }

    #[test]
    fn a_gap_stands_for_each_place() {
        let left = |text: &str| forgotten("Zebrafish").take_out(text);
        assert_eq!(left("A zebra is no fish"), None);
        assert_eq!(left("zebrafishes, zebra_fish"), None, "other words");
        let text = "Dear ZEBRAFISH,\n\n\tzebrafish’s  turn\0zebrafish.";
        let (gapped, gone) = left(text).unwrap();
        assert_eq!(gapped, format!("Dear {GAP},\n\n\t{GAP}  turn\0{GAP}."));
        assert_eq!(gone, [1, 3, 5]);
    }

    #[test]
    fn what_was_thought_of_it_goes_too() {
        let loss = |p: f32| Loss { log_probs: [Some(p); MEMBERS], ..Loss::default() };
        let losses = Losses(vec![loss(-1.0), loss(-2.0)]);
        let message = Learned { text: "Hi Ann, Ann".into(), role: Role::Agent, losses };
        let left = forgotten("ann").take_out_of(&message).unwrap();
        assert_eq!((left.text, left.role), (format!("Hi {GAP}, {GAP}"), Role::Agent));
        assert_eq!(left.losses.0[0], message.losses.0[0]);
        assert_eq!(left.losses.0[1].log_probs, [None; MEMBERS]);
        assert_eq!(left.losses.0.len(), 2, "of the others nothing was said");
    }

    proptest! {
        #[test]
        fn every_other_word_stays(text in "([abAB]{1,2}|'s|’|[ ,.\n\0]|[0-9]|\u{e9}|_){0,40}") {
            let word = forgotten("ab");
            let before = segment::normalise(&text).into_owned();
            let before: Vec<_> = segment::surfaces(&before).collect();
            let Some((left, gone)) = word.take_out(&text) else {
                prop_assert!(!before.iter().any(|surface| word.is(surface)));
                return Ok(());
            };
            let after = segment::normalise(&left).into_owned();
            let after: Vec<_> = segment::surfaces(&after).collect();
            prop_assert_eq!(after.len(), before.len());
            for (at, (old, new)) in before.iter().zip(&after).enumerate() {
                prop_assert_eq!(word.is(old), gone.contains(&at));
                let expected = if word.is(old) { GAP.to_string() } else { old.trim_start().to_owned() };
                prop_assert_eq!(new.trim_start(), expected);
            }
            prop_assert_eq!(word.take_out(&left), None);
        }
    }
}
