//! Why nothing is shown, one reason each.

use super::rank::Ranked;
use crate::engine::{Request, Silence};
use crate::privacy;
use foretype_markov::segment::Cut;
use unicode_segmentation::GraphemeCursor;

/// The longest unfinished word worth asking about, characters.
const LONGEST_PREFIX: usize = 64;

/// Reasons that are known before any predictor is asked.
pub fn before(cut: &Cut<'_>, request: &Request) -> Option<Silence> {
    if request.held_out {
        return Some(Silence::Disabled);
    }
    if request.unread {
        return Some(Silence::Blocked);
    }
    let nothing_typed = cut.history.is_empty() && cut.prefix.trim().is_empty();
    if nothing_typed && request.context.is_empty() && request.memory.is_none() {
        return Some(Silence::EmptyText);
    }
    if cut.prefix.chars().count() > LONGEST_PREFIX {
        return Some(Silence::NoCandidate);
    }
    // In the middle of a word: whatever is said, the rest of that word is already there.
    let letters = !cut.prefix.trim().is_empty();
    (letters && request.after.starts_with(char::is_alphanumeric)).then_some(Silence::RepeatsAfter)
}

/// How many of the surfaces come before the text that already follows the cursor begins again. `first` is the first
/// surface of that text.
pub fn before_repeating(surfaces: &[String], first: Option<&str>) -> usize {
    let repeats = |surface: &String| first.is_some_and(|first| surface.trim_start() == first.trim_start());
    surfaces.iter().position(repeats).unwrap_or(surfaces.len())
}

/// How many of the surfaces come before one that stands in the place of personal data: what was taken out of messages that were
/// learned is nothing to type.
pub fn before_placeholder(surfaces: &[String]) -> usize {
    let stands_in = |at: usize| {
        surfaces[at].trim_start().starts_with('<') && {
            let rest = surfaces[at..].concat();
            let rest = rest.trim_start();
            privacy::placeholders().any(|name| rest.starts_with(name) || name.starts_with(rest))
        }
    };
    (0..surfaces.len()).find(|at| stands_in(*at)).unwrap_or(surfaces.len())
}

/// How many of the surfaces come before a mark with a space in front of it, as some corpora have them and hardly anybody writes.
pub fn before_loose_mark(surfaces: &[String]) -> usize {
    let is_mark = |surface: &str| [" .", " ,", " !", " ?"].contains(&surface);
    // Of " .NET" and " ..." it is the beginning.
    let goes_on = |at: usize| surfaces.get(at + 1).is_some_and(|next| !next.starts_with(' '));
    (0..surfaces.len()).find(|at| is_mark(&surfaces[*at]) && !goes_on(*at)).unwrap_or(surfaces.len())
}

/// Whether nothing but marks would follow a mark.
fn doubles(text: &str, draft: &str) -> bool {
    let is_mark = |c: char| ".,;:!?".contains(c);
    // "etc.," and "..."
    let may_follow =
        draft.ends_with('.') && text.starts_with(',') || draft.ends_with("..") && text.starts_with('.');
    draft.ends_with(is_mark) && !may_follow && text.trim_end().chars().all(is_mark)
}

/// What speaks against one candidate, read at the end of `draft`.
pub fn against(text: &str, draft: &str) -> Option<Silence> {
    let shown = text.trim();
    if shown.is_empty() {
        return Some(Silence::NoCandidate);
    }
    if splits_grapheme(draft, text) || shown.chars().any(char::is_control) || doubles(text, draft) {
        return Some(Silence::NoCandidate);
    }
    // Whatever a model has seen: what looks like personal data is not shown. It may begin in the draft.
    let draft = tail(draft);
    privacy::ends_private(&format!("{draft}{text}"), draft.len()).then_some(Silence::PrivateData)
}

/// The reason when there were candidates but none was shown.
pub fn none_shown(cut: &Cut<'_>, ranked: &[Ranked], done: f32) -> Silence {
    let prefix = cut.prefix.trim();
    let alphabetic = |c: char| c.is_alphabetic();
    if prefix.starts_with(|c: char| c.is_numeric()) {
        Silence::Number
    } else if ranked.is_empty() && prefix.contains(|c: char| alphabetic(c) && !is_known_script(c)) {
        Silence::UnknownScript
    } else if ranked.is_empty() {
        Silence::NoCandidate
    } else if done > 0.5 {
        Silence::WordComplete
    } else {
        Silence::LowConfidence
    }
}

/// Latin with its supplements, and what is shared between scripts: all the bundle was trained on.
fn is_known_script(c: char) -> bool {
    c <= '\u{24f}' || ('\u{1e00}'..='\u{1eff}').contains(&c)
}

/// The end of a draft: personal data may begin before the cursor.
fn tail(text: &str) -> &str {
    let start = text.char_indices().rev().take(32).last().map_or(0, |(i, _)| i);
    &text[start..]
}

/// Whether the insertion would join the grapheme before the cursor.
pub fn splits_grapheme(draft: &str, text: &str) -> bool {
    let draft = tail(draft);
    if draft.is_empty() {
        return false;
    }
    let joined = format!("{draft}{text}");
    let mut cursor = GraphemeCursor::new(draft.len(), joined.len(), true);
    !cursor.is_boundary(&joined, 0).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_where_the_following_text_begins() {
        let surfaces: Vec<_> = [" help", " you", " with"].map(str::to_owned).to_vec();
        assert_eq!(before_repeating(&surfaces, Some(" you")), 1);
        assert_eq!(before_repeating(&surfaces, Some("help")), 0);
        assert_eq!(before_repeating(&surfaces, Some(" w")), 3, "whole words only");
        assert_eq!(before_repeating(&surfaces, None), 3);
    }

    #[test]
    fn stops_before_what_nobody_types() {
        let shown = |surfaces: &[&str]| {
            let surfaces: Vec<_> = surfaces.iter().map(|surface| (*surface).to_owned()).collect();
            [before_placeholder(&surfaces), before_loose_mark(&surfaces)]
        };
        assert_eq!(shown(&["il", " <phone>", " today"]), [1, 3]);
        assert_eq!(shown(&[" mail", " <", "email", ">"]), [1, 4]);
        assert_eq!(shown(&[" mail", " <email"]), [1, 2], "it is not whole yet");
        assert_eq!(shown(&[" <phone", "x"]), [2, 2], "something else");
        assert_eq!(shown(&[" a", " <", " b"]), [3, 3], "less than");
        assert_eq!(shown(&["there", " !"]), [2, 1]);
        assert_eq!(shown(&["there", "!", " :", ")"]), [4, 4]);
        assert_eq!(shown(&["in", " .", "NET", " ."]), [4, 3]);
    }

    #[test]
    fn a_mark_is_not_doubled() {
        for (draft, text) in [("details.", ". "), ("why?", "?"), ("so,", ".")] {
            assert_eq!(against(text, draft), Some(Silence::NoCandidate), "{draft}{text}");
        }
        for (draft, text) in [
            ("details", ". "),
            ("details.", " I "),
            ("10.", "5 "),
            ("well.", ".. then"),
            ("etc.", ", "),
            ("well..", ". "),
        ] {
            assert_eq!(against(text, draft), None, "{draft}{text}");
        }
    }
}
