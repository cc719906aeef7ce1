//! A service without a network, and typists before it: streams of real messages, strictly forward in time.
//!
//! Everything but the network is the service's own: requests are checked, learned messages are stored, outcomes are
//! heard. Answers have all the time there can be, so that figures do not depend on how busy the machine is; streams are
//! typed in parallel, each by a service of its own.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use foretype::app::{Answer, App, Keystroke, Verdict};
use foretype::cli::Models;
use foretype::engine::{Outcome, Predictor, Source, Status};
use foretype::serve::open_app;
use foretype::wire::{CompleteRequest, LearnRequest};
use foretype::writer::{Settings, TeamId, WriterId};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tempfile::TempDir;

use crate::corpus::{Message, Stream};
use crate::score::{Reader, Score};
use crate::typist::{Habits, Match, Policy, Target, Typist};

/// How long what a message says of the predictors is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who predicts, what requests say, and how the typist works.
#[derive(Clone, Debug, clap::Args)]
pub struct Setup {
    /// Folder of the models. Default: `models/bundle` of the checkout
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// ONNX Runtime's library. Default: that of the checkout
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// Who predicts
    #[arg(long, value_delimiter = ',', default_values = ["gpt2", "personal", "team", "domain", "charlm"])]
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
    /// The writers of a file are a team: they type in turn, a message each, and share what enough of them use
    #[arg(long, conflicts_with = "no_personal")]
    pub team: bool,
    /// Characters of each writer's history that are taught, the newest. Default: all
    #[arg(long, value_name = "COUNT")]
    pub taught: Option<usize>,
    /// The conversation is not told
    #[arg(long)]
    pub no_context: bool,
    /// Outcomes are not told
    #[arg(long)]
    pub no_feedback: bool,
    /// Messages of each stream. Default: all
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Milliseconds an answer may take, 1 to 1000
    #[arg(long, value_name = "MS", default_value_t = 1000.0)]
    pub budget_ms: f64,
    /// Spend less on the GPT-2, as `foretype serve --thrift`. Default: it is asked everywhere, whatever that takes
    #[arg(long, value_name = "QUESTIONS")]
    pub thrift: Option<u32>,
    /// Streams typed at once. Default: one a core
    #[arg(long, value_name = "COUNT")]
    pub jobs: Option<usize>,
}

fn predictor(name: &str) -> Result<Predictor, String> {
    Predictor::from_name(name.trim())
        .ok_or_else(|| "one of gpt2, personal, team, domain, charlm, recall".into())
}

/// That of the command line, without a predictor.
impl Default for Setup {
    fn default() -> Self {
        Self {
            bundle: None,
            runtime: None,
            predictors: Vec::new(),
            k: 1,
            attention: 0.8,
            min_confidence: None,
            no_personal: false,
            team: false,
            taught: None,
            no_context: false,
            no_feedback: false,
            limit: None,
            budget_ms: 1000.0,
            thrift: None,
            jobs: None,
        }
    }
}

impl Setup {
    /// How the typist works.
    pub fn habits(&self) -> Habits {
        Habits { k: usize::from(self.k), policy: Policy::Partial, min_saving: 1, attention: self.attention }
    }
}

/// What a typist saw before a key, and did.
pub(crate) struct Moment<'a> {
    pub(crate) target: &'a Target,
    /// Characters in the box.
    pub(crate) at: usize,
    pub(crate) answer: &'a Answer,
    /// What was shown.
    pub(crate) offered: &'a [(String, f32)],
    /// Keystrokes that reading it cost; `None`: it was not new.
    pub(crate) reading: Option<f64>,
    pub(crate) taken: Option<Match>,
}

/// Somebody who looks over the typists' shoulders.
pub(crate) trait Witness {
    /// Whether answers are to be explained.
    const DEBUG: bool = false;

