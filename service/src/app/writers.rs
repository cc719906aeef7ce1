//! What is kept of writers and teams: telling about it, and what writers decide about it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{About, AboutTeam, App};
use crate::clock;
use crate::ensemble::bucket::BUCKETS;
use crate::ensemble::weights::{MEMBERS, Weights};
use crate::error::ApiError;
use crate::store::WriterKey;
use crate::writer::event::Content;
use crate::writer::{Blocked, Forgotten, Snippets, TeamId, Writer, WriterId};

impl App {
    /// The writer, if anything is stored about them.
    pub async fn known(&self, key: &WriterKey) -> Result<Arc<Writer>, ApiError> {
        let writer = self.writers.get(key).await?;
        if writer.seq() == 0 && writer.team().is_none() { Err(nobody()) } else { Ok(writer) }
    }

    /// What is stored about a writer.
    pub async fn about(&self, writer: &WriterId) -> Result<About, ApiError> {
        let key = self.caller.key_of(writer)?;
        let warm = self.known(&key).await?;
        let usage = self.writers.store().usage(&key).await?;
        let memory = warm.memory();
        let (weights, snippets, blocked) = {
            let memory = memory.read().unwrap_or_else(PoisonError::into_inner);
            (mean_factors(&memory.weights), memory.snippets.0.len(), memory.blocked.entries().len())
        };
        let (counts, seq, memory_bytes, team) = (warm.counts(), warm.seq(), warm.bytes(), warm.team());
        let writer = writer.clone();
        Ok(About { writer, seq, counts, usage, memory_bytes, weights, snippets, blocked, team })
    }

    /// Erases a writer from disk and memory.
    pub async fn erase(&self, writer: &WriterId) -> Result<(), ApiError> {
        let key = self.caller.key_of(writer)?;
        let erased = self.writers.erase(&key).await;
        self.answers.forget_writer(&key);
        self.forget_sessions(writer).await;
        let answers = Arc::clone(&self.answers);
        tokio::spawn(async move {
            tokio::time::sleep(AFTERWARDS).await;
            answers.forget_writer(&key);
        });
        if erased? { Ok(()) } else { Err(nobody()) }
    }

    /// The texts a writer keeps ready.
    pub async fn snippets(&self, writer: &WriterId) -> Result<Snippets, ApiError> {
        let memory = self.known(&self.caller.key_of(writer)?).await?.memory();
        let memory = memory.read().unwrap_or_else(PoisonError::into_inner);
        Ok(memory.snippets.clone())
    }

    /// Replaces the texts a writer keeps ready; resolves once that is durable.
    pub async fn keep(&self, writer: &WriterId, snippets: Snippets) -> Result<u64, ApiError> {
        let content = Content::Snippets(snippets);
        Ok(self.writers.record(&self.caller.key_of(writer)?, &content, clock::now_ms(), None).await?.seq)
    }

    /// What a writer is never shown.
    pub async fn blocked(&self, writer: &WriterId) -> Result<Arc<Blocked>, ApiError> {
        let memory = self.known(&self.caller.key_of(writer)?).await?.memory();
        let memory = memory.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(&memory.blocked))
    }

    /// Replaces what a writer is never shown; resolves with the event's number once that is durable.
    pub async fn block(&self, writer: &WriterId, blocked: Blocked) -> Result<u64, ApiError> {
        let content = Content::Blocked(blocked);
        Ok(self.writers.record(&self.caller.key_of(writer)?, &content, clock::now_ms(), None).await?.seq)
    }

    /// Takes a word out of all that a writer taught; resolves with the number of messages that had it, once no byte of it is
    /// left.
    pub async fn forget(&self, writer: &WriterId, word: Forgotten) -> Result<u64, ApiError> {
        let key = self.caller.key_of(writer)?;
        self.known(&key).await?;
        let messages = self.writers.forget_word(&key, word).await;
        self.forget_sessions(writer).await;
        Ok(messages?)
    }

    /// Puts a writer into a team, or into none; resolves once it is durable.
    pub async fn assign(&self, writer: &WriterId, team: Option<TeamId>) -> Result<(), ApiError> {
        self.caller.is_free()?;
        let key = self.caller.key_of(writer)?;
        if team.is_none() {
            self.known(&key).await?;
        }
        Ok(self.writers.assign(&key, team.map(|team| team.shared())).await?)
    }

    /// What a team shares.
    pub async fn about_team(&self, team: &TeamId) -> Result<AboutTeam, ApiError> {
        let key = self.caller.team(team)?;
        let members = self.writers.store().members(&key).await?;
        if members == 0 {
            return Err(ApiError::NotFound("no writer is in this team".into()));
        }
        let held = self.writers.teams().get(&key);
        self.writers.teams().follow(&held).await?;
        let shared = held.read();
        let [words, ngrams @ ..] = shared.model.ngrams();
        Ok(AboutTeam {
            team: team.clone(),
            members,
            taught_by: shared.model.writers(),
            words,
            phrases: ngrams.iter().sum(),
            memory_bytes: shared.model.bytes(),
            weights: mean_factors(&shared.weights),
        })
    }

    /// Drops sessions and KV caches, after what they are of is gone: a keystroke that was under way may have left something
    /// until then.
    async fn forget_sessions(&self, writer: &WriterId) {
        let tenant = Arc::clone(&self.caller.tenant);
        self.engine.forget_writer(&tenant, writer.as_str()).await;
        let (engine, name) = (Arc::clone(&self.engine), writer.clone());
        tokio::spawn(async move {
            tokio::time::sleep(AFTERWARDS).await;
            engine.forget_writer(&tenant, name.as_str()).await;
        });
    }
}

/// How long what began before something was forgotten may go on: a keystroke of the largest budget, a second, and then what is
/// read ahead for it, another.
const AFTERWARDS: Duration = Duration::from_millis(2_500);

fn nobody() -> ApiError {
    ApiError::NotFound("nothing is stored about this writer".into())
}

/// Each predictor's weight relative to the bundle's, the geometric mean over the evidence buckets that anything was learned of.
pub(crate) fn mean_factors(weights: &Weights) -> [f32; MEMBERS] {
    let rows = (0..BUCKETS).map(|bucket| weights.factors(bucket));
    let learned: Vec<_> = rows.filter(|factors| *factors != [1.0; MEMBERS]).collect();
    let mean = |m: usize| {
        let logs: f32 = learned.iter().map(|factors| factors[m].max(f32::MIN_POSITIVE).ln()).sum();
        (logs / learned.len().max(1) as f32).exp()
    };
    std::array::from_fn(mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::weights::{Loss, Losses};

    #[test]
    fn what_nothing_was_learned_of_does_not_dampen_the_mean() {
        let mut weights = Weights::new();
        assert_eq!(mean_factors(&weights), [1.0; MEMBERS]);
        let mut log_probs = [Some(-3.0); MEMBERS];
        log_probs[1] = Some(-0.5);
        let loss = Loss { bucket: 3, prior: [51; MEMBERS], log_probs };
        weights.apply(&Losses(vec![loss; 20]));
        let (mean, learned) = (mean_factors(&weights), weights.factors(3));
        assert!(mean[1] > 1.2, "{mean:?}");
        assert!(mean.iter().zip(learned).all(|(mean, learned)| (mean - learned).abs() < 1e-5), "{mean:?}");
    }
}
