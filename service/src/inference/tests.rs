//! The thread over the shipped GPT-2, when a question makes it panic.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::{Completion, Deadline, Engine, Predictor, Request, SessionKey, Settings, Source, Status};

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
    let settings = Settings {
        kv_bytes: 1 << 24,
        ..Settings::new(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle"),
            vec![Predictor::Gpt2, Predictor::Domain, Predictor::Charlm],
        )
    };
    let engine = Engine::open(&settings).expect("the shipped bundle");
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
