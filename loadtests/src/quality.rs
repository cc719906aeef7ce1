//! What suggestions save, measured in process: a typist types streams of real messages, strictly forward in time.
//!
//! Everything but the network is the service's own: requests are checked, learned messages are stored, outcomes are
//! heard. Answers have all the time there can be, so that figures do not depend on how busy the machine is; streams are
//! typed in parallel, each by a service of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use foretype::app::{App, Keystroke};
use foretype::cli::Models;
use foretype::engine::{Outcome, Predictor, Source, Status};
use foretype::metrics::Metrics;
use foretype::serve::open_engine;
use foretype::store::{Sqlite, Store};
use foretype::wire::{CompleteRequest, LearnRequest};
use foretype::writer::{Settings, Writers};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::score::{Figures, Reader, Score};
use crate::typist::{Habits, Match, Policy, Target, Typist};

/// What is typed, who predicts, and how the typist works.
#[derive(Clone, Debug, clap::Args)]
pub struct Plan {
    /// Files of streams, a writer a line: `{"writer","history":["…"],"messages":[{"context":[{"role","text"}],"text"}]}`
    #[arg(required = true)]
    pub streams: Vec<PathBuf>,
    /// Folder of the models. Default: `models/bundle` of the checkout
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// ONNX Runtime's library. Default: that of the checkout
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// Who predicts
    #[arg(long, value_delimiter = ',', default_values = ["gpt2", "personal", "domain", "charlm"])]
    #[arg(value_parser = predictor)]
    pub predictors: Vec<Predictor>,
    /// How many suggestions the typist reads: 1 is ghost text, 3 a list
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    pub k: u16,
    /// The share of positions at which the typist looks up
    #[arg(long, default_value_t = 0.8)]
    pub attention: f64,
    /// Show what is at least this likely. Default: the bundle's threshold
    #[arg(long, value_name = "P")]
    pub min_confidence: Option<f32>,
    /// Nobody is named and nothing is taught
    #[arg(long)]
    pub no_personal: bool,
    /// Outcomes are not told
    #[arg(long)]
    pub no_feedback: bool,
    /// Messages of each stream. Default: all
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Milliseconds an answer may take, 1 to 1000
    #[arg(long, value_name = "MS", default_value_t = 1000.0)]
    pub budget_ms: f64,
    /// Streams typed at once. Default: one a core
    #[arg(long, value_name = "COUNT")]
    pub jobs: Option<usize>,
}

fn predictor(name: &str) -> Result<Predictor, String> {
    Predictor::from_name(name.trim()).ok_or_else(|| "one of gpt2, personal, domain, charlm".into())
}

/// One writer.
#[derive(Clone, Debug, Deserialize)]
pub struct Stream {
    /// Learned before the first message.
    #[serde(default)]
    history: Vec<String>,
    messages: Vec<Message>,
}

#[derive(Clone, Debug, Deserialize)]
struct Message {
    #[serde(default)]
    context: Vec<Value>,
    text: String,
}

/// The streams of a file.
///
/// # Errors
/// When it cannot be read, or a line is no stream.
pub fn streams(path: &Path) -> Result<Vec<Stream>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    let found: Vec<Stream> = lines
        .map(|(number, line)| {
            serde_json::from_str(&line?).with_context(|| format!("{}, line {}", path.display(), number + 1))
        })
        .collect::<Result<_>>()?;
    ensure!(!found.is_empty(), "{} has no stream", path.display());
    Ok(found)
}

/// Types every stream; the figures of all of them together.
///
/// # Errors
/// When the models cannot be opened or a request is refused.
pub fn run(plan: &Plan, streams: &[Stream]) -> Result<Figures> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = plan.jobs.unwrap_or(cores).clamp(1, streams.len().max(1));
    let messages: usize = streams.iter().map(|stream| stream.measured(plan).len()).sum();
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} messages  {elapsed} (left {eta})")?;
    let bar = ProgressBar::new(messages as u64).with_style(style);
    let (next, scores) = (AtomicUsize::new(0), Mutex::new(vec![None; streams.len()]));
    let job = || -> Result<()> {
        let desk = Desk::open(plan)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(stream) = streams.get(at) else { return Ok(()) };
            let score = desk.runtime.block_on(desk.stream(at, stream, &bar))?;
            scores.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[at] = Some(score);
        }
    };
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(job)).collect();
        jobs.into_iter().try_for_each(|job| job.join().unwrap_or_else(|_| bail!("a job panicked")))
    })?;
    bar.finish_and_clear();
    let mut total = Score::default();
    // In the order of the streams, whoever typed them: sums of floats depend on it.
    for score in scores.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_iter().flatten()
    {
        total.add(score);
    }
    Ok(total.figures())
}

