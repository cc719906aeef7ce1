//! How often a writer takes what is right when it is shown, by its place in the list: writers favour what stands first.

/// Places that are told apart: the first, the second, all below.
pub const SLOTS: usize = 3;

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Looks {
    taken: u64,
    passed: u64,
}

impl Attention {
    /// A suggestion was taken there after it had been passed over so many times.
    pub fn took(&mut self, index: usize, passed: u8) {
        let looks = &mut self.0[slot(index)];
        looks.taken += 1;
        looks.passed += u64::from(passed);
    }

    /// The share of keys at which what is right is not taken, by slot: one less the slot's propensity.
    pub fn untaken(&self) -> [f32; SLOTS] {
        std::array::from_fn(|slot| {
            let Looks { taken, passed } = self.0[slot];
            let (taken, passed) = (taken as f32 + TAKEN[slot], passed as f32 + PASSED[slot]);
            passed / (taken + passed)
        })
    }

    /// The stored form: both counts of each slot, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = self.0.iter().flat_map(|looks| [looks.taken, looks.passed]);
        counts.flat_map(u64::to_le_bytes).collect()
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
        (0..4_000).for_each(|word| attention.took(0, u8::from(word % 4 == 0)));
        let [first, second, lower] = attention.untaken();
        assert!((first - 0.2).abs() < 0.01, "{first}");
        assert_eq!((second, lower), (0.5, 0.6), "what stands lower is another matter");
        attention.took(7, 9);
        assert_eq!(attention.untaken()[2], 15.0 / 20.0);
        assert_eq!(Attention::from_bytes(&attention.to_bytes()), Some(attention));
        assert_eq!(Attention::from_bytes(&[0; 47]), None);
    }
}
