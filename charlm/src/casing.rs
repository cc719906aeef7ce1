//! Letter case: what is searched for in small letters is answered as it was typed.

use crate::channel;

/// How a prefix was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Casing {
    /// recie
    Small,
    /// Recie
    Initial,
    /// RECIE
    Capitals,
    /// reCie: what it means is anyone's guess, so it is taken as it stands.
    Mixed,
}

impl Casing {
    pub(crate) fn of(letters: &str) -> Self {
        let mut rest = letters.chars();
        let first = rest.next().is_some_and(char::is_uppercase);
        let capitals = rest.clone().filter(|c| c.is_uppercase()).count();
        match (first, capitals) {
            (false, 0) => Self::Small,
            (true, 0) => Self::Initial,
            (true, n) if n == rest.count() => Self::Capitals,
            _ => Self::Mixed,
        }
    }

    /// Whether a letter may stand for its capital: the first one of a word, or any among capitals.
    fn is_loose(self, first: bool) -> bool {
        self == Self::Capitals || first && self != Self::Mixed
    }

    /// The letter that stands for `c` in a search.
    pub(crate) fn folded(self, c: char, first: bool) -> char {
        if !self.is_loose(first) {
            return c;
        }
        let mut small = c.to_lowercase();
        match (small.next(), small.next()) {
            (Some(small), None) => small,
            _ => c,
        }
    }

    /// The letters of a word as a search sees them.
    pub(crate) fn letters(self, word: &str) -> Vec<char> {
        word.chars().enumerate().map(|(i, c)| self.folded(c, i == 0)).collect()
    }

    /// The letters of the lexicon that `folded` may stand for.
    pub(crate) fn variants(self, folded: char, first: bool) -> impl Iterator<Item = char> {
        let large = self.is_loose(first).then(|| folded.to_uppercase()).filter(|large| large.len() == 1);
        std::iter::once(folded).chain(large.into_iter().flatten().filter(move |&large| large != folded))
    }

    /// P(the case that was typed | a word with `c`, whose first letter it may be).
    pub(crate) fn cost(self, c: char, first: bool) -> f32 {
        let free = match self {
            Self::Small => false,
            Self::Initial => first,
            Self::Capitals | Self::Mixed => true,
        };
        if free || !c.is_uppercase() { 1.0 } else { channel::CASE }
    }

    /// A listed surface in this case.
    pub(crate) fn apply(self, surface: String) -> String {
        let letters = surface.trim_start();
        match self {
            Self::Small | Self::Mixed => surface,
            Self::Capitals => surface.to_uppercase(),
            Self::Initial => {
                let space = &surface[..surface.len() - letters.len()];
                let mut rest = letters.chars();
                let first = rest.next().into_iter().flat_map(char::to_uppercase);
                space.chars().chain(first).chain(rest).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Casing;

    #[test]
    fn words_come_back_as_they_were_typed() {
        for (typed, word, expected) in [
            ("recie", " receive", " receive"),
            ("Recie", " receive", " Receive"),
            ("RECIE", " receive", " RECEIVE"),
            ("jonh", " John", " John"),
            ("Stra", "straße", "Straße"),
            ("I", " it", " It"),
        ] {
            assert_eq!(Casing::of(typed).apply(word.to_owned()), expected, "{typed}");
        }
        assert_eq!(Casing::of("reCie"), Casing::Mixed);
    }
}
