//! Where the lines of a draft end. The models read a line break as a blank, so that to them what begins a line follows what ended the
//! one before; written on one line, it is nothing that anybody wants.

use foretype_markov::segment;

/// Bytes of a draft whose lines are looked at, the last ones.
const LOOKED_AT: usize = 4_096;

/// The words on both sides of each line break of a draft.
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
            let mut words = segment::surfaces(line.trim_end());
            let Some(first) = words.next() else { continue };
            let end = words.last().unwrap_or(first).trim_start().to_owned();
            if let Some(last) = last.replace(end) {
                breaks.push((last, first.to_owned()));
            }
        }
        Self { draft, breaks }
    }

    /// How many of the surfaces come before one that goes on where a line of the draft was ended. `before`: the word that the first of
    /// them follows, if it is not begun yet.
    pub(super) fn before_break(&self, before: Option<&str>, surfaces: &[String]) -> usize {
        if self.breaks.is_empty() {
            return surfaces.len();
        }
        let last = |at: usize| at.checked_sub(1).map_or(before, |at| Some(surfaces[at].as_str()));
        let is_behind_break = |at: &usize| {
            last(*at).is_some_and(|last| self.are_parted(last.trim_start(), surfaces[*at].trim_start()))
        };
        (0..surfaces.len()).find(is_behind_break).unwrap_or(surfaces.len())
    }

    /// Whether two words stand side by side with a line break between them, and nowhere else.
    fn are_parted(&self, last: &str, next: &str) -> bool {
        self.breaks.iter().any(|(end, begin)| end == last && begin == next)
            && !self.draft.contains(&format!("{last} {next}"))
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(draft: &str, before: Option<&str>, text: &str, shown: usize) {
        let surfaces: Vec<_> = segment::surfaces(text).map(str::to_owned).collect();
        assert_eq!(Lines::of(draft).before_break(before, &surfaces), shown, "{draft:?} {text:?}");
    }

    #[test]
    fn a_line_that_was_ended_does_not_go_on() {
        let draft = "Call the bank about the loan\nCall the bank about the lo";
        check(draft, None, " loan Call the bank", 1);
        check(draft, Some(" loan"), " Call the", 0);
        check(draft, None, " loan and the rate", 4);
        check("Best,\r\n\r\nAnn\nBest", None, "Best, Ann Lee", 2);
        check("Best, Ann\n\nBest,\nAnn\nBest", None, "Best, Ann", 3);
        check("Call the bank", None, " bank Call the", 3);
        check("\n\n", None, "a b", 2);
    }
}
