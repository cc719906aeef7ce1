//! JSON as it travels, and its conversion by hand into what the service works with. Nothing else in the crate is
//! serialised for clients.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::engine;
use crate::error::ApiError;

pub use blocked::BlockedList;
pub use complete::{CompleteRequest, CompleteResponse};
pub use learn::{FeedbackRequest, LearnRequest, LearnResponse};
pub use stream::{ClientMessage, Edit, Open, Sent, ServerMessage};
pub use writers::{ExportLine, SnippetList, TeamRequest, TeamResponse, WriterResponse};

mod blocked;
mod complete;
mod learn;
mod stream;
mod writers;

/// Characters (Unicode scalar values) before the cursor that count.
const TEXT_LIMIT: usize = 4_096;
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
    context.into_iter().map(|turn| engine::Turn { role: turn.role.into(), text: turn.text }).collect()
}

/// The last `TEXT_LIMIT` characters.
fn last_characters(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().rev().nth(TEXT_LIMIT - 1) {
        text.drain(..at);
    }
    text
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
        assert_eq!(last_characters("short".into()), "short");
        let long = last_characters(format!("lost{}", "é".repeat(TEXT_LIMIT)));
        assert_eq!(long, "é".repeat(TEXT_LIMIT));
    }

    #[test]
    fn the_newest_turns_count() {
        let turn = |n: usize| Turn { role: Role::Customer, text: n.to_string() };
        let kept = newest((0..130).map(turn).collect());
        assert_eq!((kept.len(), kept[0].text.as_str()), (TURNS, "30"));
    }

    #[test]
    fn a_customer_makes_the_writer_an_agent() {
        let customer = [Turn { role: Role::Customer, text: String::new() }];
        assert_eq!(role_or_default(None, &customer), foretype_markov::Role::Agent);
        assert_eq!(role_or_default(None, &[]), foretype_markov::Role::Author);
        assert_eq!(role_or_default(Some(Role::Author), &customer), foretype_markov::Role::Author);
    }
}
