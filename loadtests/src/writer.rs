//! One writer at work: presses keys when they are due, takes of what has come by then what is right, and goes on if nothing
//! has.
//!
//! The draft is asked about with the key that made it so; at the next key the typist of [`crate::typist`] sees what is on the
//! screen. A key that is slipped is taken back at the next, which costs time and answers and is not counted as a keystroke, so
//! that what is saved compares with typing in process.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::corpus::{Message, Stream};
use crate::line::{Heard, Line, Opening, Outcome};
use crate::pacer::Pace;
use crate::rhythm::{Hands, Pause};
use crate::score::{Reader, Score};
use crate::tally::{IN_AN_OPEN_DRAFT, Tally};
use crate::typist::{Habits, Match, Target, Typist};

/// How long the last answer is waited for, and any by who waits for every answer.
const LAST: Duration = Duration::from_secs(10);

/// What Retry-After says, and how long nothing is asked after `busy` over a WebSocket.
const RETRY: Duration = Duration::from_secs(1);

/// What all writers of a run have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) streams: Vec<Stream>,
    pub(crate) writers: usize,
    /// Messages of each stream.
    pub(crate) limit: Option<usize>,
    /// Characters of history.
    pub(crate) taught: Option<usize>,
    /// What the writers' names begin with; `None`: they have none, and nothing is learned.
    pub(crate) name: Option<String>,
    /// The run's own, so that sessions of another run are not met.
    pub(crate) run: String,
    pub(crate) habits: Habits,
    /// Share of letters.
    pub(crate) slips: f64,
    pub(crate) feedback: bool,
    pub(crate) budget_ms: Option<f64>,
    pub(crate) min_confidence: Option<f32>,
    /// Every answer is waited for, there is no rhythm, and each stream is typed once.
    pub(crate) patient: bool,
    pub(crate) tally: Mutex<Tally>,
}

impl Common {
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The draft that was asked about last.
#[derive(Debug)]
struct Asked {
    /// When its key was due.
    due: Instant,
    /// The newest answer's id and suggestions.
    seen: Option<(String, Vec<(String, f32)>)>,
    /// An answer came.
    heard: bool,
    /// No more is to come.
    over: bool,
}

/// One writer.
pub(crate) struct Writer<L> {
    number: usize,
    common: Arc<Common>,
    line: L,
    pace: Pace,
    hands: Hands,
    /// When the next key is due, or the last one was.
    due: Instant,
    until: Instant,
    asked: Option<Asked>,
    /// The draft was answered before.
    let_in: bool,
    /// Until then nothing is asked: the service said so.
    not_before: Instant,
}

impl<L: Line> Writer<L> {
    /// Number `number` of them.
    pub(crate) fn new(number: usize, common: Arc<Common>, line: L, pace: Pace, hands: Hands) -> Self {
        let now = Instant::now();
        Self {
            number,
            common,
            line,
            pace,
            hands,
            due: now,
            until: now,
            asked: None,
            let_in: false,
            not_before: now,
        }
    }

    /// Teaches the history of the first stream.
    ///
    /// # Errors
    /// When the service does not take it.
    pub(crate) async fn prepare(&mut self) -> Result<()> {
        if self.number < self.common.streams.len() {
            self.teach(self.number, 0).await?;
        }
        Ok(())
    }

