//! A message that was sent becomes what its writer taught.

use std::time::Instant;

use super::{App, Lesson};
use crate::engine::Effort;
use crate::error::ApiError;
use crate::privacy;
use crate::store::{Appended, StoreError, WriterKey};
use crate::writer::event::{Content, Learned};

impl App {
    /// Learns a message; resolves with its number once it is durable and applied, also if it was before: by the number of then.
    pub async fn learn(&self, lesson: Lesson) -> Result<u64, ApiError> {
        let effort = if self.door.is_shut() { Effort::NONE } else { self.effort };
        let text = lesson.text.clone();
        let (writer, appended) = self.learn_with(lesson, effort, None).await?;
        if appended.fresh {
            self.ledger.sent(&writer, text.chars().count());
        } else if self.writers.is_other(&writer, appended.seq, &privacy::filter(&text)).await? {
            // To acknowledge it would lose it.
            let message =
                "was another message's within a day; nothing is stored, send a new key with each message";
            return Err(ApiError::invalid("idempotency_key", message));
        }
        Ok(appended.seq)
    }

    /// The same of any message, with who taught it and where it landed; [`ApiError::Erased`] if `epoch` is over.
    pub(super) async fn learn_with(
        &self,
        lesson: Lesson,
        effort: Effort,
        epoch: Option<u64>,
    ) -> Result<(WriterKey, Appended), ApiError> {
        let text = privacy::filter(&lesson.text).into_owned();
        let nobody = || ApiError::invalid("writer", "say who wrote it");
        let key = self.caller.record(&self.caller.own(lesson.writer)?.ok_or_else(nobody)?);
        let mut writer = self.writers.get(&key).await?;
        // Before a team brings back the name of who was erased.
        if epoch.is_some() && epoch != writer.epoch() {
            return Err(StoreError::Erased.into());
        }
        if let (Some(team), None) = (&self.caller.team, writer.team()) {
            self.writers.assign(&key, Some(team.shared())).await?;
            writer = self.writers.get(&key).await?;
        }
        let team = self.team_of(Some(&writer)).and_then(|team| self.shared_by(&team));
        let memory = writer.memory();
        drop(writer);
        // Before it is learned: what each predictor would have thought of it is what the weights learn from.
        let began = Instant::now();
        let losses = self
            .engine
            .losses(&text, lesson.role, &lesson.context, Some(&memory), team.as_deref(), effort)
            .await;
        self.stage("losses", began);
        let (content, began) =
            (Content::Learned(Learned { text, role: lesson.role, losses }), Instant::now());
        let appended =
            self.writers.record_in(epoch, &key, &content, lesson.at, lesson.idempotency_key).await?;
        self.stage("store", began);
        if appended.fresh {
            self.ledger.learned();
        }
        Ok((key, appended))
    }
}
