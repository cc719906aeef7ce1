//! What may come next while a word is typed, and what it says against a suggestion that it was shown and not taken.
//!
//! A writer who sees the right word takes it; they look up at some keys only. With u the share of keys at which what is
//! right is not taken, a word that was shown and passed over is by Bayes' rule u times as likely, beside all others, as
//! it was. Every letter typed leaves the words that go on with it.

/// The share of the words nobody thought of that go on with a given letter.
const AGREEING: f32 = 0.15;

/// The words nobody thought of are never less likely than this together.
const LEAST: f32 = 0.02;

/// Texts that may come next, each up to the end of a word, and all others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    words: Vec<(String, f32)>,
    others: f32,
}

impl Expected {
    /// Texts as they would be inserted, with their probabilities. One that several say, a writer's text kept ready and a model, say, is
    /// one event, and as likely as the likeliest of them has it.
    pub fn new(mut words: Vec<(String, f32)>) -> Self {
        words.sort_by(|(a, p), (b, q)| a.cmp(b).then(q.total_cmp(p)));
        words.dedup_by(|(later, _), (first, _)| later == first);
        let all: f32 = words.iter().map(|(_, p)| p).sum();
        Self { words, others: (1.0 - all).max(LEAST) }
    }

    /// The probability of a text.
    pub fn of(&self, text: &str) -> f32 {
        self.words.iter().find(|(word, _)| word == text).map_or(0.0, |(_, p)| *p)
    }

    /// The greatest probability of another text that would save a key.
    pub fn best_but(&self, text: &str) -> f32 {
        let others = self.words.iter().filter(|(word, _)| word != text && word.chars().nth(1).is_some());
        others.map(|(_, p)| *p).fold(0.0, f32::max)
    }

    /// A text was passed over. `untaken`: how likely that is if it is right.
    pub fn pass(&mut self, text: &str, untaken: f32) {
        if let Some((_, p)) = self.words.iter_mut().find(|(word, _)| word == text) {
            *p *= untaken;
            self.normalise();
        }
    }

    /// What is left after some of it was typed.
    pub fn typed(&self, typed: &str) -> Self {
        let left = |(text, p): &(String, f32)| Some((text.strip_prefix(typed)?.to_owned(), *p));
        let words = self.words.iter().filter_map(left).filter(|(text, _)| !text.is_empty()).collect();
        let letters = typed.chars().count().min(99) as i32;
        let mut left = Self { words, others: self.others * AGREEING.powi(letters) };
        left.normalise();
        left
    }

    fn normalise(&mut self) {
        let all = self.words.iter().map(|(_, p)| p).sum::<f32>() + self.others;
        if all > 0.0 {
            self.words.iter_mut().for_each(|(_, p)| *p /= all);
            self.others /= all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expected() -> Expected {
        Expected::new(vec![("lp".into(), 0.5), ("llo".into(), 0.3), ("a".into(), 0.1)])
    }

    #[test]
    fn what_was_passed_over_is_less_likely() {
        let mut expected = expected();
        expected.pass("lp", 0.4);
        // 0.2 beside 0.3, 0.1 and the others' 0.1.
        assert!((expected.of("lp") - 0.2 / 0.7).abs() < 1e-6);
        assert!((expected.best_but("lp") - 0.3 / 0.7).abs() < 1e-6);
        assert!(expected.best_but("llo") < 0.3, "one letter saves nothing");
        let before = expected.clone();
        expected.pass("nobody said this", 0.4);
        assert_eq!(expected, before);
    }

    #[test]
    fn a_letter_leaves_what_goes_on_with_it() {
        let left = expected().typed("l");
        let all = 0.5 + 0.3 + 0.1 * AGREEING;
        assert!((left.of("p") - 0.5 / all).abs() < 1e-6 && (left.of("lo") - 0.3 / all).abs() < 1e-6);
        assert!(left.of("") == 0.0 && left.typed("p").words.is_empty(), "what is typed is over");
    }

    #[test]
    fn what_several_say_is_one_event() {
        let mut twice = Expected::new(vec![("lp".into(), 0.2), ("llo".into(), 0.3), ("lp".into(), 0.5)]);
        assert_eq!((twice.of("lp"), twice.best_but("lp")), (0.5, 0.3));
        twice.pass("lp", 0.4);
        assert!((twice.of("lp") - 0.2 / 0.7).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn sums_to_one_and_the_order_is_of_no_matter(
            words in prop::collection::btree_map("[ab]{1,4}", 0.001..0.2_f32, 0..5),
            passes in prop::collection::vec(("[ab]{1,4}", 0.1..0.9_f32), 0..4),
            typed in "[ab]{0,2}",
        ) {
            let one: Vec<_> = words.clone().into_iter().collect();
            let other: Vec<_> = words.into_iter().rev().collect();
            let end = |words, passes: &[(String, f32)]| {
                let mut expected = Expected::new(words);
                passes.iter().for_each(|(text, untaken)| expected.pass(text, *untaken));
                expected.typed(&typed)
            };
            let left = end(one, &passes);
            prop_assert!((left.words.iter().map(|(_, p)| p).sum::<f32>() + left.others - 1.0).abs() < 1e-4);
            let mut turned = passes;
            turned.reverse();
            let right = end(other, &turned);
            for (text, p) in &left.words {
                prop_assert!((right.of(text) - p).abs() < 1e-5);
            }
        }
    }
}
