//! Where a word ends: the typist's boundaries, asked of text and of tokens.
//!
//! Letters, digits and `_` are word characters, and so are an apostrophe between letters or digits and `.` `,` `:`
//! between digits. A boundary lies between two characters that are not both word characters, and beside a space.
//! Of a token only the beginning is known to matter, so what comes next is asked as [`End`] against [`Start`].

use unicode_segmentation::UnicodeSegmentation;

/// How a token begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Start {
    /// A mark between turns: the message ends.
    Special,
    /// White space.
    Space,
    /// A letter.
    Letter,
    /// A digit.
    Digit,
    /// `_`.
    Underscore,
    /// An apostrophe with a letter or digit behind it, as in `'s`.
    Contraction,
    /// Anything that belongs to the character before it: a combining mark, the rest of a UTF-8 sequence.
    Mark,
    /// Any other character.
    Other,
}

/// How many kinds of [`Start`] there are.
pub(crate) const STARTS: usize = 8;

impl Start {
    /// How a token of these bytes begins; a token may hold part of a character.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (text, whole) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, true),
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                (std::str::from_utf8(valid).unwrap_or_default(), false)
            }
        };
        let mut chars = text.chars();
        let Some(first) = chars.next() else {
            return match bytes.first() {
                Some(0x80..=0xBF) => Self::Mark,
                // Lead bytes of general punctuation, arrows and emoji; the others lead mostly letters.
                Some(0xE2 | 0xF0..) | None => Self::Other,
                Some(_) => Self::Letter,
            };
        };
        if is_apostrophe(first) && whole && chars.next().is_some_and(char::is_alphanumeric) {
            return Self::Contraction;
        }
        match first {
            '_' => Self::Underscore,
            _ if first.is_whitespace() => Self::Space,
            _ if extends(first) => Self::Mark,
            _ if first.is_numeric() => Self::Digit,
            _ if first.is_alphanumeric() => Self::Letter,
            _ => Self::Other,
        }
    }
}

/// How a text ends, as far as the next character's side of a boundary depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing was written yet: anything may begin but a space.
    Empty,
    /// Inside a surface that has no character but its space, or inside a character: no boundary can follow.
    Open,
    /// A letter or digit.
    Alnum,
    /// `_`.
    Underscore,
    /// A digit and then `.`, `,` or `:`.
    DigitJoin,
    /// A letter or digit and then an apostrophe.
    Apostrophe,
    /// Any other character.
    Other,
}

impl End {
    /// How `text` ends.
    pub(crate) fn of(text: &[u8]) -> Self {
        if text.is_empty() {
            return Self::Empty;
        }
        let tail = text.get(text.len().saturating_sub(12)..).unwrap_or(text);
        let from = tail.iter().position(|byte| (byte & 0xC0) != 0x80).unwrap_or(0);
        let Ok(tail) = std::str::from_utf8(tail.get(from..).unwrap_or_default()) else { return Self::Open };
        let mut back = tail.chars().rev();
        let Some(last) = back.next() else { return Self::Open };
        let before = back.next();
        match last {
            ' ' | '\u{200d}' => Self::Open,
            '_' => Self::Underscore,
            _ if last.is_alphanumeric() => Self::Alnum,
            '.' | ',' | ':' if before.is_some_and(char::is_numeric) => Self::DigitJoin,
            _ if is_apostrophe(last) && before.is_some_and(char::is_alphanumeric) => Self::Apostrophe,
            _ => Self::Other,
        }
    }

    /// Whether a boundary lies between a text ending so and a token beginning with `start`.
    ///
    /// What the token does not show is decided for the boundary: a lone `'` after a letter, a lone `.` after a digit.
    pub(crate) fn splits(self, start: Start) -> bool {
        use Start::{Contraction, Digit, Letter, Mark, Space, Special, Underscore};
        match self {
            Self::Open => false,
            Self::Empty => !matches!(start, Special | Space | Mark),
            _ if start == Mark => false,
            Self::Alnum => !matches!(start, Letter | Digit | Underscore | Contraction),
            Self::Underscore => !matches!(start, Letter | Digit | Underscore),
            Self::DigitJoin => start != Digit,
            Self::Apostrophe => !matches!(start, Letter | Digit),
            Self::Other => true,
        }
    }
}

