//! What each part of the personal model's estimate is worth: nats a word, and keys saved by its first guess.
//!
//! ```text
//! estimates FILE
//! ```
//! Every line of `FILE` is a message, its fields apart by tabs: source, writer, `h` (learned) or `m` (predicted, then
//! learned), the conversation before it (turns apart by U+0001, the first letter of each its speaker's role), the text.
//! `tools/writers.py` makes one. Written for clearness: every place of a text is looked at for every word.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use foretype_markov::segment;
use std::collections::{BTreeMap, HashMap};

/// What is tried.
#[derive(Clone, Copy)]
struct Estimate {
    name: &'static str,
    /// Words of the longest context.
    context: usize,
    discounting: Discounting,
    fading: Fading,
    /// Whether the message so far, and the conversation before it, are looked at.
    draft: bool,
    conversation: bool,
}

#[derive(Clone, Copy)]
enum Discounting {
    /// Witten and Bell, a new word weighing as much as so many.
    WittenBell(f64),
    /// Absolute: so much of every word's newest weight, and a strength.
    Absolute(f64, f64),
    /// The same, less after contexts of more than four words.
    ByLength,
}

#[derive(Clone, Copy)]
enum Fading {
    Never,
    /// Half the weight after so many words.
    HalfLife(f64),
    /// 1 / √(1 + age / 100) after a context; without one 1 / (1 + age / 20) beside 0.03 for ever.
    Power,
}

const BEFORE: Estimate = Estimate {
    name: "Witten-Bell (3 T), order 4",
    context: 3,
    discounting: Discounting::WittenBell(3.0),
    fading: Fading::Never,
    draft: false,
    conversation: false,
};
const ABSOLUTE: Discounting = Discounting::Absolute(0.8, 0.3);

const TRIED: [Estimate; 10] = [
    Estimate { name: "Witten-Bell (T), order 4", discounting: Discounting::WittenBell(1.0), ..BEFORE },
    BEFORE,
    Estimate { name: "absolute discounting, order 4", discounting: ABSOLUTE, ..BEFORE },
    Estimate { name: "… order 6", discounting: ABSOLUTE, context: 5, ..BEFORE },
    Estimate { name: "… and a half-life of 3,000 words", fading: Fading::HalfLife(3_000.0), ..DISCOUNTED },
    Estimate { name: "… of 10,000 words", fading: Fading::HalfLife(10_000.0), ..DISCOUNTED },
    Estimate { name: "… or 1/√age", fading: Fading::Power, ..DISCOUNTED },
    Estimate { name: "… and the message at hand", fading: Fading::Power, draft: true, ..DISCOUNTED },
    Estimate {
        name: "… and the conversation",
        fading: Fading::Power,
        draft: true,
        conversation: true,
        ..DISCOUNTED
    },
    Estimate {
        name: "… order 9, long contexts discounted less",
        context: 8,
        discounting: Discounting::ByLength,
        fading: Fading::Power,
        draft: true,
        conversation: true,
    },
];
const DISCOUNTED: Estimate = Estimate { discounting: ABSOLUTE, context: 5, ..BEFORE };

/// The end of a message, and its start.
const END: &str = "";
const START: &str = "\u{2}";

#[derive(Clone, Copy, Default)]
struct Result {
    nats: f64,
    words: f64,
    saved: f64,
    characters: f64,
}

struct Message<'a> {
    learned: bool,
    conversation: Vec<&'a str>,
    text: &'a str,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let Some(path) = std::env::args().nth(1) else { return Err("usage: estimates FILE".into()) };
    let text = std::fs::read_to_string(path)?;
    let mut writers: BTreeMap<(&str, &str), Vec<Message<'_>>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[source, writer, kind, conversation, text] = &fields[..] else {
            return Err(format!("not five fields: {line}").into());
        };
        let conversation = conversation.split('\u{1}').filter(|turn| !turn.is_empty()).collect();
        let message = Message { learned: kind == "h", conversation, text };
        writers.entry((source, writer)).or_default().push(message);
    }
    for (number, estimate) in TRIED.iter().enumerate() {
        let mut results: BTreeMap<&str, Result> = BTreeMap::new();
        for ((source, _), messages) in &writers {
            let found = measure(messages, estimate);
            let total = results.entry(source).or_default();
            total.nats += found.nats;
            total.words += found.words;
            total.saved += found.saved;
            total.characters += found.characters;
        }
        if number == 0 {
            let sources: Vec<&str> = results.keys().copied().collect();
            println!("| nats a word / letters saved | {} |", sources.join(" | "));
            println!("|---|{}", "---|".repeat(sources.len()));
        }
        let cells =
            results.values().map(|r| format!("{:.3} / {:.3}", r.nats / r.words, r.saved / r.characters));
        println!("| {} | {} |", estimate.name, cells.collect::<Vec<_>>().join(" | "));
    }
    Ok(())
}

