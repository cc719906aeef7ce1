//! How events are encoded: a version, the body, and a CRC-32 over both.
//!
//! ```text
//! learn    1 | role u8 | losses length u32 | losses | text (UTF-8, filtered) | crc u32
//! outcome  1 | outcome u8 | index u16 | characters u32                        | crc u32
//! ```
//! Integers are little endian. A change of the body gets a new version; old versions stay readable.

use foretype_markov::Role;

use crate::engine::{Losses, Outcome};
use crate::store::{Event, EventKind};

const VERSION: u8 = 1;
const CRC: usize = 4;

/// A message that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// The message, personal data already replaced.
    pub text: String,
    /// Who wrote it.
    pub role: Role,
    /// What each predictor thought of its words before they were learned.
    pub losses: Losses,
}

/// What became of a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Taken, taken in part, or dismissed.
    pub outcome: Outcome,
    /// Which of the suggestions, from 0.
    pub index: u16,
    /// How many of its characters were taken.
    pub chars: u32,
}

/// An event's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// See [`Learned`].
    Learned(Learned),
    /// See [`Judged`].
    Judged(Judged),
}

/// Why an event cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer release.
    #[error("event version {0} is newer than this release: start the release that wrote it")]
    Version(u8),
    /// The checksum does not hold, or the content makes no sense.
    #[error("the event is damaged: restore the data folder from a backup, or erase this writer")]
    Damaged,
}

impl Content {
    /// The kind the store files it under.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Learned(_) => EventKind::Learn,
            Self::Judged(_) => EventKind::Outcome,
        }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        match self {
            Self::Learned(learned) => {
                let losses = learned.losses.to_bytes();
                let length = u32::try_from(losses.len()).expect("a message of 64 KiB has fewer losses");
                bytes.push(role_code(learned.role));
                bytes.extend_from_slice(&length.to_le_bytes());
                bytes.extend_from_slice(&losses);
                bytes.extend_from_slice(learned.text.as_bytes());
            }
            Self::Judged(judged) => {
                bytes.push(outcome_code(judged.outcome));
                bytes.extend_from_slice(&judged.index.to_le_bytes());
                bytes.extend_from_slice(&judged.chars.to_le_bytes());
            }
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the stored form.
    pub fn decode(event: &Event) -> Result<Self, DecodeError> {
        let (bytes, crc) = event.payload.split_last_chunk::<CRC>().ok_or(DecodeError::Damaged)?;
        if crc32fast::hash(bytes) != u32::from_le_bytes(*crc) {
            return Err(DecodeError::Damaged);
        }
        let (version, body) = bytes.split_first().ok_or(DecodeError::Damaged)?;
        if *version > VERSION {
            return Err(DecodeError::Version(*version));
        }
        match event.kind {
            EventKind::Learn => learned(body).map(Self::Learned),
            EventKind::Outcome => judged(body).map(Self::Judged),
        }
        .ok_or(DecodeError::Damaged)
    }
}

fn learned(body: &[u8]) -> Option<Learned> {
    let (role, body) = body.split_first()?;
    let (length, body) = body.split_first_chunk::<4>()?;
    let (losses, text) = body.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some(Learned {
        text: String::from_utf8(text.to_vec()).ok()?,
        role: match role {
            0 => Role::Author,
            1 => Role::Agent,
            2 => Role::Customer,
            _ => return None,
        },
        losses: Losses::from_bytes(losses)?,
    })
}

fn judged(body: &[u8]) -> Option<Judged> {
    let [outcome, i0, i1, c0, c1, c2, c3] = *body else { return None };
    let outcome = match outcome {
        0 => Outcome::Accepted,
        1 => Outcome::Partial,
        2 => Outcome::Rejected,
        _ => return None,
    };
    let (index, chars) = (u16::from_le_bytes([i0, i1]), u32::from_le_bytes([c0, c1, c2, c3]));
    Some(Judged { outcome, index, chars })
}

pub(super) fn role_code(role: Role) -> u8 {
    match role {
        Role::Author => 0,
        Role::Agent => 1,
        Role::Customer => 2,
    }
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Accepted => 0,
        Outcome::Partial => 1,
        Outcome::Rejected => 2,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn event(content: &Content) -> Event {
        Event { seq: 1, at: 0, kind: content.kind(), payload: content.encode() }
    }

    fn hello() -> Content {
        Content::Learned(Learned { text: "Héllo".into(), role: Role::Agent, losses: Losses::default() })
    }

    fn dismissed() -> Content {
        Content::Judged(Judged { outcome: Outcome::Rejected, index: 3, chars: 12 })
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for content in [hello(), dismissed()] {
            assert_eq!(Content::decode(&event(&content)).unwrap(), content);
        }
    }

    /// Golden: an outcome as version 1 wrote it.
    #[test]
    fn version_1_stays_readable() {
        let payload = vec![1, 2, 3, 0, 12, 0, 0, 0, 0xc8, 0x03, 0x55, 0xf2];
        assert_eq!(dismissed().encode(), payload);
    }

    #[test]
    fn any_damage_is_noticed() {
        let mut event = event(&hello());
        for at in 0..event.payload.len() {
            event.payload[at] ^= 0x40;
            assert_eq!(Content::decode(&event), Err(DecodeError::Damaged), "byte {at}");
            event.payload[at] ^= 0x40;
        }
        event.payload.truncate(3);
        assert_eq!(Content::decode(&event), Err(DecodeError::Damaged));
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut payload = vec![9, 9];
        payload.extend_from_slice(&crc32fast::hash(&[9, 9]).to_le_bytes());
        let event = Event { seq: 1, at: 0, kind: EventKind::Learn, payload };
        assert_eq!(Content::decode(&event), Err(DecodeError::Version(9)));
    }
}
