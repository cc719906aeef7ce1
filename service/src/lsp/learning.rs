//! What is to be learned of a document when it is saved: sentences that its writer wrote since it was opened.
//!
//! What stood there already, and what was pasted, may be anybody's. The sentence at which was typed last may not be done yet: it
//! waits until something else is typed at, or the document is closed.

use std::collections::HashSet;

use foretype_markov::segment;
use unicode_segmentation::UnicodeSegmentation as _;

use super::document::Inserted;
use crate::session::hashed;

/// Bytes of a document that is learned from.
const LONGEST: usize = 256 * 1024;
/// Bytes that come in one change only by pasting. Hardly any suggestion that is taken is as long.
const PASTED: usize = 80;
/// Bytes of some keys.
const FEW: usize = 16;
/// Bytes of a message.
const MESSAGE: usize = 4_096;
/// Characters of a line that may have been broken for its length. A shorter one was ended by its writer.
const WRAPPED: usize = 60;
/// Messages of one save.
pub(super) const MESSAGES: usize = 64;

/// What a document held that is not to be learned, or was.
#[derive(Debug)]
pub(super) struct Learning {
    known: HashSet<u64>,
    /// Where something was typed last; `None`: nowhere.
    typed: Option<usize>,
}

impl Learning {
    /// Of a document that was opened with this text.
    pub(super) fn new(text: &str) -> Self {
        let mut learning = Self { known: HashSet::new(), typed: None };
        learning.know(text);
        learning
    }

    /// The document was changed.
    pub(super) fn changed(&mut self, inserted: &Inserted) {
        self.typed = Some(inserted.end);
        // Suggestions have no line breaks, and editors that tell of several keys at once tell of few.
        let lines =
            inserted.text.trim().contains('\n') || inserted.text.len() > FEW && inserted.text.contains('\n');
        if inserted.text.len() > PASTED || lines {
            self.know(&inserted.text);
        }
    }

    /// The document is left as it is.
    pub(super) fn done(&mut self) {
        self.typed = None;
    }

    /// What is new and done in a text: messages, neighbours together. From now on it is known.
    pub(super) fn news(&mut self, text: &str) -> Vec<String> {
        let mut news: Vec<String> = Vec::new();
        if text.len() > LONGEST {
            return news;
        }
        let mut goes_on = false;
        for (start, sentence) in text.split_sentence_bound_indices() {
            let here = start..=start + sentence.len();
            let open = self.typed.is_some_and(|typed| here.contains(&typed));
            let new = !sentence.trim().is_empty() && !open && self.known.insert(identity(sentence));
            let joins =
                goes_on && news.last().is_some_and(|message| message.len() + sentence.len() <= MESSAGE);
            goes_on = new && (!sentence.ends_with('\n') || is_wrapped(text, start + sentence.len()));
            if let Some(message) = news.last_mut().filter(|_| new && joins) {
                message.push_str(sentence);
            } else if new && news.len() < MESSAGES && sentence.len() <= MESSAGE {
                news.push(sentence.to_owned());
            }
        }
        news
    }

    fn know(&mut self, text: &str) {
        if text.len() <= LONGEST {
            // No `extend`: the iterator's size hint overflows on an empty text.
            for sentence in text.split_sentence_bounds() {
                self.known.insert(identity(sentence));
            }
        }
    }
}

/// Whether the line that ends at `end` was broken for its length, and goes on in the next.
fn is_wrapped(text: &str, end: usize) -> bool {
    text[..end].trim_end().chars().rev().take_while(|c| *c != '\n').take(WRAPPED).count() == WRAPPED
}

/// The same of a sentence that was only broken into other lines.
fn identity(sentence: &str) -> u64 {
    hashed(&segment::normalise(sentence).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types `text` behind what is there.
    fn typed(learning: &mut Learning, document: &mut String, text: &str) {
        text.chars().for_each(|key| inserted(learning, document, &key.to_string()));
    }

    /// The same in one change.
    fn inserted(learning: &mut Learning, document: &mut String, text: &str) {
        document.push_str(text);
        learning.changed(&Inserted { end: document.len(), text: text.to_owned() });
    }

    #[test]
    fn what_was_written_is_learned_once_it_is_done() {
        let mut document = "Somebody's text. More of it.\n\n".to_owned();
        let mut learning = Learning::new(&document);
        assert!(learning.news(&document).is_empty());
        typed(&mut learning, &mut document, "The zorbex is calibrated. We clea");
        assert_eq!(learning.news(&document), ["The zorbex is calibrated. "], "the last is not done");
        assert!(learning.news(&document).is_empty());
        typed(&mut learning, &mut document, "ned it. Next");
        assert_eq!(learning.news(&document), ["We cleaned it. "]);
        learning.done();
        assert_eq!(learning.news(&document), ["Next"]);
        assert!(learning.news(&document).is_empty());
    }

    #[test]
    fn neighbours_are_one_message_and_lines_are_not() {
        let mut document = String::new();
        let mut learning = Learning::new("");
        let broken = "This line is so long that an editor broke it to keep it within\nits margin. ";
        typed(&mut learning, &mut document, "One. Two.\nThree.\n\n");
        typed(&mut learning, &mut document, broken);
        typed(&mut learning, &mut document, "Four");
        assert_eq!(learning.news(&document), ["One. Two.\n", "Three.\n", broken]);
    }

    #[test]
    fn what_is_pasted_or_only_broken_anew_is_not_learned() {
        let mut document = "Already here, and long enough to be broken. ".to_owned();
        let mut learning = Learning::new(&document);
        inserted(&mut learning, &mut document, &"Pasted by somebody else. ".repeat(4));
        inserted(&mut learning, &mut document, "Project Marigold is cancelled.\n");
        typed(&mut learning, &mut document, "\n-");
        assert!(learning.news(&document).is_empty());
        let broken = document.replace(" and", "\nand");
        // A line's end ends what is taken for a sentence: its halves are new.
        assert_eq!(
            learning.news(&broken).concat().replace('\n', " "),
            "Already here, and long enough to be broken. "
        );
        assert!(learning.news(&document.replace("is here", "is\nhere")).is_empty());
        // A suggestion that was taken, and keys that an editor tells of together.
        typed(&mut learning, &mut document, "\n\n");
        inserted(&mut learning, &mut document, "Thank you for your patience. ");
        inserted(&mut learning, &mut document, "e.\nI");
        assert_eq!(
            learning.news(&document).last().map(String::as_str),
            Some("Thank you for your patience. e.\n")
        );
    }
}
