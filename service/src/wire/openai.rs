//! `POST /v1/completions` as OpenAI's clients ask, and `GET /v1/models`. Fields that say how to sample are ignored: nothing is
//! sampled here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::editor::{Draft, Extent, Finish, MODEL, Texts, words};
use super::{sentinels, within};
use crate::app::{Answer, Keystroke};
use crate::clock;
use crate::error::ApiError;

/// What `error.type` says where it is the client's fault, and where it is not.
const TYPES: [&str; 2] = ["invalid_request_error", "server_error"];

/// A completion as OpenAI's clients ask for it. Unknown fields are ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct OpenAiRequest {
    /// The text up to the cursor, or a text with fill-in-the-middle marks in which it is.
    pub prompt: Texts,
    /// The text after the cursor.
    pub suffix: Option<String>,
    /// Words at most.
    pub max_tokens: Option<i64>,
    /// Where to stop.
    pub stop: Option<Texts>,
    /// How many choices at most, 1 to 10; they differ in their first word.
    pub n: Option<i64>,
    /// Whether to answer with server-sent events.
    pub stream: Option<bool>,
    /// Whether they are to end with the usage.
    pub stream_options: Option<StreamOptions>,
    /// Who is typing: a writer's id. Of another name one is made: its letters, and a hash.
    pub user: Option<String>,
}

/// What more is wanted of server-sent events.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// Whether the last one tells the usage.
    pub include_usage: Option<bool>,
}

/// A request, checked.
#[derive(Clone, Debug)]
pub struct OpenAiAsked {
    /// What the service is asked.
    pub keystroke: Keystroke,
    /// How it is to be answered.
    pub reply: OpenAiReply,
}

/// How a request is to be answered.
#[derive(Clone, Debug)]
pub struct OpenAiReply {
    extent: Extent,
    prompt_words: usize,
    /// Whether with server-sent events.
    pub stream: bool,
    include_usage: bool,
}

impl OpenAiRequest {
    /// What is asked, checked.
    pub fn check(self) -> Result<OpenAiAsked, ApiError> {
        let prompt = match self.prompt {
            Texts::One(prompt) => prompt,
            Texts::Many(mut prompts) if prompts.len() == 1 => prompts.remove(0),
            Texts::Many(_) => return Err(ApiError::invalid("prompt", "must be one text")),
        };
        let (before, after) =
            sentinels::split(&prompt).unwrap_or_else(|| (prompt, self.suffix.unwrap_or_default()));
        let draft = Draft {
            before,
            after,
            user: self.user,
            session: "openai".to_owned(),
            choices: within("n", self.n.unwrap_or(1), 1, 10)? as usize,
            ..Draft::default()
        };
        let keystroke = draft.keystroke();
        let reply = OpenAiReply {
            extent: Extent::new(self.max_tokens, self.stop)?,
            prompt_words: words(&keystroke.text),
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
        };
        Ok(OpenAiAsked { keystroke, reply })
    }
}

/// The answer, or a part of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OpenAiResponse {
    /// Names this answer for ten minutes, in `POST /v1/events`.
    #[schema(example = "cmpl-6b0f2b2c4a8b7f0e9d1c3a5b7d9f1e3c")]
    pub id: String,
    /// Always `text_completion`. Not for Tabby's clients, as all that follows `choices`.
    pub object: &'static str,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// Always `foretype`.
    pub model: &'static str,
    /// Best first.
    pub choices: Vec<OpenAiChoice>,
    /// What was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<OpenAiUsage>,
}

/// One way the text goes on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OpenAiChoice {
    /// From 0.
    pub index: usize,
    /// Inserted at the cursor as it stands; empty: nothing is likely enough.
    pub text: String,
    /// Always null.
    pub logprobs: Option<()>,
    /// `stop` or `length`; null: more of it may follow.
    pub finish_reason: Option<&'static str>,
}

/// What was counted: words.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct OpenAiUsage {
    /// Before the cursor, as far as they count.
    pub prompt_tokens: usize,
    /// In all choices.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
}

impl OpenAiReply {
    /// The whole answer.
    pub fn whole(&self, answer: &Answer) -> OpenAiResponse {
        let texts = self.extent.of_each(&answer.completion);
        let completion_tokens = texts.iter().map(|(text, _)| words(text)).sum();
        let choice = |(index, (text, finish)): (usize, &(&str, Finish))| {
            let finish_reason = match finish {
                Finish::Stop => "stop",
                Finish::Length => "length",
            };
            OpenAiChoice {
                index,
                text: (*text).to_owned(),
                logprobs: None,
                finish_reason: Some(finish_reason),
            }
        };
        OpenAiResponse {
            id: format!("cmpl-{}", answer.id),
            object: "text_completion",
            created: clock::now_ms() / 1_000,
            model: MODEL,
            choices: texts.iter().enumerate().map(choice).collect(),
            usage: Some(OpenAiUsage {
                prompt_tokens: self.prompt_words,
                completion_tokens,
                total_tokens: self.prompt_words + completion_tokens,
            }),
        }
    }

    /// The answer in parts: each choice's text, how each ended, and the usage if it is wanted.
    pub fn parts(&self, answer: &Answer) -> Vec<OpenAiResponse> {
        let mut whole = self.whole(answer);
        let usage = whole.usage.take().filter(|_| self.include_usage);
        let part = |choices| OpenAiResponse { choices, ..whole.clone() };
        let texts = whole.choices.iter().map(|choice| OpenAiChoice { finish_reason: None, ..choice.clone() });
        let ends = whole.choices.iter().map(|choice| OpenAiChoice { text: String::new(), ..choice.clone() });
        let mut parts: Vec<_> = texts.chain(ends).map(|choice| part(vec![choice])).collect();
        parts.extend(usage.map(|usage| OpenAiResponse { usage: Some(usage), ..part(Vec::new()) }));
        parts
    }
}

/// What there is to complete with.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenAiModels {
    /// Always `list`.
    pub object: &'static str,
    /// The one.
    pub data: [OpenAiModel; 1],
}

/// A model, as OpenAI's clients know them.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenAiModel {
    /// Always `foretype`.
    pub id: &'static str,
    /// Always `model`.
    pub object: &'static str,
    /// Always 0: a bundle does not say when it was built.
    pub created: i64,
    /// Always `foretype`.
    pub owned_by: &'static str,
}

impl Default for OpenAiModels {
    fn default() -> Self {
        let model = OpenAiModel { id: MODEL, object: "model", created: 0, owned_by: MODEL };
        Self { object: "list", data: [model] }
    }
}

/// A refusal as OpenAI's clients read it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenAiErrorBody {
    /// What went wrong.
    pub error: OpenAiErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenAiErrorDetail {
    /// For people; says what to do.
    pub message: String,
    /// `invalid_request_error` or `server_error`.
    pub r#type: &'static str,
    /// The field, if it is one's fault.
    pub param: Option<String>,
    /// As in every error of this service.
    pub code: &'static str,
}

impl From<&ApiError> for OpenAiErrorBody {
    fn from(error: &ApiError) -> Self {
        let detail = error.detail();
        let param = match error {
            ApiError::Invalid { field, .. } if field != "body" => Some(field.clone()),
            _ => None,
        };
        let r#type = TYPES[usize::from(error.is_ours())];
        Self { error: OpenAiErrorDetail { message: detail.message, r#type, param, code: detail.code } }
    }
}