/// One writer, forward in time.
fn measure(messages: &[Message<'_>], estimate: &Estimate) -> Result {
    let mut text: Vec<String> = Vec::new();
    let mut result = Result::default();
    for message in messages {
        let learned = text.len();
        if estimate.conversation && !message.learned {
            for turn in &message.conversation {
                let normal = segment::normalise(&turn[1..]);
                text.push(START.to_owned());
                text.extend(segment::surfaces(&normal).map(str::to_owned));
            }
        }
        let begun = text.len();
        let normal = segment::normalise(message.text);
        text.push(START.to_owned());
        for word in segment::surfaces(&normal).chain([END]) {
            if !message.learned {
                predict(&text, begun, word, estimate, &mut result);
            }
            text.push(word.to_owned());
        }
        text.drain(learned..begun);
    }
    result
}

/// Predicts `word` after `text`, in which the message at hand begins at `begun`.
fn predict(text: &[String], begun: usize, word: &str, estimate: &Estimate, result: &mut Result) {
    let known = if estimate.draft { text.len() } else { begun };
    let weight = |at: usize, context: bool| {
        let age = (text.len() - at) as f64;
        match (estimate.fading, context) {
            (Fading::Never, _) => 1.0,
            (Fading::HalfLife(words), _) => (-age / words).exp2(),
            (Fading::Power, true) => (1.0 + age / 100.0).sqrt().recip(),
            (Fading::Power, false) => 0.03 + if age <= 256.0 { (1.0 + age / 20.0).recip() } else { 0.0 },
        }
    };
    let context = text[begun..].iter().rev().take(estimate.context).count();
    // By number of words that match: every next word with the sum of its weights, and the largest.
    let mut levels: Vec<HashMap<&str, (f64, f64)>> = vec![HashMap::new(); context + 1];
    for at in (0..known).rev().filter(|&at| text[at] != START) {
        let matching = text[..at].iter().rev().zip(text.iter().rev().take(context));
        let matching = matching.take_while(|(a, b)| a == b).count();
        for (words, level) in levels[..=matching].iter_mut().enumerate() {
            let weight = weight(at, words > 0);
            let entry = level.entry(&text[at]).or_insert((0.0, weight));
            entry.0 += weight;
        }
    }
    let mut probs: HashMap<&str, f64> = HashMap::new();
    let mut escape = 1.0;
    for (words, level) in
        levels.iter().enumerate().take_while(|(words, level)| *words == 0 || !level.is_empty())
    {
        let (all, tops) =
            level.values().fold((0.0, 0.0), |(all, tops), found| (all + found.0, tops + found.1));
        let (discount, back, whole) = match estimate.discounting {
            _ if words == 0 => (0.0, 1.5 * tops + 1.0, all + 1.5 * tops + 1.0),
            Discounting::WittenBell(new) => (0.0, new * tops, all + new * tops),
            Discounting::Absolute(discount, strength) => {
                (discount, discount * tops + strength, all + strength)
            }
            Discounting::ByLength => {
                let (discount, strength) =
                    [(0.8, 0.3), (0.7, 0.2), (0.5, 0.2), (0.4, 0.2), (0.3, 0.2)][words.max(4) - 4];
                (discount, discount * tops + strength, all + strength)
            }
        };
        probs.values_mut().for_each(|prob| *prob *= back / whole);
        escape *= back / whole;
        for (next, (sum, top)) in level {
            *probs.entry(next).or_default() += (sum - discount * top) / whole;
        }
    }
    let characters = word.chars().count() as f64;
    // A new word is spelled at 2.3 nats a letter, about what the character model needs.
    let spelled = if word == END { 1e-9 } else { escape * (-2.3 * (characters + 1.0)).exp() };
    result.nats -= (probs.get(word).copied().unwrap_or(0.0) + spelled).ln();
    result.words += 1.0;
    result.characters += characters;
    result.saved += saved(&probs, word).unwrap_or(0.0);
}

/// The keys that the likeliest word saves once it is the right one, accepting it being one.
fn saved(probs: &HashMap<&str, f64>, word: &str) -> Option<f64> {
    let own = *probs.get(word).filter(|_| word != END)?;
    // How many letters must be typed until nothing likelier agrees with them.
    let rivals = probs.iter().filter(|&(rival, &prob)| *rival != END && *rival != word && prob >= own);
    let agree = rivals.map(|(rival, _)| rival.chars().zip(word.chars()).take_while(|(a, b)| a == b).count());
    let typed = agree.max().map_or(0, |letters| letters + 1);
    let characters = word.chars().count();
    (typed < characters).then(|| (characters - typed) as f64 - 1.0)
}
