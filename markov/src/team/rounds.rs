//! Who used what since it was last published: the rounds.

/// Who used an n-gram in the round that is not full yet, and when anybody last did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) key: u64,
    pub(super) writer: u32,
    /// The number of the message, from 1 on; 0: the slot is free.
    pub(super) seen: u32,
}

/// Uses with the same leading bits of their keys stand together, those taken first.
const SLOTS: usize = 32;
type Bucket = [Use; SLOTS];

/// All rounds that are not full: a hash table that doubles up to a fixed size. Then a new use takes the place of the one
/// seen longest ago in its bucket.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    buckets: Vec<Bucket>,
    writers_needed: usize,
    max_buckets: usize,
}

impl Rounds {
    pub(super) fn new(max_bytes: usize, writers_needed: usize) -> Self {
        let max_buckets = (max_bytes / size_of::<Bucket>()).max(1);
        // As many as doubling takes to the most, or just short of it.
        let first = max_buckets >> max_buckets.ilog2().saturating_sub(2);
        Self { buckets: vec![Bucket::default(); first], writers_needed, max_buckets }
    }

    /// Notes a use. Returns whether it makes a round full; then the next one begins, empty. What is not `hopeful` is the
    /// first to be forgotten where room is short: at once.
    pub(super) fn fill(&mut self, new: Use, hopeful: bool) -> bool {
        let Use { key, writer, seen } = new;
        let at = self.bucket(key);
        let bucket = &mut self.buckets[at];
        let (mut others, mut known) = (0, false);
        for earlier in bucket.iter_mut().filter(|slot| slot.seen > 0 && slot.key == key) {
            earlier.seen = seen;
            known |= earlier.writer == writer;
            others += 1;
        }
        if known {
            return false;
        }
        if others + 1 < self.writers_needed {
            self.add(new, hopeful);
            return false;
        }
        let mut kept = Bucket::default();
        let others = bucket.iter().filter(|slot| slot.key != key);
        kept.iter_mut().zip(others).for_each(|(slot, other)| *slot = *other);
        *bucket = kept;
        true
    }

    /// Whether somebody else is in the round of an n-gram.
    pub(super) fn has_others(&self, key: u64, writer: u32) -> bool {
        let bucket = &self.buckets[self.bucket(key)];
        bucket.iter().any(|slot| slot.seen > 0 && slot.key == key && slot.writer != writer)
    }

    /// Adds a use of somebody who is not in the round yet.
    fn add(&mut self, new: Use, hopeful: bool) {
        let mut at = self.bucket(new.key);
        while self.buckets[at][SLOTS - 1].seen > 0 && 2 * self.buckets.len() <= self.max_buckets {
            self.grow();
            at = self.bucket(new.key);
        }
        // A free slot is one seen longest ago; of several the first is taken.
        let oldest = self.buckets[at].iter_mut().min_by_key(|slot| slot.seen);
        if let Some(slot) = oldest.filter(|slot| hopeful || slot.seen == 0) {
            *slot = new;
        }
    }

    /// Divides each bucket in two.
    fn grow(&mut self) {
        let twice = vec![Bucket::default(); 2 * self.buckets.len()];
        let old = std::mem::replace(&mut self.buckets, twice);
        old.into_iter().flatten().filter(|slot| slot.seen > 0).for_each(|slot| self.add(slot, true));
    }

    fn bucket(&self, key: u64) -> usize {
        (((key >> 32) * self.buckets.len() as u64) >> 32) as usize
    }

    /// The number of buckets there are, and all uses.
    pub(super) fn saved(&self) -> (usize, impl Iterator<Item = &Use>) {
        (self.buckets.len(), self.buckets.iter().flatten().filter(|slot| slot.seen > 0))
    }

    /// Puts back what [`saved`](Self::saved) said; `None` if it cannot have been that.
    pub(super) fn restore(&mut self, buckets: usize, uses: &[Use]) -> Option<()> {
        while self.buckets.len() < buckets.min(self.max_buckets) {
            self.grow();
        }
        if buckets != self.buckets.len() {
            return None;
        }
        for new in uses {
            let at = self.bucket(new.key);
            let bucket = &mut self.buckets[at];
            let twice =
                bucket.iter().any(|slot| slot.seen > 0 && (slot.key, slot.writer) == (new.key, new.writer));
            let free = bucket.iter_mut().find(|slot| slot.seen == 0)?;
            *free = (new.seen > 0 && !twice).then_some(*new)?;
        }
        Some(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }
}
