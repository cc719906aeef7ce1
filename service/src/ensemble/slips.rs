//! The other reading of a prefix: that it begins no word, but is a slip for one.
//!
//! Bayes' rule: P(w was meant | prefix) = Σ π_m P_m(w) · P(prefix | w was meant) over the same of all words it may be a slip for, and
//! Σ π_m P_m(prefix), the words that do begin with it.

use super::mixture::{Table, Views};
use crate::engine::Predictor;

/// Words that a prefix may be a slip for.
#[derive(Clone, Debug, Default)]
pub struct Slips {
    /// Σ π_m P_m(word) · P(the prefix | the word was meant), by word.
    joint: Vec<f32>,
    /// The word that the prefix is a common misspelling of: as it stands it is none.
    misspelt: Option<usize>,
    /// Σ π_m P_m(the prefix is the whole surface), which is that word's.
    taken: f32,
}

impl Slips {
    fn of(&self, word: usize) -> f32 {
        let taken = if self.misspelt == Some(word) { self.taken } else { 0.0 };
        self.joint.get(word).map_or(0.0, |joint| joint + taken)
    }

    fn all(&self) -> f32 {
        (0..self.joint.len()).map(|word| self.of(word)).sum()
    }
}

impl Table {
    /// Takes the prefix for a slip for one of some words, given with P(the prefix | the word was meant).
    ///
    /// `misspelt`: the one that it is a common misspelling of; what was learned of the prefix as a word is meant for that.
    pub fn slip(&mut self, views: &Views<'_>, words: &[(&str, f32)], misspelt: Option<usize>) {
        let prior = |word: &str| -> f32 {
            let awake = views.iter().filter(|(m, _)| self.mass[*m as usize].is_some());
            awake.map(|(m, view)| self.weights[*m as usize] * view.prob(word)).sum()
        };
        let joint = words.iter().map(|(word, channel)| channel * prior(word)).collect();
        self.slips = Slips { joint, misspelt, taken: 0.0 };
        self.take_word();
    }

    /// Takes the prefix for the beginning of a word after all.
    pub fn no_slip(&mut self) {
        self.slips = Slips::default();
    }

    /// P(one of the words was meant | the prefix was typed).
    pub fn slipped(&self) -> f32 {
        self.share(self.slips.all())
    }

    /// P(the word was meant | the prefix was typed), of one that [`slip`](Self::slip) was given, by its place there.
    pub fn meant(&self, word: usize) -> f32 {
        self.share(self.slips.of(word))
    }

    fn share(&self, joint: f32) -> f32 {
        let all = self.slips.all() + self.evidence();
        if all > 0.0 { joint / all } else { 0.0 }
    }

    /// P(prefix), by the members that are awake.
    pub fn prefix_prob(&self) -> f32 {
        let awake = self.awake();
        if awake > 0.0 { self.evidence() / awake } else { 0.0 }
    }

    fn awake(&self) -> f32 {
        self.weights.iter().zip(self.mass).filter_map(|(weight, mass)| mass.map(|_| *weight)).sum()
    }

    /// Hears one more member: P(prefix), and P(the prefix is the whole surface). Of the words that may have been meant it is not
    /// asked, and taken to think as the others do.
    pub fn wake(&mut self, m: Predictor, mass: f32, done: f32) {
        let before = self.awake();
        (self.mass[m as usize], self.done[m as usize]) = (Some(mass), done);
        if before > 0.0 {
            let more = self.awake() / before;
            self.slips.joint.iter_mut().for_each(|joint| *joint *= more);
        }
        self.take_word();
    }

    /// Gives Σ π_m P_m(the prefix is the whole surface) to the word that it is a misspelling of.
    fn take_word(&mut self) {
        if self.slips.misspelt.is_none_or(|word| word >= self.slips.joint.len()) {
            return;
        }
        for ((weight, mass), done) in self.weights.iter().zip(&mut self.mass).zip(&mut self.done) {
            if let Some(mass) = mass {
                self.slips.taken += weight * *done;
                *mass = (*mass - *done).max(0.0);
                *done = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::mixture::{Learned, Prior};
    use crate::predictors::{Query, fixed::Fixed};

    fn views<'a>(members: &'a [(Predictor, Vec<(String, f32)>)], prefix: &str) -> Views<'a> {
        let conversation = foretype_markov::Conversation::default();
        let query = Query { history: &[], start: None, prefix, conversation: &conversation, resolved: None };
        members.iter().map(|(m, words)| (*m, Box::new(Fixed::new(words, &query)) as _)).collect()
    }

    fn words(list: &[(&str, f32)]) -> Vec<(String, f32)> {
        list.iter().map(|(w, p)| ((*w).to_owned(), *p)).collect()
    }

    fn total(table: &Table) -> f32 {
        table.rows.iter().map(|row| table.mix(&row.probs)).sum::<f32>() + table.done() + table.slipped()
    }

    #[test]
    fn the_beginning_of_a_word_and_all_slips_sum_to_one() {
        let members = [
            (Predictor::Domain, words(&[(" the", 0.5), (" teh", 0.01), (" tehran", 0.002), (" a", 0.4)])),
            (Predictor::Charlm, words(&[(" the", 0.3), (" teh", 0.03), (" ten", 0.1)])),
        ];
        let views = views(&members, " teh");
        let gather = || Table::gather(&views, " teh", 9, &Prior::default(), Learned::default());
        for misspelt in [None, Some(0)] {
            let mut table = gather();
            table.slip(&views, &[(" the", 0.02), (" ten", 1e-4)], misspelt);
            assert!((total(&table) - 1.0).abs() < 1e-5, "{misspelt:?}: {table:?}");
            assert!((table.meant(0) + table.meant(1) - table.slipped()).abs() < 1e-6);
            let fast = table.meant(0);
            table.wake(Predictor::Gpt2, 0.04, 0.03);
            let row = table.propose(" tehran", Predictor::Gpt2, &views);
            row.probs[Predictor::Gpt2 as usize] = 0.01;
            assert!((total(&table) - 1.0).abs() < 1e-5, "{misspelt:?}: {table:?}");
            if misspelt.is_some() {
                assert!(fast > 0.9 && table.done() == 0.0, "it is no word, whoever says so");
            }
        }
        let mut table = gather();
        table.slip(&views, &[(" the", 0.02)], None);
        table.no_slip();
        assert_eq!((table.slipped(), table.meant(0)), (0.0, 0.0));
        assert!((total(&table) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn who_has_learned_nothing_but_the_misspelling_means_the_word() {
        let members = [(Predictor::Domain, words(&[(" teh", 1.0)]))];
        let views = views(&members, " teh");
        let mut table = Table::gather(&views, " teh", 9, &Prior::default(), Learned::default());
        table.slip(&views, &[(" the", 0.02)], Some(0));
        assert_eq!((table.meant(0), table.done()), (1.0, 0.0));
    }
}
