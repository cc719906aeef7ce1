//! What the service asks at each key, of the shipped bundle: `cargo bench -p foretype-charlm`.
//!
//! `FORETYPE_BUNDLE` names another folder with lexicon.fst and chars.bin.

use std::{env, hint::black_box, path::PathBuf};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use foretype_charlm::{Delta, Spelling};

/// Candidates the service asks for.
const K: usize = 8;

fn spelling() -> Spelling {
    let shipped = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
    let bundle = env::var_os("FORETYPE_BUNDLE").map_or_else(shipped, PathBuf::from);
    Spelling::open(bundle.join("lexicon.fst"), bundle.join("chars.bin")).expect("a bundle")
}

/// All prefixes of every so many-th word of the lexicon's most frequent ones.
fn prefixes(spelling: &Spelling) -> Vec<String> {
    let words = spelling.lexicon().top(" ", 3_000);
    let ends = |word: &String| word.char_indices().skip(1).map(|(at, _)| at).collect::<Vec<_>>();
    words
        .iter()
        .step_by(5)
        .flat_map(|(word, _)| ends(word).into_iter().map(|at| word[..at].to_owned()))
        .collect()
}

/// The same with their last two letters transposed, where that leads nowhere.
fn mistyped(spelling: &Spelling) -> Vec<String> {
    let slip = |prefix: &String| {
        let mut letters: Vec<char> = prefix.chars().collect();
        let end = letters.len();
        if end < 4 {
            return None;
        }
        letters.swap(end - 1, end - 2);
        let mistyped: String = letters.into_iter().collect();
        spelling.leads_nowhere(&mistyped).then_some(mistyped)
    };
    prefixes(spelling).iter().filter_map(slip).collect()
}

/// What a writer of 500 identifiers has taught: listed words joined in pairs.
fn delta(spelling: &Spelling) -> Delta {
    let words = spelling.lexicon().top(" ", 1_000);
    let mut delta = Delta::default();
    for (n, (second, _)) in words.iter().skip(500).enumerate() {
        let (first, _) = &words[n % 50 + 100];
        delta.learn(spelling, &format!("{first}_{}", second.trim_start()));
    }
    delta
}

/// Each call is about the next prefix, so that caches are as warm as among real keystrokes.
fn each<'a>(prefixes: &'a [String]) -> impl FnMut() -> &'a str {
    let mut all = prefixes.iter().cycle();
    move || all.next().expect("there are prefixes")
}

fn questions(criterion: &mut Criterion) {
    let spelling = spelling();
    let (prefixes, mistyped) = (prefixes(&spelling), mistyped(&spelling));
    let mut group = criterion.benchmark_group("spelling");
    let mut next = each(&prefixes);
    group.bench_function("top", |bench| bench.iter(|| spelling.top(black_box(next()), K)));
    group.bench_function("mass", |bench| bench.iter(|| spelling.mass(black_box(next()))));
    group.bench_function("prob", |bench| bench.iter(|| spelling.prob(black_box(next()))));
    let delta = delta(&spelling);
    let adapted = spelling.with(Some(&delta));
    group.bench_function("adapted top", |bench| bench.iter(|| adapted.top(black_box(next()), K)));
    group.bench_function("adapted mass", |bench| bench.iter(|| adapted.mass(black_box(next()))));
    group.bench_function("adapted prob", |bench| bench.iter(|| adapted.prob(black_box(next()))));
    group.bench_function("learn", |bench| {
        bench.iter_batched(
            || delta.clone(),
            |mut delta| delta.learn(&spelling, " unreconfigurablish"),
            BatchSize::SmallInput,
        );
    });
    let mut next = each(&mistyped);
    group.bench_function("correct", |bench| bench.iter(|| spelling.lexicon().correct(black_box(next()), K)));
    group.finish();
}

criterion_group!(benches, questions);
criterion_main!(benches);
