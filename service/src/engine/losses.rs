//! What each member lost on a message that was sent: computed off the hot path, stored with the learn event.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use foretype_markov::{Conversation, Role, segment};

use super::members::Known;
use super::place::recent_turns;
use super::tables::after;
use super::{Engine, Losses, Memory, Predictor, Turn, read};
use crate::ensemble::mixture::{Views, bucket_of};
use crate::ensemble::weights::{Loss, MEMBERS, in_255ths};
use crate::inference::Text;
use crate::predictors::Query;
use crate::writer::Team;

/// Surfaces of history that any n-gram looks at.
const HISTORY: usize = 8;

/// The longest message whose words are all weighed; of longer ones the first words are.
const WORDS: usize = 400;

/// Words weighed in one go: after these the writer's memory and the thread are free for others for a moment.
const PIECE: usize = 32;

/// Effort spent on a message.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Words that are weighed, its first.
    pub words: usize,
    /// Decoding steps of the GPT-2: about so many words.
    pub steps: usize,
    /// How long to wait for them.
    pub patience: Duration,
}

impl Effort {
    /// What there is no time for: its words are learned, and nothing of who foresaw them.
    pub const NONE: Self = Self { words: 0, steps: 0, patience: Duration::ZERO };

    /// What there are thousands of, and what nobody waits for: without the GPT-2.
    pub const IMPORTING: Self = Self { words: WORDS, ..Self::NONE };

    /// What a message that is being sent can wait for.
    pub const SENDING: Self = Self { words: WORDS, steps: 32, patience: Duration::from_millis(60) };
}

impl Engine {
    /// The losses of `text` as it would have been predicted just before it is learned. The GPT-2 weighs the first
    /// words of a message when its thread is idle and sleeps otherwise.
    pub async fn losses(
        &self,
        text: &str,
        role: Role,
        context: &[Turn],
        memory: Option<&Arc<RwLock<Memory>>>,
        team: Option<&Team>,
        effort: Effort,
    ) -> Losses {
        let normal = segment::normalise(text);
        let surfaces: Vec<&str> = segment::surfaces(&normal).take(effort.words).collect();
        if surfaces.is_empty() {
            return Losses::default();
        }
        let turns = super::neural_turns(context, memory.map(Arc::as_ref));
        let neural = self.neural_losses(&surfaces, role, turns, effort).await;
        let turns = recent_turns(context);
        let mut losses = Vec::with_capacity(surfaces.len());
        let mut sent = 0;
        // As at the keyboard: before the first word less is awake than after it.
        let (first, others) = surfaces.split_at(surfaces.len().min(1));
        for piece in std::iter::once(first).chain(others.chunks(PIECE)) {
            let from = losses.len();
            let turns = turns.iter().map(|(role, text)| (*role, text.as_ref()));
            let conversation = Conversation::new(turns, role, &normal[..sent]);
            let history = &surfaces[from.saturating_sub(HISTORY)..from];
            let start = (history.len() == from).then_some(role);
            let query = Query { history, start, prefix: "", conversation: &conversation, resolved: None };
            let neural = (from..).map(|i| neural.get(i).copied().flatten());
            losses.extend(self.losses_of(piece, neural, &query, memory, team));
            sent += piece.iter().map(|surface| surface.len()).sum::<usize>();
            tokio::task::yield_now().await;
        }
        Losses(losses).as_stored()
    }

    /// What each member loses on some words in a row, the first of them at the place of `query`.
    fn losses_of(
        &self,
        words: &[&str],
        neural: impl Iterator<Item = Option<f32>>,
        query: &Query<'_>,
        memory: Option<&Arc<RwLock<Memory>>>,
        team: Option<&Team>,
    ) -> Vec<Loss> {
        let guards = (memory.map(|memory| read(memory)), team.map(Team::read));
        let known = Known { memory: guards.0.as_deref(), team: guards.1.as_deref() };
        let members = self.members(known, query.conversation);
        let mut views = members.views(query);
        let mut losses = Vec::with_capacity(words.len());
        for (word, neural) in words.iter().zip(neural) {
            let loss = self.loss(&views, word, neural, known);
            // Of what stands for a forgotten word nobody thinks anything.
            let gap = segment::is_gap(word);
            losses.push(if gap { Loss { log_probs: [None; MEMBERS], ..loss } } else { loss });
            views = after(&views, word);
        }
        losses
    }

    fn loss(&self, views: &Views<'_>, word: &str, neural: Option<f32>, known: Known<'_>) -> Loss {
        let bucket = bucket_of(views);
        let mut log_probs = [None; MEMBERS];
        for (predictor, view) in views {
            log_probs[*predictor as usize] = Some(view.prob(word).max(f32::MIN_POSITIVE).ln());
        }
        log_probs[Predictor::Gpt2 as usize] = neural;
        let prior = &self.bundle.ensemble.prior;
        let prior = prior.of_team(bucket, known.weights().team).map(in_255ths);
        Loss { bucket: bucket as u8, prior, log_probs }
    }

    async fn neural_losses(
        &self,
        surfaces: &[&str],
        role: Role,
        turns: Vec<(foretype_models::Role, String)>,
        effort: Effort,
    ) -> Vec<Option<f32>> {
        let Some(inference) = self.inference.as_ref().filter(|_| effort.steps > 0) else { return Vec::new() };
        let text = Text { turns, role: super::neural_role(role), before: String::new() };
        let owned = surfaces.iter().take(effort.steps).map(|s| (*s).to_owned()).collect();
        let Some(answer) = inference.losses(text, owned, effort.steps) else { return Vec::new() };
        match tokio::time::timeout(effort.patience, answer).await {
            Ok(Ok(losses)) => losses,
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }
}
