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
    self, Deadline, Effort, Engine, Losses, Memory, Place, Predictor, Request, Tables, Turn, recent_turns,
};
use crate::ensemble::calibrate::Calibration;
use crate::ensemble::gate::{Example, Gate};
use crate::ensemble::mixture::prefix_class;
use crate::ensemble::rank::{Ranked, rank};
use crate::ensemble::weights::{Loss, MEMBERS};
use crate::store::TeamKey;
use crate::writer::event::Learned;
use crate::writer::{Settings, Team};
use em::Typed;
use sample::{Message, Standing, Stream};

/// The least confidence shown by default. Showing a letter later saves one key less, reading a wrong word costs a quarter
/// of one: P > 0.25 (1 − P), which is 0.2. Between that and this there is nothing to gain (0.07 points of net between 0.22 and this, on
/// one set of five), and who is wrong less often is read more.
const THRESHOLD: f32 = 0.23;

/// Nothing is late while fitting.
const BUDGET: Duration = Duration::from_secs(10);

/// Whole messages are weighed, however long that takes.
const EFFORT: Effort = Effort { steps: 160, patience: BUDGET, ..Effort::SENDING };

/// Fewer held-out words than this say less than the weights and curves of the base.
const LEAST: usize = 1_500;

/// Weights where there is too little to fit any on: those of the shipped bundle over all its text, rounded; in the order of
/// [`Predictor::ALL`].
const USUAL: [f32; MEMBERS] = [0.83, 0.02, 0.13, 0.005, 0.005, 0.01];

/// One position in this many is typed through.
const EVERY: usize = 6;

/// Fits in three passes, or leaves it at what --base has: weights on whole words, then what prefixes do to them, then calibration of what is
/// shown. What prefixes do is fitted before conversations have weights of their own: it would make up for these where there are none.
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
    if losses.len() < LEAST {
        tracing::warn!(
            words = losses.len(),
            least = LEAST,
            "too few held-out words: weights are what they mostly are, confidence is not calibrated; a source is held out from \
             in part if it has 50 records, and --base takes what another bundle has"
        );
        fitted.prior.weights.fill(USUAL);
        return write_fitted(&args.out, &fitted);
    }
    fitted.prior.weights = em::weights(&losses);
    figures.insert("fit_words".to_owned(), losses.len() as f64);
    for predictor in Predictor::ALL {
        figures.insert(format!("nats_per_word_{}", predictor.name()), em::mean_loss(&losses, predictor));
    }

    let bar = progress("typing prefixes", messages as u64);
    let typed = runtime.block_on(type_prefixes(&open(args, &fitted)?, &streams, &bar));
    bar.finish();
    let before = em::typed_loss(&typed, &fitted.prior);
    fitted.prior.prefix = em::prefixes(&typed, &fitted.prior);
    figures.insert("nats_per_prefix_before".to_owned(), before);
    fitted.prior.weights = em::conversing(&losses, &fitted.prior.weights);
    figures.insert("nats_per_word_mixture".to_owned(), em::mixture_loss(&losses, &fitted.prior));
    figures.insert("nats_per_prefix".to_owned(), em::typed_loss(&typed, &fitted.prior));

    let bar = progress("calibrating", messages as u64);
    let seen = runtime.block_on(show(&open(args, &fitted)?, &streams, &bar));
    bar.finish();
    let shown: Vec<_> = seen.iter().filter_map(Seen::shown).collect();
    fitted.calibration = Calibration::fit(&shown);
    fitted.gate = Gate::fit(&seen.iter().map(|seen| seen.example(&fitted)).collect::<Vec<_>>());
    figures.insert(
        "shown_right".to_owned(),
        shown.iter().filter(|s| s.2).count() as f64 / shown.len().max(1) as f64,
    );
    write_fitted(&args.out, &fitted)
}

fn open(args: &Args, fitted: &Fitted) -> Result<Engine> {
    let mut bundle = Bundle::load(&args.out, "being built".to_owned())?;
    bundle.ensemble = fitted.clone();
    let settings = engine::Settings {
        runtime: args.runtime.clone(),
        kv_bytes: 16 << 20,
        ..engine::Settings::new(args.out.clone(), Predictor::ALL.to_vec())
    };
    Ok(Engine::with_bundle(bundle, &settings)?)
}

/// The teams that all histories have taught: one a source.
fn teams(engine: &Engine, streams: &[Stream<'_>]) -> Vec<Arc<Team>> {
    let sources = streams.iter().map(|stream| stream.source + 1).max().unwrap_or(0);
    let teams: Vec<_> = (0..sources)
        .map(|at| {
            let key = TeamKey { tenant: "fit".into(), team: at.to_string().into() };
            Team::over(key, engine.new_team(Settings::default().team_writers))
        })
        .collect();
    for (number, stream) in streams.iter().enumerate() {
        stream.history.iter().for_each(|turn| share(&teams[stream.source], number, turn));
    }
    teams
}

/// The weights are what is being fitted: there are no losses yet that could say something of them.
fn share(team: &Team, number: usize, turn: &Turn) {
    let losses = Losses::default();
    team.learn(number as u32, &Learned { text: turn.text.clone(), role: turn.role, losses });
}

/// A writer as the service would know them.
struct Writer<'a> {
    number: usize,
    /// `None` for those who stay unknown.
    memory: Option<Arc<RwLock<Memory>>>,
    /// Whom they teach.
    teaches: &'a Arc<Team>,
    /// Who helps them.
    team: Option<Arc<Team>>,
}

