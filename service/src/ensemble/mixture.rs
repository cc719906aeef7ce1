//! P(w | prefix) = Σ π_m P_m(w) / Σ π_m P_m(prefix), over the members that are awake.
//!
//! Every member scores every candidate, whoever proposed it, so the order of proposals cannot matter.
//!
//! A linear mixture is what there is to gain from these members: on 10,418 positions of held-out writers (five folds by writer) its best
//! word is right in 0.542, after a log-linear correction by what each member says and by how much oftener the writer uses a
//! word than others do in 0.546, after boosted trees over the same and more in 0.548.

use serde::{Deserialize, Serialize};

use super::bucket::{ALONE, BUCKETS, bucket};
use super::slips::Slips;
use super::weights::{MEMBERS, Weights};
use crate::engine::Predictor;
use crate::predictors::View;

/// Classes of the prefix's length, in letters: none, one, two, more.
pub const PREFIX_CLASSES: usize = 4;

/// The class of a prefix; its leading space is not a letter.
pub fn prefix_class(prefix: &str) -> usize {
    prefix.trim_start().chars().take(PREFIX_CLASSES - 1).count()
}

/// The bundle's weights, fitted on held-out text (`foretype build`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// By evidence bucket, then [`Predictor`]; each row sums to one.
    pub weights: Vec<[f32; MEMBERS]>,
    /// What a typed prefix does to each member's weight, by class, beyond its likelihood.
    pub prefix: Vec<[f32; MEMBERS]>,
}

impl Default for Prior {
    fn default() -> Self {
        Self {
            weights: vec![[1.0 / MEMBERS as f32; MEMBERS]; BUCKETS],
            prefix: vec![[1.0; MEMBERS]; PREFIX_CLASSES],
        }
    }
}

impl Prior {
    /// Whether the tables have the shapes this version mixes with.
    pub fn is_valid(&self) -> bool {
        let positive = |rows: &[[f32; MEMBERS]]| rows.iter().flatten().all(|w| w.is_finite() && *w >= 0.0);
        self.weights.len() == BUCKETS
            && self.prefix.len() == PREFIX_CLASSES
            && positive(&self.weights)
            && positive(&self.prefix)
    }

    /// One of a release that told no conversations from other texts holds for both.
    pub fn of_both_kinds(mut self) -> Self {
        if self.weights.len() == ALONE {
            self.weights.extend_from_within(..);
        }
        self
    }

    /// π at one place, for one writer, not yet normalised.
    fn at(&self, bucket: usize, class: usize, learned: Learned<'_>) -> [f32; MEMBERS] {
        let factors = learned.writer.map_or([1.0; MEMBERS], |w| w.factors(bucket));
        let shared = self.of_team(bucket, learned.team);
        std::array::from_fn(|m| shared[m] * self.prefix[class][m] * factors[m])
    }

    /// The weights that those of a team's members start from; they sum to one.
    pub fn of_team(&self, bucket: usize, team: Option<&Weights>) -> [f32; MEMBERS] {
        let Some(team) = team else { return self.weights[bucket] };
        let factors = team.factors(bucket);
        let weights: [f32; MEMBERS] = std::array::from_fn(|m| self.weights[bucket][m] * factors[m]);
        let total: f32 = weights.iter().sum();
        if total > 0.0 { weights.map(|weight| weight / total) } else { self.weights[bucket] }
    }
}

/// What was learned of the weights beyond the prior: global, then team, then writer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learned<'a> {
    /// By the writer's team, relative to the prior.
    pub team: Option<&'a Weights>,
    /// By the writer, relative to both.
    pub writer: Option<&'a Weights>,
}

/// A surface and what each member gives it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The whole surface, prefix included.
    pub surface: String,
    /// P_m(surface | history), by [`Predictor`]; zero where a member sleeps.
    pub probs: [f32; MEMBERS],
    /// Who proposed it, by [`Predictor`].
    pub proposed: [bool; MEMBERS],
    /// Whether it adds digits to a number that nobody here has written: what a corpus makes of "$45" is another sum.
    pub made_up: bool,
}

