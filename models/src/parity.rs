//! The shipped graph against the fp32 reference, and against itself by other ways of running it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use serde::Deserialize;

use crate::boundary::Start;
use crate::distribution::Distribution;
use crate::{Ask, Gpt2, Kernel, KvCache, Options, Prompt, Role, load_runtime};

/// Nats between two ways of running the same tokens. Activations are rounded to eight bits, and ONNX Runtime's kernels for one row
/// and for many round differently: at most 5.5e-3 was measured.
const SAME: f64 = 1e-2;

/// How much further than the graph alone the cosine may move: keys and values are rounded to eight bits too.
const ROUNDED: f64 = 0.002;

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bundle");

#[derive(Deserialize)]
struct Reference {
    tolerance: Tolerance,
    cases: Vec<Case>,
}

/// How far four-bit weights may move a distribution.
#[derive(Deserialize)]
struct Tolerance {
    /// Kullback-Leibler divergence over the kept tokens, nats.
    kl: f64,
    /// Cosine of the centred logits of the kept tokens.
    cosine: f64,
}

#[derive(Deserialize)]
struct Case {
    turns: Vec<(String, String)>,
    tokens: Vec<u32>,
    ids: Vec<u32>,
    logits: Vec<f64>,
    logsumexp: f64,
    top: Vec<u32>,
}

fn load_with(options: Options) -> Gpt2 {
    load_runtime(None).unwrap_or_else(|error| panic!("{error}"));
    Gpt2::load(Path::new(BUNDLE), options).unwrap_or_else(|error| panic!("{error}"))
}

fn load() -> Gpt2 {
    load_with(Options::default())
}

/// With our operators, and with ONNX Runtime's.
fn both() -> [Gpt2; 2] {
    [Kernel::Own, Kernel::Runtime].map(|kernel| load_with(Options { kernel, ..Options::default() }))
}

