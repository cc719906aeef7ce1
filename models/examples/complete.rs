//! Types a text key by key and prints what the model says before each key, with the time it took.
//!
//! `cargo run --release -p foretype-models --example complete -- "Thanks for calling, I can help"`
//! With a second argument, the role of the writer: `agent` (default), `customer` or `author`.

use std::io::Write;
use std::time::Instant;

use foretype_models::{Ask, Gpt2, Options, Prompt, Role, load_runtime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).unwrap_or_else(|| "Thanks for calling, I can help".to_owned());
    let role = match std::env::args().nth(2).as_deref() {
        Some("customer") => Role::Customer,
        Some("author") => Role::Author,
        _ => Role::Agent,
    };
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/bundle");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", load_runtime(None)?.path.display())?;
    let mut gpt2 = Gpt2::load(bundle.as_ref(), Options::default())?;
    let mut cache = gpt2.new_cache();
    let ask = Ask { top: 3, max_steps: 24, phrase_words: 3, ..Ask::default() };
    for at in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
        let draft = &text[..at];
        // Good enough for a demonstration: a surface begins at the last space.
        let (before, prefix) = draft.split_at(draft.rfind(' ').unwrap_or(0));
        let started = Instant::now();
        let words = gpt2.words(&mut cache, &Prompt { turns: &[], role, before, prefix }, &ask, &|| false);
        let took = started.elapsed().as_secs_f64() * 1e3;
        write!(out, "{took:5.1} ms {:2} steps  {draft}|", words.steps)?;
        for word in &words.top {
            write!(out, "  {:?} {:.2}", word.surface, word.prob)?;
        }
        if words.done > 0.05 {
            write!(out, "  whole {:.2}", words.done)?;
            for word in &words.after_done {
                write!(out, " {:?} {:.2}", word.surface, word.prob)?;
            }
        }
        let phrase: String = words.phrase.iter().map(|word| word.surface.as_str()).collect();
        writeln!(out, "  then {phrase:?}")?;
    }
    Ok(())
}