    /// Before the first key of a message.
    async fn begin(&mut self, _: &Desk<'_>, _: Option<&str>, _: &Message) -> Result<()> {
        Ok(())
    }

    /// After each key.
    fn see(&mut self, _: &Moment<'_>) {}
}

/// Nobody.
impl Witness for () {}

/// Types every stream, and says for each what it was worth and what its witness has to tell.
pub(crate) fn type_streams<W: Witness + Default + Send>(
    setup: &Setup,
    streams: &[Stream],
) -> Result<Vec<(Score, W)>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = setup.jobs.unwrap_or(cores).clamp(1, streams.len().max(1));
    let messages: usize = streams.iter().map(|stream| stream.measured(setup.limit).len()).sum();
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} messages  {elapsed} (left {eta})")?;
    let bar = ProgressBar::new(messages as u64).with_style(style);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let job = || -> Result<()> {
        let desk = Desk::open(setup)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(stream) = streams.get(at) else { return Ok(()) };
            let mut typed = Typed::<W>::default();
            desk.runtime.block_on(desk.stream(at, stream, &bar, &mut typed))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, typed));
        }
    };
    if setup.team {
        let desk = Desk::open(setup)?;
        let typed = desk.runtime.block_on(desk.team(streams, &bar))?;
        bar.finish_and_clear();
        return Ok(typed.into_iter().map(|typed| (typed.score, typed.witness)).collect());
    }
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(job)).collect();
        jobs.into_iter().try_for_each(|job| job.join().unwrap_or_else(|_| bail!("a job panicked")))
    })?;
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    // In the order of the streams, whoever typed them: sums of floats depend on it.
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, typed)| (typed.score, typed.witness)).collect())
}

/// What was typed of a stream, and who saw it.
#[derive(Default)]
struct Typed<W> {
    score: Score,
    witness: W,
}

fn name(number: usize) -> String {
    format!("writer-{number}")
}

/// A service without a network, and the typist before it.
pub(crate) struct Desk<'a> {
    setup: &'a Setup,
    runtime: tokio::runtime::Runtime,
    pub(crate) app: App,
    /// What writers taught; gone when the run is.
    _data: TempDir,
}

impl<'a> Desk<'a> {
    fn open(setup: &'a Setup) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let data = tempfile::tempdir()?;
        let models = Models {
            data: Some(data.path().to_owned()),
            bundle: setup.bundle.clone(),
            runtime: setup.runtime.clone(),
            predictors: setup.predictors.clone(),
            kv_mib: 96,
            inference_threads: 1,
            int4_kernel: Default::default(),
            thrift: setup.thrift,
        };
        let app = runtime.block_on(async {
            let mut app = open_app(&models, Settings::default(), Duration::from_millis(20))?;
            app.effort.patience = PATIENCE;
            app.engine.warm_up().await;
            anyhow::Ok(app)
        })?;
        Ok(Self { setup, runtime, app, _data: data })
    }

    /// Teaches the history, then types each message and teaches it.
    async fn stream<W: Witness>(
        &self,
        number: usize,
        stream: &Stream,
        bar: &ProgressBar,
        typed: &mut Typed<W>,
    ) -> Result<()> {
        self.teach(number, stream).await?;
        for at in 0..stream.measured(self.setup.limit).len() {
            self.turn(number, stream, at, typed).await?;
            bar.inc(1);
        }
        Ok(())
    }

    /// All streams as a team: the histories, then the first message of each, the second, and so on.
    async fn team<W: Witness + Default>(
        &self,
        streams: &[Stream],
        bar: &ProgressBar,
    ) -> Result<Vec<Typed<W>>> {
        let team = TeamId::new("team")?;
        for (number, stream) in streams.iter().enumerate() {
            self.app.assign(&WriterId::new(&name(number))?, Some(team.clone())).await?;
            self.teach(number, stream).await?;
        }
        let mut typed: Vec<Typed<W>> = streams.iter().map(|_| Typed::default()).collect();
        let longest = streams.iter().map(|stream| stream.measured(self.setup.limit).len()).max().unwrap_or(0);
        for at in 0..longest {
            for (number, stream) in streams.iter().enumerate() {
                if at < stream.measured(self.setup.limit).len() {
                    // As if the moment had passed that it follows its members behind.
                    self.app.about_team(&team).await?;
                    self.turn(number, stream, at, &mut typed[number]).await?;
                    bar.inc(1);
                }
            }
        }
        Ok(typed)
    }

