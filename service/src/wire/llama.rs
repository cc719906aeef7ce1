//! `POST /infill`, as llama.vim and llama.vscode ask a llama.cpp server.

use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::editor::{Draft, Extent, Finish, MODEL, Texts, words};
use crate::app::{Answer, Keystroke};
use crate::error::ApiError;

/// Fields of the answer that may be asked for.
const FIELDS: usize = 64;

/// A cursor in a document. Unknown fields are ignored, such as those that say how to sample.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct InfillRequest {
    /// The document before the cursor's line.
    pub input_prefix: String,
    /// The document from the cursor on.
    pub input_suffix: String,
    /// Pieces of other texts, the newest last.
    pub input_extra: Option<Vec<Extra>>,
    /// The cursor's line up to the cursor.
    pub prompt: Option<String>,
    /// Words at most; 0: only get ready for what comes.
    pub n_predict: Option<i64>,
    /// Milliseconds the answer may take, 1000 at most.
    pub t_max_predict_ms: Option<f64>,
    /// Where to stop.
    pub stop: Option<Texts>,
    /// Whether to answer with a server-sent event.
    pub stream: Option<bool>,
    /// Which fields are wanted, such as `content` or `timings/predicted_n`. Absent: all.
    pub response_fields: Option<Vec<String>>,
}

/// A piece of another text.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Extra {
    /// It.
    pub text: String,
}

/// A request, checked.
#[derive(Clone, Debug)]
pub struct InfillAsked {
    /// What the service is asked.
    pub keystroke: Keystroke,
    /// How it is to be answered.
    pub reply: InfillReply,
}

/// How a request is to be answered.
#[derive(Clone, Debug)]
pub struct InfillReply {
    extent: Extent,
    fields: Option<Vec<String>>,
    prompt_words: usize,
    /// Whether with a server-sent event.
    pub stream: bool,
}

impl InfillRequest {
    /// What is asked, checked.
    pub fn check(self) -> Result<InfillAsked, ApiError> {
        let fields = self.response_fields;
        if fields.as_ref().is_some_and(|fields| fields.len() > FIELDS) {
            return Err(ApiError::invalid("response_fields", format!("must be {FIELDS} at most")));
        }
        // None at all is llama.cpp's way to say that there is no limit.
        let limit = self.t_max_predict_ms.filter(|ms| *ms > 0.0);
        let budget = limit.map(|ms| ms.clamp(1.0, 1_000.0) / 1e3);
        let draft = Draft {
            before: self.input_prefix + self.prompt.as_deref().unwrap_or_default(),
            after: self.input_suffix,
            extra: self.input_extra.into_iter().flatten().map(|extra| extra.text).collect(),
            session: "infill".to_owned(),
            choices: 1,
            budget: budget.map(Duration::from_secs_f64),
            ..Draft::default()
        };
        let keystroke = draft.keystroke();
        let reply = InfillReply {
            extent: Extent::new(self.n_predict, self.stop)?,
            fields,
            prompt_words: words(&keystroke.text),
            stream: self.stream.unwrap_or(false),
        };
        Ok(InfillAsked { keystroke, reply })
    }
}

/// The answer: a llama.cpp server's, of which clients read these fields. With `response_fields` only those, by their paths.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InfillResponse {
    /// Inserted at the cursor as it stands; empty: nothing is likely enough.
    pub content: String,
    /// Always 0.
    pub index: usize,
    /// Always true: it is whole.
    pub stop: bool,
    /// `eos`, or `limit`: the client wanted no more.
    pub stop_type: &'static str,
    /// Always `foretype`.
    pub model: &'static str,
    /// Names this answer in `POST /v1/feedback` for ten minutes.
    pub id: String,
    /// Words of it.
    pub tokens_predicted: usize,
    /// Words before the cursor, as far as they count.
    pub tokens_evaluated: usize,
    /// Always 0.
    pub tokens_cached: usize,
    /// Always false: what is too far from the cursor is not missed.
    pub truncated: bool,
    /// How long it took.
    pub timings: InfillTimings,
}

/// How long it took. Nothing tells reading from predicting here, so all of it is the latter.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct InfillTimings {
    /// Words before the cursor, as far as they count.
    pub prompt_n: usize,
    /// Always 0, as those that follow of the prompt.
    pub prompt_ms: f64,
    /// See `prompt_ms`.
    pub prompt_per_token_ms: f64,
    /// See `prompt_ms`.
    pub prompt_per_second: f64,
    /// Words of the answer.
    pub predicted_n: usize,
    /// Milliseconds from the request's last byte to the answer.
    pub predicted_ms: f64,
    /// Of these, for each word; 0 if there is none.
    pub predicted_per_token_ms: f64,
    /// Words in a second.
    pub predicted_per_second: f64,
}

impl InfillReply {
    /// Whether the client only says what is coming.
    pub fn is_warm_up(&self) -> bool {
        self.extent.is_nothing()
    }

    /// The answer as it is wanted. `None`: it was a warm-up.
    pub fn body(&self, answer: Option<&Answer>) -> Value {
        let whole = json!(self.whole(answer));
        let Some(fields) = &self.fields else { return whole };
        let found = |path: &String| Some((path.clone(), whole.pointer(&format!("/{path}"))?.clone()));
        Value::Object(fields.iter().filter_map(found).collect::<Map<_, _>>())
    }

    fn whole(&self, answer: Option<&Answer>) -> InfillResponse {
        let texts = answer.map(|answer| self.extent.of_each(&answer.completion)).unwrap_or_default();
        let (content, finish) = texts.first().copied().unwrap_or(("", Finish::Length));
        let (count, ms) = (words(content), answer.map_or(0.0, |answer| answer.elapsed.as_secs_f64() * 1e3));
        InfillResponse {
            content: content.to_owned(),
            index: 0,
            stop: true,
            stop_type: if finish == Finish::Stop { "eos" } else { "limit" },
            model: MODEL,
            id: answer.map(|answer| answer.id.clone()).unwrap_or_default(),
            tokens_predicted: count,
            tokens_evaluated: self.prompt_words,
            tokens_cached: 0,
            truncated: false,
            timings: InfillTimings {
                prompt_n: self.prompt_words,
                prompt_ms: 0.0,
                prompt_per_token_ms: 0.0,
                prompt_per_second: 0.0,
                predicted_n: count,
                predicted_ms: ms,
                predicted_per_token_ms: if count > 0 { ms / count as f64 } else { 0.0 },
                predicted_per_second: if ms > 0.0 { count as f64 * 1e3 / ms } else { 0.0 },
            },
        }
    }
}

/// A refusal as a llama.cpp server's clients read it.
#[derive(Debug, Serialize, ToSchema)]
pub struct LlamaErrorBody {
    /// What went wrong.
    pub error: LlamaErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct LlamaErrorDetail {
    /// The status.
    pub code: u16,
    /// For people; says what to do.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`, `unavailable_error` or
    /// `server_error`.
    pub r#type: &'static str,
}

impl LlamaErrorBody {
    /// Of an error that is answered with `status`.
    pub fn new(status: StatusCode, error: &ApiError) -> Self {
        let r#type = match status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        Self { error: LlamaErrorDetail { code: status.as_u16(), message: error.detail().message, r#type } }
    }
}
