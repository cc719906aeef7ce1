//! Forgetting: what keeps a personal model within its bytes.

use super::contexts::{Contexts, Follower, List};
use super::vocabulary::{NONE, WordId};
use super::{MAX_EVENT_BYTES, PersonalModel};

impl PersonalModel {
    /// Forgets until the next event fits. `recent` are ids, which forgetting changes.
    pub(super) fn make_room(&mut self, recent: &mut [WordId]) {
        if self.content_bytes() + MAX_EVENT_BYTES <= self.limits.max_bytes {
            return;
        }
        // What was not seen since the last time fades: n-grams by half, words only if they were seen once.
        self.rebuild(
            recent,
            |count, fresh| if fresh || count > 1 { count } else { 0 },
            |follower| if follower.is_fresh() { follower.count() } else { follower.count() / 2 },
        );
        // All is fresh: then everything fades, first n-grams, then words with them. Ends, as halving reaches zero.
        let mut words_too = false;
        while self.content_bytes() > self.limits.max_bytes / 4 * 3 {
            self.rebuild(
                recent,
                |count, _| if words_too { count / 2 } else { count },
                |follower| follower.count() / 2,
            );
            words_too = true;
        }
    }

    /// Forgets one surface: it is gone from the vocabulary and from every context. Returns whether it was known.
    /// Histories made before are void.
    pub fn forget(&mut self, surface: &str) -> bool {
        let Some(id) = self.vocabulary.find(surface) else {
            return false;
        };
        self.vocabulary.set(id, 0, false);
        self.rebuild_keeping_freshness();
        true
    }

    fn rebuild_keeping_freshness(&mut self) {
        let words = &self.vocabulary;
        let (words, map) = words.rebuilt(|id| words.count(id), |id| words.is_fresh(id));
        self.vocabulary = words;
        self.recount(&map, Follower::count, Follower::is_fresh);
    }

    /// Gives every count its new value and drops what is zero. Nothing is fresh afterwards.
    fn rebuild(
        &mut self,
        recent: &mut [WordId],
        word: impl Fn(u32, bool) -> u32,
        follower: impl Fn(Follower) -> u32,
    ) {
        let words = &self.vocabulary;
        let (words, map) = words.rebuilt(|id| word(words.count(id), words.is_fresh(id)), |_| false);
        self.vocabulary = words;
        self.recount(&map, follower, |_| false);
        for id in recent.iter_mut().filter(|id| **id != NONE) {
            *id = map[usize::from(*id)];
        }
    }

    fn recount(&mut self, map: &[WordId], count: impl Fn(Follower) -> u32, fresh: impl Fn(Follower) -> bool) {
        let kept = |list: &List| self.contexts.followers(list).any(|follower| count(follower) > 0);
        let room = self.contexts.iter().filter(|(_, list)| kept(list)).count();
        let old = std::mem::replace(&mut self.contexts, Contexts::with_room(room));
        for (key, list) in old.iter() {
            // NONE in front of a short context is no dropped word.
            let new = key.map(|id| map.get(usize::from(id)).copied().unwrap_or(NONE));
            if key.iter().zip(&new).any(|(&old, &new)| old != NONE && new == NONE) {
                continue;
            }
            let kept = old.followers(&list).filter_map(|follower| {
                let word = map[usize::from(follower.word())];
                let count = count(follower);
                (word != NONE && count > 0).then(|| Follower::new(word, count, fresh(follower)))
            });
            self.contexts.insert(new, kept);
        }
    }
}
