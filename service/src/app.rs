//! What the service does, apart from how it is asked: complete, learn, hear an outcome; and what is kept of writers.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use tokio::sync::{Semaphore, watch};

use crate::answers::{AnswerId, Answers, Given, Heard, News};
use crate::caller::Caller;
use crate::door::Door;
use crate::engine::{
    Completion, Deadline, Early, Effort, Engine, Look, Predictor, Request, SessionKey, Shuffle,
};
use crate::error::ApiError;
use crate::holdout::Holdout;
use crate::keyring::Keyring;
use crate::ledger::{Group, Ledger, Offered};
use crate::metrics::{Metrics, Turned};
use crate::store::{TeamKey, WriterKey};
use crate::traces::{Trace, Traces};
use crate::writer::event::{Content, Judged, fixed};
use crate::writer::{Team, Writer, WriterId, Writers};

pub use asked::{About, AboutTeam, Answer, Keystroke, Lesson, Verdict};
pub use import::{Import, Imported};
pub(crate) use writers::mean_factors;

mod asked;
mod import;
mod learn;
mod now;
mod writers;

/// Requests worked on at once; more are told to retry, which keeps those that are in within their budget.
const CONCURRENCY: usize = 512;

/// Of these, requests at once whose body is long or of a length that nobody said: it may be long in arriving.
const LONG_BODIES: usize = 64;

/// Imports under way at once: each keeps a thread busy.
const IMPORTS: usize = 4;

/// WebSockets open at once.
const STREAMS: usize = 4_096;

/// Everything handlers share, and who asks. Cloning shares it.
#[derive(Clone)]
pub struct App {
    /// Predicts.
    pub engine: Arc<Engine>,
    /// Remembers what writers taught.
    pub writers: Arc<Writers>,
    /// Finds the answer an outcome is about.
    pub answers: Arc<Answers>,
    /// Counts; created once, in `main`, because the store counts too.
    pub metrics: Arc<Metrics>,
    /// Counts too, for the dashboard.
    pub ledger: Arc<Ledger>,
    /// Which sessions are shown nothing.
    pub holdout: Arc<Holdout>,
    /// Permits for requests in flight.
    pub admission: Arc<Semaphore>,
    /// Permits for requests that may be long in arriving.
    pub long_bodies: Arc<Semaphore>,
    /// Permits for WebSockets.
    pub streams: Arc<Semaphore>,
    /// Permits for imports.
    pub imports: Arc<Semaphore>,
    /// Who may begin a draft.
    pub door: Door,
    /// The API keys that hold.
    pub keys: Arc<Keyring>,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Traces some requests; `None`: none.
    pub traces: Option<Arc<Traces>>,
    /// The trace of the request at hand, if it has one.
    pub trace: Option<Arc<Trace>>,
    /// The budget of a request that names none.
    pub budget: Duration,
    /// What may be spent on weighing a message that is sent.
    pub effort: Effort,
    /// The share of lists that are shuffled below the first place, 0 to 1.
    pub shuffle_share: f32,
    stopping: Arc<watch::Sender<bool>>,
}

/// Resolves when the service stops, which is what open connections wait for.
#[derive(Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Waits for it; may be cancelled and called again.
    pub async fn wait(&mut self) {
        // An error says that the service is gone, and so has stopped.
        drop(self.0.wait_for(|stopping| *stopping).await);
    }
}

impl App {
    /// Ready to serve.
    pub fn new(engine: Arc<Engine>, writers: Arc<Writers>, metrics: Arc<Metrics>, budget: Duration) -> Self {
        let [admission, long_bodies, streams, imports] =
            [CONCURRENCY, LONG_BODIES, STREAMS, IMPORTS].map(|permits| Arc::new(Semaphore::new(permits)));
        let (answers, stopping) = (Arc::default(), Arc::new(watch::Sender::new(false)));
        let (ledger, holdout) = (Arc::default(), Arc::default());
        let (door, keys, caller) = (Door::default(), Arc::default(), Arc::new(Caller::local()));
        metrics.serves(&engine.health().bundle, budget);
        Self {
            engine,
            writers,
            answers,
            metrics,
            ledger,
            holdout,
            admission,
            long_bodies,
            streams,
            imports,
            door,
            keys,
            caller,
            traces: None,
            trace: None,
            budget,
            effort: Effort::SENDING,
            shuffle_share: 0.0,
            stopping,
        }
    }

    /// The same for another caller.
    pub fn asked_by(&self, caller: Arc<Caller>) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The same for a request that may be traced.
    pub fn traced(&self, trace: Option<Arc<Trace>>) -> Self {
        Self { trace, ..self.clone() }
    }

    /// Begins the trace of a request, if it is to be traced.
    pub fn begin_trace(&self, headers: Option<&HeaderMap>) -> Option<Arc<Trace>> {
        self.traces.as_ref()?.begin(headers)
    }

    fn stage(&self, name: &'static str, from: Instant) {
        if let Some(trace) = &self.trace {
            trace.stage(name, from);
        }
    }