    /// Types one stream after another, each as another person: from some moment of the time after `begin` until `until` or, if
    /// they are patient, the end of the streams.
    ///
    /// # Errors
    /// When the service does not take the history of one.
    pub(crate) async fn work(mut self, begin: Instant, arrival: Duration, until: Instant) -> Result<()> {
        self.until = until;
        self.due = begin + self.hands.start(arrival);
        self.pace.until(self.due).await;
        let common = Arc::clone(&self.common);
        for round in 0.. {
            let turn = self.number + round * common.writers;
            if common.patient && turn >= common.streams.len() {
                return Ok(());
            }
            let at = turn % common.streams.len();
            if round > 0 {
                self.teach(at, round).await?;
            }
            for (number, message) in common.streams[at].measured(common.limit).iter().enumerate() {
                if !self.message(&common, (at, number), message, round).await {
                    self.wait_for_answer().await;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn name(&self, round: usize) -> Option<String> {
        let name = self.common.name.as_ref()?;
        Some(format!("{name}-{}-{round}", self.number))
    }

    async fn teach(&mut self, stream: usize, round: usize) -> Result<()> {
        let Some(writer) = self.name(round) else { return Ok(()) };
        let common = Arc::clone(&self.common);
        let opening =
            Opening { writer: Some(writer), session: self.session(round, "history"), ..self.opening() };
        for text in common.streams[stream].taught(common.taught) {
            while let Err(reason) = self.tell(&opening, text).await {
                if !comes_back(&reason) || Instant::now() > self.until + LAST {
                    bail!("the service does not learn the history of a writer: {reason}");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
        self.due = self.due.max(Instant::now());
        Ok(())
    }

    /// Has a message learned, and waits until it is.
    async fn tell(&mut self, opening: &Opening, text: &str) -> Result<(), String> {
        self.line.open(opening.clone()).await?;
        self.line.learn(text).await?;
        while self.line.errands() > 0 {
            match self.line.heard().await {
                Heard::Errand(done) => done?,
                Heard::Refused(reason) => return Err(reason),
                Heard::Answer { .. } => {}
            }
        }
        Ok(())
    }

    fn opening(&self) -> Opening {
        Opening {
            max_suggestions: u16::try_from(self.common.habits.k).unwrap_or(u16::MAX),
            budget_ms: self.common.budget_ms,
            min_confidence: self.common.min_confidence,
            ..Opening::default()
        }
    }

    fn session(&self, round: usize, message: impl std::fmt::Display) -> String {
        format!("{}-{}-{round}-{message}", self.common.run, self.number)
    }

    /// Types a message and sends it; whether there was time.
    async fn message(
        &mut self,
        common: &Common,
        message: (usize, usize),
        Message { context, text }: &Message,
        round: usize,
    ) -> bool {
        let target = Target::new(&text[..]);
        let (mut typist, mut reader) = (Typist::new(&target, common.habits), Reader::default());
        let (mut score, begun) = (Score::default(), self.due);
        self.let_in = false;
        let opening = Opening {
            writer: self.name(round),
            session: self.session(round, message.1),
            context: context.clone(),
            ..self.opening()
        };
        let opened = self.line.open(opening).await;
        self.check(opened);
        while let Some(draft) = typist.draft() {
            self.ask(draft).await;
            if !self.next_key(Pause::after(draft)).await {
                return false;
            }
            let (id, offered) = self.asked.as_mut().and_then(|asked| asked.seen.take()).unwrap_or_default();
            reader.read(&target, typist.at(), &offered, common.habits.policy, &mut score);
            let texts: Vec<_> = offered.iter().map(|(text, _)| text).collect();
            let there = match typist.see(&texts, &mut score.stats) {
                Some(taken) => self.take(id, taken).await,
                None => self.slip(draft, text[draft.len()..].chars().next()).await,
            };
            if !there {
                return false;
            }
        }
        if self.name(round).is_some() {
            let sent = self.line.learn(text).await;
            self.check(sent);
            self.settle().await;
        }
        common.tally().finished(begun, self.due, message, score);
        true
    }

    /// Presses a key for each word that is taken, the first now, and says so.
    async fn take(&mut self, id: String, taken: Match) -> bool {
        for _ in 1..taken.cost {
            if !self.next_key(Pause::Within).await {
                return false;
            }
        }
        if self.common.feedback {
            let outcome = if taken.full { "accepted" } else { "partial" };
            let told =
                self.line.outcome(Outcome { id, outcome, index: taken.rank, chars: taken.chars }).await;
            self.check(told);
            self.settle().await;
        }
        true
    }

    /// Now and then another key is pressed in place of `right`, seen and taken back before `right` is.
    async fn slip(&mut self, draft: &str, right: Option<char>) -> bool {
        let Some(wrong) = right.and_then(|right| self.hands.slip(right, self.common.slips)) else {
            return true;
        };
        self.common.tally().slipped(self.due);
        for draft in [&format!("{draft}{wrong}"), draft] {
            self.ask(draft).await;
            // Half of the surprise at each of the two.
            if !self.next_key(Pause::Word).await {
                return false;
            }
        }
        true
    }

    /// Asks about the draft as the key that is due now has made it.
    async fn ask(&mut self, draft: &str) {
        if let Some(asked) = self.asked.take().filter(|asked| !asked.over) {
            self.common.tally().overtaken(asked.due, asked.heard);
        }
        if !self.common.patient && Instant::now() < self.not_before {
            self.common.tally().waits(self.due);
            return;
        }
        self.common.tally().asked(self.due);
        let sent = self.line.edit(draft).await;
        self.asked = Some(Asked { due: self.due, seen: None, heard: false, over: sent.is_err() });
        self.check(sent);
    }

    /// Waits until the next key is due and hears what comes until then; whether there is time for it.
    async fn next_key(&mut self, pause: Pause) -> bool {
        if self.common.patient {
            self.wait_for_answer().await;
            self.due = Instant::now();
            return true;
        }
        self.due += self.hands.gap(pause);
        if self.due >= self.until {
            return false;
        }
        let pace = self.pace.clone();
        let mut due = pin!(pace.until(self.due));
        loop {
            tokio::select! {
                biased;
                heard = self.line.heard() => self.hear(heard),
                () = &mut due => return true,
            }
        }
    }

    /// Waits for the whole answer to the newest draft.
    async fn wait_for_answer(&mut self) {
        let waited = tokio::time::timeout(LAST, async {
            while self.asked.as_ref().is_some_and(|asked| !asked.over) {
                let heard = self.line.heard().await;
                self.hear(heard);
            }
        });
        if waited.await.is_err()
            && let Some(asked) = &mut self.asked
        {
            asked.over = true;
            let due = asked.due;
            self.common.tally().failed(due, format!("no answer in {} s", LAST.as_secs()));
        }
    }

    /// Who is patient also waits until what they told is taken.
    async fn settle(&mut self) {
        let waited = tokio::time::timeout(LAST, async {
            while self.common.patient && self.line.errands() > 0 {
                let heard = self.line.heard().await;
                self.hear(heard);
            }
        });
        let waited = waited.await.map_err(|_| format!("nothing learned in {} s", LAST.as_secs()));
        self.check(waited);
        if self.common.patient {
            self.due = Instant::now();
        }
    }

    fn hear(&mut self, heard: Heard) {
        let common = Arc::clone(&self.common);
        match (heard, &mut self.asked) {
            (Heard::Answer { answer, whole }, Some(asked)) => {
                let mut tally = common.tally();
                if !std::mem::replace(&mut asked.heard, true) {
                    tally.answered_first(asked.due, whole);
                }
                if whole {
                    tally.answered(asked.due, &answer);
                    asked.over = true;
                    self.let_in = true;
                }
                let suggestions = answer.suggestions.into_iter();
                let offered = suggestions.map(|suggestion| (suggestion.text, suggestion.confidence));
                let offered = offered.filter(|(text, _)| !text.trim().is_empty()).collect();
                asked.seen = Some((answer.id, offered));
            }
            (Heard::Refused(reason), Some(asked)) => {
                asked.over = true;
                let due = asked.due;
                self.refused(due, reason);
            }
            (Heard::Refused(reason) | Heard::Errand(Err(reason)), _) => {
                common.tally().failed(Instant::now(), reason);
            }
            (Heard::Answer { .. }, None) | (Heard::Errand(Ok(())), _) => {}
        }
    }

    /// A key that was due at `due` is not answered.
    fn refused(&mut self, due: Instant, reason: String) {
        let busy = comes_back(&reason);
        if busy {
            self.not_before = Instant::now() + RETRY;
        }
        let reason = if busy && self.let_in { format!("{reason} {IN_AN_OPEN_DRAFT}") } else { reason };
        self.common.tally().failed(due, reason);
    }

    fn check(&mut self, done: Result<(), String>) {
        if let Err(reason) = done {
            self.refused(Instant::now(), reason);
        }
    }
}

/// Whether a refusal says when to try again: there is too much to do, or to store.
fn comes_back(reason: &str) -> bool {
    reason.starts_with("503") || reason.starts_with("429")
}