impl<'a> Writer<'a> {
    /// Who has taught the history of a stream.
    fn of(engine: &Engine, number: usize, stream: &Stream<'_>, teams: &'a [Arc<Team>]) -> Self {
        let known = stream.standing != Standing::Anonymous;
        let memory = known.then(|| Arc::new(RwLock::new(engine.new_memory())));
        let teaches = &teams[stream.source];
        let team = (stream.standing == Standing::Member).then(|| Arc::clone(teaches));
        let writer = Self { number, memory, teaches, team };
        stream.history.iter().for_each(|turn| writer.remember(turn));
        writer
    }

    fn remember(&self, turn: &Turn) {
        if let Some(memory) = &self.memory {
            let mut memory = memory.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            memory.learn(&segment::normalise(&turn.text), turn.role);
        }
    }

    /// Learns a message that was typed.
    fn learn(&self, turn: &Turn) {
        self.remember(turn);
        share(self.teaches, self.number, turn);
    }
}

async fn weigh(engine: &Engine, streams: &[Stream<'_>], bar: &ProgressBar) -> Vec<Loss> {
    let mut losses = Vec::new();
    let teams = teams(engine, streams);
    for (number, stream) in streams.iter().enumerate() {
        let writer = Writer::of(engine, number, stream, &teams);
        let (memory, team) = (writer.memory.as_ref(), writer.team.as_deref());
        for Message { context, turn } in &stream.measured {
            losses.extend(engine.losses(&turn.text, turn.role, context, memory, team, EFFORT).await.0);
            writer.learn(turn);
            bar.inc(1);
        }
    }
    losses
}

fn request(message: &Message<'_>, text: &str, session: &str, writer: &Writer<'_>) -> Request {
    let session = engine::SessionKey { tenant: "fit".into(), writer: None, session: session.into() };
    Request {
        context: message.context.to_vec(),
        role: message.turn.role,
        memory: writer.memory.clone(),
        team: writer.team.clone(),
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
    let teams = teams(engine, streams);
    for (salt, stream) in streams.iter().enumerate() {
        let writer = Writer::of(engine, salt, stream, &teams);
        for (i, message) in stream.measured.iter().enumerate() {
            let normal = segment::normalise(&message.turn.text);
            for position in positions(&normal, salt + i).iter().filter(|p| p.typed > 0) {
                let request = request(message, position.draft, &format!("{salt}-{i}"), &writer);
                typed.extend(engine.probe(&request, position.truth).await.map(Typed::from));
            }
            writer.learn(message.turn);
            bar.inc(1);
        }
    }
    typed
}

/// What is likeliest at a position: its raw probability, and whether it was right.
type Best = Option<(f32, bool)>;

/// What would be shown first at a position.
struct Seen {
    /// Of the prefix.
    class: usize,
    /// By the fast tier alone.
    fast: Best,
    /// By both.
    both: Best,
}

impl Seen {
    fn best(tables: &Tables, position: &Position<'_>, prefix: &str) -> Best {
        let ranked = rank(&tables.here, tables.next.as_ref(), &Calibration::default());
        ranked.first().map(|best| (best.raw, position.right(best, prefix)))
    }

    /// For the calibration.
    fn shown(&self) -> Option<(usize, f32, bool)> {
        self.both.map(|(raw, right)| (self.class, raw, right))
    }

    /// For the gate: what is shown at the default threshold.
    fn example(&self, fitted: &Fitted) -> Example {
        let confident = |raw| fitted.calibration.confidence(self.class, raw) >= fitted.threshold;
        let shown = |best: Best| best.filter(|(raw, _)| confident(*raw)).map(|(_, right)| right);
        let best = self.fast.map_or(0.0, |(raw, _)| raw);
        Example { class: self.class, best, without: shown(self.fast), with: shown(self.both) }
    }
}

/// What would be shown at each position.
async fn show(engine: &Engine, streams: &[Stream<'_>], bar: &ProgressBar) -> Vec<Seen> {
    let mut seen = Vec::new();
    let teams = teams(engine, streams);
    for (salt, stream) in streams.iter().enumerate() {
        let writer = Writer::of(engine, salt, stream, &teams);
        for (i, message) in stream.measured.iter().enumerate() {
            let normal = segment::normalise(&message.turn.text);
            for position in positions(&normal, 3 + salt + i) {
                let request = request(message, position.draft, &format!("{salt}-{i}"), &writer);
                let draft = segment::normalise(&request.text);
                let turns = recent_turns(&request.context);
                let place = Place::new(&draft, &turns, &request);
                let prefix = place.cut.prefix;
                let fast = Seen::best(&engine.fast(&place, &request), &position, prefix);
                let both = Seen::best(&engine.consult(&place, &draft, &request).await, &position, prefix);
                seen.push(Seen { class: prefix_class(prefix), fast, both });
            }
            writer.learn(message.turn);
            bar.inc(1);
        }
    }
    seen
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
