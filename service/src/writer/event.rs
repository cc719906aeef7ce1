//! How events are encoded: a version, the body, and a CRC-32 over both.
//!
//! ```text
//! learn    4 | role u8 | losses length u32 | losses | text (UTF-8, filtered) | crc u32
//! outcome  4 | outcome u8 | index u16 | characters u32 | weight u16 | passed over u16 by slot | crc u32
//! snippets 4 | JSON: [{"trigger", "text"}]                                     | crc u32
//! blocked  4 | JSON: ["…"]                                                     | crc u32
//! ```
//! Integers are little endian; weights are in 256ths. A change of the body gets a new version; old versions stay readable. Version 3
//! had losses in buckets that told no conversations from other texts: one by an agent or a customer is taken for one. Version 2
//! had outcomes that said how often the suggestion had been passed over in all, a byte. Version 1 had losses of four
//! members in other buckets, and outcomes that did not say how often the suggestion had been passed over.

use foretype_markov::Role;

use crate::engine::{Losses, Outcome};
use crate::store::{Event, EventKind};
use crate::writer::{Blocked, SLOTS, Snippets, slot};

/// One, of what is counted in 256ths.
const ONE: u16 = 256;

const VERSION: u8 = 4;
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
    /// What a look at it counts; see [`fixed`].
    pub weight: u16,
    /// The same of the keys at which it had been shown and passed over, by slot.
    pub passed: [u16; SLOTS],
}

/// A weight as it is stored, in 256ths.
pub fn fixed(weight: f32) -> u16 {
    // What is greater counts as the greatest.
    (weight * f32::from(ONE)).round() as u16
}

/// An event's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// See [`Learned`].
    Learned(Learned),
    /// See [`Judged`].
    Judged(Judged),
    /// All of the writer's snippets.
    Snippets(Snippets),
    /// All words and phrases that are not to be shown.
    Blocked(Blocked),
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
            Self::Snippets(_) => EventKind::Snippets,
            Self::Blocked(_) => EventKind::Blocked,
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
                bytes.extend_from_slice(&judged.weight.to_le_bytes());
                bytes.extend(judged.passed.into_iter().flat_map(u16::to_le_bytes));
            }
            Self::Snippets(snippets) => bytes.extend_from_slice(&snippets.to_bytes()),
            Self::Blocked(blocked) => bytes.extend_from_slice(&blocked.to_bytes()),
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
            EventKind::Learn => learned(*version, body).map(Self::Learned),
            EventKind::Outcome => judged(*version, body).map(Self::Judged),
            EventKind::Snippets => Snippets::from_bytes(body).map(Self::Snippets),
            EventKind::Blocked => Blocked::from_bytes(body).map(Self::Blocked),
        }
        .ok_or(DecodeError::Damaged)
    }
}

fn learned(version: u8, body: &[u8]) -> Option<Learned> {
    let (role, body) = body.split_first()?;
    let (length, body) = body.split_first_chunk::<4>()?;
    let (losses, text) = body.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let role = match role {
        0 => Role::Author,
        1 => Role::Agent,
        2 => Role::Customer,
        _ => return None,
    };
    let losses = match version {
        1 => Losses::from_first(losses, role != Role::Author)?,
        2 | 3 => Losses::from_one_kind(losses, role != Role::Author)?,
        _ => Losses::from_bytes(losses)?,
    };
    Some(Learned { text: String::from_utf8(text.to_vec()).ok()?, role, losses })
}

