//! The typist agrees to the keystroke with the reference implementation: messages, scripted suggestions, and what the
//! reference made of them. Its report is rounded to four places.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;

use foretype_loadtests::typist::{Habits, MessageStats, Policy, Stats, Target, Typist, glance};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    /// Text, and the bits of its f64.
    glance: Vec<(String, u64)>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    policy: String,
    k: usize,
    min_saving: i64,
    attention: f64,
    messages: Vec<Message>,
    /// Text, cost, whole, rank of each suggestion that was taken.
    accepted: Vec<(String, usize, bool, usize)>,
    per_message: Vec<[usize; 4]>,
    stats: HashMap<String, usize>,
    ksr: f64,
    saved: f64,
}

#[derive(Deserialize)]
struct Message {
    text: String,
    /// Position in characters → suggestions there.
    suggestions: HashMap<usize, Vec<String>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("data/typist.json")).unwrap()
}

#[test]
fn glances_agree_bit_by_bit() {
    for (text, bits) in golden().glance {
        assert_eq!(glance(&text).to_bits(), bits, "{text:?}");
    }
}

#[test]
fn keystrokes_agree() {
    let mut accepted = 0;
    for case in golden().cases {
        let name = format!(
            "{} k={} min_saving={} attention={}",
            case.policy, case.k, case.min_saving, case.attention
        );
        let policy = if case.policy == "full" { Policy::Full } else { Policy::Partial };
        let habits = Habits { k: case.k, policy, min_saving: case.min_saving, attention: case.attention };
        let (stats, taken) = run(&case.messages, habits);
        assert_eq!(taken, case.accepted, "{name}");
        assert_eq!(stats.messages.iter().map(row).collect::<Vec<_>>(), case.per_message, "{name}");
        assert_eq!(counts(&stats), case.stats, "{name}");
        assert!((stats.ksr() - case.ksr).abs() <= 0.5e-4, "{name}");
        assert!((stats.saved_at_k() - case.saved).abs() <= 0.5e-4, "{name}");
        accepted += taken.len();
    }
    assert!(accepted > 100, "the script was meant to be taken from: {accepted}");
}

fn run(messages: &[Message], habits: Habits) -> (Stats, Vec<(String, usize, bool, usize)>) {
    let mut stats = Stats::default();
    let mut taken = Vec::new();
    for message in messages {
        let target = Target::new(message.text.clone());
        let mut typist = Typist::new(&target, habits);
        while let Some(draft) = typist.draft() {
            let at = draft.chars().count();
            let suggestions = message.suggestions.get(&at).map_or(&[][..], Vec::as_slice);
            if let Some(found) = typist.see(suggestions, &mut stats) {
                let text = message.text.chars().skip(at).take(found.chars).collect();
                taken.push((text, found.cost, found.full, found.rank));
            }
        }
    }
    (stats, taken)
}

fn row(message: &MessageStats) -> [usize; 4] {
    [message.characters, message.accept_chars, message.accept_keys, message.keystrokes]
}

fn counts(stats: &Stats) -> HashMap<String, usize> {
    [
        ("characters", stats.characters),
        ("keystrokes", stats.keystrokes),
        ("opportunities", stats.opportunities),
        ("shown", stats.shown),
        ("shown_new", stats.shown_new),
        ("false_shown", stats.false_shown),
        ("accepts", stats.accepts),
        ("full_accepts", stats.full_accepts),
        ("accept_keys", stats.accept_keys),
        ("accept_chars", stats.accept_chars),
        ("accept_words", stats.accept_words),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into()
}
