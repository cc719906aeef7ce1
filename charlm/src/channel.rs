//! The noisy channel (Kernighan, Church and Gale 1990): how likely a slip of the keyboard is, given what was meant.
//!
//! Each probability is that of one particular slip at one place of a word. The relative sizes are rounded from codespell's
//! list (64,000 misspellings) by kind and by roughly how many places there were for each; those of slips to a
//! neighbouring key are raised by judgement, because a list of misspellings has few slips of the finger. The level assumes
//! about three slips in a hundred words.

/// Two letters in the wrong order.
pub(crate) const TRANSPOSED: f32 = 6e-4;
/// What is left of a slip's probability at the first letter of a word: people get that one right. Not of a transposition.
const FIRST: f32 = 0.2;
/// A letter that is written large was typed small, or the other way round, where no rule says so.
pub(crate) const CASE: f32 = 0.3;

const OMITTED: f32 = 6e-4;
pub(crate) const OMITTED_OF_TWO: f32 = 3e-3;
const DOUBLED: f32 = 3e-4;
const NEIGHBOUR_ADDED: f32 = 6e-5;
const ADDED: f32 = 1.5e-5;
const NEIGHBOUR: f32 = 3e-4;
const VOWEL: f32 = 1.2e-4;
const OTHER: f32 = 1e-5;

/// Another letter was typed for the one at `place`.
pub(crate) fn substituted(meant: char, typed: char, place: usize) -> f32 {
    let slip = if are_neighbours(meant, typed) {
        NEIGHBOUR
    } else if is_vowel(meant) && is_vowel(typed) {
        VOWEL
    } else {
        OTHER
    };
    at(place, slip)
}

/// The letter after `before` is missing.
pub(crate) fn omitted(before: Option<char>, missing: char) -> f32 {
    match before {
        None => FIRST * OMITTED,
        Some(before) if before == missing => OMITTED_OF_TWO,
        Some(_) => OMITTED,
    }
}

/// The letter `typed[place]` is one too many.
pub(crate) fn added(typed: &[char], place: usize) -> f32 {
    let (before, after) = (place.checked_sub(1).map(|i| typed[i]), typed.get(place + 1).copied());
    let beside = |other: Option<char>| other.is_some_and(|other| are_neighbours(other, typed[place]));
    let slip = if before == Some(typed[place]) {
        DOUBLED
    } else if beside(before) || beside(after) {
        NEIGHBOUR_ADDED
    } else {
        ADDED
    };
    at(place, slip)
}

fn at(place: usize, slip: f32) -> f32 {
    if place == 0 { FIRST * slip } else { slip }
}

/// Where the keys a to z are on a QWERTY keyboard, in quarters of a key: the second row is shifted by one, the third by
/// three.
const KEYS: [(i8, i8); 26] = {
    let rows: [(&[u8], i8); 3] = [(b"qwertyuiop", 0), (b"asdfghjkl", 1), (b"zxcvbnm", 3)];
    let mut keys = [(0, 0); 26];
    let mut y = 0;
    while y < rows.len() {
        let (row, shift) = rows[y];
        let mut x = 0;
        while x < row.len() {
            keys[(row[x] - b'a') as usize] = (4 * x as i8 + shift, y as i8);
            x += 1;
        }
        y += 1;
    }
    keys
};

pub(crate) fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

/// Whether two small letters lie side by side, in a row or on the slant.
pub(crate) fn are_neighbours(a: char, b: char) -> bool {
    let key = |c: char| c.is_ascii_lowercase().then(|| KEYS[c as usize - 'a' as usize]);
    match (key(a), key(b)) {
        (Some((ax, ay)), Some((bx, by))) => a != b && (ax - bx).abs() <= 4 && (ay - by).abs() <= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{added, are_neighbours, omitted, substituted};

    #[test]
    fn keys_side_by_side_are_neighbours() {
        for (a, b) in [("a", "qwsz"), ("g", "ftyhvb"), ("p", "ol"), ("m", "njk")] {
            let key = a.chars().next().expect("a key");
            let found: Vec<char> = ('a'..='z').filter(|&c| are_neighbours(key, c)).collect();
            let mut expected: Vec<char> = b.chars().collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "of {a}");
        }
        assert!(!are_neighbours('é', 'e') && !are_neighbours('a', 'a'));
    }

    #[test]
    fn likely_slips_are_likelier() {
        let of = |text: &str| text.chars().collect::<Vec<_>>();
        assert!(added(&of("runn"), 3) > added(&of("runm"), 3));
        assert!(added(&of("runm"), 3) > added(&of("runx"), 3));
        assert!(added(&of("aab"), 0) < added(&of("baa"), 1), "the first letter");
        assert!(substituted('e', 'r', 2) > substituted('e', 'a', 2));
        assert!(substituted('e', 'a', 2) > substituted('e', 'x', 2));
        assert!(omitted(Some('t'), 't') > omitted(Some('t'), 'e'));
        assert!(omitted(None, 't') < omitted(Some('a'), 't'));
    }
}
