//! The thread over the shipped GPT-2: when a question makes it panic, and when there are several at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foretype_models::{Kernel, Role, Words};
use tokio::sync::oneshot::Receiver;

use super::{Answered, Depth, Inference, Question, Text};
use crate::engine::{Completion, Deadline, Engine, Predictor, Request, SessionKey, Settings, Source, Status};

fn open(kernel: Kernel) -> Engine {
    let settings = Settings {
        kv_bytes: 1 << 24,
        kernel,
        ..Settings::new(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle"),
            vec![Predictor::Gpt2, Predictor::Domain, Predictor::Charlm],
        )
    };
    Engine::open(&settings).expect("the shipped bundle")
}

fn complete(engine: &Engine, text: &str) -> Completion {
    let session = SessionKey { tenant: "t".into(), writer: None, session: "s".into() };
    let deadline = Deadline::after(Duration::from_secs(20));
    let request =
        Request { session: Some(session), min_confidence: Some(0.0), ..Request::new(text, deadline) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(engine.complete(request))
}

#[test]
fn a_panic_costs_one_answer_its_gpt2_and_no_more() {
    let engine = open(Kernel::Fastest);
    let inference = engine.inference.as_ref().expect("the GPT-2 was asked for");
    let gpt2 = |completion: &Completion| {
        completion.predictors.iter().find(|(who, _)| *who == Predictor::Gpt2).expect("it is enabled").1
    };
    assert_eq!(gpt2(&complete(&engine, "Thanks for")), Status::Used);
    assert_eq!(inference.counts().panics, 0);

    inference.shared.panic_next.store(true, Ordering::Relaxed);
    let without = complete(&engine, "We will rev");
    assert_eq!((gpt2(&without), without.source), (Status::Late, Source::Models));
    assert!(!without.suggestions.is_empty(), "the fast tier answers: {without:?}");

    assert_eq!(gpt2(&complete(&engine, "Can you please conf")), Status::Used, "the next is answered in full");
    // The asker hears of a panic before the thread has counted it, but the next answer comes after that.
    assert_eq!(inference.counts().panics, 1);
    assert!(!inference.shared.queue.is_pressing(), "it waits for nothing any more");

    let shared = Arc::downgrade(&inference.shared);
    drop(engine);
    assert!(shared.upgrade().is_none(), "its thread ends with it");
}

const DRAFTS: [(&str, &str); 5] = [
    ("Thanks for calling, I can", " he"),
    ("Which city are you travelling", " "),
    ("I found ten restaurants. What about The Old Spaghetti Factory? It is a", " n"),
    ("The patch fixes a race in the scheduler, as it", ""),
    ("Could you please tell me the last four digits of your account", " num"),
];

/// Asks about all drafts, one after the other without a session, or at once in a session each.
fn answers(inference: &Inference, at_once: bool) -> Vec<Words> {
    let key = |at| SessionKey { tenant: "t".into(), writer: None, session: format!("{at}").into() };
    let question = |(before, prefix): (&str, &str), at: usize| Question {
        text: Text { turns: Vec::new(), role: Role::Agent, before: before.to_owned() },
        prefix: prefix.to_owned(),
        candidates: Vec::new(),
        next_candidates: Vec::new(),
        depth: Depth { passes: 6, narrow: true },
        phrase_words: 4,
        deadline: Deadline::after(Duration::from_secs(60)),
        session: at_once.then(|| key(at)),
        read_later: false,
    };
    let ask = |(draft, at)| inference.ask(question(draft, at)).expect("there is time");
    let hear = |asked: Receiver<Answered>| asked.blocking_recv().expect("an answer").words;
    let asked = DRAFTS.into_iter().zip(0..).map(ask);
    if at_once {
        asked.collect::<Vec<_>>().into_iter().map(hear).collect()
    } else {
        asked.map(hear).collect()
    }
}

#[test]
fn questions_at_once_share_runs_and_are_answered_as_if_each_were_alone() {
    for kernel in [Kernel::Own, Kernel::Runtime] {
        let engine = open(kernel);
        let inference = engine.inference.as_ref().expect("the GPT-2 was asked for");
        let rounds = [false, true, true].map(|at_once| answers(inference, at_once));
        for words in &rounds[1..] {
            for (words, first) in words.iter().zip(&rounds[0]) {
                let (best, other) = (&words.top[0], &first.top[0]);
                assert!(words.complete && best.surface == other.surface, "{words:?} {first:?}");
                assert!((best.prob - other.prob).abs() < 0.02, "{best:?} {other:?}");
            }
        }
        assert!(rounds[2].iter().all(|words| words.prefilled == 0), "their sessions have read them");
        let counts = inference.counts();
        let shares = kernel == Kernel::Own && shares_runs();
        assert_eq!(counts.shares > counts.runs, shares, "{counts:?}");
    }
}

/// Whether the processor has what our operators need.
fn shares_runs() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}
