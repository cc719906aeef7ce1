//! A twin of the personal model without an index.

use std::collections::HashMap;

use crate::segment;

/// The same estimate from the messages themselves, place by place, with nothing but strings.
pub(super) struct Naive {
    /// Every event with the text before it, oldest first: "" is the end of a message.
    events: Vec<(Vec<String>, String)>,
    counts: HashMap<String, u32>,
}

impl Naive {
    pub(super) fn new(messages: &[impl AsRef<str>]) -> Self {
        let (mut events, mut counts) = (Vec::new(), HashMap::new());
        for message in messages {
            let mut before = vec!["start".to_owned()];
            for event in segment::surfaces(message.as_ref()).chain([""]) {
                events.push((before.clone(), event.to_owned()));
                before.push(event.to_owned());
                *counts.entry(event.to_owned()).or_insert(0) += 1;
            }
        }
        Self { events, counts }
    }

    /// P(word) after a draft at the start of a message.
    pub(super) fn prob(&self, draft: &[&str], word: &str) -> f64 {
        let mut context = vec!["start".to_owned()];
        let mut events: Vec<(Vec<String>, String, bool)> =
            self.events.iter().map(|(before, event)| (before.clone(), event.clone(), false)).collect();
        for surface in draft {
            events.push((context.clone(), (*surface).to_owned(), true));
            context.push((*surface).to_owned());
        }
        let now = events.len() + 1;
        // The draft has a start of its own between it and what was learned.
        let age = |at: usize, spoken: bool| (now - at - usize::from(spoken)) as f64;
        let weighed: Vec<_> = events.iter().enumerate().map(|(at, e)| (e, age(at, e.2))).collect();
        let total: u32 = self.counts.values().sum();
        let sighting = 0.03_f64.min(600.0 / f64::from(total.max(1)));
        let mut recent: HashMap<&str, (f64, f64)> = HashMap::new();
        for ((_, event, spoken), age) in weighed.iter().rev() {
            let weight = 1.0 / (1.0 + age / 20.0) + if *spoken { sighting } else { 0.0 };
            let entry = recent.entry(event).or_insert((0.0, weight));
            entry.0 += weight;
        }
        let tops: f64 = recent.values().map(|r| r.1).sum();
        let sum: f64 = recent.values().map(|r| r.0).sum();
        let new = 1.5 * (sighting * self.counts.len() as f64 + tops) + 1.0;
        let base = sighting * f64::from(total) + sum + new;
        let known = |word: &str| f64::from(self.counts.get(word).copied().unwrap_or(0));
        let mut prob = match word {
            "escape" => new / base,
            _ => (sighting * known(word) + recent.get(word).map_or(0.0, |r| r.0)) / base,
        };
        for words in 1..=context.len().min(8) {
            let (d, strength) =
                [(0.8, 0.3), (0.7, 0.2), (0.5, 0.2), (0.4, 0.2), (0.3, 0.2)][words.max(4) - 4];
            let tail = &context[context.len() - words..];
            let mut found: HashMap<&str, (f64, f64)> = HashMap::new();
            for ((before, event, _), age) in weighed.iter().rev() {
                if before.ends_with(tail) {
                    let weight = 1.0 / (1.0 + age / 100.0).sqrt();
                    found.entry(event).or_insert((0.0, weight)).0 += weight;
                }
            }
            if found.is_empty() {
                break;
            }
            let (n, t) = found.values().fold((0.0, 0.0), |(n, t), f| (n + f.0, t + f.1));
            let own = found.get(word).map_or(0.0, |f| f.0 - d * f.1);
            prob = (own + (strength + d * t) * prob) / (n + strength);
        }
        prob
    }
}
