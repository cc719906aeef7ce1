//! Cuts text into surfaces: the unit every model gives probabilities to.
//!
//! A *word* is what lies between two boundaries; a *surface* is a word together with the single space before it, when
//! there is one. `"Thanks for calling, I"` has the surfaces `"Thanks"`, `" for"`, `" calling"`, `","`, `" I"`. As in
//! GPT-2's byte-pair alphabet, the space is simply the first character, so texts are rebuilt by joining surfaces.

use std::borrow::Cow;

/// Stands in a text where a word was taken out (U+FFFC, OBJECT REPLACEMENT CHARACTER): always a word of its own, which no model
/// learns and across which none joins what it parts.
pub const GAP: char = '\u{fffc}';

/// Whether a surface is a [`GAP`].
pub fn is_gap(surface: &str) -> bool {
    surface.trim_start() == "\u{fffc}"
}

/// The most surfaces [`cut`] hands out: more than any model looks at.
const MAX_HISTORY: usize = 8;

/// The most characters [`cut`] walks back. A "word" longer than this is noise; its head is ignored.
const MAX_WALK: usize = 512;

/// Whether a word of `text` ends, or a new one starts, at byte offset `byte`.
///
/// The ends of the text are boundaries, so is each side of a whitespace character, and every place where not both
/// neighbours belong to a word. Letters, digits and `_` belong to words, and so do an apostrophe between letters or
/// digits and `.`, `,`, `:` between digits: `don't`, `3.5` and `7:35` have no boundary inside.
///
/// This is the typing simulator's definition, with two differences where Unicode data differ between languages:
/// combining vowel signs (category M with the property Alphabetic) count as letters here, so that a Devanagari word
/// stays whole, and so do circled letters; and all of categories Nd, Nl and No count as digits around `.`, `,`, `:`.
///
/// An offset outside the text, or inside a character, counts as a boundary.
pub fn is_boundary(text: &str, byte: usize) -> bool {
    if byte == 0 || byte >= text.len() || !text.is_char_boundary(byte) {
        return true;
    }
    let (before, after) = text.split_at(byte);
    let mut back = before.chars().rev();
    let mut forth = after.chars();
    let (Some(a), Some(b)) = (back.next(), forth.next()) else {
        return true;
    };
    if is_space(a) || is_space(b) {
        return true;
    }
    !(in_word(back.next(), a, Some(b)) && in_word(Some(a), b, forth.next()))
}

/// Whether `c` belongs to a word, given its neighbours.
fn in_word(before: Option<char>, c: char, after: Option<char>) -> bool {
    if is_letter(c) {
        return true;
    }
    let (Some(a), Some(b)) = (before, after) else {
        return false;
    };
    if is_apostrophe(c) {
        a.is_alphanumeric() && b.is_alphanumeric()
    } else {
        matches!(c, '.' | ',' | ':') && a.is_numeric() && b.is_numeric()
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// Python's `isspace`: Unicode's White_Space and the four ASCII separators U+001C to U+001F.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// What [`normalise`] replaces: whitespace, and control characters, which nobody means to type.
fn is_blank(c: char) -> bool {
    is_space(c) || c.is_control()
}

/// The text as the models see it: every run of whitespace or control characters becomes one space, and none is left at
/// the start. A run at the end stays as one space, because it says that the last word is finished.
///
/// Borrows when the text is already normal.
pub fn normalise(text: &str) -> Cow<'_, str> {
    let mut after_space = true;
    let normal = text.chars().all(|c| {
        let fine = if c == ' ' { !after_space } else { !is_blank(c) };
        after_space = c == ' ';
        fine
    });
    if normal {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut pending = false;
    for c in text.chars() {
        if is_blank(c) {
            pending = !out.is_empty();
        } else {
            if pending {
                out.push(' ');
                pending = false;
            }
            out.push(c);
        }
    }
    if pending {
        out.push(' ');
    }
    Cow::Owned(out)
}

/// The surfaces of a normalised text, in order. A lone space at the end is not one.
///
/// ```
/// let text = "Thanks for calling, I can't ";
/// let surfaces: Vec<&str> = foretype_markov::segment::surfaces(text).collect();
/// assert_eq!(surfaces, ["Thanks", " for", " calling", ",", " I", " can't"]);
/// ```
pub fn surfaces(normal: &str) -> impl Iterator<Item = &str> {
    Surfaces { text: normal, at: 0 }
}

struct Surfaces<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Surfaces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self.at;
        let word = start + usize::from(self.text[start..].starts_with(' '));
        let mut before = self.text[..word].chars().next_back();
        let mut rest = self.text[word..].char_indices().peekable();
        let (_, mut c) = rest.next()?;
        // One pass: each character is looked at once, with its two neighbours, as `is_boundary` would.
        loop {
            let Some(&(offset, next)) = rest.peek() else {
                self.at = self.text.len();
                break;
            };
            let inside = in_word(before, c, Some(next));
            before = Some(c);
            c = next;
            rest.next();
            let after = rest.peek().map(|&(_, c)| c);
            if !inside || is_space(next) || !in_word(before, c, after) {
                self.at = word + offset;
                break;
            }
        }
        Some(&self.text[start..self.at])
    }
}

