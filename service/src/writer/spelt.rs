//! Words as a reader compares them: whatever their case, with either apostrophe, without the space before.

use foretype_markov::segment;

/// A surface as it is compared. By way of capitals, so that "Straße" is "STRASSE" and one small sigma is the other;
/// character by character, so that what surrounds it changes nothing.
pub(super) fn folded(surface: &str) -> String {
    let capitals = surface.trim_start().chars().flat_map(char::to_uppercase);
    capitals.flat_map(char::to_lowercase).map(|c| if c == '\u{2019}' { '\'' } else { c }).collect()
}

/// The words of a text as they are compared.
pub(super) fn words(text: &str) -> Vec<String> {
    segment::surfaces(&segment::normalise(text)).map(folded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_as_a_reader_would() {
        for (one, other) in [
            ("Zebrafish", " zebraFISH"),
            ("don’t", "DON'T"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("Ōta", "ōta"),
        ] {
            assert_eq!(words(one), words(other), "{one}");
        }
        assert_ne!(words("resume"), words("résumé"), "another word");
        assert_eq!(words(" Kind  regards,"), ["kind", "regards", ","]);
    }
}