fn judged(version: u8, body: &[u8]) -> Option<Judged> {
    let (&[outcome, i0, i1, c0, c1, c2, c3], rest) = body.split_first_chunk()?;
    let outcome = match outcome {
        0 => Outcome::Accepted,
        1 => Outcome::Partial,
        2 => Outcome::Rejected,
        _ => return None,
    };
    let (index, chars) = (u16::from_le_bytes([i0, i1]), u32::from_le_bytes([c0, c1, c2, c3]));
    let in_all = |passed: u8| {
        let mut by_slot = [0; SLOTS];
        by_slot[slot(index.into())] = u16::from(passed) * ONE;
        by_slot
    };
    let (weight, passed) = match (version, rest) {
        (1, []) => (ONE, in_all(0)),
        (2, [passed]) => (ONE, in_all(*passed)),
        (3.., _) => {
            let (pairs, []) = rest.as_chunks::<2>() else { return None };
            let [weight, passed @ ..] = <[[u8; 2]; SLOTS + 1]>::try_from(pairs).ok()?.map(u16::from_le_bytes);
            (weight, passed)
        }
        _ => return None,
    };
    Some(Judged { outcome, index, chars, weight, passed })
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

    use foretype_markov::Matched;

    use super::*;
    use crate::ensemble::bucket::bucket;
    use crate::ensemble::weights::Loss;
    use crate::writer::Snippet;

    fn event(content: &Content) -> Event {
        Event { seq: 1, at: 0, kind: content.kind(), payload: content.encode() }
    }

    fn hello() -> Content {
        Content::Learned(Learned { text: "Héllo".into(), role: Role::Agent, losses: Losses::default() })
    }

    fn dismissed() -> Content {
        Content::Judged(Judged {
            outcome: Outcome::Rejected,
            index: 3,
            chars: 12,
            weight: ONE,
            passed: [0; SLOTS],
        })
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let snippet = Snippet { trigger: Some(";sig".into()), text: "Kind regards,\nAnn".into() };
        let blocked = Blocked::new(vec!["Kind regards".into(), "Ōta".into()]);
        let lists = [Content::Snippets(Snippets(vec![snippet])), Content::Blocked(blocked)];
        for content in [hello(), dismissed()].into_iter().chain(lists) {
            assert_eq!(Content::decode(&event(&content)).unwrap(), content);
        }
    }

    /// Golden: an outcome and a message of one word as version 1 wrote them.
    #[test]
    fn version_1_stays_readable() {
        let payload = vec![1, 2, 3, 0, 12, 0, 0, 0, 0xc8, 0x03, 0x55, 0xf2];
        let outcome = Event { seq: 1, at: 0, kind: EventKind::Outcome, payload };
        assert_eq!(Content::decode(&outcome).unwrap(), dismissed());
        // In the bucket of a model that had learned much and matched three words twice; the second member slept.
        let mut payload = vec![1, 1, 13, 0, 0, 0, 59, 200, 40, 10, 5];
        for centi in [-150_i16, i16::MIN, -300, -900] {
            payload.extend_from_slice(&centi.to_le_bytes());
        }
        payload.extend_from_slice(b"Hi");
        let crc = crc32fast::hash(&payload);
        payload.extend_from_slice(&crc.to_le_bytes());
        let message = Event { seq: 2, at: 0, kind: EventKind::Learn, payload };
        let Content::Learned(learned) = Content::decode(&message).unwrap() else { panic!("a message") };
        assert_eq!((learned.text.as_str(), learned.role), ("Hi", Role::Agent));
        let Loss { bucket, prior, log_probs } = learned.losses.0[0];
        assert_eq!(usize::from(bucket), bucket_of((Matched { order: 3, count: 2 }, 5_000), 3, true));
        assert_eq!(prior[..4], [200, 40, 10, 5]);
        assert_eq!(log_probs[..4], [Some(-1.5), None, Some(-3.0), Some(-9.0)]);
        assert!(log_probs[4..].iter().all(Option::is_none), "who came later slept");
    }

    /// Golden: a word of a message as version 3 wrote it: whether it answered others is told by who wrote it.
    #[test]
    fn version_3_stays_readable() {
        let message = |role: u8| {
            let mut payload = vec![3, role, 20, 0, 0, 0, 6, 75, 200, 40, 10, 5, 0, 0];
            for centi in [-150_i16, i16::MIN, -300, -900, i16::MIN, i16::MIN] {
                payload.extend_from_slice(&centi.to_le_bytes());
            }
            payload.extend_from_slice(b"Hi");
            let crc = crc32fast::hash(&payload);
            payload.extend_from_slice(&crc.to_le_bytes());
            Event { seq: 2, at: 0, kind: EventKind::Learn, payload }
        };
        for (role, answers) in [(0, false), (1, true), (2, true)] {
            let Content::Learned(learned) = Content::decode(&message(role)).unwrap() else {
                panic!("a message")
            };
            let Loss { bucket, prior, log_probs } = learned.losses.0[0];
            assert_eq!(usize::from(bucket), bucket_of((Matched { order: 9, count: 1 }, 5_000), 3, answers));
            assert_eq!((prior[..4].to_vec(), log_probs[3]), (vec![200, 40, 10, 5], Some(-9.0)));
        }
    }

    /// Golden: an outcome as versions 2, 3 and 4 wrote it.
    #[test]
    fn outcomes_stay_readable() {
        let event = |body: &[u8]| {
            let mut payload = body.to_vec();
            payload.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
            Event { seq: 1, at: 0, kind: EventKind::Outcome, payload }
        };
        let taken = |weight, passed| {
            Content::Judged(Judged { outcome: Outcome::Partial, index: 1, chars: 3, weight, passed })
        };
        let second = event(&[2, 1, 1, 0, 3, 0, 0, 0, 4]);
        assert_eq!(Content::decode(&second).unwrap(), taken(ONE, [0, 4 * ONE, 0]));
        let third = event(&[3, 1, 1, 0, 3, 0, 0, 0, 0x80, 0, 0, 1, 0x40, 0, 0xff, 0xff]);
        assert_eq!(Content::decode(&third).unwrap(), taken(128, [256, 64, u16::MAX]));
        let fourth = event(&[4, 1, 1, 0, 3, 0, 0, 0, 0x80, 0, 0, 1, 0x40, 0, 0xff, 0xff]);
        assert_eq!(taken(128, [256, 64, u16::MAX]).encode(), fourth.payload);
        assert_eq!((fixed(0.5), fixed(1e9), fixed(-1.0)), (128, u16::MAX, 0));
        for body in
            [&[2, 1, 1, 0, 3, 0, 0, 0][..], &[3, 1, 1, 0, 3, 0, 0, 0, 4], &[1, 1, 1, 0, 3, 0, 0, 0, 4]]
        {
            assert_eq!(Content::decode(&event(body)), Err(DecodeError::Damaged));
        }
    }

    /// Golden: a list of blocked words as version 2 wrote it.
    #[test]
    fn blocked_words_stay_readable() {
        let mut payload = b"\x02[\"Kind regards\"]".to_vec();
        payload.extend_from_slice(&0x5ea8_cdf9_u32.to_le_bytes());
        let event = Event { seq: 1, at: 0, kind: EventKind::Blocked, payload };
        let blocked = Content::Blocked(Blocked::new(vec!["Kind regards".into()]));
        assert_eq!(Content::decode(&event).unwrap(), blocked);
    }

    fn bucket_of(personal: (Matched, u64), domain: u8, answers: bool) -> usize {
        bucket(Some(personal), Some(Matched { order: domain, count: 9 }), answers)
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
