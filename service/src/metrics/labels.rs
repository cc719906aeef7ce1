//! The labels of metrics, and their values.

use super::family::{Label, Values};
use crate::engine::{Kind, Outcome, Predictor, Silence, Source, Status};
use crate::error::ApiError;
use crate::ledger::{Group, PROPOSERS};
use crate::store::Failure;
use crate::stream::End;
use crate::wire::ClientMessage;

const fn these(name: &'static str, values: fn() -> Vec<&'static str>) -> Label {
    Label { name, values: Values::These(values) }
}

/// See [`BECAME`].
pub(super) const HELD_OUT: &str = "held_out";
/// See [`BECAME`].
pub(super) const UNASKED: &str = "unasked";

const fn described(name: &'static str, values: &'static str) -> Label {
    Label { name, values: Values::Described(values) }
}

/// Members of the mixture.
pub(super) const MEMBER: Label = these("predictor", || Predictor::ALL.map(Predictor::name).to_vec());
/// Members, and who else proposes.
pub(super) const PROPOSER: Label = these("predictor", || PROPOSERS.map(Predictor::name).to_vec());
/// What became of a member; in an answer that is held out nothing else does. The API says `skipped` of who is not asked.
pub(super) const BECAME: Label =
    these("status", || Status::ALL.map(Status::name).into_iter().chain([UNASKED, HELD_OUT]).collect());
pub(super) const KIND: Label = these("kind", || Kind::ALL.map(Kind::name).to_vec());
pub(super) const SILENCE: Label = these("reason", || Silence::ALL.map(Silence::name).to_vec());
pub(super) const SOURCE: Label = these("source", || Source::ALL.map(Source::name).to_vec());
/// Sessions that are shown suggestions, and those that are held out.
pub(super) const GROUP: Label = these("group", || Group::ALL.map(Group::name).to_vec());
pub(super) const OUTCOME: Label = these("outcome", || Outcome::ALL.map(Outcome::name).to_vec());

/// What became of a question to the neural tier.
pub(super) const QUESTION: Label =
    these("outcome", || vec!["answered", "refused", "full", "superseded", "expired", "panicked"]);
pub(super) const LANE: Label = these("lane", || vec!["questions", "patient"]);
pub(super) const TOKENS: Label = these("kind", || vec!["held", "run"]);

/// Whether an idempotency key was known.
pub(super) const RESULT: Label = these("result", || vec!["stored", "known"]);
pub(super) const FAILURE: Label = these("reason", || Failure::ALL.map(Failure::name).to_vec());
pub(super) const FILE: Label = these("file", || vec!["database", "wal"]);

/// How far back.
pub(super) const WITHIN: Label = these("within", || vec!["minute", "hour"]);

pub(super) const ROUTE: Label = described(
    "route",
    "a path of `/openapi.json` or of the page, with its `{…}` as they stand there; `other`",
);
pub(super) const CODE: Label =
    described("status", "the HTTP status; of a route those it documents are there from the start");
pub(super) const TURNED: Label = these("reason", || super::Turned::ALL.map(super::Turned::name).to_vec());
pub(super) const MESSAGE: Label = these("type", || ClientMessage::NAMES.to_vec());
pub(super) const ERROR: Label = these("code", || ApiError::CODES.to_vec());
pub(super) const END: Label = these("reason", || End::ALL.map(End::name).to_vec());
pub(super) const THREAD: Label = these("thread", || super::Thread::ALL.map(super::Thread::name).to_vec());

pub(super) const VERSION: Label = described("version", "of the binary");
pub(super) const BUNDLE: Label = described("bundle", "the version of the models");
