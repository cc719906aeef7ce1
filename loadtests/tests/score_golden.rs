//! Figures agree with the reference implementation: messages, scripted suggestions, and what measure.py's own functions
//! made of them. Its report is rounded to four places, the words of an accept to two.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;

use foretype_loadtests::score::{Reader, Score};
use foretype_loadtests::typist::{Habits, Policy, Target, Typist};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    k: usize,
    attention: f64,
    messages: Vec<Message>,
    figures: HashMap<String, f64>,
}

#[derive(Deserialize)]
struct Message {
    text: String,
    /// Position in characters → suggestions there, and how sure they are.
    suggestions: HashMap<usize, Vec<(String, f32)>>,
}

#[test]
fn figures_agree() {
    let golden: Golden = serde_json::from_str(include_str!("data/score.json")).unwrap();
    assert_eq!(golden.cases.len(), 3);
    for case in golden.cases {
        let habits = Habits { k: case.k, policy: Policy::Partial, min_saving: 1, attention: case.attention };
        let mut score = Score::default();
        for message in &case.messages {
            let target = Target::new(&message.text[..]);
            let (mut typist, mut reader) = (Typist::new(&target, habits), Reader::default());
            while typist.draft().is_some() {
                let offered = message.suggestions.get(&typist.at()).map_or(&[][..], Vec::as_slice);
                let offered: Vec<_> = offered
                    .iter()
                    .take(case.k)
                    .filter(|(text, _)| !text.trim().is_empty())
                    .cloned()
                    .collect();
                reader.read(&target, typist.at(), &offered, habits.policy, &mut score);
                let texts: Vec<_> = offered.iter().map(|(text, _)| text).collect();
                typist.see(&texts, &mut score.stats);
            }
        }
        let figures = serde_json::to_value(score.figures()).unwrap();
        for (name, expected) in &case.figures {
            let within = if name == "accept_words" { 0.5e-2 } else { 0.5e-4 };
            let found = figures[name].as_f64().unwrap();
            assert!(
                (found - expected).abs() <= within + 1e-9,
                "{name}: {found} is not {expected}, k = {}",
                case.k
            );
        }
    }
}