    /// Tells open connections to end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// WebSockets that are open.
    pub fn streams_open(&self) -> usize {
        STREAMS - self.streams.available_permits()
    }

    /// Resolves when the service stops.
    pub fn stopping(&self) -> Stopping {
        Stopping(self.stopping.subscribe())
    }

    /// A keystroke over a protocol that knows no sessions, for which one is made up: kept only where nobody else types in it.
    pub fn of_plugin(&self, mut keystroke: Keystroke) -> Keystroke {
        keystroke.session.take_if(|_| !self.caller.is_one_person(keystroke.writer.as_ref()));
        keystroke
    }

    /// Answers a keystroke that had fully arrived at `arrived`.
    ///
    /// # Errors
    /// [`ApiError::Busy`] for a draft that was not seen lately, when there is more to do than can be done in time.
    pub async fn complete(&self, keystroke: Keystroke, arrived: Instant) -> Result<Answer, ApiError> {
        self.complete_in_stages(keystroke, arrived, None).await
    }

    /// The same, with what the fast tier says as an answer of its own before.
    pub async fn complete_in_stages(
        &self,
        mut keystroke: Keystroke,
        arrived: Instant,
        early: Option<Early<'_, Answer>>,
    ) -> Result<Answer, ApiError> {
        keystroke.writer = self.caller.own(keystroke.writer)?;
        let session = self.session(&keystroke);
        let is_open = session.as_ref().is_some_and(|session| self.engine.is_open(session));
        if !is_open && !self.door.admits(session.is_some()) {
            self.metrics.turned_away(Turned::Drafts);
            self.ledger.turned_away(Some(&self.caller.tenant));
            return Err(ApiError::Busy);
        }
        let budget = keystroke.budget.unwrap_or(self.budget);
        let deadline = Deadline::after(self.door.patience(budget.saturating_sub(arrived.elapsed())));
        let key = keystroke.writer.as_ref().map(|writer| self.caller.record(writer));
        self.enter(&keystroke, session.as_ref(), key.as_ref());
        let (learn, tells) = (keystroke.learn, keystroke.is_own);
        let Asked { mut request, stale, team } = self.request(keystroke, deadline).await;
        let id = self.answers.name();
        request.shuffle = (self.shuffle_share > 0.0).then(|| Shuffle::new(self.shuffle_share, id.seed()));
        let answer = |id: AnswerId, mut completion: Completion| {
            let record = std::mem::take(&mut completion.record);
            let given = Given {
                record: if learn { record } else { Default::default() },
                offered: completion.suggestions.iter().map(Offered::new).collect(),
                saved: AtomicU32::new(0),
                heard: Heard::default(),
                tells,
                tenant: Arc::clone(&self.caller.tenant),
                team: team.as_ref().map(|key| Arc::clone(&key.team)),
                writer: key.clone().filter(|_| learn),
            };
            let id = self.answers.remember(id, given);
            Answer { id, completion, elapsed: arrived.elapsed(), budget, stale }
        };
        let mut early = early.map(|Early { after, hear }| {
            (after, |completion: Completion| {
                self.metrics.answered_early();
                hear(answer(self.answers.name(), completion));
            })
        });
        let early = early.as_mut().map(|(after, hear)| Early { after: *after, hear });
        let answer = answer(id, self.engine.complete_in_stages(request, early).await);
        self.door.answered();
        self.metrics.answered(&answer.completion, answer.elapsed, budget);
        self.ledger.answered(&answer.completion, answer.elapsed, budget, &self.caller.tenant);
        if let Some(trace) = &self.trace {
            trace.answered(&answer.completion, answer.elapsed > budget);
        }
        Ok(answer)
    }

    /// Lets the models read what stands before a draft, before its first key comes, if there is time.
    pub async fn prepare(&self, mut keystroke: Keystroke) -> Result<(), ApiError> {
        keystroke.writer = self.caller.own(keystroke.writer)?;
        if self.door.leaves_time() && !self.is_held_out(&keystroke) {
            self.engine.prepare(&self.request(keystroke, Deadline::after(PREPARING)).await.request);
        }
        Ok(())
    }

    /// Enters a key into the ledger.
    fn enter(&self, keystroke: &Keystroke, session: Option<&SessionKey>, writer: Option<&WriterKey>) {
        let group = if self.is_held_out(keystroke) { Group::HeldOut } else { Group::Others };
        if let Some(session) = session {
            // Of the whole draft, which is as long wherever the cursor is.
            let draft = keystroke.text.chars().chain(keystroke.after.chars());
            self.ledger.key(session, group, draft.count());
        }
        if let Some(writer) = writer.filter(|_| keystroke.learn) {
            self.ledger.typed(writer, group, keystroke.is_own);
        }
    }

    /// Whether the session is shown nothing.
    fn is_held_out(&self, keystroke: &Keystroke) -> bool {
        let writer = keystroke.writer.as_ref().map(WriterId::as_str);
        let holds = |session| self.holdout.holds(&self.caller.tenant, writer, session);
        keystroke.session.as_deref().filter(|_| keystroke.is_own).is_some_and(holds)
    }