/// Where the cursor stands: finished surfaces and the unfinished one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// The surfaces before the unfinished one, newest last, at most eight.
    pub history: Vec<&'a str>,
    /// Whether `history` begins where the message begins.
    pub start: bool,
    /// The unfinished surface: `""`, `" "`, `"he"` or `" he"`.
    pub prefix: &'a str,
}

/// Cuts a normalised draft at its end, which is where the cursor is.
///
/// Letters and digits at the end are unfinished, and so is an apostrophe right after them, which may become `don't`.
/// Other punctuation is a finished word. Looks at the last few words only, so its cost does not grow with the draft; of
/// an unfinished word of more than 512 characters only the last 512 are the prefix, and the history is empty.
///
/// ```
/// let cut = foretype_markov::segment::cut("I can he");
/// assert_eq!((cut.history, cut.start, cut.prefix), (vec!["I", " can"], true, " he"));
/// ```
pub fn cut(normal: &str) -> Cut<'_> {
    let (mut end, mut whole) = unfinished(normal);
    let prefix = &normal[end..];
    let mut history = Vec::with_capacity(MAX_HISTORY);
    let floor = floor_of_walk(normal);
    while whole && end > 0 && history.len() < MAX_HISTORY {
        let start;
        (start, whole) = surface_start(normal, end, floor);
        if whole {
            history.push(&normal[start..end]);
            end = start;
        }
    }
    history.reverse();
    Cut { history, start: end == 0, prefix }
}

/// Where the unfinished surface starts, and whether that is its true start rather than the limit of the walk.
fn unfinished(normal: &str) -> (usize, bool) {
    let mut chars = normal.chars().rev();
    let last = chars.next();
    let body = match last {
        None => return (0, true),
        Some(' ') => return (normal.len() - 1, true),
        Some(c) if is_letter(c) => normal.len(),
        Some(c) if is_apostrophe(c) && chars.next().is_some_and(char::is_alphanumeric) => {
            normal.len() - c.len_utf8()
        }
        Some(_) => return (normal.len(), true),
    };
    surface_start(normal, body, floor_of_walk(normal))
}

/// The offset [`MAX_WALK`] characters before the end.
fn floor_of_walk(normal: &str) -> usize {
    normal.char_indices().rev().nth(MAX_WALK - 1).map_or(0, |(at, _)| at)
}

