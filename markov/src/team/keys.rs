//! N-grams as 64-bit keys. Of what is not published nothing but its keys is kept.

use crate::Role;

/// The key of no words at all: the context of every single word.
pub(super) const ROOT: u64 = 0;

/// The end of a message, as a token.
pub(super) const END: u64 = 1;

/// The most tokens before the next one that are looked at.
pub(super) const LEVELS: usize = 3;

/// The start of a message, as a token.
pub(super) fn start(role: Role) -> u64 {
    match role {
        Role::Author => 2,
        Role::Agent => 3,
        Role::Customer => 4,
    }
}

/// A surface as a token: the same on every machine.
pub(super) fn token(surface: &str) -> u64 {
    surface.as_bytes().chunks(8).fold(surface.len() as u64, |token, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        mix(token, u64::from_le_bytes(bytes))
    })
}

/// The keys of the n-grams that end with the first of `tokens`, which come newest first: of it alone, of it and the one
/// before, …
pub(super) fn keys(tokens: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    tokens.scan(ROOT, |key, token| {
        *key = mix(*key, token);
        Some(*key)
    })
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(key: u64, token: u64) -> u64 {
    let mut bits = key.rotate_left(17) ^ token;
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// The last tokens, newest first: what the next word is predicted from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    tokens: [u64; LEVELS],
    len: usize,
}

impl Recent {
    pub(super) fn push(&mut self, token: u64) {
        self.tokens.rotate_right(1);
        self.tokens[0] = token;
        self.len = LEVELS.min(self.len + 1);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        self.tokens.into_iter().take(self.len)
    }
}
