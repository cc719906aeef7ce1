//! What passes of the network take: `cargo bench -p foretype-models`.
//!
//! Behind a cached context of about 90 tokens, with the softmax of every row wanted: one token, a prefill of 16, token
//! trees of 2 to 16 tokens, one token of each of several conversations, and six candidate words scored one by one and in one pass.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use foretype_models::{Gpt2, Kernel, KvCache, Options, Prompt, Role, load_runtime};

const TURNS: [(Role, &str); 3] = [
    (
        Role::Customer,
        "Hi, I would like to find a place to eat tonight, something Italian and not too expensive please.",
    ),
    (
        Role::Agent,
        "Sure, which city should I look in, and for how many people would you like me to book the table?",
    ),
    (
        Role::Customer,
        "We are four, in San Jose. Somewhere near the station would be best, around half past seven.",
    ),
];
const BEFORE: &str = "I found ten restaurants. What about The Old Spaghetti Factory? It is a";
const CANDIDATES: [&str; 6] = [" nice", " restaurant", " moderately", " casual", " family", " popular"];

fn prompt(before: &str) -> Prompt<'_> {
    Prompt { turns: &TURNS, role: Role::Agent, before, prefix: " " }
}

/// A model, a cache that holds the context, and its tokens.
fn ready(kernel: Kernel) -> (Gpt2, KvCache, Vec<u32>) {
    load_runtime(None).expect("`make build` fetches ONNX Runtime");
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/bundle");
    let mut options = Options::default();
    options.kernel = kernel;
    let mut gpt2 = Gpt2::load(bundle.as_ref(), options).expect("the bundle is in the checkout");
    let mut cache = KvCache::default();
    let context = gpt2.tokens(&mut cache, &prompt(BEFORE));
    gpt2.prefill(&mut cache, &prompt(BEFORE), &|_| false);
    (gpt2, cache, context)
}

/// `count` nodes of a tree behind `context`, two children each; `round` makes each tree a new one.
fn tree(context: &[u32], count: usize, round: u32) -> Vec<Vec<u32>> {
    let mut paths = vec![context.to_vec()];
    for i in 0..count {
        let token = 300 + (round * 16 + i as u32) * 7 % 12_000;
        paths.push([paths[i.div_ceil(2)].as_slice(), &[token]].concat());
    }
    paths.split_off(1)
}

/// Who computes products with 4-bit weights.
const KERNELS: [Kernel; 2] = [Kernel::Own, Kernel::Runtime];

fn passes(criterion: &mut Criterion) {
    let mut models = KERNELS.map(|kernel| (kernel.name(), ready(kernel)));
    let mut round = 0;
    let mut group = criterion.benchmark_group("tree pass");
    for count in [1, 2, 4, 6, 8, 16] {
        for (name, (gpt2, cache, context)) in &mut models {
            group.bench_function(BenchmarkId::new(*name, count), |bencher| {
                bencher.iter(|| {
                    round += 1;
                    gpt2.pass(cache, &tree(context, count, round))
                });
            });
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("a token of each conversation");
    for count in [1, 2, 4, 8] {
        for (name, (gpt2, _, context)) in &mut models {
            let mut conversations = Vec::new();
            for number in 0..count {
                let mut cache = KvCache::default();
                let context = [&context[..], &[300 + number]].concat();
                gpt2.pass(&mut cache, std::slice::from_ref(&context));
                conversations.push((cache, [&context[..], &[0]].concat()));
            }
            group.bench_function(BenchmarkId::new(*name, count), |bencher| {
                bencher.iter(|| {
                    round += 1;
                    let last = 300 + round * 7 % 12_000;
                    for (_, tokens) in &mut conversations {
                        tokens.pop();
                        tokens.push(last);
                    }
                    gpt2.pass_of_each(&mut conversations)
                });
            });
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("prefill of 16");
    for (name, (gpt2, cache, context)) in &mut models {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                round += 1;
                let new = (0..16).map(|i| 300 + (round * 16 + i) * 7 % 12_000);
                let longer: Vec<u32> = context.iter().copied().chain(new).collect();
                gpt2.pass(cache, &[longer])
            });
        });
    }
    group.finish();
}

fn candidates(criterion: &mut Criterion) {
    let (mut gpt2, mut cache, _) = ready(Kernel::Fastest);
    let paths = CANDIDATES.map(|surface| gpt2.tokens(&mut cache, &prompt(&[BEFORE, surface].concat())));
    let mut group = criterion.benchmark_group("six candidates");
    group.bench_function("one by one", |bencher| {
        bencher.iter(|| {
            paths.iter().map(|path| gpt2.pass(&mut cache, std::slice::from_ref(path))).sum::<usize>()
        });
    });
    group.bench_function("in one pass", |bencher| bencher.iter(|| gpt2.pass(&mut cache, &paths)));
    group.finish();
}

criterion_group!(benches, passes, candidates);
criterion_main!(benches);
