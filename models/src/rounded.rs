//! Keys and values as conversations keep them: 8 bits each, with a scale for each head of each token.
//!
//! Half the memory of half precision, so that twice the conversations stay warm. The graph is fed what was rounded, when it is made
//! and when it is loaded, so it makes no difference which of the two happened.

use half::f16;

/// Bytes of a scale.
const SCALE: usize = 2;
/// The largest code.
const MOST: f32 = 127.0;
/// Adding it leaves the nearest whole number in the low bits of the sum: 1.5 · 2²³.
const SHIFT: f32 = 12_582_912.0;

/// Bytes that `width` numbers take.
pub(crate) fn bytes(width: usize) -> usize {
    SCALE + width
}

/// Rounds `cells` into as many bytes as [`bytes`] says, and to what those stand for.
pub(crate) fn round(cells: &mut [f32], held: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        #[allow(unsafe_code)]
        return unsafe { round_avx2(cells, held) };
    }
    round_any(cells, held);
}

/// What `held` stands for.
pub(crate) fn load(held: &[u8], cells: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the same holds.
        #[allow(unsafe_code)]
        return unsafe { load_avx2(held, cells) };
    }
    load_any(held, cells);
}

/// Eight numbers at a time: a conversation of 100 tokens has half a million of them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn round_avx2(cells: &mut [f32], held: &mut [u8]) {
    round_any(cells, held);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn load_avx2(held: &[u8], cells: &mut [f32]) {
    load_any(held, cells);
}

#[inline(always)]
fn round_any(cells: &mut [f32], held: &mut [u8]) {
    let most = cells.iter().fold(0.0_f32, |most, cell| if cell.abs() > most { cell.abs() } else { most });
    let scale = f16::from_f32(most / MOST);
    let (of_scale, codes) = held.split_at_mut(SCALE);
    of_scale.copy_from_slice(&scale.to_le_bytes());
    let scale = scale.to_f32();
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (cell, code) in cells.iter_mut().zip(codes) {
        let whole = (*cell * inverse).clamp(-MOST, MOST) + SHIFT;
        *code = whole.to_bits() as u8;
        *cell = (whole - SHIFT) * scale;
    }
}

#[inline(always)]
fn load_any(held: &[u8], cells: &mut [f32]) {
    let (of_scale, codes) = held.split_at(SCALE);
    let scale = f16::from_le_bytes([of_scale[0], of_scale[1]]).to_f32();
    for (cell, code) in cells.iter_mut().zip(codes) {
        *cell = f32::from(*code as i8) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_loaded_is_what_was_rounded_and_near_what_was_there(
            cells in prop::collection::vec(-40.0_f32..40.0, 1..130),
            shrink in prop::sample::select(vec![1.0_f32, 1e-3, 0.0]),
        ) {
            let before: Vec<f32> = cells.iter().map(|cell| cell * shrink).collect();
            let (mut rounded, mut held) = (before.clone(), vec![0; bytes(before.len())]);
            round(&mut rounded, &mut held);
            let mut loaded = vec![f32::NAN; before.len()];
            load(&held, &mut loaded);
            prop_assert_eq!(&loaded, &rounded);
            let most = before.iter().fold(0.0_f32, |most, cell| most.max(cell.abs()));
            for (found, cell) in loaded.iter().zip(&before) {
                // Half a step, and what half precision does to the scale.
                prop_assert!((found - cell).abs() <= most * (0.5 / 127.0 + 1e-3) + 4e-6, "{found} {cell}");
            }
            let (mut plain, mut bytes_of) = (before, held.clone());
            round_any(&mut plain, &mut bytes_of);
            prop_assert_eq!((&plain, &bytes_of), (&rounded, &held), "on every processor");
        }
    }
}
