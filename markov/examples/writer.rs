//! What a personal model costs: learning a text, then looking words up while the rest of it is typed.
//!
//! ```text
//! writer TEXT [WORDS]
//! ```
//! `TEXT` holds a message a line; `WORDS` of it are learned (100,000). Everything is done three times and the best time
//! of each step counts, which leaves out what else the machine was doing. Prints one line of JSON.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use foretype_markov::{Conversation, Limits, NextWord, PersonalModel, Role, segment};
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [text, words @ ..] = &arguments[..] else {
        return Err("usage: writer TEXT [WORDS]".into());
    };
    let words = words.first().map_or(Ok(100_000), |words| words.parse::<u64>())?;
    let text = fs::read_to_string(text)?;
    let messages: Vec<_> = text.lines().map(segment::normalise).collect();

    let (mut model, mut learned, mut per_message) = (PersonalModel::new(Limits::default()), 0, Vec::new());
    for round in 0..ROUNDS {
        model = PersonalModel::new(Limits::default());
        learned = 0;
        while learned < messages.len() && model.words_learned() < words {
            let before = model.words_learned();
            let took = timed(|| model.learn(&messages[learned], Role::Author));
            let count = model.words_learned() - before;
            if round == 0 {
                per_message.push((took, count));
            }
            per_message[learned].0 = per_message[learned].0.min(took);
            learned += 1;
        }
    }
    let learn = per_message.iter().map(|&(took, words)| took / words.max(1) as u32).collect();
    let longest = per_message.iter().map(|&(took, _)| took).max().unwrap_or_default();
    let total: Duration = per_message.iter().map(|&(took, _)| took).sum();

    let (mut places, mut masses, mut tops, mut both) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for message in &messages[learned..] {
        let surfaces: Vec<&str> = segment::surfaces(message).collect();
        let mut sent = 0;
        for (at, surface) in surfaces.iter().enumerate().take(200) {
            let conversation = Conversation::new([], Role::Author, &message[..sent]);
            let prefix = surface.char_indices().nth(at % 5).map_or(*surface, |(end, _)| &surface[..end]);
            let place = best(|| model.history_in(&conversation));
            let history = model.history_in(&conversation);
            let mass = best(|| model.mass(&history, prefix));
            let top = best(|| model.top(&history, prefix, 5));
            places.push(place);
            masses.push(mass);
            tops.push(top);
            both.push(place + top);
            sent += surface.len();
        }
    }
    let saved = model.to_bytes();
    let load = best(|| PersonalModel::from_bytes(&saved));
    print!(
        "{{\"words\":{},\"bytes\":{},\"saved_bytes\":{},",
        model.words_learned(),
        model.bytes(),
        saved.len()
    );
    print!("\"learn_ns_a_word\":{},\"mean\":{},", quantiles(learn), (total / words.max(1) as u32).as_nanos());
    print!("\"longest_message_us\":{},\"load_us\":{},", longest.as_micros(), load.as_micros());
    print!(
        "\"place_ns\":{},\"mass_ns\":{},\"top5_ns\":{},",
        quantiles(places),
        quantiles(masses),
        quantiles(tops)
    );
    println!("\"place_and_top5_ns\":{}}}", quantiles(both));
    Ok(())
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn best<T>(work: impl Fn() -> T) -> Duration {
    let times = (0..ROUNDS).map(|_| timed(|| drop(black_box(work()))));
    times.min().unwrap_or_default()
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0, Duration::as_nanos);
    format!("{{\"p50\":{},\"p90\":{},\"p99\":{},\"p999\":{}}}", at(0.5), at(0.9), at(0.99), at(0.999))
}