/// What the members say at one place.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where the place stands in the weights.
    pub bucket: usize,
    /// The unfinished surface.
    pub prefix: String,
    /// P_m(prefix | history); `None`: asleep.
    pub mass: [Option<f32>; MEMBERS],
    /// P_m(the prefix is the whole surface | history).
    pub done: [f32; MEMBERS],
    /// The candidates.
    pub rows: Vec<Row>,
    /// Words that the prefix may be a slip for.
    pub(super) slips: Slips,
    pub(super) weights: [f32; MEMBERS],
}

/// Several members at the same place.
pub type Views<'a> = Vec<(Predictor, Box<dyn View<'a> + 'a>)>;

/// Whether a surface makes another number of one that is typed. A single digit may be the beginning of a day or of an hour, and a time
/// of day stays the hour it was.
fn adds_digits(prefix: &str, surface: &str) -> bool {
    let added = surface.get(prefix.len()..).unwrap_or_default();
    let typed = prefix.chars().rev().take_while(|c| c.is_numeric()).count();
    typed > 1 && added.contains(char::is_numeric) && !added.starts_with(':')
}

/// The evidence bucket of a place.
pub fn bucket_of(views: &Views<'_>) -> usize {
    let of = |wanted| views.iter().find(|(p, _)| *p == wanted).map(|(_, view)| view);
    let personal = of(Predictor::Personal);
    let answers = personal.is_some_and(|view| view.answers());
    let personal = personal.map(|view| (view.matched(), view.experience()));
    bucket(personal, of(Predictor::Domain).map(|view| view.matched()), answers)
}

impl Table {
    /// Asks every view for its `k` best and has every view score them all.
    pub fn gather(views: &Views<'_>, prefix: &str, k: usize, prior: &Prior, learned: Learned<'_>) -> Self {
        let bucket = bucket_of(views);
        let mut table = Self {
            bucket,
            prefix: prefix.to_owned(),
            mass: [None; MEMBERS],
            done: [0.0; MEMBERS],
            rows: Vec::new(),
            slips: Slips::default(),
            weights: prior.at(bucket, prefix_class(prefix), learned),
        };
        for (predictor, view) in views {
            let m = *predictor as usize;
            let mass = view.mass();
            // A member that rules the prefix out has nothing to say about what follows it.
            table.mass[m] = (mass > 0.0).then_some(mass);
            table.done[m] = if prefix.trim().is_empty() { 0.0 } else { view.prob(prefix) };
        }
        for (predictor, view) in views {
            for (surface, _) in view.top(k) {
                table.propose(&surface, *predictor, views);
            }
        }
        table
    }

    /// Adds a candidate, or notes that one more member proposed it.
    pub fn propose(&mut self, surface: &str, by: Predictor, views: &Views<'_>) -> &mut Row {
        let at = self.rows.iter().position(|row| row.surface == surface).unwrap_or_else(|| {
            let mut probs = [0.0; MEMBERS];
            for (predictor, view) in views {
                probs[*predictor as usize] = view.prob(surface);
            }
            let made_up =
                adds_digits(&self.prefix, surface) && !views.iter().any(|(_, view)| view.uses(surface));
            self.rows.push(Row { surface: surface.to_owned(), probs, proposed: [false; MEMBERS], made_up });
            self.rows.len() - 1
        });
        self.rows[at].proposed[by as usize] = true;
        &mut self.rows[at]
    }

