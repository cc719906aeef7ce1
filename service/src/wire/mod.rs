//! JSON as it travels, and its conversion by hand into what the service works with. Nothing else in the crate is
//! serialised for clients; what operators see is written out in [`crate::admin`].

use std::borrow::Cow;

use clap::ValueEnum;
use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engine;
use crate::error::ApiError;

pub use blocked::BlockedList;
pub(crate) use editor::Draft;

pub use complete::{CompleteRequest, CompleteResponse};
pub use forget::{ForgetRequest, ForgetResponse};
pub use import::{ImportLine, ImportResponse};
pub use learn::{FeedbackRequest, LearnRequest, LearnResponse};
pub use llama::{InfillRequest, InfillResponse, LlamaErrorBody};
pub use openai::{OpenAiErrorBody, OpenAiModel, OpenAiModels, OpenAiRequest, OpenAiResponse};
pub use stream::{ClientMessage, Edit, Open, Sent, ServerMessage};
pub use tabby::{SelectKind, TabbyEvent, TabbyHealth, TabbyRequest, TabbyResponse, TabbySettings};
pub use writers::{ExportLine, SnippetList, TeamRequest, TeamResponse, WriterResponse};

mod blocked;
mod complete;
mod editor;
mod forget;
mod import;
mod learn;
mod llama;
mod openai;
mod sentinels;
mod stream;
mod tabby;
mod writers;

/// Characters (Unicode scalar values) before the cursor that count.
const TEXT_LIMIT: usize = 4_096;
/// Characters that a long text loses at its beginning at a time, so that the window stays where it is for many keys: what the
/// session remembers of the last one is found by how it begins.
const BLOCK: usize = 1_024;
/// Turns of context that count.
const TURNS: usize = 100;
/// The longest session name and idempotency key, in characters.
const NAME_LIMIT: usize = 128;

/// Who writes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes notes or writes on their own.
    Author,
    /// Answers a customer.
    Agent,
    /// Is answered.
    Customer,
}

impl From<Role> for foretype_markov::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Author => Self::Author,
            Role::Agent => Self::Agent,
            Role::Customer => Self::Customer,
        }
    }
}

impl From<foretype_markov::Role> for Role {
    fn from(role: foretype_markov::Role) -> Self {
        match role {
            foretype_markov::Role::Author => Self::Author,
            foretype_markov::Role::Agent => Self::Agent,
            foretype_markov::Role::Customer => Self::Customer,
        }
    }
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who spoke.
    pub role: Role,
    /// What was said.
    pub text: String,
}

/// The role of who is writing, when the request does not say: an agent if a customer has spoken.
fn role_or_default(role: Option<Role>, context: &[Turn]) -> foretype_markov::Role {
    let customer = context.iter().any(|turn| turn.role == Role::Customer);
    role.unwrap_or(if customer { Role::Agent } else { Role::Author }).into()
}

/// The newest turns that count.
fn newest(mut context: Vec<Turn>) -> Vec<engine::Turn> {
    context.drain(..context.len().saturating_sub(TURNS));
    context
        .into_iter()
        .map(|turn| engine::Turn { role: turn.role.into(), text: composed(turn.text) })
        .collect()
}

/// The text with letters and their accents in one (Unicode's NFC), as nearly everybody writes and all models have them: an accent
/// that stands for itself, as file names of macOS have it, would part a word.
pub(crate) fn composed(text: String) -> String {
    match ComposingNormalizerBorrowed::new_nfc().normalize(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(text) => text,
    }
}

/// The end of a text: at most `TEXT_LIMIT` characters, whole blocks less.
fn window(mut text: String) -> String {
    let beyond = text.chars().count().saturating_sub(TEXT_LIMIT);
    let start = text.char_indices().nth(beyond.div_ceil(BLOCK) * BLOCK);
    if let Some((at, _)) = start {
        text.drain(..at);
    }
    text
}

/// The last `count` characters.
fn last_characters(mut text: String, count: usize) -> String {
    let start = match count.checked_sub(1) {
        Some(before) => text.char_indices().rev().nth(before).map_or(0, |(at, _)| at),
        None => text.len(),
    };
    text.drain(..start);
    text
}

/// What `POST /v1/completions` takes, for the API's description: whether there are segments tells which of two protocols it is.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum CompletionsRequest {
    /// With `prompt`.
    OpenAi(OpenAiRequest),
    /// With `segments`.
    Tabby(TabbyRequest),
}

/// A value of the fields of an object.
///
/// # Errors
/// [`ApiError::Invalid`], which names the field.
pub fn fields<T: serde::de::DeserializeOwned>(object: Map<String, Value>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(ApiError::wrong_field)
}

/// A session name or an idempotency key: opaque, but bounded.
fn name(field: &str, value: Option<String>) -> Result<Option<String>, ApiError> {
    match &value {
        Some(name) if name.is_empty() || name.chars().count() > NAME_LIMIT => {
            Err(ApiError::invalid(field, format!("must have 1 to {NAME_LIMIT} characters")))
        }
        _ => Ok(value),
    }
}

fn within<T: PartialOrd + Copy + std::fmt::Display>(
    field: &str,
    value: T,
    least: T,
    most: T,
) -> Result<T, ApiError> {
    if value >= least && value <= most {
        Ok(value)
    } else {
        Err(ApiError::invalid(field, format!("must be between {least} and {most}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_characters_count_whole() {
        assert_eq!(last_characters("short".into(), 7), "short");
        assert_eq!(last_characters("short".into(), 0), "");
        let long = last_characters(format!("lost{}", "é".repeat(TEXT_LIMIT)), TEXT_LIMIT);
        assert_eq!(long, "é".repeat(TEXT_LIMIT));
    }

    #[test]
    fn a_long_text_loses_its_beginning_in_blocks() {
        let text =
            |count: usize| (0..count).map(|n| char::from(b'a' + (n / 100 % 26) as u8)).collect::<String>();
        assert_eq!(window(text(TEXT_LIMIT)), text(TEXT_LIMIT));
        for more in [1, 2, 500, BLOCK] {
            assert_eq!(window(text(TEXT_LIMIT + more)), text(TEXT_LIMIT + more)[BLOCK..], "{more}");
        }
        assert_eq!(window(text(TEXT_LIMIT + BLOCK + 1)), text(TEXT_LIMIT + BLOCK + 1)[2 * BLOCK..]);
        assert_eq!(window("é".repeat(TEXT_LIMIT + 1)).chars().count(), TEXT_LIMIT + 1 - BLOCK);
    }

    #[test]
    fn the_newest_turns_count() {
        let turn = |n: usize| Turn { role: Role::Customer, text: n.to_string() };
        let kept = newest((0..130).map(turn).collect());
        assert_eq!((kept.len(), kept[0].text.as_str()), (TURNS, "30"));
    }

    #[test]
    fn accents_are_part_of_their_letters() {
        assert_eq!(composed("cafe\u{301} a\u{323}\u{302}".into()), "caf\u{e9} \u{1ead}");
        for text in ["", "plain", "caf\u{e9}", "\u{301}", "\u{1f600}"] {
            assert_eq!(composed(text.into()), text);
        }
    }

    #[test]
    fn a_customer_makes_the_writer_an_agent() {
        let customer = [Turn { role: Role::Customer, text: String::new() }];
        assert_eq!(role_or_default(None, &customer), foretype_markov::Role::Agent);
        assert_eq!(role_or_default(None, &[]), foretype_markov::Role::Author);
        assert_eq!(role_or_default(Some(Role::Author), &customer), foretype_markov::Role::Author);
    }
}