impl Stream {
    fn measured(&self, plan: &Plan) -> &[Message] {
        &self.messages[..plan.limit.unwrap_or(usize::MAX).min(self.messages.len())]
    }
}

/// A service without a network, and the typist before it.
struct Desk<'a> {
    plan: &'a Plan,
    runtime: tokio::runtime::Runtime,
    app: App,
    habits: Habits,
    /// What writers taught; gone when the run is.
    _data: TempDir,
}

impl<'a> Desk<'a> {
    fn open(plan: &'a Plan) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let models = Models {
            data: None,
            bundle: plan.bundle.clone(),
            runtime: plan.runtime.clone(),
            predictors: plan.predictors.clone(),
            kv_mib: 96,
        };
        let data = tempfile::tempdir()?;
        let app = runtime.block_on(async {
            let store: Arc<dyn Store> = Arc::new(Sqlite::open(data.path(), Box::new(|_, _| {}))?);
            let engine = Arc::new(open_engine(&models)?);
            let blank = Arc::clone(&engine);
            let writers = Writers::new(store, Settings::default(), Box::new(move || blank.new_memory()));
            engine.warm_up().await;
            anyhow::Ok(App::new(engine, writers, Arc::new(Metrics::default()), Duration::from_millis(20)))
        })?;
        let habits = Habits {
            k: usize::from(plan.k),
            policy: Policy::Partial,
            min_saving: 1,
            attention: plan.attention,
        };
        Ok(Self { plan, runtime, app, habits, _data: data })
    }

    /// Teaches the history, then types each message and teaches it.
    async fn stream(&self, number: usize, stream: &Stream, bar: &ProgressBar) -> Result<Score> {
        let writer = (!self.plan.no_personal).then(|| format!("writer-{number}"));
        for text in &stream.history {
            self.learn(writer.as_deref(), text).await?;
        }
        let mut score = Score::default();
        for (at, message) in stream.measured(self.plan).iter().enumerate() {
            let session = format!("{number}-{at}");
            self.message(writer.as_deref(), &session, message, &mut score).await?;
            self.learn(writer.as_deref(), &message.text).await?;
            bar.inc(1);
        }
        Ok(score)
    }

    async fn message(
        &self,
        writer: Option<&str>,
        session: &str,
        message: &Message,
        score: &mut Score,
    ) -> Result<()> {
        let target = Target::new(&message.text[..]);
        let (mut typist, mut reader) = (Typist::new(&target, self.habits), Reader::default());
        while let Some(draft) = typist.draft() {
            let keystroke = self.keystroke(writer, session, &message.context, draft)?;
            let answer = self.app.complete(keystroke, Instant::now()).await;
            let of_models = answer.completion.source == Source::Models;
            let statuses = answer.completion.predictors.into_iter();
            let used = statuses.filter(|(_, status)| *status == Status::Used).map(|(who, _)| who.name());
            score.answered(of_models.then_some(used));
            let suggestions = answer.completion.suggestions.into_iter();
            let offered: Vec<_> = suggestions
                .map(|suggestion| (suggestion.text, suggestion.confidence))
                .filter(|(text, _)| !text.trim().is_empty())
                .collect();
            reader.read(&target, typist.at(), &offered, self.habits.policy, score);
            let texts: Vec<_> = offered.iter().map(|(text, _)| text).collect();
            if let Some(taken) = typist.see(&texts, &mut score.stats)
                && !self.plan.no_feedback
            {
                self.tell(answer.id, taken).await?;
            }
        }
        Ok(())
    }

    /// As a client would ask.
    fn keystroke(
        &self,
        writer: Option<&str>,
        session: &str,
        context: &[Value],
        draft: &str,
    ) -> Result<Keystroke> {
        let body = json!({
            "text": draft, "context": context, "session": session, "writer": writer,
            "max_suggestions": self.plan.k, "budget_ms": self.plan.budget_ms, "min_confidence": self.plan.min_confidence,
        });
        let request: CompleteRequest = serde_json::from_value(body).context("a message of the stream")?;
        Ok(request.check()?)
    }

    async fn learn(&self, writer: Option<&str>, text: &str) -> Result<()> {
        if let Some(writer) = writer {
            let request: LearnRequest = serde_json::from_value(json!({"writer": writer, "text": text}))?;
            self.app.learn(request.check()?).await?;
        }
        Ok(())
    }

    async fn tell(&self, id: String, taken: Match) -> Result<()> {
        let outcome = if taken.full { Outcome::Accepted } else { Outcome::Partial };
        let chars = u32::try_from(taken.chars)?;
        let verdict = foretype::app::Verdict { id, outcome, index: taken.rank, chars };
        Ok(self.app.feedback(verdict).await?)
    }
}
