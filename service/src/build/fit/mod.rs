//! Fits mixture weights and calibration on held-out writers: text no model of the bundle has counted.

mod em;
mod sample;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Result;
use foretype_markov::segment;
use indicatif::ProgressBar;

use super::corpus::Source;
use super::{Args, progress, write_fitted};
use crate::bundle::{Bundle, Fitted};
use crate::engine::{
    Deadline, Effort, Engine, Memory, Place, Predictor, Request, Settings, Turn, recent_turns,
};
use crate::ensemble::calibrate::Calibration;
use crate::ensemble::mixture::prefix_class;
use crate::ensemble::rank::{Ranked, rank};
use crate::ensemble::weights::Loss;
use em::Typed;
use sample::{Message, Stream};

/// The least confidence shown by default. Showing a letter later saves one key less, reading a wrong word costs a quarter
/// of one: P > 0.25 (1 − P), which is 0.2. Between that and this there is nothing to gain, and who is wrong less often is
/// read more.
const THRESHOLD: f32 = 0.22;

/// Nothing is late while fitting.
const BUDGET: Duration = Duration::from_secs(10);

/// Whole messages are weighed, however long that takes.
const EFFORT: Effort = Effort { steps: 160, patience: BUDGET };

/// Fewer held-out words than this say less than the weights and curves of the base.
const LEAST: usize = 1_500;

/// One position in this many is typed through.
const EVERY: usize = 6;

/// Fits in three passes, or leaves it at what --base has: weights on whole words, then what prefixes do to them, then calibration of what is shown.
pub(super) fn run(args: &Args, sources: &[Source], figures: &mut BTreeMap<String, f64>) -> Result<()> {
    let streams = sample::streams(sources);
    let messages: usize = streams.iter().map(|stream| stream.measured.len()).sum();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut fitted = Fitted { threshold: THRESHOLD, ..Fitted::default() };

    let bar = progress("weighing the predictors", messages as u64);
    let losses = runtime.block_on(weigh(&open(args, &fitted)?, &streams, &bar));
    bar.finish();
    if args.base.is_some() && losses.len() < LEAST {
        tracing::info!(
            words = losses.len(),
            least = LEAST,
            "too few held-out words: weights and calibration stay those of the base"
        );
        return Ok(());
    }
    fitted.prior.weights = em::weights(&losses);
    figures.insert("fit_words".to_owned(), losses.len() as f64);
    for predictor in Predictor::ALL {
        figures.insert(format!("nats_per_word_{}", predictor.name()), em::mean_loss(&losses, predictor));
    }
    figures.insert("nats_per_word_mixture".to_owned(), em::mixture_loss(&losses, &fitted.prior));

    let bar = progress("typing prefixes", messages as u64);
    let typed = runtime.block_on(type_prefixes(&open(args, &fitted)?, &streams, &bar));
    bar.finish();
    let before = em::typed_loss(&typed, &fitted.prior);
    fitted.prior.prefix = em::prefixes(&typed, &fitted.prior);
    figures.insert("nats_per_prefix_before".to_owned(), before);
    figures.insert("nats_per_prefix".to_owned(), em::typed_loss(&typed, &fitted.prior));

    let bar = progress("calibrating", messages as u64);
    let shown = runtime.block_on(show(&open(args, &fitted)?, &streams, &bar));
    bar.finish();
    fitted.calibration = Calibration::fit(&shown);
    figures.insert(
        "shown_right".to_owned(),
        shown.iter().filter(|s| s.2).count() as f64 / shown.len().max(1) as f64,
    );
    write_fitted(&args.out, &fitted)
}

fn open(args: &Args, fitted: &Fitted) -> Result<Engine> {
    let mut bundle = Bundle::load(&args.out, "being built".to_owned())?;
    bundle.ensemble = fitted.clone();
    let settings = Settings {
        bundle: args.out.clone(),
        runtime: args.runtime.clone(),
        predictors: Predictor::ALL.to_vec(),
        kv_bytes: 16 << 20,
    };
    Ok(Engine::with_bundle(bundle, &settings)?)
}

/// A writer's memory that has learned the history of a stream; `None` for those who stay unknown.
fn remember(engine: &Engine, stream: &Stream<'_>) -> Option<Arc<RwLock<Memory>>> {
    if stream.anonymous {
        return None;
    }
    let memory = Arc::new(RwLock::new(engine.new_memory()));
    for turn in &stream.history {
        learn(Some(&memory), turn);
    }
    Some(memory)
}

fn learn(memory: Option<&Arc<RwLock<Memory>>>, turn: &Turn) {
    if let Some(memory) = memory {
        let mut memory = memory.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        memory.learn(&segment::normalise(&turn.text), turn.role);
    }
}

