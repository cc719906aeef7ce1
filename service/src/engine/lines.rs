//! Where the lines of a draft end. The models read a line break as a blank, so that to them what begins a line follows what ended the
//! one before; written on one line, it is nothing that anybody wants.

use foretype_markov::segment;

/// Bytes of a draft whose lines are looked at, the last ones.
const LOOKED_AT: usize = 4_096;

/// What stands on both sides of each line break of a draft: the word that ends a line, with the mark behind it, and the next one.
pub(super) struct Lines<'a> {
    draft: &'a str,
    breaks: Vec<(String, String)>,
}

impl<'a> Lines<'a> {
    /// Of a draft.
    pub(super) fn of(draft: &'a str) -> Self {
        let from = draft.ceil_char_boundary(draft.len().saturating_sub(LOOKED_AT));
        let draft = &draft[from..];
        let mut breaks = Vec::new();
        let mut last: Option<String> = None;
        // Most drafts are one line.
        let lines = draft.contains(is_break).then(|| draft.split(is_break));
        for line in lines.into_iter().flatten() {
            let line = segment::normalise(line);
            let words: Vec<_> = segment::surfaces(line.trim_end()).collect();
            let Some(first) = words.first() else { continue };
            if let Some(last) = last.replace(end(&words)) {
                breaks.push((last, (*first).to_owned()));
            }
        }
        Self { draft, breaks }
    }

    /// Whether the cursor stands where a new line begins.
    pub(super) fn begins(&self) -> bool {
        self.draft[self.draft.trim_end().len()..].contains(is_break)
    }

    /// How many of the surfaces come before one that goes on where a line of the draft was ended. `before`: the last words in front of
    /// them; `begun`: the first of them is not what is asked about.
    pub(super) fn before_break(&self, before: &[&str], begun: bool, surfaces: &[String]) -> usize {
        if self.breaks.is_empty() {
            return surfaces.len();
        }
        let words: Vec<&str> = before.iter().copied().chain(surfaces.iter().map(String::as_str)).collect();
        let goes_on = |at: &usize| {
            let (before, next) = words.split_at(before.len() + at);
            !before.is_empty() && self.are_parted(&end(before), next[0].trim_start())
        };
        (usize::from(begun)..surfaces.len()).find(goes_on).unwrap_or(surfaces.len())
    }

    /// Whether two words stand side by side with a line break between them, and nowhere else.
    fn are_parted(&self, last: &str, next: &str) -> bool {
        self.breaks.iter().any(|(end, begin)| end == last && begin == next)
            && !self.draft.contains(&format!("{last} {next}"))
    }
}

/// How a line ends: a mark alone says nothing, so the word before it is part of that.
fn end(words: &[&str]) -> String {
    let is_mark = |word: &&str| !word.contains(char::is_alphanumeric);
    let marks = words.iter().rev().take_while(|word| is_mark(word)).count();
    let from = words.len().saturating_sub(marks + 1);
    words[from..].concat().trim_start().to_owned()
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be shown of a text at the cursor, which stands behind `draft`; its first word is begun where that ends in one.
    #[track_caller]
    fn check(draft: &str, text: &str, shown: usize) {
        let normal = segment::normalise(draft);
        let cut = segment::cut(&normal);
        let begun = !cut.prefix.trim().is_empty();
        let surfaces: Vec<_> = segment::surfaces(text).map(str::to_owned).collect();
        let lines = Lines::of(draft);
        assert_eq!(
            lines.before_break(&cut.history, begun || lines.begins(), &surfaces),
            shown,
            "{draft:?} {text:?}"
        );
    }

    #[test]
    fn a_line_that_was_ended_does_not_go_on() {
        let draft = "Call the bank about the loan\nCall the bank about the lo";
        check(draft, " loan Call the bank", 1);
        check(draft, " loan and the rate", 4);
        check("Call the bank about the loan\nCall the bank about the loan ", " Call the", 0);
        check("Best,\r\n\r\nAnn\nBest", "Best, Ann Lee", 2);
        check("Best, Ann\n\nBest,\nAnn\nBest", "Best, Ann", 3);
        check("Call the b", " bank Call the", 3);
        check("\n\n", "a b", 2);
    }

    #[test]
    fn a_mark_is_no_line() {
        check("Hi Ann,\nI got your note. If you like, ", " I can", 2);
        check("It works.\nThe rest is late. ", " The next", 2);
        check("Hi Ann,\nI got it. Hi A", " Ann, I", 2);
    }

    #[test]
    fn what_begins_a_line_begins_the_next_one() {
        check("Best,\nAnn\nBest,\n", " Ann", 1);
        check("Best,\nAnn\nBest, ", " Ann", 0);
    }
}