    /// Gives the rows that member `m` did not score its unassigned mass, in the proportions of the other members.
    ///
    /// A neural member scores only what it has steps for; nothing said of a word is not a vote against it.
    pub fn settle(&mut self, m: Predictor, scored: impl Fn(&str) -> bool) {
        let m = m as usize;
        let Some(mass) = self.mass[m].take() else { return };
        let others: Vec<f32> = self.rows.iter().map(|row| self.mix(&row.probs)).collect();
        let (mut assigned, mut by_others) = (self.done[m], self.done());
        for (row, other) in self.rows.iter().zip(&others).filter(|(row, _)| scored(&row.surface)) {
            assigned += row.probs[m];
            by_others += other;
        }
        self.mass[m] = Some(mass);
        let (rest, left) = ((mass - assigned).max(0.0), (1.0 - self.slipped() - by_others).max(f32::EPSILON));
        for (row, other) in self.rows.iter_mut().zip(others).filter(|(row, _)| !scored(&row.surface)) {
            row.probs[m] = rest * (other / left).min(1.0);
        }
    }

    /// Σ π_m P_m(prefix).
    pub(super) fn evidence(&self) -> f32 {
        self.weights.iter().zip(self.mass).map(|(w, mass)| w * mass.unwrap_or(0.0)).sum()
    }

    /// The mixture of one joint probability per member, given the prefix. In 0..=1.
    pub fn mix(&self, probs: &[f32; MEMBERS]) -> f32 {
        let evidence = self.evidence();
        if evidence <= 0.0 {
            return 0.0;
        }
        let awake = |m: usize| if self.mass[m].is_some() { self.weights[m] } else { 0.0 };
        let mixed: f32 = (0..MEMBERS).map(|m| awake(m) * probs[m]).sum();
        (mixed / evidence).clamp(0.0, 1.0) * (1.0 - self.slipped())
    }

    /// P(the prefix is the whole surface | prefix).
    pub fn done(&self) -> f32 {
        self.mix(&self.done)
    }

    /// π, by [`Predictor`], normalised over the members awake.
    pub fn weights(&self) -> [f32; MEMBERS] {
        let awake: [f32; MEMBERS] = std::array::from_fn(|m| self.mass[m].map_or(0.0, |_| self.weights[m]));
        let total: f32 = awake.iter().sum();
        awake.map(|weight| if total > 0.0 { weight / total } else { 0.0 })
    }

    /// The share each member has in the answer: its posterior weight given the prefix. Sums to one, or all zero.
    pub fn shares(&self) -> [f32; MEMBERS] {
        let evidence = self.evidence();
        std::array::from_fn(|m| {
            if evidence > 0.0 { self.weights[m] * self.mass[m].unwrap_or(0.0) / evidence } else { 0.0 }
        })
    }

