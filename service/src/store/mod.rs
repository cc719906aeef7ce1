//! Durable events and snapshots of writers: the contract every storage engine keeps.
//!
//! A writer's state is the fold of its events in sequence order. An engine keeps those events and, to start quickly, a
//! snapshot of the fold up to some sequence number. It knows nothing of what an event says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::caller::Caller;

pub use commit::OnCommit;
pub use keys::Keys;
pub use sqlite::{OpenError, Sqlite};
pub use tally::{Failure, StoreState};

mod commit;
mod keys;
mod operators;
mod schema;
mod sqlite;
mod statements;
mod tally;
mod teams;

/// How many of a writer's newest events stay for export and rebuilding; of older ones only the snapshot remains.
pub const RETAINED_EVENTS: u64 = 10_000;

/// How many of a team's newest messages a start reads again; of older ones nothing remains in its model.
pub const TEAM_EVENTS: u64 = 100_000;

/// How long a retried request finds its first answer.
pub const IDEMPOTENCY_HOURS: u64 = 24;

/// Whose events these are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterKey {
    /// The customer.
    pub tenant: Arc<str>,
    /// The person typing, unique within the tenant.
    pub writer: Arc<str>,
}

/// A team of a tenant: writers who may be shown what enough of them write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TeamKey {
    /// The customer.
    pub tenant: Arc<str>,
    /// The team, unique within the tenant.
    pub team: Arc<str>,
}

/// What an event is about; the number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// A message was sent.
    Learn = 1,
    /// Something became of a suggestion.
    Outcome = 2,
    /// The writer's snippets are these from now on.
    Snippets = 3,
    /// What the writer is never to be shown is this from now on.
    Blocked = 4,
}

/// An event that has no place in the sequence yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// What it is about.
    pub kind: EventKind,
    /// Encoded by [`crate::writer::event`].
    pub payload: Vec<u8>,
    /// A retry with the same key within [`IDEMPOTENCY_HOURS`] gets the first one's sequence number.
    pub idempotency_key: Option<String>,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// 1 for a writer's first event; without gaps.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// What it is about.
    pub kind: EventKind,
    /// Encoded by [`crate::writer::event`].
    pub payload: Vec<u8>,
}

/// Where an event landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The life of the writer it belongs to: erasure ends one and the next event begins another; so does rewriting.
    pub epoch: u64,
    /// Its sequence number.
    pub seq: u64,
    /// `false`: the idempotency key was known and nothing was written.
    pub fresh: bool,
}

/// The fold of a writer's events up to `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The epoch it was folded in; refused when the writer was erased since.
    pub epoch: u64,
    /// The last event it holds.
    pub seq: u64,
    /// The version of the encoding.
    pub format: u32,
    /// The encoded state; the engine guards it with a checksum.
    pub blob: Vec<u8>,
}

/// What takes the place of some of a writer's events, and of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The events that change, by number, and what they say from now on.
    pub payloads: Vec<(u64, Vec<u8>)>,
    /// The fold of all events as they will be, of the epoch and up to the event that the caller found.
    pub snapshot: Snapshot,
}

/// A message of a team's member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamEvent {
    /// Its place in the team's order.
    pub n: u64,
    /// Its writer's epoch, which no other writer shares.
    pub writer: u64,
    /// As it is among the writer's own.
    pub event: Event,
}

/// Some of what a team's members taught, in the order it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamPage {
    /// Grows when messages are taken back, because a member left or was erased: what was folded before is void.
    pub epoch: u64,
    /// The messages.
    pub events: Vec<TeamEvent>,
}

/// Everything needed to bring a writer into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The writer's present epoch.
    pub epoch: u64,
    /// The newest event's number; 0: the writer has a team and taught nothing.
    pub last_seq: u64,
    /// The team the writer is in.
    pub team: Option<Arc<str>>,
    /// The newest snapshot whose checksum holds.
    pub snapshot: Option<Snapshot>,
    /// The events after the snapshot in order; all that are kept when there is none.
    pub events: Vec<Event>,
}

/// What a writer occupies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Events kept.
    pub events: u64,
    /// Bytes of their payloads and of the snapshot.
    pub bytes: u64,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its public name.
    pub id: String,
    /// The SHA-256 of all of it.
    pub hash: [u8; 32],
    /// Who asks with it; without the key's name.
    pub caller: Caller,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// A writer as operators see one in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedWriter {
    /// The writer.
    pub writer: Arc<str>,
    /// The newest event's number; 0: the writer has a team and taught nothing.
    pub last_seq: u64,
    /// The team the writer is in.
    pub team: Option<Arc<str>>,
}

/// What the service did in some time; a row of its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// How long.
    pub seconds: u32,
    /// Its begin, in seconds since the Unix epoch.
    pub at: i64,
    /// The version of the encoding.
    pub format: u32,
    /// Encoded by [`crate::history`]; the engine guards it with a checksum.
    pub blob: Vec<u8>,
}

