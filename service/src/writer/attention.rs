//! How often a writer takes what is right when it is shown, by its place in the list: writers favour what stands first.

/// Places that are told apart: the first, the second, all below.
pub const SLOTS: usize = 3;

/// A look of which nothing was left to chance.
const LOOK: u64 = 256;

/// What is assumed of a writer before anything is known: keys at which what was right was taken, and not. What stands lower
/// is read less.
const TAKEN: [f32; SLOTS] = [6.0, 5.0, 4.0];
const PASSED: [f32; SLOTS] = [4.0, 5.0, 6.0];

/// The place of a suggestion as it is counted here.
pub fn slot(index: usize) -> usize {
    index.min(SLOTS - 1)
}

/// Keys at which what was right was taken, and at which it was not taken yet, by slot. Of the words that were taken in the
/// end: what is typed out by hand may have been wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attention([Looks; SLOTS]);

/// In 256ths of a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Looks {
    taken: u64,
    passed: u64,
}

impl Attention {
    /// A suggestion was taken there, which counts `weight`, after it had been passed over in each slot: all in 256ths of a look.
    pub fn took(&mut self, index: usize, weight: u16, passed: [u16; SLOTS]) {
        self.0[slot(index)].taken += u64::from(weight);
        for (looks, passed) in self.0.iter_mut().zip(passed) {
            looks.passed += u64::from(passed);
        }
    }

    /// The share of keys at which what is right is not taken, by slot: one less the slot's propensity.
    pub fn untaken(&self) -> [f32; SLOTS] {
        std::array::from_fn(|slot| {
            let Looks { taken, passed } = self.0[slot];
            let [taken, passed] = [taken, passed].map(|looks| looks as f32 / LOOK as f32);
            let (taken, passed) = (taken + TAKEN[slot], passed + PASSED[slot]);
            passed / (taken + passed)
        })
    }

    /// The stored form: both counts of each slot, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = self.0.iter().flat_map(|looks| [looks.taken, looks.passed]);
        counts.flat_map(u64::to_le_bytes).collect()
    }

    /// Reads the stored form of earlier snapshots, which counted whole looks.
    pub fn from_counts(bytes: &[u8]) -> Option<Self> {
        let Self(counts) = Self::from_bytes(bytes)?;
        let looks = |count: u64| count.saturating_mul(LOOK);
        Some(Self(counts.map(|Looks { taken, passed }| Looks { taken: looks(taken), passed: looks(passed) })))
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != SLOTS * 16 {
            return None;
        }
        let mut counts = bytes.as_chunks::<8>().0.iter().map(|count| u64::from_le_bytes(*count));
        let mut next = || counts.next().unwrap_or_default();
        Some(Self(std::array::from_fn(|_| Looks { taken: next(), passed: next() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_learned_from_what_was_taken() {
        let mut attention = Attention::default();
        assert_eq!(attention.untaken(), [0.4, 0.5, 0.6]);
        // Every fourth word was passed over once: four of five keys.
        (0..4_000).for_each(|word| attention.took(0, 256, [if word % 4 == 0 { 256 } else { 0 }, 0, 0]));
        let [first, second, lower] = attention.untaken();
        assert!((first - 0.2).abs() < 0.01, "{first}");
        assert_eq!((second, lower), (0.5, 0.6), "what stands lower is another matter");
        // Passed over where it stood, whatever it rose to.
        attention.took(7, 256, [0, 128, 9 * 256]);
        assert_eq!(attention.untaken()[1..], [5.5 / 10.5, 15.0 / 20.0]);
        assert_eq!(Attention::from_bytes(&attention.to_bytes()), Some(attention));
        assert_eq!(Attention::from_bytes(&[0; 47]), None);
        let mut counts = [0; SLOTS * 16];
        (counts[0], counts[40]) = (3, 9);
        let mut earlier = Attention::default();
        earlier.took(0, 3 * 256, [0, 0, 9 * 256]);
        assert_eq!(Attention::from_counts(&counts), Some(earlier));
    }
}