    /// What is kept of a draft between its keystrokes goes under this name.
    fn session(&self, keystroke: &Keystroke) -> Option<SessionKey> {
        let session = keystroke.session.as_deref().filter(|_| keystroke.learn)?;
        let writer = keystroke.writer.as_ref().map(WriterId::shared);
        Some(SessionKey { tenant: Arc::clone(&self.caller.tenant), writer, session: session.into() })
    }

    /// What the engine is asked.
    async fn request(&self, keystroke: Keystroke, deadline: Deadline) -> Asked {
        let key = keystroke.writer.as_ref().map(|writer| self.caller.record(writer));
        let writer = match &key {
            Some(key) => self.writers.get_by(key, deadline).await,
            None => None,
        };
        let unread = writer.is_none() && key.as_ref().is_some_and(|key| self.writers.store().blocks(key));
        let stale = is_stale(writer.as_deref(), keystroke.min_seq, deadline).await;
        let (session, held_out) = (self.session(&keystroke), self.is_held_out(&keystroke));
        let team = self.team_of(writer.as_deref());
        let request = Request {
            text: keystroke.text,
            after: keystroke.after,
            context: keystroke.context,
            role: keystroke.role,
            memory: writer.as_ref().map(|writer| writer.memory()),
            team: team.as_ref().and_then(|team| self.shared_by(team)),
            session,
            max_suggestions: keystroke.max_suggestions,
            min_confidence: keystroke.min_confidence,
            learn: keystroke.learn,
            unread,
            held_out,
            shuffle: None,
            corrections: keystroke.corrections,
            look_ahead: keystroke.look_ahead && self.door.leaves_time(),
            debug: keystroke.debug,
            deadline,
        };
        Asked { request, stale, team }
    }

    /// The writer's team, or that of the key if they are in none.
    fn team_of(&self, writer: Option<&Writer>) -> Option<TeamKey> {
        writer.and_then(Writer::team).or_else(|| self.caller.own_team())
    }

    /// What a team shares by now.
    fn shared_by(&self, team: &TeamKey) -> Option<Arc<Team>> {
        self.engine.is_enabled(Predictor::Team).then(|| self.writers.teams().get(team))
    }

    /// Hears what became of a suggestion; resolves once it is durable. What was heard before changes nothing.
    pub async fn feedback(&self, verdict: Verdict) -> Result<(), ApiError> {
        let unknown = || ApiError::NotFound("no answer of this id in the last 10 minutes".into());
        let answer = self.answers.find(&verdict.id).ok_or_else(unknown)?;
        let given = &answer.1;
        let anothers = given.writer.as_ref().is_some_and(|key| !self.caller.was_given(key));
        if anothers || given.tenant != self.caller.tenant {
            return Err(unknown());
        }
        if verdict.index >= given.offered.len() {
            let message = format!("the answer had {} suggestions", given.offered.len());
            return Err(ApiError::invalid("index", message));
        }
        let told = (verdict.index, verdict.outcome, verdict.chars);
        let Some(news) = given.heard.note(told) else { return Ok(()) };
        // To the end, whether or not the client waits for it: what cannot be recorded is new when it is told again.
        let app = self.clone();
        let heard = tokio::spawn(async move { app.hear(&answer.1, &verdict, news).await });
        heard.await.unwrap_or(Err(ApiError::Internal))
    }

    async fn hear(&self, given: &Given, verdict: &Verdict, news: News) -> Result<(), ApiError> {
        // Also if it cannot be recorded: what is not wanted is not shown again.
        self.engine.outcome(&given.record, verdict.index, verdict.outcome);
        if let Some(key) = &given.writer {
            let index = u16::try_from(verdict.index).unwrap_or(u16::MAX);
            let look = given.record.looks.get(verdict.index).copied().unwrap_or_default();
            let look = if news.looked { look } else { Look::NONE };
            let (weight, passed) = (fixed(look.weight), look.passed.map(fixed));
            let judged = Judged { outcome: verdict.outcome, index, chars: verdict.chars, weight, passed };
            let recorded =
                self.writers.record(key, &Content::Judged(judged), crate::clock::now_ms(), None).await;
            let told = (verdict.index, verdict.outcome, verdict.chars);
            recorded.inspect_err(|_| given.heard.forget(told))?;
        }
        self.metrics.judged(verdict.outcome);
        self.ledger.judged(given, verdict.index, verdict.outcome, verdict.chars);
        Ok(())
    }
}

/// What the engine is asked for a keystroke.
struct Asked {
    request: Request,
    /// Whether `min_seq` was not reached.
    stale: bool,
    /// The team that the writer is in.
    team: Option<TeamKey>,
}

/// How long the models may read what stands before a draft.
const PREPARING: Duration = Duration::from_secs(1);

/// Waits for `min_seq` for a quarter of what is left; the rest is for predicting.
async fn is_stale(writer: Option<&Writer>, min_seq: Option<u64>, deadline: Deadline) -> bool {
    match (min_seq, writer) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(seq), Some(writer)) => writer.seq() < seq && !writer.reached(seq, deadline.left() / 4).await,
    }
}