/// The first boundary of `surface` at a byte position of at least `from`, strictly inside it and not beside its own
/// leading space. `None` also for bytes that are not text.
pub(crate) fn first_inside(surface: &[u8], from: usize) -> Option<usize> {
    let text = std::str::from_utf8(surface).ok()?;
    let least = from.max(usize::from(text.starts_with(' ')) + 1);
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    (1..chars.len()).find(|&i| chars[i].0 >= least && between(&chars, i)).map(|i| chars[i].0)
}

/// The surfaces of a normalised text, in order.
pub(crate) fn surfaces(text: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    // The space before a word belongs to it.
    let cuts = (1..chars.len()).filter(|&i| chars[i - 1].1 != ' ' && between(&chars, i));
    let (mut surfaces, mut from) = (Vec::new(), 0);
    for cut in cuts.map(|i| chars[i].0).chain([text.len()]).filter(|&cut| cut > 0) {
        surfaces.push(&text[from..cut]);
        from = cut;
    }
    surfaces
}

fn between(chars: &[(usize, char)], i: usize) -> bool {
    let (before, after) = (chars[i - 1].1, chars[i].1);
    if before.is_whitespace() || after.is_whitespace() {
        return true;
    }
    !extends(after) && before != '\u{200d}' && !(is_word(chars, i - 1) && is_word(chars, i))
}

fn is_word(chars: &[(usize, char)], i: usize) -> bool {
    let this = chars[i].1;
    if this.is_alphanumeric() || this == '_' {
        return true;
    }
    let (Some(before), Some(after)) =
        (i.checked_sub(1).map(|j| chars[j].1), chars.get(i + 1).map(|next| next.1))
    else {
        return false;
    };
    match this {
        '.' | ',' | ':' => before.is_numeric() && after.is_numeric(),
        _ => is_apostrophe(this) && before.is_alphanumeric() && after.is_alphanumeric(),
    }
}

fn is_apostrophe(char: char) -> bool {
    matches!(char, '\'' | '\u{2019}')
}

/// Whether `char` joins the grapheme before it: a word must not end in front of it.
fn extends(char: char) -> bool {
    !char.is_ascii() && ['a', char].iter().collect::<String>().graphemes(true).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_ends_where_the_typist_says() {
        for (text, next, boundary) in [
            ("help", "ing", false),
            ("help", " you", true),
            ("help", ",", true),
            ("don", "'t", false),
            ("users", "'", true),
            ("don'", "t", false),
            ("3", "5", false),
            ("3.", "5", false),
            ("3.", "x", true),
            ("snake", "_case", false),
            ("snake_", "'s", true),
            (")", "(", true),
            (" ", "help", false),
            ("e", "\u{301}", false),
        ] {
            assert_eq!(
                End::of(text.as_bytes()).splits(Start::of(next.as_bytes())),
                boundary,
                "{text}|{next}"
            );
        }
    }

    #[test]
    fn part_of_a_character_ends_nothing() {
        assert_eq!(End::of(&"é".as_bytes()[..1]), End::Open);
        assert_eq!(Start::of(&"é".as_bytes()[1..]), Start::Mark);
        assert!(!End::of("caf".as_bytes()).splits(Start::of(&"é".as_bytes()[..1])));
    }

    #[test]
    fn cuts_a_text_at_every_boundary() {
        let text = "Thanks for calling, I can't (see 3.5)... \u{e9}e\u{301}!";
        let mut expected = Vec::new();
        let mut rest = text;
        while let Some(at) = first_inside(rest.as_bytes(), 0) {
            expected.push(&rest[..at]);
            rest = &rest[at..];
        }
        expected.push(rest);
        assert_eq!(surfaces(text), expected);
        assert_eq!(surfaces("Thanks for calling,"), ["Thanks", " for", " calling", ","]);
        assert_eq!(surfaces(""), [""; 0]);
    }

    #[test]
    fn finds_the_boundary_inside_a_token() {
        assert_eq!(first_inside(b"...", 0), Some(1));
        assert_eq!(first_inside(b" (see", 0), Some(2));
        assert_eq!(first_inside(b" don't", 0), None);
        assert_eq!(first_inside(b"3.5", 0), None);
        assert_eq!(first_inside(b"?!.", 2), Some(2));
        assert_eq!(first_inside(b" help", 0), None);
    }
}
