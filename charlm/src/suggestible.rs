//! Which strings may be offered to a writer at all.

/// Longer "words" are run-together text or keys, and nobody finishes them by accepting ghost text.
const LONGEST: usize = 32;

/// Whether a surface is a word that may be *suggested*: letters, with at most apostrophes inside.
///
/// Numbers, e-mail addresses, URLs, identifiers, hexadecimal strings and stretched spellings ("sooooo") have
/// probabilities like every string, but offering them back would be noise at best and someone's data at worst.
///
/// ```
/// use foretype_charlm::suggestible;
/// assert!(suggestible(" don't") && suggestible("Straße") && suggestible(" I"));
/// assert!(!suggestible(" 42") && !suggestible(",") && !suggestible(" deadbeef") && !suggestible(" rock'"));
/// ```
pub fn suggestible(surface: &str) -> bool {
    let word = surface.strip_prefix(' ').unwrap_or(surface);
    let (mut before, mut run, mut length) = (None, 0, 0);
    for c in word.chars() {
        let joined = is_apostrophe(c) && before.is_some_and(char::is_alphabetic);
        run = if before == Some(c) { run + 1 } else { 1 };
        length += 1;
        if !(c.is_alphabetic() || joined) || run > 3 || length > LONGEST {
            return false;
        }
        before = Some(c);
    }
    before.is_some_and(char::is_alphabetic) && !word.starts_with("www") && !looks_hexadecimal(word)
}

/// The word that is being typed at the end of an identifier: what follows its last `_` or begins with its last capital
/// after a small letter or a digit. All of any other surface.
pub(crate) fn word_part(surface: &str) -> &str {
    let mut start = 0;
    let mut before = None;
    for (at, c) in surface.char_indices() {
        if c == '_' {
            start = at + c.len_utf8();
        } else if c.is_uppercase() && before.is_some_and(|b: char| b.is_lowercase() || b.is_numeric()) {
            start = at;
        }
        before = Some(c);
    }
    &surface[start..]
}

/// A straight or a typographic apostrophe.
pub(crate) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// Eight letters are where hexadecimal begins to be likelier than a word such as "defaced".
fn looks_hexadecimal(word: &str) -> bool {
    word.len() >= 8 && word.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{suggestible, word_part};

    #[test]
    fn words_are_and_the_rest_is_not() {
        for yes in
            ["a", " I", " hello", "O'Brien", " l\u{2019}été", "שלום", " 東京", "Ünïcödé", " defaced", " aaa"]
        {
            assert!(suggestible(yes), "{yes:?}");
        }
        for no in [
            "", " ", "  a", "'", " '", "it'", "o''clock", "a b", "7:35", "x1", "foo_bar", "a@b", "www",
            "soooo", "👍", " \u{301}",
        ] {
            assert!(!suggestible(no), "{no:?}");
        }
        assert!(!suggestible(&"ab".repeat(17)));
    }

    #[test]
    fn identifiers_end_in_a_word() {
        for (surface, part) in [
            (" nova_comp", "comp"),
            (" __in", "in"),
            (" getUs", "Us"),
            (" utf8Enc", "Enc"),
            (" foo_", ""),
            (" x86", " x86"),
            (" USA", " USA"),
            (" don't", " don't"),
        ] {
            assert_eq!(word_part(surface), part, "{surface}");
        }
    }
}
