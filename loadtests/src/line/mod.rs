//! How a writer reaches the service: a request a key, or a WebSocket.

mod rest;
mod stream;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use rest::Rest;
pub(crate) use stream::Stream;

/// After so long an answer does not come any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Outcomes and messages to learn that may be under way.
const ERRANDS: usize = 16;

/// A writer's way to the service. Only the newest draft is answered.
pub(crate) trait Line: Send {
    /// The next message: who types it and after what. Nothing is asked yet.
    fn open(&mut self, opening: Opening) -> impl Future<Output = Result<(), Reason>> + Send;

    /// The draft is now this; what was asked before is given up.
    fn edit(&mut self, draft: &str) -> impl Future<Output = Result<(), Reason>> + Send;

    /// The next thing that is heard; may be dropped. Waits for ever while there is nothing to hear.
    fn heard(&mut self) -> impl Future<Output = Heard> + Send;

    /// What became of a suggestion.
    fn outcome(&mut self, outcome: Outcome) -> impl Future<Output = Result<(), Reason>> + Send;

    /// The message was sent.
    fn learn(&mut self, text: &str) -> impl Future<Output = Result<(), Reason>> + Send;

    /// How many outcomes and messages [`Heard::Errand`] is still to come of.
    fn errands(&self) -> usize;
}

/// What is true of every draft of a message; fields of the API.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Opening {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) writer: Option<String>,
    pub(crate) session: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) context: Vec<Value>,
    pub(crate) max_suggestions: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_confidence: Option<f32>,
}

/// What became of a suggestion; fields of the API.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) outcome: &'static str,
    pub(crate) index: usize,
    pub(crate) chars: usize,
}

/// What comes from the service.
#[derive(Debug)]
pub(crate) enum Heard {
    /// To the newest draft; a whole one follows one that is not.
    Answer { answer: Answer, whole: bool },
    /// The newest draft gets no answer.
    Refused(Reason),
    /// An outcome or a message was taken, or not.
    Errand(Result<(), Reason>),
}

/// Why something was refused: the status, where there is one, and the service's code.
pub(crate) type Reason = String;

/// What this program reads of an answer to a keystroke.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) suggestions: Vec<Suggested>,
    pub(crate) source: String,
    pub(crate) elapsed_ms: f64,
    pub(crate) budget_ms: f64,
    pub(crate) predictors: BTreeMap<String, String>,
}

/// One suggestion.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Suggested {
    pub(crate) text: String,
    pub(crate) confidence: f32,
}

/// That it did not answer in time.
fn no_answer() -> Reason {
    format!("no answer in {} s", PATIENCE.as_secs())
}
