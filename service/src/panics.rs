//! What a panic leaves behind: a count and its place in the code. Never its message: a slice out of bounds quotes the text.

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::thread;

use crate::metrics::{Metrics, Thread};

/// From now on panics of this process are counted, and logged by their place only.
pub fn count(metrics: Arc<Metrics>) {
    std::panic::set_hook(Box::new(move |panic| note(&metrics, panic)));
}

fn note(metrics: &Metrics, panic: &PanicHookInfo<'_>) {
    let current = thread::current();
    let name = current.name().unwrap_or_default();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    metrics.panicked(Thread::of(name));
    tracing::error!(thread = name, place, "a bug: this panicked");
}
