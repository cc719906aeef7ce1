//! A twin of the team model: n-grams as lists of strings, in maps.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Role, segment};

/// The end of a message. Its start is "<" and the role.
pub(super) const END: &str = ">";
/// All words that are not published.
pub(super) const UNKNOWN: &str = "?";

#[derive(Default)]
pub(super) struct Naive {
    writers_needed: usize,
    open: BTreeMap<Vec<String>, BTreeSet<u32>>,
    rounds: BTreeMap<Vec<String>, u32>,
}

pub(super) fn start(role: Role) -> String {
    format!("<{role:?}")
}

impl Naive {
    pub(super) fn new(writers_needed: usize) -> Self {
        Self { writers_needed, ..Self::default() }
    }

    pub(super) fn learn(&mut self, writer: u32, text: &str, role: Role) {
        let surfaces = segment::surfaces(text).map(str::to_owned);
        let tokens: Vec<String> = [start(role)].into_iter().chain(surfaces).chain([END.to_owned()]).collect();
        for end in 1..=tokens.len() {
            for from in end.saturating_sub(4)..end {
                let gram = tokens[from..end].to_vec();
                let open = self.open.entry(gram.clone()).or_default();
                open.insert(writer);
                if open.len() == self.writers_needed {
                    open.clear();
                    *self.rounds.entry(gram).or_default() += 1;
                }
            }
        }
    }

    /// What came after a context, with its rounds: all that is published, and no starts.
    fn after(&self, context: &[String]) -> BTreeMap<&str, f64> {
        let longer = self
            .rounds
            .iter()
            .filter(|(gram, _)| gram.len() == context.len() + 1 && gram.starts_with(context));
        let events = longer.map(|(gram, &rounds)| (gram[context.len()].as_str(), f64::from(rounds)));
        events.filter(|(event, _)| !event.starts_with('<')).collect()
    }

    pub(super) fn words(&self) -> Vec<&str> {
        self.after(&[]).into_keys().filter(|&word| word != END).collect()
    }

    /// Words of the longest context that something, or just `event`, was published after, and the rounds of all that was.
    pub(super) fn longest(&self, context: &[String], event: Option<&str>) -> (usize, f64) {
        let words = (0..=context.len().min(3)).rev().find(|&words| {
            let after = self.after(&context[context.len() - words..]);
            event.map_or(!after.is_empty(), |event| after.contains_key(event))
        });
        let words = words.unwrap_or(0);
        (words, self.after(&context[context.len() - words..]).values().sum())
    }

    /// P(event) after a context.
    pub(super) fn prob(&self, context: &[String], event: &str) -> f64 {
        let all = self.after(&[]);
        let escape = 1.5 * all.len() as f64 + 1.0;
        let rounds = if event == UNKNOWN { escape } else { all.get(event).copied().unwrap_or(0.0) };
        let mut prob = rounds / (all.values().sum::<f64>() + escape);
        for words in 1..=context.len().min(3) {
            let context = &context[context.len() - words..];
            let after = self.after(context);
            let sum = after.values().sum::<f64>();
            let most = sum.max(f64::from(*self.rounds.get(context).unwrap_or(&0)));
            if sum > 0.0 {
                let own = after.get(event).map_or(0.0, |rounds| rounds - 0.6);
                prob = (own + (most - sum + 0.6 * after.len() as f64) * prob) / most;
            }
        }
        prob
    }
}