/// The start of the surface that ends at `end` (> 0), and whether it was found before `floor`.
fn surface_start(text: &str, end: usize, floor: usize) -> (usize, bool) {
    let mut at = end;
    while let Some(c) = text[..at].chars().next_back() {
        at -= c.len_utf8();
        if at <= floor && floor > 0 {
            return (at, false);
        }
        if is_boundary(text, at) {
            let spaced = c != ' ' && text[..at].ends_with(' ');
            return (at - usize::from(spaced), true);
        }
    }
    (0, true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// A line a text, `¦` at every boundary the reference implementation sees, control characters as `\u{hex}`.
    const TABLE: &str = include_str!("../tests/data/boundaries.txt");

    fn unescape(line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("\\u{") {
            let (hex, tail) = after.split_once('}').unwrap();
            out.push_str(before);
            out.push(char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap());
            rest = tail;
        }
        out + rest
    }

    #[test]
    fn boundaries_agree_with_the_reference_table() {
        let mut texts = 0;
        for line in TABLE.lines() {
            let marked = unescape(line);
            let text = marked.replace('¦', "");
            let mut expected = Vec::new();
            let mut at = 0;
            for part in marked.split('¦') {
                at += part.len();
                expected.push(at);
            }
            let found: Vec<usize> = text
                .char_indices()
                .map(|(i, _)| i)
                .skip(1)
                .chain([text.len()])
                .filter(|&i| is_boundary(&text, i))
                .collect();
            assert_eq!(found, expected, "{marked}");
            texts += 1;
        }
        assert!(texts > 300, "the table was cut short: {texts}");
    }

    #[test]
    fn normalise_joins_blanks_and_drops_leading_ones() {
        for (text, normal) in [
            ("", ""),
            ("  \n", ""),
            ("a", "a"),
            (" a\t\r\n b\u{0} ", "a b "),
            ("a b ", "a b "),
            ("a\u{a0}\u{3000}b", "a b"),
            ("\u{7f}x\u{1b}[0m", "x [0m"),
        ] {
            assert_eq!(normalise(text), normal, "{text:?}");
        }
        assert!(matches!(normalise("a b "), Cow::Borrowed(_)));
    }

    fn check(draft: &str, history: &[&str], start: bool, prefix: &str) {
        assert_eq!(cut(draft), Cut { history: history.to_vec(), start, prefix }, "{draft:?}");
    }

    #[test]
    fn cut_finds_the_unfinished_surface() {
        check("", &[], true, "");
        check("I can he", &["I", " can"], true, " he");
        check("I can ", &["I", " can"], true, " ");
        check("T", &[], true, "T");
        check("I don'", &["I"], true, " don'");
        check("I don't", &["I"], true, " don't");
        check("rock '", &["rock", " '"], true, "");
        check("well,", &["well", ","], true, "");
        check("at 7:3", &["at"], true, " 7:3");
        check(
            "one two three four five six seven eight nine te",
            &[" two", " three", " four", " five", " six", " seven", " eight", " nine"],
            false,
            " te",
        );
        check("😀😀", &["😀", "😀"], true, "");
    }

    #[test]
    fn a_very_long_word_is_capped() {
        let word = "é".repeat(10_000);
        let cut_off = cut(&word);
        assert_eq!((cut_off.history.len(), cut_off.start), (0, false));
        assert_eq!(cut_off.prefix.chars().count(), 512);
        let text = format!("{word} yes");
        check(&text, &[], false, " yes");
    }

    proptest! {
        #[test]
        fn surfaces_rebuild_the_text_and_end_at_boundaries(text in "(\\PC| |'|[0-9]|[a-z]|\\.|:|\u{0}){0,60}") {
            let normal = normalise(&text);
            prop_assert_eq!(normalise(&normal), normal.as_ref());
            let parts: Vec<&str> = surfaces(&normal).collect();
            let joined = parts.concat();
            prop_assert_eq!(&joined, normal.strip_suffix(' ').unwrap_or(&normal));
            let mut at = 0;
            for part in parts {
                let word = at + usize::from(part.starts_with(' '));
                prop_assert!(is_boundary(&normal, at) && is_boundary(&normal, word));
                at += part.len();
                prop_assert!(is_boundary(&normal, at));
                prop_assert!((word + 1..at).all(|i| !normal.is_char_boundary(i) || !is_boundary(&normal, i)));
            }
        }

        #[test]
        fn cut_agrees_with_surfaces(text in "([a-z]{1,4}|'| |[0-9]|,|\\.|é|日){0,40}") {
            let normal = normalise(&text);
            let cut = cut(&normal);
            let before = &normal[..normal.len() - cut.prefix.len()];
            // What is typed may still join the last word, so only the text before the prefix is final.
            let all: Vec<&str> = surfaces(before).collect();
            prop_assert_eq!(cut.start, all.len() <= MAX_HISTORY);
            prop_assert_eq!(&cut.history[..], &all[all.len().saturating_sub(MAX_HISTORY)..]);
        }
    }
}