async fn weigh(engine: &Engine, streams: &[Stream<'_>], bar: &ProgressBar) -> Vec<Loss> {
    let mut losses = Vec::new();
    for stream in streams {
        let memory = remember(engine, stream);
        for Message { context, turn } in &stream.measured {
            losses.extend(engine.losses(&turn.text, turn.role, context, memory.as_ref(), EFFORT).await.0);
            learn(memory.as_ref(), turn);
            bar.inc(1);
        }
    }
    losses
}

fn request(
    message: &Message<'_>,
    text: &str,
    session: &str,
    memory: Option<&Arc<RwLock<Memory>>>,
) -> Request {
    let session = crate::engine::SessionKey { tenant: "fit".into(), writer: None, session: session.into() };
    Request {
        context: message.context.to_vec(),
        role: message.turn.role,
        memory: memory.cloned(),
        session: Some(session),
        min_confidence: Some(0.0),
        ..Request::new(text, Deadline::after(BUDGET))
    }
}

/// The positions of a message that are looked at, different ones in every message, with what comes next.
fn positions(normal: &str, salt: usize) -> Vec<Position<'_>> {
    let mut found = Vec::new();
    let (mut start, mut count) = (0, salt);
    for surface in segment::surfaces(normal) {
        for (at, _) in surface.char_indices() {
            count += 1;
            if count.is_multiple_of(EVERY) {
                found.push(Position { draft: &normal[..start + at], truth: surface, typed: at });
            }
        }
        start += surface.len();
    }
    found
}

/// A cursor inside `truth`, `typed` bytes of it typed.
struct Position<'a> {
    draft: &'a str,
    truth: &'a str,
    typed: usize,
}

impl Position<'_> {
    /// Whether the candidate's first word is what the writer types next.
    fn right(&self, candidate: &Ranked, prefix: &str) -> bool {
        // Between two surfaces the finished one is the prefix, and the right candidate follows it.
        let follows = self.typed == 0 && !prefix.is_empty();
        candidate.follows == follows && candidate.surfaces[0] == self.truth
    }
}

/// What each member gave the true word at typed prefixes, and the prefix itself.
async fn type_prefixes(engine: &Engine, streams: &[Stream<'_>], bar: &ProgressBar) -> Vec<Typed> {
    let mut typed = Vec::new();
    for (salt, stream) in streams.iter().enumerate() {
        let memory = remember(engine, stream);
        for (i, message) in stream.measured.iter().enumerate() {
            let normal = segment::normalise(&message.turn.text);
            for position in positions(&normal, salt + i).iter().filter(|p| p.typed > 0) {
                let request = request(message, position.draft, &format!("{salt}-{i}"), memory.as_ref());
                typed.extend(engine.probe(&request, position.truth).await.map(Typed::from));
            }
            learn(memory.as_ref(), message.turn);
            bar.inc(1);
        }
    }
    typed
}

/// What would be shown first at each position: class of the prefix, raw probability, whether it was right.
async fn show(engine: &Engine, streams: &[Stream<'_>], bar: &ProgressBar) -> Vec<(usize, f32, bool)> {
    let mut shown = Vec::new();
    for (salt, stream) in streams.iter().enumerate() {
        let memory = remember(engine, stream);
        for (i, message) in stream.measured.iter().enumerate() {
            let normal = segment::normalise(&message.turn.text);
            for position in positions(&normal, 3 + salt + i) {
                let request = request(message, position.draft, &format!("{salt}-{i}"), memory.as_ref());
                let draft = segment::normalise(&request.text);
                let turns = recent_turns(&request.context);
                let place = Place::new(&draft, &turns, &request);
                let tables = engine.consult(&place, &draft, &request).await;
                let ranked = rank(&tables.here, tables.next.as_ref(), &Calibration::default());
                if let Some(best) = ranked.first() {
                    let class = prefix_class(place.cut.prefix);
                    shown.push((class, best.raw, position.right(best, place.cut.prefix)));
                }
            }
            learn(memory.as_ref(), message.turn);
            bar.inc(1);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_cover_every_letter_in_turn() {
        let normal = "Thanks for calling, I";
        let all: Vec<_> = (0..EVERY).flat_map(|salt| positions(normal, salt)).collect();
        assert_eq!(all.len(), normal.len());
        for position in all {
            assert!(normal.starts_with(position.draft));
            assert!(position.draft.ends_with(&position.truth[..position.typed]));
        }
    }

    #[test]
    fn the_prior_of_no_words_is_valid() {
        use crate::ensemble::mixture::Prior;
        assert!(Prior { weights: em::weights(&[]), ..Prior::default() }.is_valid());
    }
}
