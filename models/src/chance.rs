//! Random numbers for tests: xorshift (Marsaglia 2003).

/// Numbers from -1 to 1, the same for the same `seed`, which is not 0.
pub(crate) fn chance(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