    /// Of those who proposed the row, the one whose word counted most.
    pub fn proposer(&self, row: &Row) -> Predictor {
        let voice = |p: Predictor| self.weights[p as usize] * row.probs[p as usize];
        let proposed = Predictor::ALL.into_iter().filter(|p| row.proposed[*p as usize]);
        proposed.max_by(|a, b| voice(*a).total_cmp(&voice(*b))).unwrap_or(Predictor::Domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::calibrate::Calibration;
    use crate::ensemble::rank::rank;
    use crate::predictors::{Query, fixed::Fixed};
    use proptest::prelude::*;

    fn words(list: &[(&str, f32)]) -> Vec<(String, f32)> {
        list.iter().map(|(w, p)| ((*w).to_owned(), *p)).collect()
    }

    fn views<'a>(a: &'a [(String, f32)], b: &'a [(String, f32)], prefix: &str) -> Views<'a> {
        let conversation = foretype_markov::Conversation::default();
        let query = Query { history: &[], start: None, prefix, conversation: &conversation, resolved: None };
        vec![
            (Predictor::Domain, Box::new(Fixed::new(a, &query))),
            (Predictor::Charlm, Box::new(Fixed::new(b, &query))),
        ]
    }

    fn table(a: &[(String, f32)], b: &[(String, f32)], prefix: &str) -> Table {
        Table::gather(&views(a, b, prefix), prefix, 10, &Prior::default(), Learned::default())
    }

    #[test]
    fn the_prefix_conditions_the_mixture_not_each_member() {
        let a = words(&[(" help", 0.6), (" hear", 0.2), (" you", 0.2)]);
        let b = words(&[(" hello", 0.1), (" you", 0.9)]);
        let table = table(&a, &b, " he");
        let p =
            |surface: &str| table.mix(&table.rows.iter().find(|r| r.surface == surface).expect("row").probs);
        assert!((p(" help") - 0.6 / (0.8 + 0.1)).abs() < 1e-6);
        assert!((p(" hello") - 0.1 / (0.8 + 0.1)).abs() < 1e-6);
    }

    #[test]
    fn a_finished_word_has_the_rest_of_the_mass() {
        let a = words(&[(" can", 0.3), (" cannot", 0.1)]);
        let table = table(&a, &[], " can");
        assert!((table.done() - 0.75).abs() < 1e-6);
        assert_eq!(table.mass[Predictor::Charlm as usize], None, "nothing to say: asleep");
    }

    #[test]
    fn unscored_words_share_what_is_unassigned() {
        let a = words(&[(" help", 0.5), (" hear", 0.3), (" heat", 0.2)]);
        let mut table = table(&a, &[], " he");
        let gpt2 = Predictor::Gpt2;
        table.mass[gpt2 as usize] = Some(0.4);
        table.rows.iter_mut().find(|r| r.surface == " help").expect("row").probs[gpt2 as usize] = 0.3;
        table.settle(gpt2, |surface| surface == " help");
        let p = |surface: &str| {
            table.rows.iter().find(|r| r.surface == surface).expect("row").probs[gpt2 as usize]
        };
        assert!((p(" hear") - 0.1 * 0.3 / 0.5).abs() < 1e-6);
        assert!((p(" heat") - 0.1 * 0.2 / 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_release_that_told_no_conversations_apart_is_read() {
        let mut weights = Prior::default().weights;
        weights.truncate(ALONE);
        weights[3] = [0.5, 0.1, 0.1, 0.1, 0.1, 0.1];
        let old = Prior { weights, ..Prior::default() };
        assert!(!old.is_valid());
        let read = old.clone().of_both_kinds();
        assert!(read.is_valid());
        assert_eq!((read.weights[3], read.weights[ALONE + 3]), (old.weights[3], old.weights[3]));
        assert_eq!(read.clone().of_both_kinds(), read);
    }

    proptest! {
        #[test]
        fn sums_to_one_and_ignores_the_order_of_proposals(
            raw in prop::collection::btree_map("[a-c]{1,4}", 0.01..1.0_f32, 1..12),
            prefix in "[a-c]{0,2}",
        ) {
            let total: f32 = raw.values().sum();
            let mut a: Vec<_> = raw.iter().map(|(w, p)| (w.clone(), p / total)).collect();
            let mut b: Vec<_> = raw.keys().rev().zip(a.iter()).map(|(w, (_, p))| (w.clone(), *p)).collect();
            let first = Table::gather(&views(&a, &b, &prefix), &prefix, 99, &Prior::default(), Learned::default());
            if first.mass.iter().any(Option::is_some) {
                let sum: f32 = first.rows.iter().map(|r| first.mix(&r.probs)).sum::<f32>() + first.done();
                // An empty prefix has no finished word.
                prop_assert!((sum - 1.0).abs() < 1e-4, "{sum}");
                prop_assert!((first.shares().iter().sum::<f32>() - 1.0).abs() < 1e-4);
            }
            let ranking = |table: &Table| rank(table, Some(&first), &Calibration::default());
            let mut turned = first.clone();
            turned.rows.reverse();
            prop_assert_eq!(ranking(&turned), ranking(&first));
            a.reverse();
            b.reverse();
            let second = Table::gather(&views(&a, &b, &prefix), &prefix, 99, &Prior::default(), Learned::default());
            for row in &first.rows {
                let twin = second.rows.iter().find(|r| r.surface == row.surface).expect("same rows");
                prop_assert!((first.mix(&row.probs) - second.mix(&twin.probs)).abs() < 1e-6);
            }
        }
    }
}
