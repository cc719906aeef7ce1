//! `POST /v1/complete`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Role, Turn, composed, name, newest, role_or_default, window, within};
use crate::app::{Answer, Keystroke};
use crate::engine;
use crate::error::ApiError;
use crate::writer::WriterId;

/// A keystroke. Only `text` is required.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteRequest {
    /// The message up to the cursor. The last 4,096 characters count, of a longer one some fewer, so that they begin at the same
    /// place for many keys: send all of it.
    #[schema(example = "Thanks for calling, I can he")]
    pub text: String,
    /// Who is typing. Absent: no personalisation.
    #[schema(value_type = Option<String>, pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._@:-]{1,128}$")]
    pub writer: Option<WriterId>,
    /// Who is writing. Absent: `agent` if the context has a customer's turn, else `author`.
    pub role: Option<Role>,
    /// The conversation before the draft, oldest first; the newest 100 turns count.
    #[serde(default)]
    pub context: Vec<Turn>,
    /// What follows the cursor; suggestions never repeat it.
    #[serde(default)]
    pub after: String,
    /// Keeps caches warm between keystrokes of one draft.
    pub session: Option<String>,
    /// How many suggestions at most.
    #[schema(minimum = 1, maximum = 10, default = 1)]
    pub max_suggestions: Option<u32>,
    /// Milliseconds within which the answer must be there. Absent: the server's, 20.
    #[schema(minimum = 1, maximum = 1000, example = 20)]
    pub budget_ms: Option<f64>,
    /// Suggestions below it are not shown. Absent: the server's; 0 shows whatever was found.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub min_confidence: Option<f32>,
    /// `false`: nothing of this request is kept, not even in the session.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub learn: bool,
    /// Answer with at least this learned (from the learn answer), or say `"stale": true`.
    pub min_seq: Option<u64>,
    /// `true`: a word that is mistyped so far may be suggested right, with a `replace`.
    #[serde(default)]
    pub corrections: bool,
    /// Adds timings, candidates and mixture weights.
    #[serde(default)]
    pub debug: bool,
}

fn yes() -> bool {
    true
}

impl CompleteRequest {
    /// What the service is asked, checked.
    pub fn check(self) -> Result<Keystroke, ApiError> {
        let max_suggestions = within("max_suggestions", self.max_suggestions.unwrap_or(1), 1, 10)?;
        let budget = self.budget_ms.map(|budget| within("budget_ms", budget, 1.0, 1_000.0)).transpose()?;
        let min_confidence =
            self.min_confidence.map(|least| within("min_confidence", least, 0.0, 1.0)).transpose()?;
        let text = window(self.text);
        let before = text.chars().count();
        let text = composed(text);
        // What replaces characters counts those that the client has.
        let corrections = self.corrections && text.chars().count() == before;
        Ok(Keystroke {
            role: role_or_default(self.role, &self.context),
            text,
            after: composed(self.after),
            context: newest(self.context),
            writer: self.writer,
            session: name("session", self.session)?,
            is_own: true,
            max_suggestions: max_suggestions as usize,
            budget: budget.map(|ms| Duration::from_secs_f64(ms / 1e3)),
            min_confidence,
            learn: self.learn,
            min_seq: self.min_seq,
            corrections,
            look_ahead: true,
            debug: self.debug,
        })
    }
}

/// The answer to a keystroke.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompleteResponse {
    /// Names this answer in `POST /v1/feedback` for 10 minutes.
    pub id: String,
    /// Best first, or as the server's `--shuffle-share` has it in random order below the first; they differ in their first word.
    pub suggestions: Vec<Suggestion>,
    /// Why there is none: `low_confidence`, `empty_text`, `word_complete`, `rejected_here`, `blocked`, `private_data`,
    /// `number`, `unknown_script`, `repeats_after`, `no_candidate` or `disabled`: the operator has this session go without.
    pub silence: Option<&'static str>,
    /// `models`, or `type_through`: the writer typed what the last suggestion said, and its rest stays.
    pub source: &'static str,
    /// Milliseconds from the request's last byte to this answer.
    pub elapsed_ms: f64,
    /// The budget that held.
    #[schema(value_type = f64)]
    pub budget_ms: serde_json::Number,
    /// What became of each predictor: `used`, `empty`, `late`, `skipped` or `off`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub predictors: BTreeMap<&'static str, &'static str>,
    /// `true`: `min_seq` had not been reached in time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// The explanation that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<serde_json::Value>,
}

/// One suggestion.
#[derive(Debug, Serialize, ToSchema)]
pub struct Suggestion {
    /// Inserted at the cursor as it stands.
    #[schema(example = "lp you with that. ")]
    pub text: String,
    /// Characters (Unicode scalar values) before the cursor that accepting it takes away first: a mistyped word. Absent: none.
    /// Only where the request says `corrections`.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false, minimum = 1)]
    pub replace: usize,
    /// Probability that at least its first word is what the writer types next.
    pub confidence: f32,
    /// Who proposed it: `gpt2`, `personal`, `team`, `domain`, `charlm`, `recall` or `snippet`.
    pub predictor: &'static str,
    /// `word`, `phrase`, `sentence` or `snippet`.
    pub kind: &'static str,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl From<Answer> for CompleteResponse {
    fn from(answer: Answer) -> Self {
        let completion = answer.completion;
        Self {
            id: answer.id,
            suggestions: completion.suggestions.into_iter().map(Suggestion::from).collect(),
            silence: completion.silence.map(engine::Silence::name),
            source: completion.source.name(),
            elapsed_ms: answer.elapsed.as_micros() as f64 / 1e3,
            budget_ms: milliseconds(answer.budget),
            predictors: completion
                .predictors
                .into_iter()
                .map(|(who, status)| (who.name(), status.name()))
                .collect(),
            stale: answer.stale,
            debug: completion.debug,
        }
    }
}

/// Whole milliseconds without a point: clients may read them as an integer.
fn milliseconds(duration: Duration) -> serde_json::Number {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let fraction = || serde_json::Number::from_f64(micros as f64 / 1e3);
    let whole = (micros / 1_000).into();
    if micros.is_multiple_of(1_000) { whole } else { fraction().unwrap_or(whole) }
}

impl From<engine::Suggestion> for Suggestion {
    fn from(suggestion: engine::Suggestion) -> Self {
        Self {
            text: suggestion.text,
            replace: suggestion.replace,
            confidence: suggestion.confidence,
            predictor: suggestion.predictor.name(),
            kind: suggestion.kind.name(),
        }
    }
}
