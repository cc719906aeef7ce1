//! What `tools/kenlm.py` measures of a static model: perplexity on text it has not seen, bytes, and the time of a look-up.
//!
//! ```text
//! against_kenlm TRAIN TEST FOLDER [MAX_MB]
//! ```
//! `TRAIN` and `TEST` hold a message a line. Writes to `FOLDER` the model and both texts as `lmplz` reads them: surfaces
//! apart by spaces, their own space as `▁`, those outside the vocabulary as `_unk_`. Prints one line of JSON.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use foretype_markov::{BuildOptions, Builder, NextWord, Role, StaticModel, segment};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [train, test, folder, limit @ ..] = &arguments[..] else {
        return Err("usage: against_kenlm TRAIN TEST FOLDER [MAX_MB]".into());
    };
    let folder = Path::new(folder);
    let max_bytes = limit.first().map_or(Ok(u64::MAX), |mb| mb.parse::<u64>().map(|mb| mb << 20))?;
    let (train, test) = (fs::read_to_string(train)?, fs::read_to_string(test)?);
    let path = folder.join("foretype.ngram");

    let started = Instant::now();
    let mut builder = Builder::new(BuildOptions { max_bytes, ..BuildOptions::default() });
    train.lines().for_each(|line| builder.add_message(line, Role::Author));
    let stats = builder.finish(&path, &mut |_| ())?;
    let build = started.elapsed();
    let model = StaticModel::open(&path)?;

    for (text, name) in [(&train, "train.txt"), (&test, "test.txt")] {
        fs::write(folder.join(name), spaced(&model, text))?;
    }

    let (mut nats, mut events) = (0.0_f64, 0_u64);
    let (mut scores, mut advances, mut tops) = (Vec::new(), Vec::new(), Vec::new());
    for line in test.lines() {
        let normal = segment::normalise(line);
        let surfaces: Vec<&str> = segment::surfaces(&normal).collect();
        let mut history = model.history(&[], Some(Role::Author));
        for (at, surface) in surfaces.iter().enumerate() {
            let (score, took) = timed(|| model.score(&history, surface));
            scores.push(took);
            let prob = if score.prob > 0.0 { score.prob } else { model.escape(&history) };
            nats -= f64::from(prob).ln();
            let prefix = prefix(surface, at % 5);
            tops.push(
                timed(|| model.top(&model.history(&surfaces[..at], Some(Role::Author)), prefix, 8).len()).1,
            );
            let (next, took) = timed(|| model.advance(&history, surface));
            advances.push(took);
            history = next;
        }
        nats -= f64::from(model.end(&history)).ln();
        events += surfaces.len() as u64 + 1;
    }
    let perplexity = (nats / events as f64).exp();
    let ngrams: usize = stats.ngrams.iter().sum();
    print!("{{\"perplexity\":{perplexity:.4},\"events\":{events},\"words\":{},", stats.words);
    print!("\"ngrams\":{ngrams},\"ngrams_by_order\":{:?},\"bytes\":{},", stats.ngrams, stats.bytes);
    print!("\"build_s\":{:.2},\"score_us\":{},", build.as_secs_f64(), quantiles(scores));
    println!("\"advance_us\":{},\"history_and_top8_us\":{}}}", quantiles(advances), quantiles(tops));
    Ok(())
}

/// The surfaces as words of their own.
fn spaced(model: &StaticModel, text: &str) -> String {
    let nowhere = model.history(&[], None);
    let mut out = String::new();
    for line in text.lines() {
        let normal = segment::normalise(line);
        for (at, surface) in segment::surfaces(&normal).enumerate() {
            let known = model.score(&nowhere, surface).prob > 0.0;
            let word = if known { surface.replace(' ', "▁") } else { "_unk_".to_owned() };
            let _ = write!(out, "{}{word}", if at > 0 { " " } else { "" });
        }
        out.push('\n');
    }
    out
}

/// The first `letters` letters of a surface, and the space before them.
fn prefix(surface: &str, letters: usize) -> &str {
    let space = usize::from(surface.starts_with(' '));
    let end = surface.char_indices().nth(letters + space).map_or(surface.len(), |(at, _)| at);
    &surface[..end]
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = std::hint::black_box(work());
    (result, started.elapsed())
}

/// In microseconds.
fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e6;
    format!("{{\"p50\":{:.2},\"p99\":{:.2}}}", at(0.5), at(0.99))
}
