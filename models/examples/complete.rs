//! Types text key by key and shows what the model says before each key, with the time it took.
//!
//! `cargo run --release -p foretype-models --example complete -- "Thanks for calling, I can help"` prints every keystroke;
//! with a file of JSON Lines (`{"messages":[{"context":[{"role","text"}],"text"}]}`) and a count, it types so many of
//! its messages and prints percentiles of the milliseconds and of the steps.

use std::io::Write;
use std::time::Instant;

use foretype_models::{Ask, Gpt2, KvCache, Options, Prompt, Role, Words, load_runtime};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    context: Vec<Turn>,
    text: String,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    text: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).unwrap_or_else(|| "Thanks for calling, I can help".to_owned());
    let count = std::env::args().nth(2).and_then(|count| count.parse().ok()).unwrap_or(20);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", load_runtime(None)?.path.display())?;
    let mut gpt2 = Gpt2::load(concat!(env!("CARGO_MANIFEST_DIR"), "/bundle").as_ref(), Options::default())?;
    let mut cache = KvCache::default();
    if !text.ends_with(".jsonl") {
        return type_out(&mut gpt2, &mut cache, &[], &text, &mut |draft, words, ms| {
            writeln!(out, "{ms:5.1} ms {:2} passes  {draft}|{}", words.passes, shown(words))
        });
    }
    let (mut times, mut steps) = (Vec::new(), Vec::new());
    let file = std::fs::read_to_string(text)?;
    for line in file.lines().take(count) {
        // The second message of a dialogue has a context already.
        let line: Line = serde_json::from_str(line)?;
        let Some(message) = line.messages.into_iter().nth(1) else { continue };
        let turns: Vec<(Role, &str)> =
            message.context.iter().map(|turn| (role(&turn.role), turn.text.as_str())).collect();
        let prompt = Prompt { turns: &turns, role: Role::Agent, before: "", prefix: "" };
        cache.clear();
        gpt2.prefill(&mut cache, &prompt, &|_| false);
        type_out(&mut gpt2, &mut cache, &turns, &message.text, &mut |_, words, ms| {
            times.push(ms);
            steps.push(f64::from(words.passes));
            Ok(())
        })?;
    }
    for (name, figures) in [("ms", &mut times), ("steps", &mut steps)] {
        figures.sort_by(f64::total_cmp);
        let at = |share: f64| {
            figures.get((share * (figures.len() - 1) as f64) as usize).copied().unwrap_or_default()
        };
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        writeln!(
            out,
            "{name}: {} keys, p50 {:.2} p90 {:.2} p99 {:.2} max {:.2} mean {mean:.2}",
            figures.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        )?;
    }
    Ok(())
}

fn type_out(
    gpt2: &mut Gpt2,
    cache: &mut KvCache,
    turns: &[(Role, &str)],
    text: &str,
    show: &mut dyn FnMut(&str, &Words, f64) -> std::io::Result<()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let ask = Ask { top: 3, max_passes: 8, phrase_words: 3, ..Ask::default() };
    for at in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
        let (before, prefix) = text[..at].split_at(unfinished(&text[..at]));
        let started = Instant::now();
        let words = gpt2.words(cache, &Prompt { turns, role: Role::Agent, before, prefix }, &ask, &|_| false);
        show(&text[..at], &words, started.elapsed().as_secs_f64() * 1e3)?;
    }
    Ok(())
}

/// Where the last surface of `draft` begins; near enough to the typist's boundaries for a demonstration.
fn unfinished(draft: &str) -> usize {
    let word = draft.trim_end_matches(|char: char| char.is_alphanumeric() || matches!(char, '_' | '\''));
    let mut at = word.len();
    if at == draft.len() {
        at -= draft.chars().next_back().map_or(0, char::len_utf8);
    }
    if draft[..at].ends_with(' ') { at - 1 } else { at }
}

fn shown(words: &Words) -> String {
    let list = |words: &[foretype_models::Word]| {
        words.iter().map(|word| format!("  {:?} {:.2}", word.surface, word.prob)).collect::<String>()
    };
    let phrase: String =
        words.phrases.iter().take(1).flat_map(|p| &p.words).map(|word| word.surface.as_str()).collect();
    let done = if words.done > 0.05 {
        format!("  whole {:.2}:{}", words.done, list(&words.after_done))
    } else {
        String::new()
    };
    format!("{}{done}  then {phrase:?}", list(&words.top))
}

fn role(name: &str) -> Role {
    match name {
        "customer" => Role::Customer,
        "agent" => Role::Agent,
        _ => Role::Author,
    }
}
