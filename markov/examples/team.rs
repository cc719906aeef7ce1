//! What a team's model costs and says: learning what many write, then looking words up while they write on.
//!
//! ```text
//! team TSV [MAX_BYTES] [WRITERS_NEEDED]
//! ```
//! `TSV` holds a message a line, in the order of time: the number of its writer, a tab, and its text. Nine tenths are
//! learned. Prints one line of JSON; each place is looked up three times and the best time counts.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use foretype_markov::{NextWord, Role, TeamLimits, TeamModel, segment};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Messages that are looked up, and words of each.
const MESSAGES: usize = 2_000;
const WORDS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tsv, rest @ ..] = &arguments[..] else {
        return Err("usage: team TSV [MAX_BYTES] [WRITERS_NEEDED]".into());
    };
    let mut limits = TeamLimits::default();
    if let Some(max_bytes) = rest.first() {
        limits.max_bytes = max_bytes.parse()?;
    }
    if let Some(needed) = rest.get(1) {
        limits.writers_needed = needed.parse()?;
    }
    let text = std::fs::read_to_string(tsv)?;
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    let messages: Vec<_> = lines.map(|(writer, text)| (writer, segment::normalise(text))).collect();
    let (learned, rest) = messages.split_at(messages.len() / 10 * 9);

    let mut model = TeamModel::new(limits);
    let (mut took, mut longest, mut words) = (Duration::ZERO, Duration::ZERO, 0);
    for (writer, text) in learned {
        let writer = writer.parse()?;
        words += segment::surfaces(text).count();
        let started = Instant::now();
        model.learn(writer, text, Role::Author);
        took += started.elapsed();
        longest = longest.max(started.elapsed());
    }

    let (mut both, mut nats, mut events, mut unknown) = (Vec::new(), 0.0, 0, 0);
    for (_, text) in rest.iter().take(MESSAGES) {
        let surfaces: Vec<&str> = segment::surfaces(text).collect();
        for (at, surface) in surfaces.iter().enumerate().take(WORDS) {
            let prefix = surface.char_indices().nth(at % 5).map_or(*surface, |(end, _)| &surface[..end]);
            let before = &surfaces[at.saturating_sub(4)..at];
            let start = (at <= 4).then_some(Role::Author);
            both.push(best(|| {
                let history = model.history(before, start);
                black_box(model.top(&history, prefix, 8));
            }));
            let history = model.history(before, start);
            let score = model.score(&history, surface).prob;
            // A new word costs what its letters do.
            let letters = if score > 0.0 { 0.0 } else { 2.3 * surface.chars().count() as f64 };
            nats += letters - f64::from(if score > 0.0 { score } else { model.escape(&history) }).ln();
            events += 1;
            unknown += usize::from(score == 0.0);
        }
    }
    both.sort_unstable();
    let quantile = |share: f64| both.get((both.len() as f64 * share) as usize).map_or(0, Duration::as_nanos);
    let saved = model.to_bytes();
    let load = best(|| drop(black_box(TeamModel::from_bytes(&saved))));
    print!("{{\"words_learned\":{words},\"writers\":{},\"bytes\":{},", model.writers(), model.bytes());
    print!("\"saved_bytes\":{},\"load_us\":{},", saved.len(), load.as_micros());
    print!(
        "\"learn_ns_a_word\":{},\"longest_us\":{},",
        took.as_nanos() / words.max(1) as u128,
        longest.as_micros()
    );
    print!("\"words\":{},\"ngrams\":{:?},", model.words(), model.ngrams());
    print!("\"top8_ns\":{{\"p50\":{},\"p99\":{}}},", quantile(0.5), quantile(0.99));
    let events = f64::from(events.max(1));
    println!("\"nats_a_word\":{:.3},\"unknown\":{:.3}}}", nats / events, unknown as f64 / events);
    Ok(())
}

fn best(work: impl Fn()) -> Duration {
    let timed = || {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..3).map(|_| timed()).min().unwrap_or_default()
}