fn reference() -> Reference {
    let text = std::fs::read_to_string(format!("{BUNDLE}/reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn logs(distribution: &Distribution, ids: &[u32]) -> Vec<f64> {
    ids.iter().map(|&id| f64::from(distribution.prob(id)).ln()).collect()
}

/// Kullback-Leibler divergence over the whole vocabulary, nats.
pub(crate) fn kl(a: &Distribution, b: &Distribution) -> f64 {
    let pairs = a.probs().zip(b.probs()).map(|(p, q)| (f64::from(p), f64::from(q)));
    pairs.filter(|(p, _)| *p > 0.0).map(|(p, q)| p * (p / q.max(1e-30)).ln()).sum()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

#[test]
fn the_graph_says_what_the_trained_weights_say() {
    for mut gpt2 in both() {
        let Reference { tolerance, cases } = reference();
        assert_eq!(cases.len(), 6);
        for case in &cases {
            let found = gpt2.distribution(&mut KvCache::default(), &case.tokens);
            let expected: Vec<f64> = case.logits.iter().map(|logit| logit - case.logsumexp).collect();
            let logs = logs(&found, &case.ids);
            // Generalised to parts of distributions: never negative, 0 only if they are the same.
            let kl: f64 =
                expected.iter().zip(&logs).map(|(p, q)| p.exp() * (p - q) - p.exp() + q.exp()).sum();
            let cosine = cosine(&expected, &logs);
            assert!(
                kl < tolerance.kl && cosine > tolerance.cosine - ROUNDED,
                "{:?}: KL {kl:.3}, cosine {cosine:.3}",
                case.turns
            );
            let best = (0..).zip(found.probs()).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(id, _)| id).unwrap();
            assert!(case.top.contains(&best), "{:?}: {best}", case.turns);
        }
    }
}

#[test]
fn the_conversation_becomes_the_tokens_of_the_reference() {
    let mut gpt2 = load();
    for case in reference().cases {
        let role = |name: &str| match name {
            "customer" => Role::Customer,
            "agent" => Role::Agent,
            _ => Role::Author,
        };
        let turns: Vec<(Role, &str)> =
            case.turns.iter().map(|(name, text)| (role(name), text.as_str())).collect();
        let ((who, draft), turns) = turns.split_last().unwrap();
        // With a letter typed after a space nothing is taken back: the whole draft is context.
        let prompt = Prompt { turns, role: *who, before: draft, prefix: " a" };
        let mut cache = KvCache::default();
        assert_eq!(gpt2.tokens(&mut cache, &prompt), case.tokens);
        // Typed word by word into the same cache, it is encoded to the same tokens.
        for (at, _) in draft.match_indices(' ') {
            gpt2.tokens(&mut cache, &Prompt { before: &draft[..at], ..prompt });
        }
        assert_eq!(gpt2.tokens(&mut cache, &prompt), case.tokens);
    }
}

#[test]
fn chunks_single_steps_and_rewinds_agree() {
    for mut gpt2 in both() {
        for case in &reference().cases {
            let whole = gpt2.distribution(&mut KvCache::default(), &case.tokens);
            let mut cache = KvCache::default();
            let mut single = None;
            for length in 1..=case.tokens.len() {
                single = Some(gpt2.distribution(&mut cache, &case.tokens[..length]));
            }
            let single = kl(&whole, &single.unwrap());
            assert!(single < SAME, "one by one: {single} {:?}", case.turns);
            let half = case.tokens.len() / 2;
            let astray: Vec<u32> = case.tokens[..half].iter().copied().chain([700, 800, 900, 1000]).collect();
            let other = gpt2.distribution(&mut cache, &astray);
            assert!(kl(&whole, &other) > 25.0 * SAME, "another text is another distribution");
            cache.forget_distributions();
            let rewound = gpt2.distribution(&mut cache, &case.tokens);
            assert!(kl(&whole, &rewound) < SAME, "after a rewind: {} {:?}", kl(&whole, &rewound), case.turns);
        }
    }
}

#[test]
fn two_conversations_do_not_mix() {
    for mut gpt2 in both() {
        let cases = reference().cases;
        let (a, b) = (&cases[0], &cases[2]);
        let alone = (
            gpt2.distribution(&mut KvCache::default(), &a.tokens),
            gpt2.distribution(&mut KvCache::default(), &b.tokens),
        );
        let (mut one, mut two) = (KvCache::default(), KvCache::default());
        for length in 1..=b.tokens.len() {
            gpt2.distribution(&mut two, &b.tokens[..length]);
            gpt2.distribution(&mut one, &a.tokens[..length.min(a.tokens.len())]);
        }
        one.forget_distributions();
        two.forget_distributions();
        assert!(kl(&alone.0, &gpt2.distribution(&mut one, &a.tokens)) < SAME);
        assert!(kl(&alone.1, &gpt2.distribution(&mut two, &b.tokens)) < SAME);
    }
}

/// A cache may go from any model to any other of the same weights.
#[test]
fn what_one_kernel_has_read_the_other_goes_on_from() {
    let case = &reference().cases[0];
    let mut models = both();
    let whole = models[0].distribution(&mut KvCache::default(), &case.tokens);
    let (mut cache, mut last) = (KvCache::default(), None);
    for length in 1..=case.tokens.len() {
        last = Some(models[length % 2].distribution(&mut cache, &case.tokens[..length]));
    }
    let last = kl(&whole, &last.unwrap());
    assert!(last < 2.0 * SAME, "{last}");
}

#[test]
fn more_threads_say_the_same() {
    let case = &reference().cases[0];
    for kernel in [Kernel::Own, Kernel::Runtime] {
        let [one, two] = [1, 2].map(|threads| {
            load_with(Options { threads, kernel }).distribution(&mut KvCache::default(), &case.tokens)
        });
        assert!(kl(&one, &two) < SAME, "{}", kl(&one, &two));
    }
}

/// Where greedy encoding splits what is typed, nearly all that is likely at first comes to nothing.
#[test]
fn a_word_behind_a_prefix_that_splits_is_found() {
    let mut gpt2 = load();
    let (before, prefix) = ("Thanks for calling, I can", " tomorr");
    let prompt = Prompt { turns: &[], role: Role::Agent, before, prefix };
    let ask = Ask { top: 3, max_passes: 64, ..Ask::default() };
    assert!(gpt2.vocabulary().encode(prefix).len() > 1 && gpt2.vocabulary().encode(" tomorrow").len() == 1);
    let words = gpt2.words(&mut KvCache::default(), &prompt, &ask, &|_| false);
    assert_eq!(words.top[0].surface, " tomorrow", "{words:?}");
    assert!(words.top[0].prob > 0.5, "{words:?}");
}

/// P(" xyz" and it ends there) by enumerating every one- and two-token spelling, without tree, memo or floor.
#[test]
fn words_and_their_ends_agree_with_brute_force() {
    let mut gpt2 = load();
    let (before, prefix) = ("Thanks for calling, I can", " hel");
    let prompt = Prompt { turns: &[], role: Role::Agent, before, prefix };
    let mut cache = KvCache::default();
    let context = gpt2.tokens(&mut cache, &prompt);
    let root = gpt2.distribution(&mut cache, &context);
    let bytes: Vec<Vec<u8>> = (0..16_384).map(|id| gpt2.vocabulary().bytes(id).to_vec()).collect();
    let starts: Vec<Start> = gpt2.vocabulary().starts().to_vec();
    let covers = |id: &usize| bytes[*id].starts_with(prefix.as_bytes());
    let mass: f32 = (0..bytes.len()).filter(covers).map(|id| root.prob(id as u32)).sum();
    let ends = |gpt2: &mut Gpt2, path: &[u32]| -> f32 {
        let next = gpt2.distribution(&mut KvCache::default(), &[context.as_slice(), path].concat());
        let goes_on = [Start::Letter, Start::Digit, Start::Underscore, Start::Contraction, Start::Mark];
        (0..starts.len()).filter(|&id| !goes_on.contains(&starts[id])).map(|id| next.prob(id as u32)).sum()
    };
    let ask = Ask {
        candidates: &[" help", " hello", " helpful", " helping", " helped"],
        top: 3,
        max_passes: 64,
        ..Ask::default()
    };
    let words = gpt2.words(&mut cache, &prompt, &ask, &|_| false);
    let mut compared = 0;
    for (candidate, (found, exact)) in
        ask.candidates.iter().zip(words.candidates.iter().zip(&words.candidates_exact))
    {
        let path = gpt2.vocabulary().encode(candidate);
        assert!(path.len() <= 2, "{candidate} {path:?}");
        let mut prob = root.prob(path[0]);
        if let [first, second] = path[..] {
            prob *= gpt2
                .distribution(&mut KvCache::default(), &[context.as_slice(), &[first]].concat())
                .prob(second);
        }
        if *exact {
            let expected = prob * ends(&mut gpt2, &path) / mass;
            assert!((found - expected).abs() < 0.02 * expected + 1e-4, "{candidate}: {found} {expected}");
            compared += 1;
        }
    }
    assert!(compared >= 1 && words.candidates_exact[0]);
    // Spellings by tokens that cover a part of " hel" only are all but excluded.
    let expected = mass
        / root
            .probs()
            .zip(&starts)
            .filter(|(_, start)| {
                !matches!(
                    start,
                    Start::Letter | Start::Digit | Start::Underscore | Start::Contraction | Start::Mark
                )
            })
            .map(|(prob, _)| prob)
            .sum::<f32>();
    assert!((words.mass - expected).abs() < 0.05 * expected, "{} {expected}", words.mass);
}
