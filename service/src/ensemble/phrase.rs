//! Phrases: a first word goes on, a word at a time, as long as going on is worth it.

use foretype_charlm::is_misspelt;
use foretype_models::Word;

use super::calibrate::Calibration;
use super::mixture::{Learned, Prior, Table, Views};
use super::rank::Ranked;
use super::worth;
use crate::engine::Predictor;

/// The longest suggestion, in surfaces.
pub const LONGEST: usize = 12;

/// A next word less likely than this is not worth looking beyond.
const LEAST: f32 = 0.15;

/// What the mixture needs to go on from a first word.
pub struct Extension<'a> {
    /// The bundle's weights.
    pub prior: &'a Prior,
    /// What was learned of them beyond the bundle.
    pub learned: Learned<'a>,
    /// Probabilities that mean what they say.
    pub calibration: &'a Calibration,
    /// The neural continuation of this first word, with conditional probabilities; may be empty.
    pub neural: &'a [Word],
    /// The unfinished surface.
    pub prefix: &'a str,
}

impl Extension<'_> {
    /// Extends `ranked` to the length of greatest worth. `views` stand after its first surface.
    pub fn extend(&self, ranked: &mut Ranked, views: &Views<'_>) {
        let mut longer = ranked.clone();
        self.step(ranked, &mut longer, views, self.neural);
    }

    fn step(&self, best: &mut Ranked, longer: &mut Ranked, views: &Views<'_>, neural: &[Word]) {
        let last = longer.surfaces.last().map_or("", String::as_str);
        if longer.surfaces.len() >= LONGEST || worth::ends_sentence(last) {
            return;
        }
        let Some((surface, p, agrees)) = self.next(views, neural.first()) else { return };
        // Models loop more than people do.
        if p < LEAST || surface == last {
            return;
        }
        longer.surfaces.push(surface.clone());
        longer.probs.push(p);
        longer.reckon(self.prefix);
        if longer.worth > best.worth {
            *best = longer.clone();
        }
        let after: Views<'_> = views.iter().map(|(p, view)| (*p, view.after(&surface))).collect();
        let rest = if agrees { neural.get(1..).unwrap_or_default() } else { &[] };
        self.step(best, longer, &after, rest);
    }

    /// The likeliest next surface, its calibrated probability, and whether it is the neural one.
    fn next(&self, views: &Views<'_>, neural: Option<&Word>) -> Option<(String, f32, bool)> {
        let mut table = Table::gather(views, "", 2, self.prior, self.learned);
        let gpt2 = Predictor::Gpt2 as usize;
        if let Some(Word { surface, prob }) = neural {
            table.mass[gpt2] = Some(1.0);
            table.propose(surface, Predictor::Gpt2, views).probs[gpt2] = *prob;
            table.settle(Predictor::Gpt2, |scored| scored == surface);
        }
        let mixed = table.rows.iter().filter(|row| !is_misspelt(&row.surface));
        let mixed = mixed.map(|row| (row, table.mix(&row.probs)));
        let (row, p) =
            mixed.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.surface.cmp(&a.0.surface)))?;
        let agrees = neural.is_some_and(|word| word.surface == row.surface);
        Some((row.surface.clone(), self.calibration.confidence(0, p), agrees))
    }
}
