//! Look-ups and learning of both n-gram models: `cargo bench -p foretype-markov`.
//!
//! The text is made up, with the word frequencies of real text (Zipf); `FORETYPE_BENCH_TEXT` names a file with a message a
//! line to use instead.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use foretype_markov::{BuildOptions, Builder, Limits, NextWord, PersonalModel, Role, StaticModel, segment};
use std::hint::black_box;

/// Words the personal model learns.
const TAUGHT: usize = 100_000;

fn messages() -> Vec<String> {
    if let Some(path) = std::env::var_os("FORETYPE_BENCH_TEXT") {
        let text = std::fs::read_to_string(path).expect("FORETYPE_BENCH_TEXT is a file of text");
        return text.lines().map(|line| segment::normalise(line).into_owned()).collect();
    }
    let mut state = 1_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    // The inverse of Zipf's law: rank r with a probability in proportion to 1 / r, of 20,000 words.
    let mut word = move || format!("w{}", 20_000_f64.powf(random()) as u32);
    (0..40_000).map(|_| (0..12).map(|_| word()).collect::<Vec<_>>().join(" ")).collect()
}

/// A place in a text: what came before, and what is typed of the next surface.
struct Place<'a> {
    history: Vec<&'a str>,
    prefix: &'a str,
    next: &'a str,
}

fn places(messages: &[String]) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    for message in messages.iter().step_by(17) {
        let surfaces: Vec<&str> = segment::surfaces(message).collect();
        for at in (0..surfaces.len()).step_by(5) {
            let next = surfaces[at];
            let end = next.char_indices().nth(places.len() % 5).map_or(next.len(), |(end, _)| end);
            let from = at.saturating_sub(4);
            places.push(Place { history: surfaces[from..at].to_vec(), prefix: &next[..end], next });
        }
    }
    places
}

/// Each call is about the next place, so that caches are as warm as among real keystrokes.
fn each<'a>(places: &'a [Place<'a>]) -> impl FnMut() -> &'a Place<'a> {
    let mut all = places.iter().cycle();
    move || all.next().expect("there are places")
}

fn look_ups<M: NextWord>(criterion: &mut Criterion, name: &str, model: &M, places: &[Place<'_>]) {
    let mut group = criterion.benchmark_group(name);
    let history = |place: &Place<'_>| model.history(&place.history, None);
    let mut next = each(places);
    group.bench_function("history", |bench| bench.iter_batched(&mut next, history, BatchSize::SmallInput));
    let mut resolved = || {
        let place = next();
        (place, history(place))
    };
    group.bench_function("score", |bench| {
        bench.iter_batched(&mut resolved, |(place, h)| model.score(&h, place.next), BatchSize::SmallInput);
    });
    group.bench_function("mass", |bench| {
        bench.iter_batched(&mut resolved, |(place, h)| model.mass(&h, place.prefix), BatchSize::SmallInput);
    });
    for k in [5, 8] {
        group.bench_function(format!("top{k} of a prefix"), |bench| {
            bench.iter_batched(
                &mut resolved,
                |(place, h)| drop(black_box(model.top(&h, place.prefix, k))),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("top{k}"), |bench| {
            bench.iter_batched(
                &mut resolved,
                |(_, h)| drop(black_box(model.top(&h, "", k))),
                BatchSize::SmallInput,
            );
        });
    }
}

fn static_model(criterion: &mut Criterion) {
    let messages = messages();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bench.ngram");
    let mut builder = Builder::new(BuildOptions::default());
    messages.iter().for_each(|message| builder.add_message(message, Role::Author));
    builder.finish(&path, &mut |_| ()).expect("a model");
    let model = StaticModel::open(&path).expect("the model");
    look_ups(criterion, "static", &model, &places(&messages));
}

fn personal_model(criterion: &mut Criterion) {
    let messages = messages();
    let mut words = 0;
    let taught = messages.iter().take_while(|message| {
        words += segment::surfaces(message).count();
        words < TAUGHT
    });
    let taught: Vec<&String> = taught.collect();
    let words: usize = taught.iter().map(|message| segment::surfaces(message).count()).sum();
    let mut model = PersonalModel::new(Limits::default());
    taught.iter().for_each(|message| model.learn(message, Role::Author));
    look_ups(criterion, "personal", &model, &places(&messages));

    let mut group = criterion.benchmark_group("personal");
    group.throughput(Throughput::Elements(words as u64)).sample_size(10);
    group.bench_function("learn 100,000 words", |bench| {
        bench.iter(|| {
            let mut model = PersonalModel::new(Limits::default());
            taught.iter().for_each(|message| model.learn(message, Role::Author));
            model
        });
    });
}

criterion_group!(benches, static_model, personal_model);
criterion_main!(benches);
