//! What a draft is worth: greedy decoding token by token, with the text that was really written as the draft, and with a draft that is
//! right, which is the most there is to gain.
//!
//! `cargo run --release -p foretype-models --example draft -- DIR FILE [PLACES] [TOKENS]`: a folder with gpt2.onnx, gpt2.json and
//! tokenizer.json, and JSON Lines (`{"messages":[{"context":[…],"text"}]}`). One thread; milliseconds for all tokens of a place.

use std::io::Write;
use std::time::Instant;

use foretype_models::{Gpt2, KvCache, Options, Prompt, Role, load_runtime};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    text: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, file, rest @ ..] = arguments.as_slice() else { return Err("give a folder and a file".into()) };
    let number = |at: usize, usual: usize| rest.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (places, count) = (number(0, 60), number(1, 8));
    load_runtime(None)?;
    let mut gpt2 = Gpt2::load(dir.as_ref(), Options::default())?;
    let mut out = std::io::stdout().lock();
    let mut rows =
        [("token by token", Vec::new()), ("what was written", Vec::new()), ("a right draft", Vec::new())];
    for line in std::fs::read_to_string(file)?.lines() {
        for message in serde_json::from_str::<Line>(line)?.messages {
            let prompt = Prompt { turns: &[], role: Role::Author, before: &message.text, prefix: "" };
            let all = gpt2.tokens(&mut KvCache::default(), &prompt);
            // From the middle of a message on, behind at most 64 tokens.
            let at = (all.len() / 2).min(64);
            if rows[0].1.len() == places || all.len() < at + count || at < 8 {
                continue;
            }
            let (context, written) = all.split_at(at);
            let mut right = Vec::new();
            for (which, (_, times)) in rows.iter_mut().enumerate() {
                let draft = [&[], &written[..count], &right][which].to_vec();
                let mut cache = KvCache::default();
                gpt2.pass(&mut cache, &[context.to_vec()]);
                let started = Instant::now();
                let (found, passes) = gpt2.greedy(&mut cache, context, &draft, count);
                times.push((started.elapsed().as_secs_f64() * 1e3, f64::from(passes)));
                right = found;
            }
        }
    }
    writeln!(out, "{}, {count} tokens, {} kernels", dir, gpt2.kernel().name())?;
    for (name, mut times) in rows {
        let passes = times.iter().map(|(_, passes)| passes).sum::<f64>() / times.len() as f64;
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize].0;
        let (p50, p90) = (at(0.5), at(0.9));
        writeln!(
            out,
            "{name}: {:.2} tokens a pass, p50 {p50:.2} ms, p90 {p90:.2} ms",
            count as f64 / passes
        )?;
    }
    Ok(())
}