    /// The history.
    async fn teach(&self, number: usize, stream: &Stream) -> Result<()> {
        let writer = self.writer(number);
        for text in stream.taught(self.setup.taught) {
            self.learn(writer.as_deref(), text).await?;
        }
        Ok(())
    }

    /// Types a message and teaches it.
    async fn turn<W: Witness>(
        &self,
        number: usize,
        stream: &Stream,
        at: usize,
        typed: &mut Typed<W>,
    ) -> Result<()> {
        let (writer, session) = (self.writer(number), format!("{number}-{at}"));
        let message = &stream.measured(self.setup.limit)[at];
        typed.witness.begin(self, writer.as_deref(), message).await?;
        let Typed { score, witness } = typed;
        self.message(writer.as_deref(), &session, message, score, witness).await?;
        self.learn(writer.as_deref(), &message.text).await
    }

    fn writer(&self, number: usize) -> Option<String> {
        (!self.setup.no_personal).then(|| name(number))
    }

    async fn message<W: Witness>(
        &self,
        writer: Option<&str>,
        session: &str,
        message: &Message,
        score: &mut Score,
        witness: &mut W,
    ) -> Result<()> {
        let target = Target::new(&message.text[..]);
        let habits = self.setup.habits();
        let (mut typist, mut reader) = (Typist::new(&target, habits), Reader::default());
        while let Some(draft) = typist.draft() {
            let keystroke = Keystroke {
                session: Some(session.to_owned()),
                debug: W::DEBUG,
                // It makes answers quicker, not better, and here nobody looks at them for long.
                look_ahead: false,
                ..self.keystroke(writer, message, draft)?
            };
            let answer = self.app.complete(keystroke, Instant::now()).await?;
            let of_models = answer.completion.source == Source::Models;
            let statuses = answer.completion.predictors.into_iter();
            let used = statuses.filter(|(_, status)| *status == Status::Used).map(|(who, _)| who.name());
            let neural = answer.completion.neural.unwrap_or_default();
            score.answered(answer.completion.fast, neural.worked, of_models.then_some(used));
            let suggestions = answer.completion.suggestions.iter();
            let offered: Vec<_> = suggestions
                .map(|suggestion| (suggestion.text.clone(), suggestion.confidence))
                .filter(|(text, _)| !text.trim().is_empty())
                .collect();
            let at = typist.at();
            let reading = reader.read(&target, at, &offered, habits.policy, score);
            let texts: Vec<_> = offered.iter().map(|(text, _)| text).collect();
            let taken = typist.see(&texts, &mut score.stats);
            witness.see(&Moment { target: &target, at, answer: &answer, offered: &offered, reading, taken });
            if let Some(taken) = taken
                && !self.setup.no_feedback
            {
                self.tell(answer.id, taken).await?;
            }
        }
        Ok(())
    }

    /// As a client would ask.
    pub(crate) fn keystroke(
        &self,
        writer: Option<&str>,
        message: &Message,
        draft: &str,
    ) -> Result<Keystroke> {
        let context = if self.setup.no_context { &[][..] } else { &message.context };
        let body = json!({
            "text": draft, "context": context, "writer": writer, "max_suggestions": self.setup.k,
            "budget_ms": self.setup.budget_ms, "min_confidence": self.setup.min_confidence,
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
        Ok(self.app.feedback(Verdict { id, outcome, index: taken.rank, chars }).await?)
    }
}
