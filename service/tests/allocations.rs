//! What a keystroke allocates: few and small pieces, and no more the longer the message grows.

#![expect(clippy::print_stdout, reason = "figures to look at")]

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use foretype::engine::{Deadline, Engine, Memory, Predictor, Request, SessionKey, Settings};
use foretype_markov::Role;

const MESSAGE: &str = "Thanks for calling, I can help you with that. Could you please tell me the last four digits of \
                       your account number? I would be happy to look into the charges on your statement for you.";

/// Allocations and bytes of every keystroke of the message, typed by hand in one session.
fn typed(engine: &Engine, memory: Option<&Arc<RwLock<Memory>>>) -> Vec<(u64, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let session = SessionKey { tenant: "t".into(), writer: None, session: "s".into() };
    let keys = 1..=MESSAGE.len();
    let typed = keys.map(|end| {
        let request = Request {
            role: Role::Agent,
            session: Some(session.clone()),
            memory: memory.cloned(),
            ..Request::new(&MESSAGE[..end], Deadline::after(Duration::from_secs(5)))
        };
        let took = allocation_counter::measure(|| drop(runtime.block_on(engine.complete(request))));
        (took.count_total, took.bytes_total)
    });
    typed.collect()
}

#[test]
fn a_keystroke_allocates_little() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
    let fast = vec![Predictor::Personal, Predictor::Domain, Predictor::Charlm];
    let engine = Engine::open(&Settings::new(bundle, fast)).unwrap_or_else(|error| panic!("{error}"));
    let mut memory = engine.new_memory();
    memory.learn(MESSAGE, Role::Agent);
    let memory = Arc::new(RwLock::new(memory));
    for memory in [None, Some(&memory)] {
        let keys = typed(&engine, memory);
        let mean = |of: fn(&(u64, u64)) -> u64| keys.iter().map(of).sum::<u64>() / keys.len() as u64;
        let (count, bytes) = (mean(|key| key.0), mean(|key| key.1));
        let most = keys.iter().map(|key| key.0).max();
        println!("{count} allocations, {} KiB a key; {most:?} at most", bytes / 1024);
        assert!(count < 600 && bytes < 256 * 1024, "{count} of {bytes} bytes");
    }
}
