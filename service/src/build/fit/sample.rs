//! Which held-out messages are measured, and what their writers wrote before.

use foretype_markov::Role;

use super::super::corpus::{Piece, Source};
use crate::engine::Turn;

/// Streams measured per source, messages measured per stream, characters measured per source.
const STREAMS: usize = 24;
const MESSAGES: usize = 30;
const CHARACTERS: usize = 6_000;

/// Messages learned before the first is measured, at most.
const HISTORY: usize = 400;

/// A message with the conversation before it.
pub(super) struct Message<'a> {
    pub(super) context: &'a [Turn],
    pub(super) turn: &'a Turn,
}

/// What there is beside the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is learned: how a new writer is served.
    Anonymous,
    /// What the writer taught.
    Alone,
    /// That and what the team shares.
    Member,
}

/// One writer, forward in time.
pub(super) struct Stream<'a> {
    /// The source it is from: its writers are a team.
    pub(super) source: usize,
    /// How its writer is known.
    pub(super) standing: Standing,
    /// Learned before.
    pub(super) history: Vec<&'a Turn>,
    /// Typed, then learned.
    pub(super) measured: Vec<Message<'a>>,
}

/// A balanced choice: the same share for each source, however large.
pub(super) fn streams(sources: &[Source]) -> Vec<Stream<'_>> {
    sources.iter().enumerate().flat_map(|(at, source)| of_source(at, source)).collect()
}

fn of_source(at: usize, source: &Source) -> Vec<Stream<'_>> {
    let mut left = CHARACTERS;
    let mut streams = Vec::new();
    for (i, pieces) in source.held_out.iter().take(STREAMS).enumerate() {
        let standing = match i % 4 {
            3 => Standing::Anonymous,
            1 => Standing::Alone,
            _ => Standing::Member,
        };
        let stream = stream(at, pieces, standing, &mut left);
        if !stream.measured.is_empty() {
            streams.push(stream);
        }
    }
    streams
}

/// Two thirds of a writer's pieces are history, the next ones are measured. In a dialogue one of the speakers is the
/// writer, new when it begins.
fn stream<'a>(source: usize, pieces: &'a [Piece], standing: Standing, left: &mut usize) -> Stream<'a> {
    let history = (pieces.len() * 2 / 3).min(HISTORY);
    let known = pieces[..history].iter().flat_map(|piece| &piece.turns).collect();
    let messages = pieces[history..].iter().flat_map(|piece| {
        let turns = piece.turns.iter().enumerate().filter(|(i, turn)| is_writers(piece, *i, turn.role));
        turns.map(|(i, turn)| Message { context: &piece.turns[i.saturating_sub(6)..i], turn })
    });
    // No one writer takes more than a quarter of what is left of the source's share.
    let share = (*left / 4).max(600).min(*left);
    let mut used = 0;
    let measured: Vec<_> = messages
        .take(MESSAGES)
        .take_while(|message| {
            used += message.turn.text.len();
            used <= share
        })
        .collect();
    *left -= used.min(share);
    Stream { source, standing, history: known, measured }
}

/// Whether a turn is the writer's: the agent's where there is one, else every other turn.
fn is_writers(piece: &Piece, at: usize, role: Role) -> bool {
    let has_agent = piece.turns.iter().any(|turn| turn.role == Role::Agent);
    if has_agent { role == Role::Agent } else { at.is_multiple_of(2) }
}
