//! One question about one conversation, as a future that waits for the network where it needs it.

use crate::answer::{Answer, prob};
use crate::batch::Desk;
use crate::cache::KvCache;
use crate::config::Config;
use crate::context::{Place, Prompt};
use crate::gpt2::{Ask, Words};
use crate::greedy::greedy;
use crate::said::Said;
use crate::step::{Halt, Steps};
use crate::vocabulary::Vocabulary;

/// Bytes of a prefix beyond which no word is foreseen.
const LONGEST_PREFIX: usize = 64;

/// What a model knows of text: all of it but the network, which a [`Runner`](crate::Runner) has. Each method is a question, and yields
/// where its `desk` has something to be run.
pub struct Reader {
    pub(crate) config: Config,
    pub(crate) vocabulary: Vocabulary,
    /// Bytes that a slot's keys, or its values, of a layer take where they are kept.
    pub(crate) slot_width: usize,
}

impl Reader {
    /// See [`Gpt2::prefill`](crate::Gpt2::prefill).
    pub async fn prefill(
        &self,
        desk: &Desk,
        cache: &mut KvCache,
        prompt: &Prompt<'_>,
        stop: &dyn Fn(usize) -> bool,
    ) -> bool {
        let (mut steps, place) = self.begin(desk, cache, prompt, 0, stop);
        let done = steps.prefill(&place.tokens).await.is_ok();
        steps.cache.answered(&place.tokens);
        done
    }

    /// See [`Gpt2::words`](crate::Gpt2::words).
    pub async fn words(
        &self,
        desk: &Desk,
        cache: &mut KvCache,
        prompt: &Prompt<'_>,
        ask: &Ask<'_>,
        stop: &dyn Fn(usize) -> bool,
    ) -> Words {
        let mut words =
            Words { candidates: vec![0.0; ask.candidates.len()], complete: true, ..Words::default() };
        words.candidates_exact = vec![false; ask.candidates.len()];
        if prompt.prefix.len() > LONGEST_PREFIX {
            return words;
        }
        let (mut steps, place) = self.begin(desk, cache, prompt, ask.max_passes, stop);
        if let Ok(root) = steps.prefill(&place.tokens).await {
            let mut answer = Answer::new(&place, prompt, ask, steps.vocabulary, &root);
            let halted = answer.find(&mut steps).await;
            answer.tell(&mut words);
            let searched = ask.max_passes > 0;
            Said::new(prompt).blend(&mut words, prompt.prefix, ask.candidates, ask.top, searched);
            words.complete = !matches!(halted, Err(Halt::Stopped | Halt::Failed));
        } else {
            words.complete = false;
        }
        (words.passes, words.tokens, words.prefilled) = (steps.taken, steps.tokens, steps.prefilled);
        words.context = place.tokens.len() as u32;
        steps.cache.answered(&place.tokens);
        words
    }

    /// See [`Gpt2::losses`](crate::Gpt2::losses).
    pub async fn losses(
        &self,
        desk: &Desk,
        cache: &mut KvCache,
        prompt: &Prompt<'_>,
        surfaces: &[&str],
        max_passes: usize,
        stop: &dyn Fn(usize) -> bool,
    ) -> Vec<Option<f32>> {
        let mut before = prompt.before.to_owned();
        let mut losses = Vec::with_capacity(surfaces.len());
        let mut left = max_passes;
        for (surface, i) in surfaces.iter().zip(0..) {
            let here = Prompt { before: &before, prefix: "", ..*prompt };
            let (mut steps, place) = self.begin(desk, cache, &here, left, stop);
            // What follows is known, so that it need not be run word by word.
            let ahead = [place.held.as_str(), &surfaces[i..].concat()].concat();
            let prob = prob(&mut steps, &place, surface, &ahead).await;
            left = steps.left.saturating_sub(usize::from(steps.prefilled > 0));
            let Ok(prob) = prob else { break };
            let prob = Said::new(&here).prob(surface, prob);
            losses.push(Some(prob.max(f32::MIN_POSITIVE).ln()));
            before.push_str(surface);
        }
        losses.resize(surfaces.len(), None);
        losses
    }

    /// See [`Gpt2::greedy`](crate::Gpt2::greedy).
    pub(crate) async fn greedy(
        &self,
        desk: &Desk,
        cache: &mut KvCache,
        context: &[u32],
        draft: &[u32],
        count: usize,
    ) -> (Vec<u32>, u32) {
        let mut steps = self.steps(desk, cache, count, &|_| false);
        let found = greedy(&mut steps, context, draft, count).await;
        (found, steps.taken)
    }

    /// Work on a conversation that makes so many passes at most.
    pub(crate) fn steps<'a>(
        &'a self,
        desk: &'a Desk,
        cache: &'a mut KvCache,
        max_passes: usize,
        stop: &'a dyn Fn(usize) -> bool,
    ) -> Steps<'a> {
        let Self { config, vocabulary, slot_width } = self;
        Steps {
            config,
            vocabulary,
            slot_width: *slot_width,
            desk,
            cache,
            stop,
            left: max_passes,
            taken: 0,
            tokens: 0,
            prefilled: 0,
        }
    }

    /// Where a prompt stands, as tokens.
    pub(crate) fn place(&self, cache: &mut KvCache, prompt: &Prompt<'_>) -> Place {
        let Self { config, vocabulary, .. } = self;
        cache.encoded().place(prompt, vocabulary, &config.special_tokens, config.n_positions)
    }

    fn begin<'a>(
        &'a self,
        desk: &'a Desk,
        cache: &'a mut KvCache,
        prompt: &Prompt<'_>,
        max_passes: usize,
        stop: &'a dyn Fn(usize) -> bool,
    ) -> (Steps<'a>, Place) {
        let place = self.place(cache, prompt);
        (self.steps(desk, cache, max_passes, stop), place)
    }
}
