//! What was shown and typed out by hand all the same, and what that says of it.

use super::complete::surroundings;
use super::{Engine, Look, Request, read};
use crate::ensemble::expected::Expected;
use crate::ensemble::rank::Ranked;
use crate::session::{Offer, Passes, Session};
use crate::writer::{Attention, SLOTS};

/// Keys at which a word was passed over that count against it. Who does not look at one key rarely looks at the next: more of them say
/// little, and what is right and alone is not to vanish under the fingers of who types it.
pub(super) const MOST: u8 = 2;

impl Engine {
    /// Notes what the writer saw and typed out by hand. The number of this request in its session.
    pub(super) fn pass(&self, request: &Request) -> u64 {
        let Some(key) = &request.session else { return 0 };
        let surroundings = surroundings(request);
        self.sessions.with(key, |session| {
            session.pass(&request.text, surroundings);
            session.see()
        })
    }

    /// The same where nothing could be shown: somebody is there all the same.
    pub(super) fn see(&self, request: &Request) {
        if let Some(key) = &request.session {
            self.sessions.with(key, Session::see);
        }
    }

    /// What was passed over at this draft, and how often.
    pub(super) fn passed(&self, request: &Request) -> Vec<(String, Passes)> {
        let key = request.session.as_ref();
        key.map(|key| self.sessions.with(key, |session| session.passed(&request.text))).unwrap_or_default()
    }

    /// Takes from the words that were shown here and not taken what that says against them; says what may come next now.
    pub(super) fn pass_over(
        &self,
        ranked: &mut [Ranked],
        passed: &[(String, Passes)],
        request: &Request,
        prefix: &str,
    ) -> Expected {
        let words = ranked.iter().map(|candidate| (candidate.first_word(prefix), candidate.probs[0]));
        let before = Expected::new(words.collect());
        if passed.is_empty() {
            return before;
        }
        let (untaken, mut expected) = (untaken(request), before.clone());
        for (text, passes) in passed {
            let of_slot =
                untaken.iter().zip(passes.counted(MOST)).map(|(untaken, times)| untaken.powi(times.into()));
            expected.pass(text, of_slot.product());
        }
        for candidate in ranked {
            let word = candidate.first_word(prefix);
            let was = before.of(&word);
            if was > 0.0 {
                candidate.probs[0] *= expected.of(&word) / was;
                candidate.reckon(prefix);
            }
        }
        expected
    }
}

/// The share of keys at which this writer does not take what is right, by slot.
pub(super) fn untaken(request: &Request) -> [f32; SLOTS] {
    let memory = request.memory.as_deref().map(read);
    memory.map_or_else(Attention::default, |memory| memory.attention).untaken()
}

/// How each of a list is seen.
pub(super) fn looks(offers: &[Offer], passed: &[(String, Passes)]) -> Vec<Look> {
    let before = |offer: &Offer| {
        let found = passed.iter().find(|(word, _)| word == offer.first_word());
        found.map_or([0.0; SLOTS], |(_, passes)| passes.weighed)
    };
    offers.iter().map(|offer| Look { weight: offer.weight, passed: before(offer) }).collect()
}
