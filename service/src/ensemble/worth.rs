//! What a suggestion is worth to the writer, in keystrokes, and how it reads at the cursor.

/// Reading a new suggestion of no use.
const READING: f32 = 0.25;

/// Reading each word after the first.
const READING_WORD: f32 = 0.02;

/// Characters of a phrase that is worth as much as nine in ten of those that overtake a likelier word.
const LONG: usize = 8;

/// How often what is right is not shown a key later either, and all of its worth is lost.
const MISSED: f32 = 0.15;

/// Expected keystrokes saved by `words`, the characters each inserts and its probability given those before:
/// P(all right)·(L − 1) + Σ P(exactly the first j right)·(chars_j − j) − the cost of reading.
///
/// The whole takes one key, its leading words one key each. Reading costs 0.25 when nothing could be taken, as the typing
/// simulator counts it (a flat cost would punish sure suggestions), and 0.02 for each word after the first.
pub fn worth(words: &[(usize, f32)]) -> f32 {
    let (mut chars, mut right, mut saved) = (0.0, 1.0, 0.0);
    for (j, &(inserted, p)) in words.iter().enumerate() {
        // The first j words and no more: j keys for the characters they hold.
        saved += right * (1.0 - p) * (chars - j as f32);
        right *= p;
        chars += inserted as f32;
    }
    saved += right * (chars - 1.0);
    let first = words.first().map_or(0.0, |w| w.1);
    saved - READING * (1.0 - first) - READING_WORD * words.len().saturating_sub(1) as f32
}

/// Expected keystrokes lost if these words, of that worth, are not shown now.
///
/// What is right comes up again a key later, when fewer words compete, and so mostly one key is lost however long it is:
/// ranking by worth alone prefers long words to likely ones.
pub fn urgency(words: &[(usize, f32)], worth: f32) -> f32 {
    let saves = words.iter().map(|word| word.0).sum::<usize>() > 1;
    let right = words.first().filter(|_| saves).map_or(0.0, |first| first.1);
    (1.0 - MISSED) * right + MISSED * worth
}

/// The urgency that few phrases exceed whose first word has probability `p`.
pub fn urgency_of_phrase(p: f32) -> f32 {
    let words = [(LONG, p)];
    urgency(&words, worth(&words))
}

/// Whether a writer goes on with a space after this surface: after words and closing marks, not after an opening one. A quote
/// behind a space opens.
fn takes_space(surface: &str) -> bool {
    let opens = matches!(surface, " \"" | " '");
    !opens && surface.chars().next_back().is_some_and(|c| c.is_alphanumeric() || ".,;:?!)]}%\"'".contains(c))
}

/// Whether what follows the cursor is joined to the word before: a blank, or a mark that is not an opening one.
fn joins(after: &str) -> bool {
    after.starts_with(|c: char| c.is_whitespace() || ".,;:?!)]}%\"'”’»…-–—/*_`".contains(c))
}

/// The text to insert at the cursor: what is missing of `surfaces` after `prefix`, and the space that follows.
pub fn text(prefix: &str, surfaces: &[&str], after: &str) -> String {
    let mut text: String = surfaces.concat();
    text.drain(..prefix.len().min(text.len()));
    if surfaces.last().is_some_and(|s| takes_space(s)) && !joins(after) {
        text.push(' ');
    }
    text
}

/// Characters that each surface inserts: what is missing of it after `prefix`, and the space that follows it
/// (accepting a word takes the space after it).
pub fn inserted(prefix: &str, surfaces: &[&str]) -> Vec<usize> {
    let typed = prefix.chars().count();
    let letters = |i: usize| {
        let all = surfaces[i].chars().count();
        if i == 0 { all.saturating_sub(typed) } else { surfaces[i].trim_start().chars().count().min(all) }
    };
    let space = |i: usize| match surfaces.get(i + 1) {
        Some(next) => next.starts_with(' '),
        None => takes_space(surfaces[i]),
    };
    (0..surfaces.len()).map(|i| letters(i) + usize::from(space(i))).collect()
}

/// Whether a sentence ends with this surface.
pub fn ends_sentence(surface: &str) -> bool {
    matches!(surface.trim_start(), "." | "!" | "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sure_word_saves_all_but_one_key() {
        assert!((worth(&[(5, 1.0)]) - 4.0).abs() < 1e-6);
    }

    #[test]
    fn a_doubtful_word_costs_reading() {
        assert!((worth(&[(5, 0.5)]) - (0.5 * 4.0 - 0.25 * 0.5)).abs() < 1e-6);
        assert!(worth(&[(2, 0.1)]) < 0.0);
    }

    #[test]
    fn phrases_count_what_is_right_of_them() {
        let all_right = 0.8 * 0.5 * (5.0 + 4.0 - 1.0);
        let first_only = 0.8 * (1.0 - 0.5) * (5.0 - 1.0);
        let reading = 0.25 * (1.0 - 0.8) + 0.02;
        assert!((worth(&[(5, 0.8), (4, 0.5)]) - (all_right + first_only - reading)).abs() < 1e-6);
    }

    #[test]
    fn a_likely_second_word_makes_a_phrase_worth_more() {
        assert!(worth(&[(5, 0.8), (4, 0.9)]) > worth(&[(5, 0.8)]));
        assert!(worth(&[(5, 0.8), (4, 0.001)]) < worth(&[(5, 0.8)]));
    }

    #[test]
    fn a_likely_word_is_more_urgent_than_a_long_one() {
        let urgent = |words: &[(usize, f32)]| urgency(words, worth(words));
        assert!(urgent(&[(4, 0.5)]) > urgent(&[(8, 0.25)]) && worth(&[(4, 0.5)]) < worth(&[(8, 0.25)]));
        assert!(urgent(&[(8, 0.5)]) > urgent(&[(4, 0.5)]));
        assert!(urgent(&[(1, 0.9)]) < urgent(&[(3, 0.1)]), "one key saves nothing");
    }

    #[test]
    fn texts_read_on_from_the_cursor() {
        assert_eq!(text(" he", &[" help", " you"], ""), "lp you ");
        assert_eq!(text(" he", &[" help"], " me"), "lp");
        assert_eq!(text(" he", &[" help"], ", please"), "lp");
        assert_eq!(text("", &[","], ""), ", ");
        assert_eq!(text(" ", &[" ("], ""), "(");
        assert_eq!(text("", &[" on", " \""], ""), " on \"");
        assert_eq!(text("", &["\""], ""), "\" ", "behind a word it closes");
        for after in ["\"", "'s account", "-based", "…", "/her"] {
            assert_eq!(text(" custom", &[" customer"], after), "er", "{after}");
        }
        assert_eq!(text(" he", &[" help"], "(now)"), "lp ");
    }

    #[test]
    fn a_word_inserts_itself_and_its_space() {
        assert_eq!(inserted(" he", &[" help", " you"]), ["lp ".len(), "you ".len()]);
        assert_eq!(inserted("", &[" you", ",", " or"]), [" you".len(), ", ".len(), "or ".len()]);
        assert_eq!(inserted("", &["."]), [". ".len()]);
    }
}