/// Why the store did not do what it was asked. Causes are logged where they happen and never sent to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More is waiting to be written than the queue holds.
    #[error("the store has more to write than it can take; retry in a second")]
    Busy,
    /// The write or read failed, or its fate is unknown. Retrying with the same idempotency key is safe.
    #[error("the store is not available; retry with the same idempotency key")]
    Unavailable,
    /// The writer was erased, or what they taught rewritten, since the caller last looked.
    #[error("the writer was erased in the meantime")]
    Erased,
}

/// The future of a store's answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A storage engine. Every method that writes resolves only once the write is durable.
pub trait Store: Send + Sync + 'static {
    /// Appends one event. `epoch`: the one the caller knows; [`StoreError::Erased`] when it is over. `None` joins the
    /// present epoch or begins a new one.
    fn append<'a>(&'a self, key: &'a WriterKey, epoch: Option<u64>, event: NewEvent) -> Answer<'a, Appended>;

    /// All that is needed to fold the writer; `None` when nothing is stored.
    fn load<'a>(&'a self, key: &'a WriterKey) -> Answer<'a, Option<Stored>>;

    /// Up to `limit` events after `seq`, oldest first.
    fn events<'a>(&'a self, key: &'a WriterKey, seq: u64, limit: usize) -> Answer<'a, Vec<Event>>;

    /// Whether the writer ever listed words that are not to be shown. Known without a look at the disk: a keystroke asks.
    fn blocks(&self, key: &WriterKey) -> bool;

    /// What the writer occupies; zero when nothing is stored.
    fn usage<'a>(&'a self, key: &'a WriterKey) -> Answer<'a, Usage>;

    /// Keeps a snapshot and drops events beyond [`RETAINED_EVENTS`] that it holds. One that is older than what is
    /// stored, or of another epoch, is ignored.
    fn snapshot<'a>(&'a self, key: &'a WriterKey, snapshot: Snapshot) -> Answer<'a, ()>;

    /// Puts the writer into a team, or into none. From now on what they teach is the team's too; all that they taught the
    /// team before is taken back from it.
    fn assign<'a>(&'a self, key: &'a WriterKey, team: Option<Arc<str>>) -> Answer<'a, ()>;

    /// Up to `limit` messages of a team after place `n`, of the newest [`TEAM_EVENTS`].
    fn team_events<'a>(&'a self, key: &'a TeamKey, n: u64, limit: usize) -> Answer<'a, TeamPage>;

    /// How many writers are in a team.
    fn members<'a>(&'a self, key: &'a TeamKey) -> Answer<'a, u64>;

    /// Rewrites events and the snapshot, all or nothing, and begins an epoch: what was folded before, by the writer's team too,
    /// is void. When this resolves, no byte of what was replaced is left in the engine's files. `false`: there are newer events
    /// than the snapshot holds, and nothing is changed; [`StoreError::Erased`]: the epoch is over.
    fn rewrite<'a>(&'a self, key: &'a WriterKey, rewrite: Rewrite) -> Answer<'a, bool>;

    /// Erases the writer: when this resolves, no byte of its events, snapshot or idempotency keys is left in the
    /// engine's files, and nothing of them in what their team is folded from. `false`: nothing was stored.
    fn erase<'a>(&'a self, key: &'a WriterKey) -> Answer<'a, bool>;

    /// All API keys, with what tells them from those before; `None`: they are those of `version`.
    fn keys_since(&self, version: u64) -> Answer<'_, Option<(u64, Vec<StoredKey>)>>;

    /// The customers that writers or keys belong to, by name.
    fn tenants(&self) -> Answer<'_, Vec<Arc<str>>>;

    /// Up to `limit` writers of a tenant whose ids begin with `prefix`, by id.
    fn writers<'a>(&'a self, tenant: &'a str, prefix: &'a str, limit: usize)
    -> Answer<'a, Vec<ListedWriter>>;

    /// The periods of a length that begin at `from` or later, the oldest first. Those whose checksum does not hold are left out.
    fn periods(&self, seconds: u32, from: i64) -> Answer<'_, Vec<Period>>;

    /// Keeps periods, each in the place of the same one before, and drops those of their lengths that begin more than `kept`
    /// seconds earlier.
    fn keep_periods(&self, periods: Vec<(Period, i64)>) -> Answer<'_, ()>;

    /// What was decided under a name.
    fn setting<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>>;

    /// Decides something.
    fn set<'a>(&'a self, name: &'a str, value: String) -> Answer<'a, ()>;

    /// What waits and what failed.
    fn state(&self) -> StoreState;

    /// Finishes what was accepted and closes the files; later calls are [`StoreError::Unavailable`].
    fn close(&self) -> Answer<'_, ()>;
}
