//! Writers who typed lately: how many they are, and what suggestions saved in the message each is at.
//!
//! What share of keystrokes is saved can be told only of text that is known to have been sent, and only if what was saved in other
//! text is left out: a plugin tells what was taken and never what was sent. So what is saved waits here until its writer sends the
//! message, and what is never sent is never counted.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::count::Group;
use crate::store::WriterKey;

/// Writers that are followed; more are not, until some were quiet for an hour.
const MOST: usize = 65_536;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The writers, by a hash of their names, which are not kept.
#[derive(Default)]
pub(super) struct Typing {
    writers: Mutex<HashMap<u64, Latest>>,
    hasher: RandomState,
}

struct Latest {
    /// The last key.
    at: Instant,
    /// Since the key that followed the last message that was sent.
    message: Message,
}

/// What is known of a message before it is sent.
#[derive(Clone, Copy, Default)]
struct Message {
    /// Keys of it were shown suggestions.
    shown: bool,
    /// Keys were held out.
    held_out: bool,
    /// Keystrokes saved in it that are in no text that was sent, and keys pressed likewise.
    saved: u64,
    keys: u64,
    /// It was sent, or its first part: an editor that saves sends what is new sentence by sentence.
    sent: bool,
}

impl Typing {
    /// A key was pressed. `tells`: its client is of the kind that says what was sent.
    pub(super) fn key(&self, writer: &WriterKey, group: Group, tells: bool, at: Instant) {
        let mut writers = self.writers();
        let name = self.hasher.hash_one(writer);
        if writers.len() >= MOST && !writers.contains_key(&name) {
            return;
        }
        let latest = writers.entry(name).or_insert_with(|| Latest { at, message: Message::default() });
        latest.at = at;
        if latest.message.sent {
            latest.message = Message::default();
        }
        latest.message.keys += 1;
        if tells {
            match group {
                Group::Others => latest.message.shown = true,
                Group::HeldOut => latest.message.held_out = true,
            }
        }
    }

    /// A suggestion saved keystrokes in the message that a writer is at.
    pub(super) fn saved(&self, writer: &WriterKey, keystrokes: u64) {
        if let Some(latest) = self.writers().get_mut(&self.hasher.hash_one(writer)) {
            latest.message.saved += keystrokes;
        }
    }

    /// The message was sent, or another part of it. What was saved in it; `None`: it counts for nothing, because no suggestion was
    /// asked for, because keys since the last message were held out, or because it is more than was typed beside the parts before.
    pub(super) fn sent(&self, writer: &WriterKey, characters: u64) -> Option<u64> {
        let mut writers = self.writers();
        let message = &mut writers.get_mut(&self.hasher.hash_one(writer))?.message;
        let first = !std::mem::replace(&mut message.sent, true);
        if !message.shown || message.held_out || !first && characters > message.keys + message.saved {
            return None;
        }
        // Some of what was taken may have been deleted again.
        let saved = message.saved.min(characters);
        message.saved -= saved;
        message.keys = message.keys.saturating_sub(characters - saved);
        Some(saved)
    }

    /// How many typed in the last minute, and in the last hour.
    pub(super) fn active(&self, now: Instant) -> [usize; 2] {
        let mut writers = self.writers();
        let within = |latest: &Latest, time| now.saturating_duration_since(latest.at) < time;
        writers.retain(|_, latest| within(latest, HOUR));
        [writers.values().filter(|latest| within(latest, MINUTE)).count(), writers.len()]
    }

    fn writers(&self) -> MutexGuard<'_, HashMap<u64, Latest>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(name: &str) -> WriterKey {
        WriterKey { tenant: "t".into(), writer: name.into() }
    }

    #[test]
    fn what_is_saved_counts_once_the_message_is_sent() {
        let (typing, ann, now) = (Typing::default(), writer("ann"), Instant::now());
        typing.key(&ann, Group::Others, true, now);
        typing.saved(&ann, 7);
        typing.saved(&ann, 5);
        assert_eq!(typing.sent(&writer("bob"), 40), None, "another's");
        assert_eq!(typing.sent(&ann, 40), Some(7 + 5));
        assert_eq!(typing.sent(&ann, 40), None, "nothing was asked for it");
        typing.key(&ann, Group::Others, true, now);
        typing.saved(&ann, 50);
        assert_eq!(typing.sent(&ann, 40), Some(40), "no more than was sent");
    }

    #[test]
    fn what_is_sent_in_parts_counts_in_parts() {
        let (typing, ann, now) = (Typing::default(), writer("ann"), Instant::now());
        (0..70).for_each(|_| typing.key(&ann, Group::Others, true, now));
        typing.saved(&ann, 60);
        let parts = [10, 40, 40, 41].map(|characters| typing.sent(&ann, characters));
        assert_eq!(parts, [Some(10), Some(40), Some(10), None], "the last was not typed here");
        typing.key(&ann, Group::Others, true, now);
        assert_eq!(typing.sent(&ann, 5), Some(0), "the next one");
    }

    #[test]
    fn plugins_and_held_out_messages_do_not_count() {
        let (typing, ann, now) = (Typing::default(), writer("ann"), Instant::now());
        typing.key(&ann, Group::Others, false, now);
        assert_eq!(typing.sent(&ann, 40), None, "a plugin's draft");
        typing.key(&ann, Group::HeldOut, true, now);
        assert_eq!(typing.sent(&ann, 40), None, "held out");
        for group in Group::ALL {
            typing.key(&ann, group, true, now);
        }
        typing.saved(&ann, 9);
        assert_eq!(typing.sent(&ann, 40), None, "which of the two it was is not known");
        typing.key(&ann, Group::Others, true, now);
        assert_eq!(typing.sent(&ann, 40), Some(0), "and what was saved went with it");
    }

    #[test]
    fn who_typed_lately_is_active() {
        let (typing, start) = (Typing::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        typing.key(&writer("ann"), Group::Others, true, at(0));
        typing.key(&writer("bob"), Group::HeldOut, true, at(30));
        typing.key(&writer("cleo"), Group::Others, false, at(50));
        typing.key(&writer("cleo"), Group::Others, false, at(51));
        assert_eq!(typing.active(at(52)), [3, 3]);
        assert_eq!(typing.active(at(60)), [2, 3]);
        assert_eq!(typing.active(at(3_600)), [0, 2]);
        typing.saved(&writer("ann"), 9);
        assert_eq!(typing.sent(&writer("ann"), 40), None, "an hour ago");
    }

    #[test]
    fn many_writers_take_bounded_room() {
        let (typing, start) = (Typing::default(), Instant::now());
        for n in 0..MOST + 9 {
            typing.key(&writer(&n.to_string()), Group::Others, true, start);
        }
        assert_eq!(typing.active(start), [MOST; 2]);
        assert_eq!(typing.active(start + HOUR), [0, 0]);
        typing.key(&writer("late"), Group::Others, true, start + HOUR);
        assert_eq!(typing.active(start + HOUR), [1, 1], "there is room again");
    }
}
